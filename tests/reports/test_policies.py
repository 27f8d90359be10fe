"""Policies in words: restarts have a table of their own, with thresholds and what a law expects."""

import numpy as np

from rrjax.analysis.policies import Runs
from rrjax.analysis.policy_summary import summarize_policies
from rrjax.page.policies import _restarts
from rrjax.reports.policies import tables


def test_restarts_of_every_kind_are_named_with_their_thresholds():
    rng = np.random.default_rng(0)
    shape = 8, 1, 4, 8
    solved = np.arange(8) >= rng.geometric(0.3, shape[:3])[..., None]
    numbers = {
        "residual": rng.random(shape),
        "logit_change": rng.random(shape),
        "lambda1": rng.normal(size=shape),
        "q_halt": np.where(solved, 1.0, -1.0),
    }
    numbers["lambda1"][:2] = -np.inf  # as where a map forgets its state
    arrays = {
        **numbers,
        **{f"plain_{name}": array[:, 0, 0] for name, array in numbers.items()},
        "board": solved.astype(int),
        "solved": solved,
        "plain_solved": solved[:, 0, 0],
        "pooled_solved": rng.random((8, 1, 3, 4)) < 0.5,
        "number_of_runs": np.array([1, 2, 4]),
        "depth": np.array([1, 2, 4, 8]),
    }
    summary = summarize_policies(arrays, ["starts"], 21, num_tuning=4, luby_unit=2)
    table, smaller = (t for t in tables(summary) if t.headline.startswith("starts: restarts"))
    rows = {row[0]: row for row in table.rows}
    assert list(rows) == [
        "until believed",
        "at a fixed length",
        "at the law's length",
        "by Luby's sequence",
        "where trapped: at rest",
        "where trapped: drift and λ₁",
    ]
    by_law = {name: row[-1] for name, row in rows.items()}
    assert int(by_law["at the law's length"]) <= int(by_law["by Luby's sequence"])
    assert by_law["where trapped: drift and λ₁"] == ""
    assert "first 4 puzzles" in table.notes[0]
    assert "given up after 1, 1, 2, 1, 1, 2, 4, … times 2 segments" in table.notes[0]
    assert "given up at a residual < " in table.notes[0]

    assert smaller.headers == ("policy", "≤ 42", "≤ 84", "≤ 168", "≤ 336", "≤ 672")
    assert [row[0] for row in smaller.rows] == list(rows)
    within = summary.ways[0].restarts[1].points
    choice = summary.ways[0].restarts[1].policy(of_way(arrays), 4)
    right = arrays["solved"][np.arange(4) + 4, 0, choice.run, choice.segment]
    assert (within[4].evaluations, within[4].accuracy.value) == (
        21 * choice.spent.mean(),
        right.mean(),
    )
    assert smaller.rows[1][2] == f"{100 * right.mean():.0f} ({21 * choice.spent.mean():.0f})"
    on_page = [row for row in _restarts(summary.ways) if row["group"] == "at a fixed length"]
    assert {row["facet"] for row in on_page} == {"starts"}
    assert [row["budget"] for row in on_page] == [2, 4, 8, 16, 32]
    assert on_page[1]["value"] == 100 * right.mean()


def of_way(arrays: dict[str, np.ndarray]) -> Runs:
    """The runs of the puzzles that no threshold was chosen on."""
    names = ("board", "q_halt", "residual", "logit_change")
    return Runs(*(arrays[name][4:, 0] for name in names))
