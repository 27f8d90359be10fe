"""The numbers of a device: the official ones, the exponents that are known, and equal bits."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rrjax
from rrjax.cells import bind, unflatten
from rrjax.dynamics.certificate import certify
from rrjax.systems import SYSTEMS
from tests.parity import golden
from tests.tools import tiny

# a processor's ordinary tests say the same in more detail
RARELY_ON_CPU = pytest.mark.parametrize(
    "device",
    [pytest.param("cpu", marks=pytest.mark.slow), pytest.param("gpu", marks=pytest.mark.gpu)],
    indirect=True,
)
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


@RARELY_ON_CPU
def test_gradients_are_those_of_the_official_code(device):
    expected = golden.arrays(CASE, "golden")
    with jax.default_matmul_precision("highest"):
        backward = golden.differentiate(golden.load_case(CASE))
    on(device, backward.grads)
    references = {
        name.removeprefix("train/grad/"): reference
        for name, reference in expected.items()
        if name.startswith("train/grad/")
    }
    assert len(references) > 8
    for name, reference in references.items():
        error = np.linalg.norm(np.asarray(backward.grads[name]) - reference)
        assert error <= 1e-4 * np.linalg.norm(reference), name


@RARELY_ON_CPU
def test_exponents_are_those_of_the_official_code(device):
    expected, case = golden.arrays(CASE, "tangent_f64"), golden.load_case(CASE)
    segments, frames = int(expected["segments"]), golden.frames(case)
    spectra = on(device, golden.spectra(case.config, segments, case.params, case.batch, frames))
    error = np.abs(np.asarray(spectra.exponents) - expected["exponents_per_update"]).max()
    assert error <= 5e-3


@pytest.mark.parametrize("name", ["symmetric", "cat"])
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


@RARELY_ON_CPU
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


@pytest.mark.parametrize(
    ("device", "precision"),
    [
        pytest.param("cpu", "split", marks=pytest.mark.slow),  # the others are emulated alike
        *(pytest.param("gpu", p, marks=pytest.mark.gpu) for p in ("split", "tf32", "f16")),
    ],
    indirect=["device"],
)
def test_shortened_products_change_exponents_by_little(device, precision):
    """Half of the puzzles are solved, where runs settle, and half fail, where many do not."""
    # a processor emulates the products of a card, and slowly
    number, num_segments = (1, 4) if device.platform == "cpu" else (4, 16)
    model = rrjax.load_model("trm-sudoku9")
    puzzles = model.test_puzzles()[:16]
    tokens = jnp.asarray(puzzles.inputs, jnp.int32)
    answers = jax.vmap(lambda tokens: rrjax.rollout(model.bind(tokens)).answers[-1])(tokens)
    solved = (np.asarray(answers) == puzzles.labels).all(1)
    few = np.concatenate([np.flatnonzero(group)[:number] for group in (solved, ~solved)])
    assert len(few) == 2 * number

    def one(tokens):
        key = jax.random.key(0)
        return certify(model.bind(tokens), 8, num_segments, key=key, precision=precision)

    certificates = on(device, jax.vmap(one)(tokens[few]))
    assert np.isfinite(certificates.error).all()
    assert 0 < np.max(certificates.error) <= 6e-4
