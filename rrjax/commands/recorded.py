"""What the commands share that read recorded states: they record them first where they must."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from rrjax.checks import refuse
from rrjax.choices import Outcome
from rrjax.commands.job import Job, first_puzzles, load, out_option, show
from rrjax.commands.options import Options, parse_options, read_function

if TYPE_CHECKING:
    from rrjax.results.results import Results


def record(
    model: Annotated[str, tyro.conf.Positional] = "trm-sudoku6",
    puzzles: Path | None = None,
    num_puzzles: int | None = None,
    num_segments: int | None = None,
    seed: int | None = None,
    outcome: Outcome = "auto",
    states: Path | None = None,
    cpu_devices: int | None = None,
) -> "Results":
    """Returns the recorded states of a folder, or of a model, which it records where they are not.

    Args:
      model: A folder that rrjax inside states wrote; or a bundled name, a model folder, or
        hf://user/repo/sub/folder, whose states are recorded first.
      puzzles: A data-set folder, Sudoku-Extreme's CSV or a list of puzzles; without it the
        held-out puzzles that come with a bundled model.
      num_puzzles: Number of puzzles, from the first; without it 64, or all if there are fewer.
      num_segments: Number of segments of each run; without it 16.
      seed: Draws the weights of the control; without it 0.
      outcome: Which answers count as right, as in rrjax spectrum.
      states: Folder for the states of a model; without it runs/states-MODEL-PUZZLESxSEGMENTS.
      cpu_devices: Number of chunks that run at once on a processor; without it one for each core.

    Raises:
      ValueError: The model, the puzzles or the states cannot be loaded, or options that only a
        recording has are given with a folder of states.
    """
    folder = Path(model)
    if (folder / "results.npz").is_file():
        given = {"puzzles": puzzles, "num_puzzles": num_puzzles, "num_segments": num_segments}
        given |= {"seed": seed, "states": states, "cpu_devices": cpu_devices}
        for name, value in given.items():
            if value is not None:
                refuse(name, f"be left out with the recorded states in {folder}", value)
        if outcome != "auto":
            refuse("outcome", f"be left out with the recorded states in {folder}", outcome)
        from rrjax.experiments.loading import load_results

        return load_results(folder)
    from rrjax.experiments.recording import states as record_states

    loaded, every = load(model, puzzles, cpu_devices=cpu_devices)
    chosen = first_puzzles(every, num_puzzles)
    segments = 16 if num_segments is None else num_segments
    place = states or Path("runs") / f"states-{loaded.name}-{len(chosen)}x{segments}"
    try:
        return record_states(
            loaded, chosen, num_segments=segments, seed=seed or 0, outcome=outcome, folder=place
        )
    except ValueError as error:  # --out is where the analysis goes
        raise ValueError(str(error).replace("(--out)", "(--states)")) from None


class RecordedJob(Job):
    """A command that runs an experiment on recorded states."""

    def parse(self, arguments: list[str]) -> Options:
        """Returns the options on a command line."""
        functions = {
            "record": read_function(__name__, "record"),
            "run": read_function(self.module, self.name),
            "numbers": read_function(self.module, "numbers"),
            "figures": read_function(self.module, "figures"),
        }
        functions["out"] = out_option(f"runs/{self.name}-MODEL")
        return parse_options(self.words, functions, arguments)

    def _run(self, options: Options) -> None:
        run, numbers, figures = (options[name] for name in ("run", "numbers", "figures"))
        from rrjax.experiments.recording import check_free

        module = import_module(self.module)
        experiment = getattr(module, self.name.upper())
        asked = options["out"]["out"]
        if asked is not None:
            check_free(experiment, asked)
        states = record(**options["record"])
        folder = asked or Path("runs") / f"{self.name}-{states.record['model']['name']}"
        experiment.check({**states.record["options"], **run}, **(numbers | figures))
        results = getattr(module, self.name)(states, folder=folder, **run)
        show(experiment, results, folder, numbers, figures)
