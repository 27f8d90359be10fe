"""What the commands share that run an experiment on a model and puzzles."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from rrjax.checks import MOST_CPU_DEVICES, check_count
from rrjax.commands.failures import failed_puzzles
from rrjax.commands.options import Function, Options, Parameter, parse_options, read_function

if TYPE_CHECKING:
    from rrjax.experiments.experiment import Experiment
    from rrjax.models import Model
    from rrjax.puzzles import PuzzleSet
    from rrjax.results.results import Results

DEFAULT_PUZZLES = 64


def load(
    model: Annotated[str, tyro.conf.Positional] = "trm-sudoku9",
    puzzles: Path | None = None,
    dtype: Literal["float32", "float64"] = "float32",
    cpu_devices: int | None = None,
) -> "tuple[Model, PuzzleSet]":
    """Returns the model and all puzzles that are asked for, with JAX set up as asked.

    Args:
      model: A bundled name, a model folder, or hf://user/repo/sub/folder.
      puzzles: A data-set folder, Sudoku-Extreme's CSV, a list of puzzles, or the name hard-sudoku9.
        Without it the command takes the held-out puzzles that come with a bundled model.
      dtype: Type of states and tangents.
      cpu_devices: Number of chunks that run at once on a processor; without it one for each core.

    Raises:
      ValueError: A number is out of range, or the model or the puzzles cannot be loaded.
    """
    import jax

    from rrjax.jobs.devices import use_cpu_devices
    from rrjax.models import load_model
    from rrjax.puzzles import read

    check_count("cpu_devices", cpu_devices, least=1, most=MOST_CPU_DEVICES)
    use_cpu_devices(cpu_devices)
    if dtype == "float64":
        jax.config.update("jax_enable_x64", True)
    loaded = load_model(model, dtype)
    return loaded, read(puzzles) if puzzles else loaded.test_puzzles()


def first_puzzles(
    puzzles: "PuzzleSet", num_puzzles: int | None = None, failures_of: Path | None = None
) -> "PuzzleSet":
    """Returns the first puzzles of a set, or of those that earlier results failed.

    Args:
      puzzles: The set.
      num_puzzles: Number of puzzles, from the first; without it 64, or all if there are fewer.
      failures_of: Take only puzzles that failed in these results: the folder of a spectrum of the
        same puzzles, or of a rollout, which is read after segment 16.

    Raises:
      FileNotFoundError: There are no such results.
      ValueError: The set has fewer puzzles, or the results do not tell its failures.
    """
    check_count("num_puzzles", num_puzzles, least=1)
    if failures_of is not None:
        puzzles = failed_puzzles(puzzles, failures_of)
    if num_puzzles is not None and num_puzzles > len(puzzles):
        from rrjax.analysis.format import count  # loads SciPy, which --help does without

        raise ValueError(
            f"num_puzzles: {puzzles.source} has {count(len(puzzles), 'puzzle')}, but "
            f"{num_puzzles} were asked for"
        )
    return puzzles[: num_puzzles or DEFAULT_PUZZLES]


class Job:
    """A command that runs an experiment; its options come from the functions that it calls."""

    def __init__(
        self,
        name: str,
        file: str,
        choose: Callable[..., Any] = first_puzzles,
        words: str | None = None,
    ):
        """Imports nothing yet.

        Args:
          name: Name of the experiment's function.
          file: The module of the function in `rrjax.experiments`.
          choose: Chooses among the puzzles; its keywords are options too.
          words: The words of the command; None stands for the name.
        """
        self.name, self.module, self.choose = name, f"rrjax.experiments.{file}", choose
        self.words = words or name

    def parse(self, arguments: list[str]) -> Options:
        """Returns the options on a command line."""
        functions = {
            "load": read_function(__name__, "load"),
            "choose": read_function(self.choose.__module__, self.choose.__name__),
            "run": read_function(self.module, self.name),
            "numbers": read_function(self.module, "numbers"),
            "figures": read_function(self.module, "figures"),
        }
        functions["out"] = out_option(f"runs/{self.name}-MODEL")
        return parse_options(self.words, functions, arguments)

    def __call__(self, arguments: list[str]) -> None:
        """Runs the experiment, prints its tables, and writes results and figures."""
        options = self.parse(arguments)
        with _kept_types():
            self._run(options)

    def _run(self, options: Options) -> None:
        run, numbers, figures = (options[name] for name in ("run", "numbers", "figures"))
        model, puzzles = load(**options["load"])
        puzzles = self.choose(puzzles, **options["choose"])
        folder = options["out"]["out"] or Path("runs") / f"{self.name}-{model.name}"
        module = import_module(self.module)
        experiment = getattr(module, self.name.upper())
        experiment.check({**run, "num_puzzles": len(puzzles)}, **(numbers | figures))
        results = getattr(module, self.name)(model, puzzles, folder=folder, **run)
        show(experiment, results, folder, numbers, figures)


@contextmanager
def _kept_types() -> Iterator[None]:
    """Restores JAX's setting of 64-bit types, where the process goes on, as in a notebook."""
    import jax

    before = jax.config.read("jax_enable_x64")
    try:
        yield
    finally:
        jax.config.update("jax_enable_x64", before)


def out_option(default: str | Path) -> Function:
    """Returns the option that says where results go.

    Args:
      default: A folder, or words for one that depends on other options.
    """
    where = f"Folder for results and figures; without it {default}."
    value = default if isinstance(default, Path) else None
    return Function("", {"out": Parameter("out", Path | None, value, where)})


def show(
    experiment: "Experiment",
    results: "Results",
    folder: Path,
    numbers: dict[str, Any],
    figures: dict[str, Any],
) -> None:
    """Prints the tables of a result, and adds its summary and figures to its folder."""
    from rrjax.reports.terminal import draw_results, print_table

    summary = results.summary(**numbers)
    results.save_summary(summary)
    for table in summary.tables:
        print_table(table)
    draw_results(folder, experiment.figures(results, **figures))
    for line in experiment.closing(summary.numbers, folder):
        print(line)
