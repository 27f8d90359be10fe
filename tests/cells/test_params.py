"""Parameters: their number at official sizes, their initial distribution, and their names."""

import math
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rrjax.cells import (
    Arch,
    Config,
    flatten,
    init_params,
    initial_state,
    is_trained,
    param_shapes,
    unflatten,
)
from rrjax.cells.params import is_block_matrix

TRM = Arch(puzzle_emb_ndim=512, puzzle_emb_len=16)
TRM_MLP = Arch(puzzle_emb_ndim=512, puzzle_emb_len=16, mlp_t=True, pos_encodings="none")
HRM = Arch("hrm", H_layers=4, L_layers=4, puzzle_emb_ndim=512)


@pytest.mark.parametrize(
    ("arch", "number"), [(TRM_MLP, 5_030_402), (TRM, 6_829_570), (HRM, 27_276_802)]
)
def test_published_numbers_of_weights(arch, number):
    """They count every array of a checkpoint: trained, initial vectors, one puzzle embedding."""
    sizes = {name: math.prod(shape) for name, shape in param_shapes(Config(arch)).items()}
    assert sum(sizes.values()) == number
    trained = sum(size for name, size in sizes.items() if is_trained(name))
    assert trained == number - 2 * 512 - 512


def test_the_numbers_of_weights_of_comparable_baselines():
    """At the official sizes: within 7 % of TRM-MLP, whose blocks the mixer has."""
    counts = {
        arch.name: sum(math.prod(shape) for shape in param_shapes(Config(arch)).values())
        for arch in (
            replace(TRM_MLP, name="lstm", H_layers=3, mlp_t=False),
            replace(TRM_MLP, name="mixer", H_layers=2),
        )
    }
    # one of TRM's two initial vectors
    assert counts == {"mixer": 5_030_402 - 512, "lstm": 4_738_050}


def test_lstm_layers_have_the_gates_of_two_directions():
    shapes = param_shapes(Config(Arch("lstm", hidden_size=6, H_layers=2)))
    layer = {n: s for n, s in shapes.items() if n.startswith("H_level.layers.1.ahead.")}
    assert layer == {
        "H_level.layers.1.ahead.input_proj.weight": (12, 6),
        "H_level.layers.1.ahead.input_proj.bias": (12,),
        "H_level.layers.1.ahead.state_proj.weight": (12, 3),
    }
    assert {n.replace("ahead", "back") for n in layer} < set(shapes)


def test_the_learned_gain_alone_adds_a_parameter_to_srm():
    fixed, learned = (
        param_shapes(Config(Arch("srm", hidden_size=6, L_layers=1, kappa_max=most)))
        for most in (0.0, 0.95)
    )
    assert set(learned) - set(fixed) == {"L_level.coupling.kappa"}
    assert fixed["L_level.layers.0.mlp_t.Y"] == (81, 81)
    assert fixed["L_level.layers.0.mlp.X"] == (6, 6)
    assert fixed["L_level.coupling.gains"] == (2, 2)


def test_srm_starts_near_isometries_and_biases_at_zero():
    config = Config(Arch("srm", hidden_size=8, L_layers=1, kappa_max=0.95), seq_len=8)
    flat = flatten(init_params(jax.random.key(0), config))
    for name, leaf in flat.items():
        if name.endswith(".Y"):
            assert np.allclose(leaf, math.tan(math.pi / 8) * np.eye(8), atol=0.1), name
        if name.endswith(".bias") and name != "q_head.bias":
            assert not np.any(leaf), name
    assert np.array_equal(flat["L_level.coupling.gains"], [[1, 0.5], [0.5, 1]])
    assert np.array_equal(flat["L_level.inject.L"], np.ones(8))
    assert not np.any(flat["L_level.inject.H"])
    assert not np.any(flat["L_level.coupling.kappa"])


def test_swiglu_widths_are_rounded_up_to_256():
    shapes = param_shapes(Config(TRM_MLP))
    prefix = "L_level.layers.0."
    assert shapes[prefix + "mlp.gate_up_proj.weight"] == (2 * 1536, 512)
    assert shapes[prefix + "mlp.down_proj.weight"] == (512, 1536)
    assert shapes[prefix + "mlp_t.gate_up_proj.weight"] == (2 * 512, 97)
    assert shapes[prefix + "mlp_t.down_proj.weight"] == (97, 512)


@pytest.mark.parametrize(
    ("arch", "fields"),
    [
        (Arch("trm"), {"z_H", "z_L"}),
        (Arch("trm_singlez"), {"z_L"}),
        (Arch("trm_hier6"), {"z_H", *(f"z_L{i}" for i in range(1, 7))}),
        (Arch("hrm", H_layers=1), {"z_H", "z_L"}),
        (Arch("transformer", H_layers=1), {"z_H"}),
        (Arch("srm"), {"z_H", "z_L"}),
        (Arch("lstm", H_layers=1), {"z_H"}),
        (Arch("mixer", H_layers=1), {"z_H"}),
    ],
)
def test_a_state_field_is_its_vector_at_every_token(arch, fields):
    config = Config(arch)
    flat = {name: jnp.arange(512.0) for name in param_shapes(config) if name.endswith("_init")}
    state = initial_state(unflatten(flat), config)._asdict()
    assert set(state) == fields
    assert len(flat) == len(fields)
    for leaf in state.values():
        assert jnp.array_equal(leaf, jnp.tile(jnp.arange(512.0), (81, 1)))


@pytest.fixture(scope="module")
def drawn() -> dict[str, np.ndarray]:
    arch = Arch(hidden_size=256, pos_encodings="learned", L_layers=1, puzzle_emb_ndim=256)
    config = Config(arch, seq_len=256, vocab_size=256)
    draw = jax.jit(lambda key: flatten(init_params(key, config)))(jax.random.key(0))
    return {name: np.asarray(leaf) for name, leaf in draw.items()}


@pytest.mark.parametrize(
    ("name", "std"),
    [
        ("embed_tokens.embedding_weight", 1 / 16),
        ("embed_pos.embedding_weight", 1 / 16),
        ("lm_head.weight", 1 / 16),
        ("L_level.layers.0.self_attn.qkv_proj.weight", 1 / 16),
        ("L_level.layers.0.mlp.gate_up_proj.weight", 1 / 16),
        ("L_level.layers.0.mlp.down_proj.weight", 768**-0.5),
    ],
)
def test_weights_are_truncated_normal_with_the_std_corrected(drawn, name, std):
    x = drawn[name].astype(np.float64)
    assert x.size >= 2**16
    # five standard errors of a sample's std and mean
    assert abs(x.std() / std - 1) < 5 / math.sqrt(2 * x.size)
    assert abs(x.mean() / std) < 5 / math.sqrt(x.size)
    # a unit normal cut at 2 has std 0.8796, so the cut lies at 2 / 0.8796 of the corrected one
    assert 2.26 < np.abs(x).max() / std < 2.2737


def test_initial_vectors_have_unit_std(drawn):
    x = np.concatenate([drawn["H_init"], drawn["L_init"]])
    assert abs(x.std() - 1) < 5 / math.sqrt(2 * x.size)
    assert np.abs(x).max() < 2.2737


def test_q_head_and_puzzle_embeddings_start_at_their_constants(drawn):
    assert np.all(drawn["q_head.bias"] == -5)
    assert not drawn["q_head.weight"].any()
    assert not drawn["puzzle_emb.weights"].any()


def test_draws_are_float32_of_the_right_shapes_and_all_different(drawn):
    arch = Arch(hidden_size=256, pos_encodings="learned", L_layers=1, puzzle_emb_ndim=256)
    shapes = param_shapes(Config(arch, seq_len=256, vocab_size=256))
    assert {name: leaf.shape for name, leaf in drawn.items()} == shapes
    assert {leaf.dtype for leaf in drawn.values()} == {np.dtype("float32")}
    firsts = [leaf.flat[0] for leaf in drawn.values() if leaf.any()]
    assert len(set(firsts)) == len(firsts)


def test_registers_are_trained_tokens():
    shapes = param_shapes(Config(Arch(register_tokens=3)))
    assert shapes["registers.embedding_weight"] == (3, 512)
    assert is_trained("registers.embedding_weight")


def test_the_matrices_of_blocks():
    hrm = Arch("hrm", H_layers=1, L_layers=1, puzzle_emb_ndim=512, pos_encodings="learned")
    names = {name for name in param_shapes(Config(hrm)) if is_block_matrix(name)}
    parts = ("self_attn.qkv_proj", "self_attn.o_proj", "mlp.gate_up_proj", "mlp.down_proj")
    levels = ("H_level", "L_level")
    assert names == {f"{level}.layers.0.{part}.weight" for level in levels for part in parts}


def test_what_the_main_optimizer_leaves_alone():
    names = param_shapes(Config(Arch("trm_hier6", puzzle_emb_ndim=512)))
    fixed = {name for name in names if not is_trained(name)}
    assert fixed == {"H_init", "puzzle_emb.weights", *(f"L{i}_init" for i in range(1, 7))}


KEYS = st.sampled_from(["0", "1", "a", "b_init"])
LEAVES = st.integers(0, 9)
TREES = st.dictionaries(
    KEYS, st.recursive(LEAVES, lambda t: st.dictionaries(KEYS, t, min_size=1), max_leaves=6)
)


@settings(max_examples=40, deadline=None)
@given(TREES)
def test_unflatten_undoes_flatten(tree):
    assert unflatten(flatten(tree)) == tree
    assert flatten(flatten(tree)) == flatten(tree)


def test_flat_names_are_dotted_paths():
    assert flatten({"a": {"b": {"0": 1}}, "c": 2}) == {"a.b.0": 1, "c": 2}
    assert unflatten({"a.b.0": 1, "a.c": 3}) == {"a": {"b": {"0": 1}, "c": 3}}
