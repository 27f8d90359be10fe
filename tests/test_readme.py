"""The front page tells the truth: its example runs, its paths exist, its commands parse."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from rrjax.cli import COMMANDS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


@pytest.mark.slow
def test_the_python_example_runs(capsys):
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(example.strip().splitlines()) <= 15
    exec(compile(example, "README.md", "exec"), {})
    assert "(updates" not in capsys.readouterr().out


def test_every_path_exists():
    paths = re.findall(r"`((?:rrjax|converters|scripts|tests|docs)/[\w./-]*)`", README)
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
def test_every_command_explains_itself(command):
    assert f"rrjax {command}" in README
    run = subprocess.run(
        [sys.executable, "-m", "rrjax.cli", command, "--help"], capture_output=True, text=True
    )
    assert run.returncode == 0
    assert f"usage: rrjax {command}" in run.stdout


def test_nothing_is_left_to_fill_in():
    assert "@@" not in README
