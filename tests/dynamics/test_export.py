"""The spectrum as a program for other machines: what it calls, and that its size is fixed."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import pytest
from jax import export

import rrjax
from rrjax.cells import bind, init_params
from tests.tools import tiny

SHORT = replace(tiny.CONFIG, arch=replace(tiny.CONFIG.arch, H_cycles=1, L_cycles=1))
PLATFORMS = ("cpu", "cuda", "tpu")
# factorizations that the Householder fallback may call; nothing else is called by name
FACTORIZATIONS = {
    "cpu": {"lapack_sgeqrf_ffi", "lapack_sorgqr_ffi"},
    "cuda": {"cusolver_geqrf_ffi", "cusolver_orgqr_ffi"},
    "tpu": {"Qr", "ProductOfElementaryHouseholderReflectors"},
}
HOST = ("callback", "infeed", "outfeed", "stablehlo.send", "stablehlo.recv", "xla_python")


def traced(config=SHORT, num_segments=2):
    """The spectra of four puzzles."""

    def one(params, tokens, seed):
        key = jax.random.key(seed)
        return rrjax.spectrum(bind(params, config, tokens), 3, num_segments, key=key).log_growth

    params = jax.eval_shape(lambda: init_params(jax.random.key(0), config))
    tokens = jax.ShapeDtypeStruct((4, config.seq_len), jnp.int32)
    seeds = jax.ShapeDtypeStruct((4,), jnp.uint32)
    return jax.jit(jax.vmap(one, in_axes=(None, 0, 0))), (params, tokens, seeds)


class Calls:
    """Names of the custom calls that a StableHLO module reaches from its `main`.

    Attributes:
      always: outside of every `case`.
      branches: for every `case` reached, the calls of each of its branches.
    """

    def __init__(self, module):
        self.always: set[str] = set()
        self.branches: list[list[set[str]]] = []
        self._functions = {op.attributes["sym_name"].value: op for op in module.body.operations}
        self.always |= self._inside(self._functions["main"])

    def _inside(self, operation) -> set[str]:
        regions = operation.regions
        return {name for r in regions for block in r for op in block for name in self._of(op)}

    def _of(self, operation) -> set[str]:
        op = operation.operation
        if op.name == "stablehlo.custom_call":
            return {op.attributes["call_target_name"].value}
        if op.name == "func.call":
            return self._inside(self._functions[op.attributes["callee"].value])
        if op.name != "stablehlo.case":
            return self._inside(op)
        branches = [
            {name for block in region for inner in block for name in self._of(inner)}
            for region in op.regions
        ]
        self.branches.append(branches)
        return set.intersection(*branches)


def calls_of(run, arguments, platform):
    lowered = run.trace(*arguments).lower(lowering_platforms=(platform,))
    return Calls(lowered.compiler_ir("stablehlo"))


@pytest.mark.parametrize("platform", PLATFORMS)
def test_calls_are_found_in_and_outside_of_a_choice(platform):
    def choose(flag, x):
        return jax.lax.cond(flag, lambda x: x, lambda x: jnp.linalg.qr(x)[0], x)

    shape = jax.ShapeDtypeStruct((4, 3), jnp.float32)
    always = calls_of(jax.jit(jnp.linalg.qr), (shape,), platform)
    assert always.always == FACTORIZATIONS[platform]
    chosen = calls_of(jax.jit(choose), (jax.ShapeDtypeStruct((), bool), shape), platform)
    assert not chosen.always
    assert chosen.branches == [[FACTORIZATIONS[platform], set()]]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_no_factorization_but_in_the_fallback(platform):
    calls = calls_of(*traced(), platform)
    assert not calls.always
    assert calls.branches
    assert all(min(map(len, branches)) == 0 for branches in calls.branches)
    assert all(set.union(*branches) <= FACTORIZATIONS[platform] for branches in calls.branches)


@pytest.mark.parametrize("platform", PLATFORMS[1:])
def test_export_holds_no_call_of_the_host(platform):
    run, arguments = traced()
    text = export.export(run, platforms=[platform])(*arguments).mlir_module()
    assert "stablehlo.dot_general" in text
    assert not [word for word in HOST if word in text]
    assert "lapack" not in text


@pytest.mark.parametrize(
    "larger",
    [
        {"num_segments": 16},
        {"config": replace(tiny.CONFIG, arch=replace(tiny.CONFIG.arch, H_cycles=5, L_cycles=7))},
    ],
    ids=["segments", "cycles"],
)
def test_size_of_the_program_does_not_depend_on_its_length(larger):
    def lines(config=tiny.CONFIG, num_segments=2):
        run, arguments = traced(config, num_segments)
        return len(run.lower(*arguments).as_text().splitlines())

    assert lines() == lines(**larger)
