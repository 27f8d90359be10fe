"""`rrjax toy`: transient chaos in one dimension, where search ends when it finds the solution."""

from pathlib import Path

from rrjax.commands.job import out_option, show
from rrjax.commands.options import Options, parse_options, read_function


def parse(arguments: list[str]) -> Options:
    """Returns the options on a command line."""
    functions = {
        "run": read_function("rrjax.experiments.toys", "toy"),
        "figures": read_function("rrjax.experiments.toys", "figures"),
        "out": out_option(Path("runs/toy")),
    }
    return parse_options("toy", functions, arguments)


def main(arguments: list[str]) -> None:
    """Runs the toy, prints its table, and writes results and the figure."""
    options = parse(arguments)
    from rrjax.experiments import toys

    run, figures, folder = options["run"], options["figures"], options["out"]["out"]
    toys.TOY.check(run, **figures)
    results = toys.toy(folder=folder, **run)
    show(toys.TOY, results, folder, {}, figures)
