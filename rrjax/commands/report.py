"""`rrjax report`: results and training runs as one HTML page."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from rrjax.commands.parsing import parse_command_line

PAGE_MARK = b'<meta name="generator" content="rrjax report">'
"""What the first lines of a report hold."""

if TYPE_CHECKING:
    from rrjax.results.results import Results
    from rrjax.training.history import Run


@dataclass(frozen=True)
class Options:
    """Writes results and training runs as one interactive HTML page that works offline.

    Attributes:
      runs: Folders (or results.npz files) that commands of rrjax wrote. Several are shown beside
        each other.
      out: File of the page, which must end in .html.
    """

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional] = ()
    out: Path = Path("report.html")


def main(arguments: list[str]) -> None:
    """Loads the runs and writes the page."""
    options = parse_command_line(Options, arguments, "rrjax report")
    _check_out(options.out)
    # only now, because --help needs none of it
    from rrjax.page.assemble import make_report

    runs = {name: _load(path) for name, path in _named(options.runs)}
    try:
        report = make_report(runs)
    except ModuleNotFoundError as error:
        raise ValueError(str(error)) from None
    print(f"{report.save(options.out)}; open it in a browser: {options.out.resolve().as_uri()}")


def _check_out(out: Path) -> None:
    """Refuses a page that is none by its name, and to replace what is no report."""
    if out.suffix != ".html":
        raise ValueError(f"out must end in .html, as report.html does; got {out}")
    if out.exists() and (out.is_dir() or PAGE_MARK not in out.read_bytes()[:1000]):
        raise ValueError(
            f"out: {out} exists and is not a report: remove it, or choose another name"
        )


def _load(path: Path) -> "Results | Run":
    from rrjax.experiments.loading import load_results
    from rrjax.training.history import METRICS, load_run

    return load_run(path) if (path / METRICS).exists() else load_results(path)


def _named(runs: tuple[Path, ...]) -> Iterator[tuple[str, Path]]:
    """Yields each run with the name of its folder, or by its path where two share one."""
    folders = [Path(os.path.realpath(path if path.is_dir() else path.parent)) for path in runs]
    names = [folder.name for folder in folders]
    for path, name in zip(runs, names, strict=True):
        yield (name if names.count(name) == 1 else str(path)), path
