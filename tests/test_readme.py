"""The front page and the pages of docs/ tell the truth: examples run, paths exist, words parse."""

import importlib
import re
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tyro

from rrjax.cli import COMMANDS, main
from tests.tools.commandline import parsed

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGES = {
    path: path.read_text()
    for path in sorted((ROOT / "docs").rglob("*.md"))
    if "_build" not in path.parts
}
SCRIPTS_WITH_CELLS = sorted((ROOT / "docs").rglob("*/*.py"))
CELLS = [re.sub(r"^# ?", "", path.read_text(), flags=re.MULTILINE) for path in SCRIPTS_WITH_CELLS]
DOCUMENTS = (README, *PAGES.values(), *CELLS)


def python_blocks(text: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def page(name: str) -> str:
    return PAGES[ROOT / "docs" / name]


@pytest.mark.slow
def test_the_python_examples_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (example,) = python_blocks(README)
    code = [line for line in example.splitlines() if line and not line.startswith("import")]
    assert len(code) <= 10
    names = {}
    exec(compile(example.replace("16", "2"), "README.md", "exec"), names)
    # the shape that its comment states, and the files that it writes
    assert len(_arrays(capsys.readouterr().out.splitlines()[-1])[0]) == 4
    assert names["run"].exponents.shape == (2, 2)
    assert {path.suffix for path in (tmp_path / "runs" / "first").iterdir()} >= {".npz", ".png"}
    start = "\n".join(python_blocks(page("index.md"))).replace("10_000", "100")
    exec(compile(start, "index.md", "exec"), {})
    exponents = _arrays(capsys.readouterr().out)[0]
    assert np.isclose(exponents.sum(), np.log(0.3), atol=1e-3)  # Hénon's map contracts areas by 0.3
    # other pages go on from there
    (clocks,) = python_blocks(page("concepts/clocks.md"))
    exec(compile(clocks, "clocks.md", "exec"), names)
    (figures,) = python_blocks(page("howto/own_figures.md"))
    figures = figures.replace("spectrum-trm-sudoku9-hard", "first")
    exec(compile(figures, "own_figures.md", "exec"), {})
    (puzzle,) = python_blocks(page("howto/own_puzzles.md"))
    exec(compile(puzzle, "own_puzzles.md", "exec"), {})
    assert "obeys" in capsys.readouterr().out


def test_the_probe_of_a_kick_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "runs" / "states-hrm-sudoku6"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    np.save(folder / "state_z_H.npy", rng.normal(size=(160, 8, 4, 3)))
    np.savez(folder / "results.npz", solved=np.arange(160) % 2 == 0)
    (example,) = python_blocks(page("inside.md"))
    exec(compile(example, "inside.md", "exec"), {})
    assert np.load("outcome_probe.npz")["z_H"].shape == (3,)


def test_every_python_example_is_run_or_that_of_the_front_page():
    pages = {
        str(path.relative_to(ROOT / "docs")) for path, text in PAGES.items() if "```python" in text
    }
    run = {"index.md", "concepts/clocks.md", "howto/own_figures.md", "howto/own_puzzles.md"}
    run |= {"inside.md"}
    # the model and the call of `start.md` are those of the first tutorial, which every build runs
    assert pages == run | {"start.md"}


def _arrays(printed: str) -> list[np.ndarray]:
    """The numbers between each pair of brackets."""
    found = re.findall(r"[\[(](.*?)[\])]", printed, re.DOTALL)
    return [np.array(re.split(r"[\s,]+", text.strip()), float) for text in found]


def commands(text: str) -> list[str]:
    """What stands as a command in code, in a line or in a block, without its comment."""
    joined = text.replace("\\\n", " ")
    blocks = re.findall(r"```\w*\n(.*?)```", joined, re.DOTALL)
    inline = re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", joined, flags=re.DOTALL))
    lines = [line for block in blocks for line in block.splitlines()]
    return [" ".join(line.partition(" # ")[0].split()) for line in [*lines, *inline]]


GIVEN = {line for text in DOCUMENTS for line in commands(text)}
OURS = sorted(line for line in GIVEN if re.match(r"rrjax [a-z]+ \S", line))
SCRIPTS = sorted(line for line in GIVEN if re.search(r"python -m scripts\.[\w.]+ \S", line))


@pytest.mark.parametrize("line", OURS)
def test_every_command_parses(line):
    _, name, *words = shlex.split(line)
    assert parsed(name, words) is not None


@pytest.mark.parametrize("line", SCRIPTS)
def test_every_command_of_a_script_parses(line):
    name, *words = shlex.split(line.partition("python -m ")[2])
    if name == "scripts.accelerators.distributed":
        _, (command, *options) = importlib.import_module(name).parse(words)
        assert parsed(command, options) is not None
    elif (
        name == "scripts.studies.story"
    ):  # it reads its options when it is imported: see test_story
        text = (ROOT / "scripts" / "studies" / "story.py").read_text()
        names = [word[2:].removeprefix("no-") for word in words if word.startswith("--")]
        assert all(f"    {name}: " in text for name in names)
    else:
        kind = importlib.import_module(name).Options
        assert isinstance(tyro.cli(kind, args=words), kind)


def test_the_commands_are_found():
    assert len(OURS) > 30
    assert len(SCRIPTS) > 10


def test_every_path_exists():
    paths = re.findall(r"\]\(((?!http)[\w./-]+)\)", README)
    for text in DOCUMENTS:
        paths += re.findall(
            r"(?:`|python |sbatch )((?:rrjax|converters|scripts|tests|docs|recipes)/[\w./-]*)", text
        )
    assert len(paths) > 60
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_front_page_is_short():
    assert len(README.splitlines()) <= 120


def test_every_make_target_exists():
    targets = re.findall(r"^make (\w+)", README, re.MULTILINE)
    assert targets == ["demo", "test"]
    for target in targets:
        plan = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True)
        assert plan.returncode == 0, plan.stderr
        assert "rrjax spectrum" in plan.stdout or "pytest" in plan.stdout


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_explains_itself(command, capsys):
    assert f"\n| `rrjax {command}" in page("features.md")
    assert main([command, "--help"]) == 0
    assert f"usage: rrjax {command}" in capsys.readouterr().out


def test_nothing_is_left_to_fill_in():
    assert not any("@@" in text for text in DOCUMENTS)
