"""Circuits of naked singles: a model that only excludes what its peers have is seen through."""

from dataclasses import replace

import jax.numpy as jnp
import pytest

import rrjax
from rrjax.contract import branch, inner, part
from rrjax.experiments import circuits, load_results
from rrjax.experiments.singles import CIRCUITS
from rrjax.puzzles import from_tokens, naked_singles, peer_graphs
from tests.experiments.conftest import PUZZLES
from tests.tools.tiny import puzzles

PEERS = jnp.asarray(peer_graphs(4)["all"], jnp.float32)


class Excluder:
    """Counts for each cell and digit the given peers that have it: it knows naked singles alone."""

    name = "excluder"

    def bind(self, tokens, puzzle_id=0):
        def exclude(context, z, drive):
            reads = inner("mixing reads", context["x"])
            z = part("mixing", 0 * z + branch("mixing", PEERS @ reads))
            return part("swiglu", z + branch("swiglu", 0 * z))

        x = jnp.eye(6)[tokens] * jnp.array([0, 0, 1, 1, 1, 1])
        blocked = jnp.array([9.0, 9, 0, 0, 0, 0])
        return rrjax.Dynamics.from_updates(
            0 * x, (exclude,), lambda context, z: -z - blocked, {"x": x}
        )


def test_a_planted_circuit_is_found(tmp_path):
    sudokus = puzzles(12)
    asked = {"num_reference": 12, "untrained": False, "progress": False}
    run = circuits(Excluder(), sudokus, folder=tmp_path / "run", **asked)
    singles = naked_singles(from_tokens(sudokus.inputs))
    assert singles[run.puzzle, run.cell].all()
    assert run.record["runs"] == ["trained"]
    assert run.clean_right.all()
    names = run.record["ablations"]
    right = dict(zip(names, run.right[0].mean((0, 1)), strict=True))  # (target, control) each
    for name in names:
        assert right[name][1] == 1, name  # the control breaks nothing
    for name in ("columns out of", "channel MLP"):
        assert right[name][0] == 1, name  # the model does not use these
    for name in ("rows into", "rows and MLP", "peers' clues"):
        assert right[name][0] < 0.5, name
    again = load_results(tmp_path / "run")
    assert CIRCUITS.report_panels(again)
    assert set(again.plot()) == {"margins_by_ablation"}
    assert "trained weights, mean values put in" in " ".join(repr(again.summary()).split())
    summary = again.summary().numbers
    rows = next(each for each in summary.effects if each.ablation == "rows into")
    assert rows.against_control.high < 0
    assert summary.peer_share["trained"]["mixing 1"].value == 1  # nothing comes from others


def test_puzzles_without_naked_singles_are_refused(model):
    solved = replace(PUZZLES[:1], inputs=PUZZLES.labels[:1])
    with pytest.raises(ValueError, match="none of 1 puzzles has a naked single"):
        circuits(model, solved, progress=False)
    with pytest.raises(ValueError, match="measure this model with untrained=False"):
        circuits(Excluder(), PUZZLES, progress=False)
