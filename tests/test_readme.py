"""The front page tells the truth: its example runs, its paths exist, its commands parse."""

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
DOCUMENTS = (README, *((ROOT / "docs" / name).read_text() for name in ("findings.md", "gpu.md")))


@pytest.mark.slow
def test_the_python_examples_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    first, second = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(first.strip().splitlines()) <= 15
    names = {}
    exec(compile(first, "README.md", "exec"), names)
    # the shapes that its comments state: exponents, updates of 4 segments, tokens, segments
    exponents, growth, answer, drift = _arrays(capsys.readouterr().out)
    assert (len(exponents), growth.shape, len(answer), len(drift)) == (4, (2,), 81, 4)
    exec(compile(second.replace("64", "2"), "README.md", "exec"), names)
    assert names["run"].exponents.shape == (2, 8)
    assert (tmp_path / "runs" / "first" / "results.npz").is_file()


def _arrays(printed: str) -> list[np.ndarray]:
    """The numbers between each pair of brackets."""
    found = re.findall(r"[\[(](.*?)[\])]", printed, re.DOTALL)
    return [np.array(re.split(r"[\s,]+", text.strip()), float) for text in found]


def commands(text: str) -> list[str]:
    """What stands as a command in code, in a line or in a block."""
    joined = text.replace("\\\n", " ")
    blocks = re.findall(r"```\w*\n(.*?)```", joined, re.DOTALL)
    inline = re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", joined, flags=re.DOTALL))
    lines = [line for block in blocks for line in block.splitlines()]
    return [" ".join(line.split()) for line in [*lines, *inline]]


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
    if name == "scripts.studies.story":  # it reads its options when it is imported: see test_story
        text = (ROOT / "scripts" / "studies" / "story.py").read_text()
        names = [word[2:].removeprefix("no-") for word in words if word.startswith("--")]
        assert all(f"    {name}: " in text for name in names)
    else:
        kind = importlib.import_module(name).Options
        assert isinstance(tyro.cli(kind, args=words), kind)


def test_the_commands_are_found():
    assert len(OURS) > 12
    assert len(SCRIPTS) > 5


def test_every_path_exists():
    paths = re.findall(
        r"(?:`|python )((?:rrjax|converters|scripts|tests|docs|recipes)/[\w./-]*)", README
    )
    paths += re.findall(r"\]\(((?!http)[\w./-]+)\)", README)
    assert len(paths) > 15
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_every_make_target_exists():
    targets = re.findall(r"^make (\w+)", README, re.MULTILINE)
    assert targets == ["demo", "test"]
    for target in targets:
        plan = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True)
        assert plan.returncode == 0, plan.stderr
        assert "rrjax spectrum" in plan.stdout or "pytest" in plan.stdout


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_explains_itself(command, capsys):
    assert f"rrjax {command}" in README
    assert main([command, "--help"]) == 0
    assert f"usage: rrjax {command}" in capsys.readouterr().out


def test_nothing_is_left_to_fill_in():
    assert "@@" not in README
