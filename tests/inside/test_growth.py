"""Growth by part: known gains, isometries, sums that are λ, on maps and on cells."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rrjax
from rrjax.cells import bind, unflatten
from rrjax.contract import branch, part
from rrjax.frames import random_frame
from rrjax.inside import growth_by_part, stage_names
from tests.tools.jobs import SMALL
from tests.tools.tiny import puzzles, weights

KEY = jax.random.key(0)
TURN = jnp.array([[0.6, -0.8], [0.8, 0.6]])


def chain(context, z, drive):
    """Doubles, turns by an isometry, and adds z in a residual sum."""
    h = part("double", 2 * z["a"])
    h = part("turn", (h @ TURN).T, token_axis=1).T
    return {**z, "a": part("add", h + branch("add", 0.5 * h))}


def known(steps=(chain,)) -> rrjax.Dynamics:
    initial = {"a": jnp.ones((3, 2)), "b": jnp.ones((3, 2))}
    return rrjax.Dynamics.from_updates(initial, steps, lambda context, z: z["a"])


def in_field(name: str, number: int):
    zero = jax.tree.map(lambda leaf: jnp.zeros((number, *leaf.shape)), known().initial)
    return {**zero, name: random_frame(KEY, jnp.ones((3, 2)), number)}


def test_each_part_has_exactly_its_gain():
    growth = growth_by_part(known(), num_segments=2, frame=in_field("a", 3))
    assert stage_names(known()) == ("double", "turn", "add")
    expected = np.log([2, 1, 1.5])[:, None] * np.ones(3)
    np.testing.assert_allclose(growth.stages[0, 0], expected, atol=1e-6)
    # ln 1.5 = φ (2 · ½ + ¼) with φ = ln 1.5 / 1.25
    np.testing.assert_allclose(growth.alignment[1, 0, 2], np.log(1.5) / 1.25, atol=1e-6)
    np.testing.assert_allclose(growth.size[1, 0, 2], np.log(1.5) / 1.25 / 4, atol=1e-6)
    np.testing.assert_allclose(growth.rows["b"], 0, atol=1e-6)


def test_a_vector_in_a_field_that_stays_is_not_stretched():
    growth = growth_by_part(known(), num_segments=2, frame=in_field("b", 3))
    np.testing.assert_allclose(growth.stages, 0, atol=1e-6)


def test_rows_share_the_growth_by_what_they_gain():
    def grow(context, z, drive):
        return z * jnp.array([[3.0], [1.0]])

    dynamics = rrjax.Dynamics.from_updates(jnp.ones((2, 1)), (grow,), lambda context, z: z)
    frame = jnp.array([[[0.6], [0.8]]])
    growth = growth_by_part(dynamics, num_segments=1, frame=frame)
    np.testing.assert_allclose(growth.rows[0, 0], [float(growth.log_growth[0, 0]), 0], atol=1e-6)
    assert stage_names(dynamics) == ("grow",)


def test_a_part_of_another_shape_is_refused():
    def wrong(context, z, drive):
        return {**z, "a": part("half", z["a"][:, :1]) * 2 * z["a"]}

    with pytest.raises(ValueError, match=r"'half' of update 'wrong' must have the shape \(3, 2\)"):
        growth_by_part(known((wrong,)), num_segments=1, key=KEY)


@pytest.mark.parametrize("name", ["trm", "hrm", "transformer"])
def test_parts_of_a_cell_add_up_to_the_spectrum(name: str):
    arch = replace(SMALL.arch, name=name, H_layers=1 + (name == "hrm"), mlp_t=name == "trm")
    config = replace(SMALL, arch=arch)
    # a mixing that adds nothing is an isometry
    flat = {k: 0 * v if "mlp_t.down_proj" in k else v for k, v in weights(config).items()}
    dynamics = bind(unflatten(flat), config, jnp.asarray(puzzles(1).inputs[0], jnp.int32))
    spectrum = rrjax.spectrum(dynamics, 3, 2, key=KEY)
    growth = growth_by_part(dynamics, 3, 2, key=KEY)
    np.testing.assert_allclose(growth.log_growth, spectrum.log_growth, atol=2e-6)
    number = len(spectrum.log_growth)
    by_stage = growth.stages.sum((0, 1, 2)) / number
    by_row = sum(rows.sum((0, 2)) for rows in growth.rows) / number
    np.testing.assert_allclose(by_stage, spectrum.exponents, atol=2e-6)
    np.testing.assert_allclose(by_row, spectrum.exponents, atol=2e-6)
    names = stage_names(dynamics)
    mixing = "mixing" if name == "trm" else "attention"
    assert names[:5] == ("input", mixing, f"{mixing} norm", "swiglu", "swiglu norm")
    sums = [i for i, stage in enumerate(names) if stage.split()[0] in (mixing, "swiglu")]
    sums = [i for i in sums if "norm" not in names[i]]
    parts = (growth.alignment + growth.size)[..., sums, 0]
    np.testing.assert_allclose(parts, growth.stages[..., sums, 0], atol=2e-6)
    if name == "trm":
        np.testing.assert_allclose(growth.stages[:, :, names.index("mixing")], 0, atol=1e-6)
