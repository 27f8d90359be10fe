"""The numbers of a device: the official ones in float32, the exponents that are known, equal bits."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rrjax
from rrjax.cells import bind, unflatten
from rrjax.systems import SYSTEMS
from rrjax.training.state import init_train_state
from tests.parity import golden
from tests.tools import tiny, tiny_training

# compiled as on a user's card
pytestmark = pytest.mark.optimized

CASE = "trm_mlp"


def on(device, tree):
    """The tree, after a check that it was computed on the device."""
    assert {leaf.device for leaf in jax.tree.leaves(tree)} == {device}
    return tree


def test_a_segment_is_that_of_the_official_code(device):
    case, expected = golden.load_case(CASE), golden.arrays(CASE, "golden")
    with jax.default_matmul_precision("highest"):
        segment = on(device, golden.run_batch(case, golden.initial_state(case)))
    errors = {
        "logits": golden.max_error(segment.readout.logits, expected["eval/0/logits"]),
        "q_halt": golden.max_error(segment.readout.q_halt, expected["eval/0/q_halt_logits"]),
        **{
            name: golden.max_error(leaf, expected[f"eval/0/carry/{name}"])
            for name, leaf in segment.state._asdict().items()
        },
    }
    assert max(errors.values()) <= 2e-4, errors


def test_gradients_are_those_of_the_official_code(device):
    expected = golden.arrays(CASE, "golden")
    with jax.default_matmul_precision("highest"):
        backward = golden.differentiate(golden.load_case(CASE))
    on(device, backward.grads)
    prefix = "train/grad/"
    names = {name.removeprefix(prefix) for name in expected if name.startswith(prefix)}
    assert names == set(backward.grads)
    for name, gradient in backward.grads.items():
        reference = expected[prefix + name]
        error = np.linalg.norm(np.asarray(gradient) - reference) / np.linalg.norm(reference)
        assert error <= 1e-4, name


def test_exponents_are_those_of_the_official_code(device):
    expected, case = golden.arrays(CASE, "tangent_f64"), golden.load_case(CASE)
    segments, frames = int(expected["segments"]), golden.frames(case)
    spectra = on(device, golden.spectra(case.config, segments, case.params, case.batch, frames))
    error = np.abs(np.asarray(spectra.exponents) - expected["exponents_per_update"]).max()
    assert error <= 5e-3


@pytest.mark.parametrize("name", ["symmetric", "cat", "baker", "rotation"])
def test_exponents_are_those_known(device, name):
    system = SYSTEMS[name]
    with jax.enable_x64(True):
        dynamics = system.dynamics("float64")
        num_segments = system.transient + system.num_segments
        frame = jnp.eye(system.size).reshape(system.size, *dynamics.initial.shape)
        result = on(device, rrjax.spectrum(dynamics, num_segments=num_segments, frame=frame))
    growth = np.asarray(result.log_growth)[system.transient * system.segment_updates :]
    for index, exponent in system.exponents.items():
        assert growth.mean(0)[index - 1] == pytest.approx(exponent, abs=system.tolerance)


def test_a_spectrum_repeats_its_bits(device):
    params, puzzles = unflatten(tiny.weights()), tiny.puzzles(4)
    tokens, keys = jnp.asarray(puzzles.inputs, jnp.int32), jax.random.split(jax.random.key(0), 4)

    @jax.jit
    @functools.partial(jax.vmap, in_axes=(None, 0, 0))
    def spectra(params, tokens, key):
        dynamics = bind(params, tiny.CONFIG, tokens)
        return rrjax.spectrum(dynamics, 2, 4, key=key)

    first, second = (on(device, spectra(params, tokens, keys)) for _ in range(2))
    assert np.isfinite(first.exponents).all()
    for one, other in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        np.testing.assert_array_equal(one, other)


def test_training_steps_repeat_their_bits_with_deterministic_operations(device):
    task = tiny_training.task()
    batches = [task.train[np.arange(8) + 8 * step] for step in range(3)]
    batches = [
        tiny_training.Batch(b.inputs, b.labels, b.puzzle_ids) for b in map(_rows, batches)
    ]
