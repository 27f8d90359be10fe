"""The figures of restarts and of noisy rollouts: what is drawn is what was computed."""

import numpy as np
from matplotlib.container import ErrorbarContainer

from rrjax.analysis.noisy import mixed_outcome, summarize_ptrm
from rrjax.analysis.restarts import summarize_basin
from rrjax.plots.noisy import q_against_lambda1
from rrjax.plots.restarts import solve_rate_of_failures
from tests.tools.figures import assert_legends_are_clear


def arrays(sigma: list[float], number: int = 12) -> dict[str, np.ndarray]:
    rng, runs = np.random.default_rng(0), len(sigma)
    solved = rng.random((number, runs, 6)) < 0.2
    return {
        "sigma": np.array(sigma),
        "solved": solved,
        "answers": solved[:, :, -1:].astype(np.uint8),
        "q_halt": rng.normal(size=(number, runs)),
        "residual": rng.random((number, runs)),
        "late_drift": rng.random((number, runs)),
        "exponents": rng.normal(size=(number, runs, 1)),
    }


def test_restarts_are_drawn_with_their_intervals():
    summary = summarize_basin(arrays([0, 0.1, 0.1, 0.1, 1, 1, 1]), 2)
    figure = solve_rate_of_failures(summary)
    (ax,) = figure.axes
    for container, name in zip(ax.containers, ("at_some", "some_run"), strict=True):
        assert isinstance(container, ErrorbarContainer)
        expected = [getattr(row.failures, name) for row in summary.by_sigma]
        line, _, (bars,) = container.lines
        np.testing.assert_allclose(
            np.asarray(line.get_xydata(), float)[:, 1], [e.value for e in expected]
        )
        ends = np.array(bars.get_segments())[:, :, 1]
        np.testing.assert_allclose(ends, [(e.low, e.high) for e in expected])
    assert_legends_are_clear(figure)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0", "0.1", "1"]
    assert ax.get_xlabel() == "noise of the start σ / std(H_init)"
    legend = ax.get_legend()
    assert legend is not None
    assert legend.get_title().get_text().startswith(f"n = {len(summary.failures)} puzzles")
    assert f"of {len(summary.failures)} puzzles that fail" in ax.get_title(loc="left")


def test_without_failures_the_figure_says_so():
    data = arrays([0, 1, 1])
    data["solved"][:] = True
    figure = solve_rate_of_failures(summarize_basin(data, 2))
    assert figure.axes[0].get_title(loc="left") == "Nothing to restart: all solved at segment 2"


def test_noisy_runs_of_mixed_puzzles_are_drawn_by_outcome():
    data = arrays([0, 0.3, 0.3, 0.3, 0.3])
    data["exponents"][0, 1:] = np.nan
    data["solved"][0, 1:, -1] = [True, True, False, False]
    end = np.asarray(data["solved"][:, 1:, -1])
    figure = q_against_lambda1(data)
    assert_legends_are_clear(figure)
    (ax,) = figure.axes
    mixed = mixed_outcome(end)
    drawn = mixed[:, None] & np.isfinite(data["exponents"][:, 1:, 0])
    for points, group in zip(ax.collections, (end & drawn, ~end & drawn), strict=True):
        expected = np.stack([data["exponents"][:, 1:, 0][group], data["q_halt"][:, 1:][group]], 1)
        np.testing.assert_allclose(np.asarray(points.get_offsets(), float), expected)
        assert str(points.get_label()).endswith(f"(n = {group.sum()})")
    legend, found = ax.get_legend(), summarize_ptrm(data).correlation
    assert legend is not None
    assert found is not None
    assert legend.get_title().get_text() == "4 without a finite λ₁ or q left out"
    assert f"{found.num_used} of them {found.spearman.value:.2f}" in ax.get_title(loc="left")


def test_without_mixed_puzzles_the_figure_says_so():
    data = arrays([0, 0.3, 0.3])
    data["solved"][:] = False
    (ax,) = q_against_lambda1(data).axes
    assert ax.get_title(loc="left") == "No puzzle has right and wrong runs"


def test_mixed_puzzles_without_ranks_are_drawn_without_a_correlation():
    data = arrays([0, 0.3, 0.3])  # two runs have no ranks
    data["solved"][:, 1:, -1] = [True, False]
    (ax,) = q_against_lambda1(data).axes
    title = ax.get_title(loc="left")
    assert title == "12 puzzles with right and wrong runs: none to be ranked"
    assert np.asarray(ax.collections[0].get_offsets()).shape == (12, 2)
