"""Checkpoints: the same bits come back, in arrays that the same compiled step takes."""

import shutil
import warnings
from contextlib import closing

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rrjax.training.checkpoints import Checkpoints, _checksum, _described
from rrjax.training.state import TrainState, init_train_state
from tests.tools import tiny_training as tiny


@pytest.fixture(scope="module")
def state() -> TrainState:
    return init_train_state(tiny.CONFIG, tiny.RECIPE)


def scaled(state: TrainState, factor: int) -> TrainState:
    """A state that differs in every floating-point array."""
    return jax.tree.map(lambda leaf: leaf if leaf.dtype == bool else leaf * factor, state)


def test_any_changed_word_changes_its_checksum_however_the_array_is_split(state):
    before = _described(state)
    for name, factor in (("step", 1), ("slots/halted", 1), ("trained/lm_head.weight", 7)):
        changed = jax.tree_util.tree_map_with_path(
            lambda path, leaf, name=name, factor=factor: (
                flipped(leaf, factor)
                if jax.tree_util.keystr(path, simple=True, separator="/") == name
                else leaf
            ),
            state,
        )
        after = _described(changed)
        assert [key for key in before if before[key] != after[key]] == [name]


def flipped(leaf: jax.Array, place: int) -> jax.Array:
    """The lowest bit of one word turned over."""
    array = np.array(leaf)
    words = array.reshape(-1).view(np.uint8)
    words[place % words.size] ^= 1
    return jnp.asarray(array)


@given(hnp.arrays(np.uint32, 16), st.integers(0, 15), st.integers(1, 2**32 - 1))
def test_one_changed_word_always_shows(words, place, change):
    other = words.copy()
    other[place] ^= np.uint32(change)
    assert int(_checksum(jnp.asarray(words))) != int(_checksum(jnp.asarray(other)))


@pytest.mark.parametrize("dtype", ["bool", "uint8", "bfloat16", "int32", "float32"])
def test_every_type_has_a_checksum_and_swapped_values_another(dtype):
    one, other = jnp.array([0, 1, 0], dtype), jnp.array([1, 0, 0], dtype)
    assert int(_checksum(one)) != int(_checksum(other))


def test_an_empty_folder_has_no_checkpoint(state, tmp_path):
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    assert checkpoints.restore(state) is None
    checkpoints.close()


def test_the_newest_state_comes_back_and_two_are_kept(state, tmp_path):
    checkpoints = Checkpoints(tmp_path)
    for step in (1, 2, 3):
        checkpoints.save(step, scaled(state, step), {"losses": [10 * step]})
    checkpoints.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2", "3"]

    checkpoints = Checkpoints(tmp_path)
    found = checkpoints.restore(state)
    checkpoints.close()
    assert found is not None
    restored, record = found
    assert record == {"losses": [30]}
    chex.assert_trees_all_equal(restored, scaled(state, 3))


def test_a_save_that_was_cut_short_leaves_the_checkpoint_before_it(state, tmp_path):
    """Orbax writes to a temporary folder; a copy of a run may be cut short anywhere."""
    with closing(Checkpoints(tmp_path / "whole")) as checkpoints:
        for step in (1, 2):
            checkpoints.save(step, scaled(state, step), {"losses": [step]})
    for index, lost in enumerate(("", "state")):
        folder = shutil.copytree(tmp_path / "whole", tmp_path / str(index))
        if lost:
            shutil.rmtree(folder / "2" / lost)
        else:
            (folder / "2").rename(folder / "2.orbax-checkpoint-tmp")
        with warnings.catch_warnings(), closing(Checkpoints(folder)) as checkpoints:
            warnings.filterwarnings("ignore", message=".*goes on from step 1")
            restored = checkpoints.restore(state)
            assert restored is not None
            assert restored[1] == {"losses": [1]}
            assert checkpoints.last() == folder / "1"
            checkpoints.save(2, scaled(state, 3), {"losses": [3]})
            assert checkpoints.last() == folder / "2"


@pytest.mark.parametrize(
    "error",
    [
        OSError(5, "Input/output error"),
        MemoryError(),
        RuntimeError("RESOURCE_EXHAUSTED: out of memory"),
    ],
)
def test_what_the_machine_lacks_for_the_moment_removes_no_checkpoint(
    state, tmp_path, monkeypatch, error
):
    checkpoints = Checkpoints(tmp_path)
    try:
        for step in (1, 2):
            checkpoints.save(step, state, {})
        checkpoints.last()

        def fail(*_, **__):
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(checkpoints._manager, "restore", fail)
            with pytest.raises(type(error)):
                checkpoints.restore(state)
        assert checkpoints.last() == tmp_path / "2"
        assert checkpoints.restore(state) is not None
    finally:
        checkpoints.close()


def test_a_restored_state_needs_no_second_compilation(state, tmp_path):
    """Types, weak types and being committed to a device are all part of a program's key."""
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, state, {})
    found = checkpoints.restore(state)
    checkpoints.close()
    assert found is not None
    for fresh, restored in zip(jax.tree.leaves(state), jax.tree.leaves(found[0]), strict=True):
        assert restored.aval == fresh.aval
        assert restored.committed == fresh.committed


def test_a_save_is_not_disturbed_by_steps_that_follow(tmp_path, state):
    """It goes on in the background while the next step donates the state's buffers."""
    step = jax.jit(lambda state: scaled(state, 2), donate_argnums=0)
    current = step(state)  # nothing else holds its buffers
    state_before = jax.tree.map(np.array, current)
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, current, {})
    for _ in range(3):
        current = step(current)
    jax.block_until_ready(current)
    checkpoints.close()
    checkpoints = Checkpoints(tmp_path)
    found = checkpoints.restore(current)
    checkpoints.close()
    assert found is not None
    chex.assert_trees_all_equal(found[0], state_before)
