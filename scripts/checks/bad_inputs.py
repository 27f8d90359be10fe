"""Gives every command bad inputs, and looks at what it does with them.

Kinds of bad inputs times the places where inputs come from: every option of every command, every
path, and every file that a command reads. A command must end with exit code 2 and a short message
that names the culprit, without a traceback, soon, in little memory, and leave all files as they
were. Where a damage may do no harm the command may also succeed; such cases are counted apart.

Usage: python -m scripts.checks.bad_inputs [--seed 0] [--sample N] [--only TEXT]   (five minutes)

The table shows how many cases of each kind there were, and what was wrong with them. The exit code
is 1 if anything was.
"""

import contextlib
import hashlib
import io
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import tyro

from rrjax import cli
from rrjax.jobs.compile_cache import cache_folder
from scripts.checks import bad_files, bad_words, good_inputs
from scripts.checks.forked import Outcome, Task, run_all
from scripts.checks.good_inputs import ANALYSES, COMMANDS, NEEDS, PARTS

MOST_SECONDS = 5.0
"""Processor time of a refusal, in which JAX starts and traces, on a machine that others use too."""

MOST_MEMORY = 500 * 2**20
MOST_LINES, MOST_CHARACTERS = 16, 1500


@dataclass(frozen=True)
class Case:
    """A bad input.

    Attributes:
      place: where it comes from.
      kind: what is bad about it.
      arguments: the command line.
      parts: the good inputs that it needs beside.
      culprits: words of which the message must have one.
      prepare: what makes it bad, in the folder where the command then runs.
      may_pass: whether the command may also succeed.
    """

    place: str
    kind: str
    arguments: tuple[str, ...]
    parts: tuple[str, ...]
    culprits: tuple[str, ...]
    prepare: Callable[[], None] = lambda: None
    may_pass: bool = False


def option_cases(rng: random.Random) -> Iterator[Case]:
    """Yields bad values of every option of every command, some of each kind."""
    for command, words in COMMANDS.items():
        for option in bad_words.options_in(_help(command)):
            for kind, values in bad_words.bad_values(option).items():
                for value in rng.sample(values, min(2, len(values))):
                    last = option.flag.rpartition(".")[2].removeprefix("--")
                    names = last, last.replace("-", "_"), option.flag
                    arguments = (*words, option.flag, *value)
                    place = f"{command} {option.flag}"
                    yield Case(place, f"option: {kind}", arguments, NEEDS.get(command, ()), names)


def command_line_cases() -> Iterator[Case]:
    """Yields command lines with words that are missing, unknown or too many."""
    for command, words in COMMANDS.items():
        parts = NEEDS.get(command, ())
        bad = {
            "an unknown option": ((*words, "--no-such-option", "3"), "no-such-option"),
            "a typo": ((*words, "--ou", "x"), "--ou"),
            "a word too many": ((*words, "surplus", "surplus2"), "surplus"),
            "no value": ((*words, _flag_with_value(command)), _flag_with_value(command)),
        }
        for kind, (arguments, culprit) in bad.items():
            yield Case(command, f"words: {kind}", arguments, parts, (culprit,))
    for word in ("", "spectra", "-x", "--", "😀", "\udcff", "x" * 3000, "__init__", "../x"):
        yield Case("command", "words: an unknown command", (word,), (), ("unknown command",))


def _flag_with_value(command: str) -> str:
    """Returns an option that needs a value; one of a list may stand alone."""
    options = bad_words.options_in(_help(command))
    return next(option.flag for option in options if not option.metavar.startswith("["))


INPUTS: dict[str, tuple[str, ...]] = {
    "spectrum model": ("spectrum", "PATH", "--puzzles", "data", "--out", "out"),
    "solve model": ("solve", "PATH", "puzzle.txt"),
    "rollout --puzzles": ("rollout", "model", "--puzzles", "PATH", "--out", "out"),
    "solve puzzle": ("solve", "model", "PATH"),
    "analyse runs": ("analyse", "PATH", "--out", "out"),
    "report runs": ("report", "PATH", "--out", "x.html"),
    "train --data": ("train", "--data", "PATH", "--config", "config.yaml", "--out", "out"),
    "train --config": ("train", "--data", "data", "--config", "PATH", "--out", "out"),
    "search --space": (*good_inputs.SEARCH, "--space", "PATH", "--out", "out"),
    "runs folder": ("runs", "PATH"),
    "inside states model": ("inside", "states", "PATH", "--puzzles", "data", "--out", "out"),
    "inside blanks --puzzles": ("inside", "blanks", "model", "--puzzles", "PATH", "--out", "out"),
    **{f"inside {name} states": ("inside", name, "PATH", "--out", "out") for name in ANALYSES},
    **{
        f"inside {name} --states": tuple(
            "PATH" if word == "states" else word for word in COMMANDS[f"inside {name}"]
        )
        for name in ("erase", "meaning")
    },
    "convert source": ("convert", "PATH", "out"),
    "convert model": ("convert", "--to-torch", "PATH", "out.pt"),
    "convert --config": ("convert", "torch", "out", "--config", "PATH"),
    "sudoku --list": ("sudoku", "out", "--list", "PATH"),
    "sudoku --csv": ("sudoku", "out", "--csv", "PATH"),
    "maze --csv": ("maze", "out", "--csv", "PATH"),
    "arc --source": ("arc", "out", "--source", "PATH"),
}

OUTPUTS: dict[str, tuple[str, ...]] = {
    **{
        f"{command} --out": (*words[:-1], "PATH")
        for command, words in COMMANDS.items()
        if words[-2] == "--out"
    },
    **{
        f"{command} out": tuple("PATH" if word == "out" else word for word in words)
        for command, words in COMMANDS.items()
        if "out" in words and words[-2] != "--out"
    },
    "convert --to-torch": ("convert", "--to-torch", "model", "PATH"),
}

PARTS_OF_INPUTS = ("model", "data", "texts", "settings", "torch", "tasks")


def path_cases() -> Iterator[Case]:
    """Yields paths to what is no input, and paths where nothing can be written."""
    for name, words in INPUTS.items():
        for kind, maker in bad_words.NO_INPUT.items():
            yield _path_case(name, f"input: {kind}", words, maker)
    for name, words in OUTPUTS.items():
        for kind, maker in bad_words.NO_OUTPUT.items():
            yield _path_case(name, f"output: {kind}", words, maker)


def _path_case(
    place: str, kind: str, words: Sequence[str], maker: Callable[[Path], None] | str
) -> Case:
    path = maker if isinstance(maker, str) else "special"
    arguments = tuple(path if word == "PATH" else word for word in words)
    parts = dict.fromkeys(
        (*PARTS_OF_INPUTS, *NEEDS.get(" ".join(words[:2]), NEEDS.get(words[0], ())))
    )

    def prepare() -> None:
        Path("file").touch()
        if not isinstance(maker, str):
            maker(Path("special"))

    # a path of blanks or control characters cannot be looked for in a message
    if path.strip().isprintable() and path.strip():
        culprits = [path[:20], str(Path(path))[:20]]
        culprits += [str(Path(path).parent)] * path.startswith("/")
    else:
        culprits = [""]
    culprits += ["puzzle: expected"] * (place == "solve puzzle")
    # nothing, and the folder in which the command runs, are one path
    may_pass = not path
    return Case(place, kind, arguments, tuple(parts), tuple(culprits), prepare, may_pass)


@dataclass(frozen=True)
class Place:
    """A file that a command reads.

    Attributes:
      file: its path, or a pattern of which one file is chosen.
      format: one of `bad_files.FORMATS`.
      parts: the good inputs that the command needs.
      arguments: the command.
      names: other words by which a message may name it.
      recovers: whether the command may go on without the file.
    """

    file: str
    format: str
    parts: tuple[str, ...]
    arguments: tuple[str, ...]
    names: tuple[str, ...] = ()
    recovers: bool = False


_MODEL, _TRAIN = ("model", "data"), ("data", "settings")
_NOWHERE = ("--data", "nowhere", "--out", "out")  # what reads settings without harm stops there
_SPECTRUM, _AGAIN = (*_MODEL, "spectrum"), (*good_inputs.SPECTRUM, "--out", "spectrum")
_RUN, _RESUMED = (*_TRAIN, "run"), (*good_inputs.TRAIN, "--out", "run")
_STATES = ("model", "data", "states")
_STATES_AGAIN = (*COMMANDS["inside states"][:-1], "states", "--no-untrained")
_SEARCH, _SEARCHED = (*_TRAIN, "search"), (*good_inputs.SEARCH, "--out", "search")
PLACES = (
    Place("model/config.json", "json", _MODEL, COMMANDS["rollout"]),
    Place("model/config.json", "json", _MODEL, ("convert", "--to-torch", "model", "out.pt")),
    Place("model/model.safetensors", "safetensors", _MODEL, COMMANDS["rollout"]),
    Place("data/test/dataset.json", "json", _MODEL, COMMANDS["rollout"]),
    *(
        Place(f"data/test/all__{name}.npy", "npy", _MODEL, COMMANDS["rollout"], ("all__*.npy",))
        for name in ("inputs", "labels", "puzzle_identifiers", "puzzle_indices", "group_indices")
    ),
    Place("list.txt", "text", ("texts",), ("sudoku", "out", "--list", "list.txt")),
    Place("sudokus/train.csv", "text", ("texts",), ("sudoku", "out", "--csv", "sudokus")),
    Place("mazes/test.csv", "text", ("texts",), ("maze", "out", "--csv", "mazes")),
    Place("puzzle.txt", "text", ("model", "texts"), COMMANDS["solve"], ("puzzle: expected",)),
    Place("config.yaml", "yaml", _TRAIN, (*good_inputs.TRAIN, *_NOWHERE)),
    Place("space.yaml", "yaml", _TRAIN, (*good_inputs.SEARCH, *_NOWHERE)),
    Place("torch/all_config.yaml", "yaml", ("torch",), COMMANDS["convert"]),
    Place("torch/meta.json", "json", ("torch",), COMMANDS["convert"]),
    Place("torch/weights.pt", "torch", ("torch",), COMMANDS["convert"]),
    Place("tensors/model.safetensors", "safetensors", ("torch",), ("convert", "tensors", "out")),
    *(
        Place(f"kaggle/arc_{name}.json", "json", ("tasks",), COMMANDS["arc"], ("kaggle",))
        for name in ("training_challenges", "evaluation_solutions")
    ),
    Place("spectrum/results.npz", "npz", ("spectrum",), COMMANDS["analyse"]),
    Place("spectrum/results.json", "json", ("spectrum",), COMMANDS["analyse"]),
    Place("spectrum/results.json", "json", ("spectrum", "run"), COMMANDS["report"]),
    Place("run/config.json", "json", ("spectrum", "run"), COMMANDS["report"]),
    Place("spectrum/sweep.json", "json", _SPECTRUM, _AGAIN, ("holds another run",)),
    Place("spectrum/chunks/*.npz", "npz", _SPECTRUM, _AGAIN, recovers=True),
    Place("states/results.npz", "npz", ("states",), COMMANDS["inside neurons"]),
    Place("states/results.json", "json", ("states",), COMMANDS["inside similarity"]),
    Place("states/results.json", "json", _STATES, COMMANDS["inside erase"]),
    Place("states/state_z_H.npy", "npy", ("states",), COMMANDS["inside probe"]),
    Place("states/state_z_L.npy", "npy", _STATES, COMMANDS["inside meaning"]),
    Place("states/sweep.json", "json", _STATES, _STATES_AGAIN, ("holds another run",)),
    Place("run/config.json", "json", ("run",), COMMANDS["runs"]),
    Place("run/metrics.csv", "text", ("run",), COMMANDS["runs"]),
    Place("run/config.json", "json", _RUN, _RESUMED, ("holds another run",)),
    Place("run/checkpoints/4/**/*", "bytes", _RUN, _RESUMED, recovers=True),
    Place("search/config.json", "json", _SEARCH, _SEARCHED, ("holds another run",)),
    Place("search/study.log", "bytes", _SEARCH, _SEARCHED, recovers=True),
)

_HELD = "--puzzles data --num-segments 2 --num-puzzles 12 --states states"
UNANSWERED: dict[str, tuple[str, str]] = {
    "one class": ("probe states --targets solved", "solved cannot be probed"),
    "no target": ("probe states --targets colour", "be among digit"),
    "nothing to erase": (f"erase model {_HELD} --segments 1 --target colour", "be among digit"),
    "no classes": (f"erase model {_HELD} --segments 1 --target candidates", "have classes"),
    "too few puzzles to compare": ("similarity few", "at least 5 puzzles"),
    "too few points": ("dimension few", "at least 11 puzzles"),
    "too few puzzles to leave out": ("neurons few", "at least 4 puzzles"),
    "too few puzzles to halve": ("information few", "at least"),
    "fewer cells than channels": ("probe few --targets digit", "channels are needed"),
    "another model": (f"erase lstm {_HELD} --segments 1", "another model"),
    "other puzzles": (f"meaning model {_HELD.replace('12', '10')}", "other puzzles"),
    "fewer segments": (f"meaning model {_HELD.replace('2 ', '3 ', 1)}", "3 segments"),
    "another experiment": ("dimension spectrum", "results of rrjax spectrum"),
    "another experiment's states": (
        f"erase model {_HELD.replace('--states states', '--states spectrum')} --segments 1",
        "results of rrjax spectrum",
    ),
    "no mixing": ("mixing lstm --puzzles data --segments 1", "sub-layer that mixes tokens"),
    "no circuit": ("circuits lstm --puzzles data --num-segments 2", "sub-layer that mixes tokens"),
    "no units": ("mixing walker --puzzles maze --segments 1", "Sudokus"),
    "no singles": ("circuits walker --puzzles maze --num-segments 2", "Sudokus"),
    "nothing to fill in": ("blanks walker --puzzles maze --num-segments 2", "Sudokus"),
}
"""Questions by what makes them unanswerable: their words, and what the message must name."""


def question_cases() -> Iterator[Case]:
    """Yields questions that the states, the puzzles or the cell cannot answer."""
    parts = ("model", "lstm", "walker", "data", "maze", "spectrum", "states")
    for kind, (words, culprit) in UNANSWERED.items():
        arguments = ("inside", *words.split(), "--out", "out")
        place = " ".join(arguments[:2])
        yield Case(place, f"question: {kind}", arguments, parts, (culprit,))


_RECOVERED = 12
"""How many damages are tried where a command goes on, which takes some seconds each."""

_MAY_PASS = {"a byte", "inserted", "cut", "twice", "turned around", "zeros", "large", "UTF-16"}
"""Kinds of `bad_files.ANY` after which a text may still be one."""


def file_cases(rng: random.Random) -> Iterator[Case]:
    """Yields files with bad contents."""
    for place in PLACES:
        damages = {**bad_files.ANY, **bad_files.FORMATS[place.format]}
        if place.format == "json":
            damages |= bad_files.JSON_VALUES
        kinds = rng.sample(list(damages), _RECOVERED) if place.recovers else list(damages)
        for kind in kinds:
            damage, name = damages[kind], Path(place.file).name
            may_pass = place.recovers or kind.removeprefix("right digest, ") in _MAY_PASS
            may_pass = may_pass or kind[-1].isdigit() or kind.startswith("an unknown key")
            prepare = partial(_damage, place.file, damage, rng.randrange(2**32))
            yield Case(
                f"{place.arguments[0]}: {place.file}",
                f"{place.format}: {kind}",
                place.arguments,
                place.parts,
                (name, *place.names),
                prepare,
                may_pass,
            )


def _damage(file: str, damage: bad_files.Damage, seed: int) -> None:
    rng = random.Random(seed)
    path = rng.choice([path for path in sorted(Path().glob(file)) if path.is_file()])
    data = damage(path.read_bytes(), rng)
    path.write_bytes(data)
    record = path.with_suffix(".json")
    if path.suffix == ".npz" and record.is_file():
        digest = hashlib.sha256(data).hexdigest()
        record.write_text(json.dumps({**json.loads(record.read_text()), "sha256": digest}))


def _help(command: str) -> str:
    if command not in _helps:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            cli.main([*command.split(), "--help"])
        _helps[command] = out.getvalue()
    return _helps[command]


_helps: dict[str, str] = {}


def judge(case: Case, outcome: Outcome, changed: list[str]) -> list[str]:
    """Returns what is wrong with how a command took a bad input."""
    text = outcome.text
    wrong = []
    if outcome.code is None:
        wrong.append("killed")
    if "Traceback" in text or "[Errno" in text or 'File "' in text:
        wrong.append("traceback")
    if outcome.code == 0 and case.may_pass:
        return wrong
    if outcome.code not in (2, None):
        wrong.append(f"exit code {outcome.code}")
    if outcome.seconds > MOST_SECONDS:
        wrong.append("slow")
    if outcome.memory > MOST_MEMORY:
        wrong.append("memory")
    if not case.may_pass and not any(word in " ".join(text.split()) for word in case.culprits):
        wrong.append("no culprit")
    if len(text.splitlines()) > MOST_LINES or len(text) > MOST_CHARACTERS:
        wrong.append("long message")
    if changed:
        wrong.append("files changed")
    return wrong


def _snapshot(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
        if path.name != ".output"
    }


@dataclass
class Options:
    """Settings of the check.

    Attributes:
      seed: Seed of the random choices.
      sample: Number of cases that are chosen at random; without it all.
      only: Run only the cases whose place or kind contains this text.
      without: Leave out the cases that need these parts, some of which take a minute to make.
      jobs: Number of commands that run at once.
      show: Print every case with its message.
    """

    seed: int = 0
    sample: int | None = None
    only: str = ""
    without: tuple[str, ...] = ()
    jobs: int = 2
    show: bool = False


def main(options: Options) -> int:
    """Runs the cases and prints the table; returns the exit code."""
    os.environ.update(COLUMNS="80", NO_COLOR="1", HF_HUB_OFFLINE="1")
    rng = random.Random(options.seed)
    cases = [*option_cases(rng), *command_line_cases(), *path_cases(), *file_cases(rng)]
    cases += question_cases()
    cases = [case for case in cases if options.only in f"{case.place} {case.kind}"]
    cases = [case for case in cases if not {*options.without} & {*case.parts}]
    if options.sample is not None:
        cases = rng.sample(cases, min(options.sample, len(cases)))
    import_everything()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_good_inputs(folder / "good", {part for case in cases for part in case.parts})
        return report(run_cases(cases, folder, options.jobs), options.show)


def import_everything() -> None:
    """Imports what commands import when they run, so that forked processes need not.

    Programs are compiled soon rather than well, and kept.
    """
    import jax

    import rrjax.experiments.loading
    import rrjax.experiments.solving
    import rrjax.training.loop
    import rrjax.training.search  # noqa: F401

    for command in cli.COMMANDS:
        cli.command_module(command)
    folder = os.environ.get("JAX_COMPILATION_CACHE_DIR", str(cache_folder()))
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    jax.config.update("jax_disable_most_optimizations", True)


def make_good_inputs(folder: Path, parts: set[str]) -> None:
    """Writes good inputs of these parts into a new folder, each in a process of its own."""
    folder.mkdir()
    if parts & {"spectrum", "run", "search", "torch", "states"}:  # which are made of others
        parts = parts | {"model", "lstm", "data", "settings"}
    chosen = [part for part in PARTS if part in parts]

    def make() -> None:
        for part in chosen:
            PARTS[part][0]()

    ((_, outcome),) = run_all([Task(["--version"], folder, make, 600)], 1)
    if outcome.code != 0:
        raise RuntimeError(outcome.text)


def run_cases(
    cases: Sequence[Case], folder: Path, jobs: int
) -> Iterator[tuple[Case, Outcome, list[str]]]:
    """Yields cases with their outcomes and what is wrong with them."""
    by_folder: dict[Path, tuple[Case, dict[str, bytes | None]]] = {}

    def tasks() -> Iterator[Task]:
        here = os.getcwd()
        for number, case in enumerate(cases):
            place = folder / str(number)
            place.mkdir()
            for part in case.parts:
                for name in PARTS[part][1]:
                    source = folder / "good" / name
                    if source.is_dir():
                        shutil.copytree(source, place / name)
                    elif source.exists():
                        shutil.copy(source, place / name)
            os.chdir(place)
            case.prepare()
            os.chdir(here)
            by_folder[place] = case, _snapshot(place)
            patience = 200.0 if case.may_pass else 40.0
            yield Task(case.arguments, place, lambda: None, patience)

    for task, outcome in run_all(tasks(), jobs):
        case, before = by_folder.pop(task.folder)
        after = _snapshot(task.folder)
        changed = [name for name in before | after if before.get(name, 0) != after.get(name, 0)]
        yield case, outcome, judge(case, outcome, changed)
        shutil.rmtree(task.folder)


def report(outcomes: Iterable[tuple[Case, Outcome, list[str]]], show: bool) -> int:
    """Prints what is wrong as it comes, then a table of kinds; returns the exit code."""
    started = time.monotonic()
    refused, passed, failed = Counter[str](), Counter[str](), Counter[str]()
    slowest, largest = 0.0, 0
    for case, outcome, wrong in outcomes:
        if wrong or show:
            words = " ".join(word if len(word) < 40 else f"{word[:30]}…" for word in case.arguments)
            print(
                f"--- {', '.join(wrong) or 'right'} | {case.place} | {case.kind} | "
                f"code {outcome.code}, {outcome.seconds:.1f} s, {outcome.memory / 2**20:.0f} MiB\n"
                f"    {words!r}\n{_ends(outcome.text)}",
                flush=True,
            )
        kind = case.kind
        (failed if wrong else passed if outcome.code == 0 else refused)[kind] += 1
        if outcome.code == 2:
            slowest, largest = max(slowest, outcome.seconds), max(largest, outcome.memory)
    print(f"{'kind':48s} refused  harmless  wrong")
    for kind in sorted(refused | passed | failed):
        print(f"{kind:48s} {refused[kind]:7d} {passed[kind]:9d} {failed[kind]:6d}")
    print(
        f"{refused.total()} bad inputs were refused as they should be, {passed.total()} did no "
        f"harm, {failed.total()} went wrong; a refusal took at most {slowest:.1f} s of the "
        f"processor and {largest / 2**20:.0f} MiB; {time.monotonic() - started:.0f} s in all"
    )
    return 1 if failed else 0


def _ends(text: str) -> str:
    return text if len(text) <= 2 * MOST_CHARACTERS else f"{text[:700]} … {text[-700:]}"


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options)))
