"""The noise-floor study runs, and its variants differ as much as their arithmetic says."""

import json
import sys

import pytest

from tests.tools.processes import begin, finish


@pytest.mark.slow
def test_variants_leave_the_judge_by_their_bits(tmp_path):
    out = tmp_path / "noise.json"
    options = ("--model", "hrm-sudoku6", "--num-puzzles", "1", "--num-segments", "1")
    command = [sys.executable, "-m", "scripts.studies.noise_floor", *options]
    printed = finish(begin([*command, "--num-exponents", "2", "--out", str(out)]))
    rows = json.loads(out.read_text())["rows"]
    found = {(row["variant"], row["against"]): row["max |Δλi|"] for row in rows}
    plain = found["float32", "float64"]
    tf32, bf16 = (found[f"float32, {p} tangents", "float32, split"] for p in ("tf32", "bf16"))
    assert 0 < plain < 1e-5 < bf16 < 0.05
    assert plain < tf32 < bf16
    assert 1e-5 < found["bf16 forward, float32 tangents", "float64"] < 0.05
    assert printed.startswith("| variant |")
