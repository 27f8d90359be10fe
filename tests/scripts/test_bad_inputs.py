"""A few of the bad inputs are refused as the script of all of them demands, and it sees defects."""

import re
import sys
from pathlib import Path

import pytest

from scripts.checks.bad_inputs import Case, judge
from scripts.checks.bad_words import Option, options_in
from scripts.checks.forked import Outcome
from tests.tools.processes import begin, finish

REFUSED = Outcome(2, "rrjax: seed must be at least 0, got -1\n", 0.1, 0)
CASE = Case("toy --seed", "option: out of range", ("toy",), (), ("seed",))


@pytest.mark.skipif(sys.platform == "win32", reason="processes are forked")
def test_a_sample_is_refused():
    module = [sys.executable, "-m", "scripts.checks.bad_inputs", "--sample", "60", "--seed", "1"]
    printed = finish(begin([*module, "--without", "spectrum", "run", "search", "states"]))
    number = re.search(r"(\d+) bad inputs were refused as they should be", printed)
    assert number is not None
    assert int(number[1]) > 50


def test_a_refusal_is_right():
    assert judge(CASE, REFUSED, []) == []


@pytest.mark.parametrize(
    ("outcome", "changed", "wrong"),
    [
        (Outcome(None, REFUSED.text, 0.1, 0), [], "killed"),
        (Outcome(1, REFUSED.text, 0.1, 0), [], "exit code 1"),
        (Outcome(0, REFUSED.text, 0.1, 0), [], "exit code 0"),
        (Outcome(2, f"Traceback (most\n{REFUSED.text}", 0.1, 0), [], "traceback"),
        (Outcome(2, f"[Errno 2] {REFUSED.text}", 0.1, 0), [], "traceback"),
        (Outcome(2, "rrjax: wrong\n", 0.1, 0), [], "no culprit"),
        (Outcome(2, REFUSED.text * 50, 0.1, 0), [], "long message"),
        (Outcome(2, REFUSED.text, 60.0, 0), [], "slow"),
        (Outcome(2, REFUSED.text, 0.1, 2**32), [], "memory"),
        (REFUSED, [str(Path("out"))], "files changed"),
    ],
)
def test_what_is_wrong_is_told(outcome, changed, wrong):
    assert judge(CASE, outcome, changed) == [wrong]


def test_options_are_found_in_help():
    text = (
        "  --seed INT  seed\n│ --a.no-b, --b {x,y} │\n  --flag, --no-flag\n  text of --seed INT\n"
    )
    assert list(options_in(text)) == [Option("--seed", "INT"), Option("--a.no-b", "{x,y}")]
