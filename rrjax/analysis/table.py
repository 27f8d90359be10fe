"""A table in words, as reports make it and terminals and pages show it."""

from typing import NamedTuple


class Table(NamedTuple):
    """A table in words.

    Attributes:
      headline: one sentence.
      headers: titles of the columns.
      rows: as many strings each as there are headers.
      notes: what the reader must know before trusting the numbers; the last explains the rows.
    """

    headline: str
    headers: tuple[str, ...]
    rows: list[tuple[str, ...]]
    notes: list[str]
