"""A table in words, as reports make it and terminals and pages show it."""

from typing import NamedTuple


class Table(NamedTuple):
    """A table in words.

    Attributes:
      headline: One sentence.
      headers: Titles of the columns.
      rows: Rows of one string for each header.
      notes: What the reader must know to trust the numbers; the last explains the rows.
    """

    headline: str
    headers: tuple[str, ...]
    rows: list[tuple[str, ...]]
    notes: list[str]
