"""Points along a training: on a tiny model, resumed, and the step at which stability is lost."""

import csv
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rrjax.contract import Dynamics
from rrjax.dynamics.fixed_points import fixed_point
from rrjax.models import save_model
from rrjax.puzzles.folders import write_folder
from scripts.studies import points_along_training as study
from tests.tools.jobs import SMALL
from tests.tools.tiny import puzzles, weights

pytest.importorskip("matplotlib")


def test_a_point_is_followed_and_a_killed_study_goes_on(tmp_path, capsys, monkeypatch):
    first = weights(SMALL, seed=2)
    for step, scale in ((1, 0.3), (2, 0.301)):  # weights so weak that this one comes to rest
        flat = {name: scale * leaf for name, leaf in first.items()}
        save_model(tmp_path / "models" / f"step_{step}", flat, SMALL, {})
    write_folder(tmp_path / "data", {"train": puzzles(2), "test": puzzles(2)})
    options = study.Options(
        tmp_path / "models", tmp_path / "data", num_puzzles=2, num_segments=64, out=tmp_path / "out"
    )
    study.main(options)
    table = (tmp_path / "out" / "points_along_training.csv").read_text()
    rows = list(csv.DictReader(table.splitlines()))
    assert [(row["step"], row["puzzle"]) for row in rows] == [
        ("1", "0"),
        ("1", "1"),
        ("2", "0"),
        ("2", "1"),
    ]
    assert all(float(row["residual"]) <= 1e-9 for row in rows)
    assert all(0 < np.hypot(float(row["real"]), float(row["imag"])) < 1 for row in rows)
    assert all(float(row["moved"]) < 0.01 for row in rows[:2])  # a warm start
    assert "puzzle 1: followed from step 1 to 2\n" in capsys.readouterr().out

    (tmp_path / "out" / "step_000001.npz").unlink()
    study.main(options)
    assert (tmp_path / "out" / "points_along_training.csv").read_text() == table
    monkeypatch.setattr(study, "measure", None)  # nothing is measured again
    study.main(options)
    with pytest.raises(SystemExit, match="is of another study"):
        study.main(replace(options, num_puzzles=1))


def row(step: int, mu: complex, *, exists: bool = True) -> study.Row:
    unstable = int(abs(mu) > 1)
    return study.Row(
        step, 0, 0.0, exists, mu.real, mu.imag, unstable, False, 0.0, 0.0, solved=False
    )


@pytest.mark.parametrize(
    ("mu", "kind"), [(0.6 + 1j, "a complex pair"), (-1.2, "a flip, μ = −1"), (1.2, "μ = +1")]
)
def test_a_crossing_is_told_with_its_step_and_kind(mu, kind):
    stable, unstable = (mu * length / abs(mu) for length in (0.9, 1.3))
    rows = [row(10, stable), row(14, unstable), row(18, 0, exists=False), row(22, stable)]
    (crossing,) = study.crossings(rows, 0)
    assert (crossing.step, crossing.kind) == (pytest.approx(11), kind)
    assert (crossing.stable.step, crossing.unstable.step) == (10, 14)
    assert np.isfinite(study.figure(rows).axes[0].get_ylim()).all()


def test_a_point_is_followed_to_the_fold_where_it_meets_its_partner(tmp_path, monkeypatch):
    @jax.jit
    def search(step, begin):
        """Of the normal form of a fold at step 10.5, with points at 10 ± (step − 10.5)^½ / 10."""
        dynamics = Dynamics.from_map(lambda z: z + 0.01 * (step - 10.5) - (z - 10) ** 2, begin)
        return fixed_point(dynamics)

    def measured(options, model, puzzles, puzzle, start):
        point = search(model.step, jnp.array([10.3]) if start is None else jnp.asarray(start))
        z = np.asarray(point.state)
        return {
            "point": z,
            "residual": np.asarray(point.residual),
            "exists": np.asarray(point.converged),
            "hessenberg": np.array([1 - 2 * (z - 10), [0.0]]),
            "moved": np.asarray(point.distance) / 10,
        } | dict.fromkeys(("right", "apart", "solved"), np.ones(()))

    monkeypatch.setattr(study, "_measured", measured)
    monkeypatch.setattr(
        study, "load_model", lambda path: SimpleNamespace(step=int(path.name), digest=path.name)
    )
    models = {step: Path(str(step)) for step in range(8, 17)}
    rows = study.follow(study.Options(out=tmp_path), models, puzzles(1))
    assert [each.step for each in rows] == [10, 11, 11, 12, 13, 14, 15, 16]
    (crossing,) = study.crossings(rows, 0)
    assert crossing.kind.startswith("a fold")
    np.testing.assert_allclose(crossing.step, 10.5, atol=1e-6)
    assert crossing.unstable.is_partner
    np.testing.assert_allclose(crossing.unstable.real, 1 + 0.2 * 0.5**0.5, atol=1e-7)
