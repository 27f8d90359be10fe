"""Probes of recorded states: a planted code is found, permuted labels are not, and errors."""

from dataclasses import dataclass, replace
from itertools import islice

import jax.numpy as jnp
import numpy as np
import pytest

import rrjax
from rrjax.analysis.intervals import Interval
from rrjax.analysis.probes import Forecast
from rrjax.experiments import probe, states
from rrjax.experiments.probes import PROBE
from rrjax.puzzles import MazeRequest, Mazes, PuzzleSet, build_mazes, generate_mazes
from rrjax.puzzles.maze import PATH
from rrjax.puzzles.meanings import distances_to_goal
from rrjax.reports.probes import tables
from tests.tools.charts import data_of
from tests.tools.tiny import puzzles

NUMBER, WIDTH = 96, 8
PUZZLES = puzzles(NUMBER)
CODE = np.linalg.qr(np.random.default_rng(0).normal(size=(WIDTH, WIDTH)))[0].astype(np.float32)


@dataclass(frozen=True, eq=False)
class Planted:
    """A model that knows all answers: after two segments `known` holds a code of every cell.

    Its other field holds noise that depends on the puzzle. The answer is read from `known`.

    Attributes:
      puzzles: What it is asked.
      code: (puzzles, cells, WIDTH)
    """

    puzzles: PuzzleSet
    code: np.ndarray
    name: str = "planted"

    def bind(self, tokens, puzzle_id=0):
        same = (jnp.asarray(self.puzzles.inputs, jnp.int32) == tokens).all(1)
        written = jnp.asarray(self.code, jnp.float32)[jnp.argmax(same)]
        cells = self.code.shape[1]
        rng = np.random.default_rng(1)
        noise = jnp.asarray(rng.normal(size=(NUMBER, 3, cells, WIDTH)), jnp.float32)
        noise = noise[jnp.argmax(same)]

        def step(state):
            count = state["count"] + 1
            known = jnp.where(count[0, 0] >= 2, written, 0) + noise[0]
            return {"count": count, "known": known, "noise": noise[1]}

        initial = {"count": jnp.zeros((cells, WIDTH)), "known": noise[2], "noise": noise[1]}
        update = rrjax.contract.Update("step", lambda context, z, drive: step(z))
        return rrjax.Dynamics.from_updates(
            initial=initial,
            schedule=(update,),
            readout=lambda context, z: jnp.pad(z["known"] @ CODE.T[:, :4], ((0, 0), (2, 0))),
            answer="known",
        )


SUDOKUS = Planted(PUZZLES, 9 * CODE[PUZZLES.labels - 2])


def record(planted):
    recorded = states(planted, planted.puzzles, num_segments=3, untrained=False, progress=False)
    del recorded.arrays["state_count"]
    recorded.record["fields"].remove("count")
    return recorded


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("probes")
    recorded = record(SUDOKUS)
    read = probe(recorded, num_permutations=19, ranks=(1, 2), folder=folder, progress=False)
    return recorded, rrjax.load_results(folder), read


def test_a_planted_code_is_found_after_the_segment_that_writes_it(run):
    _, read, in_memory = run
    for name, array in in_memory.items():
        np.testing.assert_array_equal(read[name], array)
    summary = read.summary().numbers
    digit = summary.reading("digit", "known")
    assert digit.scores["all"][0].value < 0.35
    assert digit.scores["all"][1].value > 0.99
    assert digit.p[1] == 0.05
    assert digit.selectivity[1].low > 0.3
    assert digit.low_rank[1][2] < digit.low_rank[2][2]
    assert abs(digit.permuted[1] - 0.25) < 0.04
    noise = summary.reading("digit", "noise")
    assert noise.scores["all"][2].high < 0.4
    assert summary.answer["all"][2].value > 0.99
    assert summary.kept["all"][0].value < 0.5
    assert "solved" in summary.left_out
    assert "because it has one value only" in " ".join(repr(read.summary()).split())
    assert {"readings", "decided"} <= set(read.plot())
    known, *_ = read.summary().findings()
    assert f"accuracy of {digit.scores['all'][2].value:.2f} (95 %" in known
    assert f"labels of cells is {digit.selectivity[2].value:+.2f} (95 %" in known
    panel, _ = PROBE.report_panels(read)
    assert {row["group"] for row in data_of(panel)} >= {"known", "noise", "known, control"}


def test_a_planted_path_and_the_way_to_the_goal_are_found_in_mazes():
    drawn = islice(generate_mazes(MazeRequest(size=5, min_path=6), seed=0), 48)
    mazes = build_mazes(Mazes(*map(np.stack, zip(*drawn, strict=True))))
    on_path, distance = mazes.labels == PATH, distances_to_goal(np.asarray(mazes.inputs))
    code = 9 * on_path[..., None] * CODE[0] + 3 * distance[..., None] * CODE[1]
    read = probe(record(Planted(mazes, code)), num_permutations=19, ranks=(), progress=False)
    summary = read.summary()
    path, noise = (summary.reading("on path", field) for field in ("known", "noise"))
    assert path.scores["all"][0].low < 0.5 < path.scores["all"][0].high
    assert path.scores["all"][1].value > 0.98
    assert (path.p[1], path.chance) == (0.05, 0.5)
    assert path.selectivity[1].low > 0.2
    assert noise.scores["all"][1].low < 0.5 < noise.scores["all"][1].high
    distances = summary.reading("distance to goal", "known")
    assert distances.scores["all"][0].high < 0.2
    assert distances.scores["all"][1].value > 0.95
    assert distances.selectivity[1].low > 0.5
    assert f"balanced accuracy of {path.scores['all'][-1].value:.2f}" in summary.findings()[0]
    assert set(read.plot()) >= {"readings", "decided"}
    assert "On path, solved puzzles" in repr(summary)


@pytest.mark.parametrize("source", ["conflicts", "z_H"])
def test_conflicts_are_explained_where_they_are_shown(run, source):
    chances = [Interval(0.8, 0.7, 0.9)] * 3
    forecast = Forecast(source, chances, chances, [(1, 1)] * 3)
    shown = tables(replace(run[1].summary().numbers, forecasts=[forecast]))
    (notes,) = {tuple(each.notes) for each in shown if each.headline.startswith("What tells")}
    assert ("Conflicts:" in notes[0]) == (source == "conflicts")


def test_halves_are_split_by_puzzle(run):
    recorded, read, _ = run
    assert len(read.held_out) == NUMBER // 2 == read.record["num_train"]
    np.testing.assert_array_equal(read.solved, recorded.solved[read.held_out])


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (["digits"], "must be among digit"),
        (["solved"], "solved cannot be probed: it has one value only"),
    ],
)
def test_what_cannot_be_asked_is_refused(run, targets, message):
    with pytest.raises(ValueError, match=message):
        probe(run[0], targets=targets, progress=False)


def test_fewer_puzzles_than_channels_are_refused():
    few = states(SUDOKUS, PUZZLES[:12], num_segments=1, untrained=False, progress=False)
    with pytest.raises(ValueError, match="more than 8 channels are needed"):
        probe(few, targets=["distance"], progress=False)
