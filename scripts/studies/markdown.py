"""Tables as Markdown, to be pasted into a page."""

from collections.abc import Iterable, Sequence


def print_markdown(headers: Sequence[str], rows: Iterable[Iterable[object]]) -> None:
    """Prints a table as Markdown."""
    print(f"| {' | '.join(headers)} |\n{'|---' * len(headers)}|")
    for row in rows:
        print(f"| {' | '.join(map(str, row))} |")
