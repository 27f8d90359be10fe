"""Prefixes, the two-way match of names and shapes, and the puzzle-embedding table."""

from itertools import permutations

import ml_dtypes
import numpy as np
import pytest

from converters.matching import check_match, resize_puzzle_table, strip_prefix
from converters.records import CheckpointError

NAMES = ("H_init", "q_head.bias", "L_level.layers.0.mlp.down_proj.weight")
WRAPPERS = ("_orig_mod", "module", "model", "inner")
ONE = np.ones(1, np.float32)
PREFIXES = [
    "".join(f"{part}." for part in order)
    for length in range(len(WRAPPERS) + 1)
    for order in permutations(WRAPPERS, length)
]


@pytest.mark.parametrize("prefix", [*PREFIXES, "module.module."])
def test_wrappers_are_stripped_in_any_order(prefix: str):
    tensors = {prefix + name: np.full(1, i) for i, name in enumerate(NAMES)}
    found, stripped = strip_prefix(tensors)
    assert found == prefix
    assert stripped == dict(zip(NAMES, tensors.values(), strict=True))


def test_a_name_is_never_stripped_whole():
    assert strip_prefix({"model.inner": ONE}) == ("model.", {"inner": ONE})


def test_two_keys_of_one_parameter_are_refused():
    with pytest.raises(CheckpointError, match=r"'model\.H_init' and 'module\.H_init' name one"):
        strip_prefix({"model.H_init": ONE, "module.H_init": ONE})


def test_differing_prefixes_are_refused():
    with pytest.raises(CheckpointError, match=r"different prefixes: 'model\.H_init', 'L_init'"):
        strip_prefix({"model.H_init": ONE, "L_init": ONE})


def test_the_difference_is_named_both_ways_with_the_nearest_names():
    tensors = {"H_init": ONE, "q_head.bais": ONE, "extra": ONE, "w": np.ones((2, 3))}
    shapes = {"H_init": (1,), "q_head.bias": (1,), "w": (3, 2)}
    with pytest.raises(CheckpointError) as caught:
        check_match(tensors, shapes)
    assert str(caught.value).splitlines()[1:] == [
        "  in the file but not in the model (2): 'q_head.bais' (nearest: 'q_head.bias'), 'extra'",
        "  in the model but not in the file (1): 'q_head.bias' (nearest: 'q_head.bais')",
        "  with another shape (1): w: (2, 3) in the file, (3, 2) in the model",
    ]


def test_long_differences_are_cut():
    tensors = {f"layer{i}": ONE for i in range(20)}
    with pytest.raises(CheckpointError, match=r"not in the model \(20\): .*, and 12 more"):
        check_match(tensors, {})


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ml_dtypes.bfloat16])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_must_be_finite(dtype: type, value: float):
    tensor = np.ones(5, dtype)
    check_match({"w": tensor}, {"w": (5,)})
    tensor[3] = value
    with pytest.raises(CheckpointError, match="w: 1 of 5 values are NaN or infinite"):
        check_match({"w": tensor}, {"w": (5,)})


@pytest.mark.parametrize("dtype", [np.int64, np.bool_])
def test_weights_must_be_floats(dtype: type):
    with pytest.raises(CheckpointError, match=f"w must hold floats, got {np.dtype(dtype)}"):
        check_match({"w": np.ones(5, dtype)}, {"w": (5,)})


@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16])
@pytest.mark.parametrize("num_rows", [1, 2, 7])
def test_resized_puzzle_embeddings_are_the_mean_row(dtype: type, num_rows: int):
    table = np.array([[1, 2], [3, 6], [5, -2]], dtype)
    tensors = {"puzzle_emb.weights": table, "w": ONE}
    resized = resize_puzzle_table(tensors, num_rows)
    assert resized["puzzle_emb.weights"].dtype == dtype
    np.testing.assert_array_equal(resized["puzzle_emb.weights"], np.tile([3, 2], (num_rows, 1)))
    assert resized["w"] is ONE
    assert tensors["puzzle_emb.weights"] is table


def test_a_table_of_the_right_size_is_not_reset():
    table = np.arange(6.0).reshape(3, 2)
    assert resize_puzzle_table({"puzzle_emb.weights": table}, 3)["puzzle_emb.weights"] is table


@pytest.mark.parametrize(
    ("tensors", "num_rows", "message"),
    [
        ({"w": ONE}, 3, "3 rows and no table"),
        ({"puzzle_emb.weights": ONE}, 3, r"a tensor of shape \(1,\)"),
        ({"puzzle_emb.weights": np.ones((2, 2))}, 0, "got 0 rows"),
        ({"puzzle_emb.weights": np.ones((0, 2))}, 3, r"a tensor of shape \(0, 2\)"),
    ],
)
def test_what_cannot_be_resized_is_refused(tensors: dict, num_rows: int, message: str):
    with pytest.raises(ValueError, match=message):
        resize_puzzle_table(tensors, num_rows)
