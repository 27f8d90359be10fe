"""Terms of logits on a tiny model add up, and shares on peers have their exact expectation."""

from itertools import permutations

import jax.numpy as jnp
import numpy as np

import rrjax
from rrjax.experiments import load_results, logits
from rrjax.experiments.logit_terms import LOGITS, peer_shares
from tests.experiments.conftest import PUZZLES


def test_terms_add_up_to_the_margins_of_the_run(model, tmp_path):
    asked = {"num_segments": 2, "num_sampled": 2, "num_targets": 2, "untrained": False}
    run = logits(model, PUZZLES, folder=tmp_path / "run", progress=False, **asked)
    inputs, labels = PUZZLES.inputs[0], PUZZLES.labels[0]
    values = np.asarray(rrjax.rollout(model.bind(inputs), 2).readout.logits[1])
    is_label = np.arange(6) == labels[:, None]
    margin = values[is_label] - np.where(is_label, -np.inf, values).max(1)
    wrong = (inputs != labels) & (margin <= 0)
    total = run.before[0, 0, 1] + run.stages[0, 0, 1].sum()
    np.testing.assert_allclose(total, margin[wrong].mean(), atol=1e-4)
    blank = margin[inputs != labels].mean()
    np.testing.assert_allclose(run.channels[0, 0].sum(), blank, atol=1e-4)
    assert ((run.share > 0) & (run.share < 1)).all()
    again = load_results(tmp_path / "run")
    assert "What a clue does to a cell's margin, trained" in repr(again.summary())
    assert LOGITS.report_panels(again)
    assert set(again.plot()) == {"terms_by_stage", "saliency_on_peers"}


def test_the_expected_share_is_that_over_all_permutations():
    size = jnp.array([[1.0, 2, 5, 3, 0.5]])
    near = jnp.array([[False, True, False, True, False]])
    other = jnp.array([[False, True, True, True, True]])  # the first cell is the target
    given = jnp.array([False, True, True, False, False])
    share, expected = peer_shares(size, near, other, given)
    np.testing.assert_allclose(share, (2 + 3) / 10.5)
    every = [
        size[0, [0, *first, *second]][near[0]].sum() / 10.5
        for first in permutations((1, 2))
        for second in permutations((3, 4))
    ]
    np.testing.assert_allclose(expected, np.mean(every))
