"""The check that kills commands: what it compares, and a sample of it."""

import json
import re
import shlex
import subprocess
import sys

import pytest

from rrjax.cli import COMMANDS
from scripts.checks import kills
from tests.tools.commandline import parsed
from tests.tools.processes import ROOT


def folder(path, **changes):
    """Writes a folder as a command does, and returns it."""
    files = {
        "results.npz": b"bits",
        "results.json": json.dumps({"out": str(path), "made_by": str(path), "n": 1}).encode(),
        "metrics.csv": b"step,loss,seconds_per_step\n1,0.5,9\n",
        "best.yaml": f"# rrjax train --out {path}\n".encode(),
        "checkpoints/1/data": str(path).encode(),
        ".results.npz.0123abcd.tmp": str(path).encode(),
    }
    for name, content in (files | changes).items():
        if content is not None:
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(content)
    return path


def test_times_places_and_leftovers_do_not_count(tmp_path):
    whole = folder(tmp_path / "whole")
    later = {"metrics.csv": b"step,loss,seconds_per_step\n1,0.5,7\n"}
    assert kills.differences(whole, folder(tmp_path / "resumed", **later)) == []


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"results.npz": b"bitz"}, "results.npz differs"),
        ({"results.npz": None}, "results.npz is missing"),
        ({"more.npz": b""}, "more.npz is too many"),
        ({"results.json": b'{"out": "OUT", "n": 2}'}, "results.json differs"),
        ({"metrics.csv": b"step,loss,seconds_per_step\n1,0.6,9\n"}, "metrics.csv differs"),
    ],
)
def test_all_else_counts(tmp_path, changes, complaint):
    whole = folder(tmp_path / "whole")
    assert kills.differences(whole, folder(tmp_path / "resumed", **changes)) == [complaint]


def test_every_command_that_does_long_work_is_killed():
    names = {line.split()[0] for line in kills.COMMANDS.values()}
    # a report is one file, which is written whole in the end
    assert names == COMMANDS.keys() - {"runs", "solve", "report"}
    for line in (*kills.PREPARATION, *kills.COMMANDS.values()):
        name, *words = shlex.split(line)
        if "--space" not in words:  # whose file is written by the check
            assert parsed(name, words) is not None


@pytest.mark.slow
def test_a_sample_of_the_kills():
    options = ["--kills", "3", "--commands", "rollout", "train", "sudoku"]
    command = [sys.executable, "-m", "scripts.checks.kills", *options]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(r"^3 kills of 3 commands: all bits are equal$", ran.stdout, re.MULTILINE)
