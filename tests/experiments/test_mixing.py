"""Mixing on a tiny model: its matrices are those of the library, and the control stands beside."""

import jax
import numpy as np

from rrjax.analysis import graph_correlation
from rrjax.contract import updates
from rrjax.dynamics.precision import exact_products
from rrjax.experiments import load_results, mixing
from rrjax.experiments.mixings import MIXING
from rrjax.inside import mixing_at, mixing_matrix
from rrjax.puzzles import peer_graphs
from tests.experiments.conftest import PUZZLES


def test_matrices_are_those_of_the_library(model, tmp_path):
    asked = {"segments": [0], "num_sampled": 2, "progress": False}
    run = mixing(model, PUZZLES, folder=tmp_path / "run", **asked)
    assert run.record["matrices"] == ["W_down W_up", "with gates", "gain", "strength"]
    assert run.record["stages"] == ["latent 1", "answer 1"]
    layer = model.params["L_level"]["layers"]["0"]["mlp_t"]
    product, _, _, strength = run.weights[0, :, 0]
    np.testing.assert_allclose(product, mixing_matrix(layer), atol=1e-6)
    squares = []
    with exact_products():
        for tokens in PUZZLES.inputs[:2]:
            dynamics = model.bind(tokens)
            first = next(updates(dynamics.schedule))
            key = jax.random.key(0)
            (own,) = mixing_at(first, dynamics.context, dynamics.initial, key)
            squares.append(own.strength**2)
    np.testing.assert_allclose(strength, np.sqrt(np.mean(squares, 0)), atol=1e-5)
    r = graph_correlation(strength, peer_graphs(4)["all"])
    again = load_results(tmp_path / "run")
    summary = again.summary().numbers
    own = next(each for each in summary.agreements if each.matrix == "strength")
    np.testing.assert_allclose(own.correlation["all"].value, r)
    assert {each.run for each in summary.agreements} == {"trained", "untrained"}
    assert not np.allclose(run.weights[0], run.weights[1])
    assert "beyond chance" in " ".join(again.summary().findings())
    assert MIXING.report_panels(again)
    assert set(again.plot()) == {"correlations_by_matrix", "mixing_matrices"}
