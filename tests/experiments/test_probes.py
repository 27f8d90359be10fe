"""Probes of recorded states: a planted code is found, permuted labels are not, and errors."""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
import pytest

import rrjax
from rrjax.experiments import probe, states
from rrjax.experiments.probes import PROBE
from tests.tools.charts import data_of
from tests.tools.tiny import puzzles

NUMBER, WIDTH = 96, 8
PUZZLES = puzzles(NUMBER)


@dataclass(frozen=True)
class Planted:
    """A model that knows all answers: after two segments `known` holds the digit of every cell.

    Its other field holds noise that depends on the puzzle. The answer is read from `known`.
    """

    name: str = "planted"

    def bind(self, tokens, puzzle_id=0):
        labels = jnp.asarray(PUZZLES.labels, jnp.int32)
        same = (jnp.asarray(PUZZLES.inputs, jnp.int32) == tokens).all(1)
        digit = labels[jnp.argmax(same)] - 2
        rng = np.random.default_rng(0)
        code = jnp.asarray(np.linalg.qr(rng.normal(size=(WIDTH, WIDTH)))[0], jnp.float32)
        noise = jnp.asarray(rng.normal(size=(NUMBER, 3, 16, WIDTH)), jnp.float32)
        noise = noise[jnp.argmax(same)]

        def step(state):
            count = state["count"] + 1
            known = jnp.where(count[0, 0] >= 2, 9 * code[digit], 0) + noise[0]
            return {"count": count, "known": known, "noise": noise[1]}

        initial = {"count": jnp.zeros((16, WIDTH)), "known": noise[2], "noise": noise[1]}
        update = rrjax.contract.Update("step", lambda context, z, drive: step(z))
        return rrjax.Dynamics.from_updates(
            initial=initial,
            schedule=(update,),
            readout=lambda context, z: jnp.pad(z["known"] @ code.T[:, :4], ((0, 0), (2, 0))),
            answer="known",
        )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("probes")
    recorded = states(Planted(), PUZZLES, num_segments=3, untrained=False, progress=False)
    del recorded.arrays["state_count"]
    recorded.record["fields"].remove("count")
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
    panel, _ = PROBE.report_panels(read)
    assert {row["group"] for row in data_of(panel)} >= {"known", "noise", "known, control"}


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
    few = states(Planted(), PUZZLES[:12], num_segments=1, untrained=False, progress=False)
    with pytest.raises(ValueError, match="more than 8 channels are needed"):
        probe(few, targets=["distance"], progress=False)
