"""How many items run together: as asked, as recorded, as the cache or the device's memory has."""

import json
import re
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rrjax.experiments import chunks
from rrjax.experiments.chunks import choose_chunk_size, chunk_advice, even_size, fit_to_memory
from rrjax.experiments.rollouts import rollout
from rrjax.jobs.devices import ChunkProgram
from rrjax.jobs.memory import OutOfMemory
from rrjax.jobs.shares import Share
from tests.experiments.conftest import NUMBER, PUZZLES


class Program(ChunkProgram):
    """Needs `base` bytes and `each` for every item, on a device with `free` of them."""

    def __init__(self, free=None, base=0, each=1):
        self.devices, self.sizes = [SimpleNamespace(free=free)], []
        self.parallel = 1
        self._base, self._each = base, each

    def memory(self, size: int) -> int:
        self.sizes.append(size)
        return self._base + self._each * size


@pytest.fixture(autouse=True)
def _free_memory(monkeypatch):
    monkeypatch.setattr(chunks, "free_memory", lambda device: getattr(device, "free", None))


@pytest.mark.parametrize(
    ("largest", "num_items", "num_parallel", "size"),
    [
        (64, 6, 1, 6),
        (64, 64, 1, 64),
        (64, 65, 1, 33),
        (512, 600, 1, 300),
        (512, 600, 8, 75),
        (1, 7, 2, 1),
        (8, 1, 4, 1),
    ],
)
def test_rounds_of_chunks_are_evenly_full(largest, num_items, num_parallel, size):
    assert even_size(largest, num_items, num_parallel) == size
    rounds = -(-num_items // (size * num_parallel))
    assert rounds == -(-num_items // (largest * num_parallel))


def test_what_fits_is_compiled_once():
    program = Program(free=1000, each=1)
    assert fit_to_memory(program, 512, 10_000, 1) == (500, "it keeps the device busy")
    assert program.sizes == [500]


@pytest.mark.parametrize(
    ("free", "size", "sizes"),
    [
        (300, 250, [500, 250]),
        (200, 127, [500, 127]),
        (499, 250, [500, 250]),
        (0, 1, [500, 1]),
        (None, 500, [500]),
    ],
)
def test_what_does_not_fit_is_made_smaller(free, size, sizes):
    program = Program(free=free)
    chosen = fit_to_memory(program, 512, 10_000, 1)
    assert (chosen.size, program.sizes) == (size, sizes)
    assert chosen.size <= 250 or chosen.reason == "it keeps the device busy"


def test_memory_that_does_not_grow_by_item_ends_at_one_item():
    program = Program(free=100, base=1000)
    assert fit_to_memory(program, 64, 64, 1).size == 1
    assert program.sizes[-1] == 1


def test_a_compiler_that_refuses_a_size_is_asked_for_half(monkeypatch):
    program = Program(free=10**9)
    memory = program.memory

    def compile_or_refuse(size: int) -> int:
        if size > 100:
            raise RuntimeError("RESOURCE_EXHAUSTED: Ran out of hbm")
        return memory(size)

    monkeypatch.setattr(program, "memory", compile_or_refuse)
    assert fit_to_memory(program, 256, 256, 1).size == 64


def test_an_accelerator_gets_as_many_as_keep_it_busy(model, monkeypatch):
    monkeypatch.setattr(chunks.jax, "default_backend", lambda: "gpu")
    dynamics, program = model.bind(PUZZLES.inputs[0]), Program(free=10**12)
    values = dynamics.initial.z_H.size * 3
    monkeypatch.setattr(chunks, "SATURATING_VALUES", values * 40)

    def choose(share=None, number=1000):
        return choose_chunk_size("auto", None, program, dynamics, 2, number, share).size

    assert choose() == 32  # a power of two up to 40, in 32 rounds
    assert choose(number=7) == 7
    assert choose(Share(0, 100), 1000) == 10


@pytest.mark.parametrize(("asked", "size"), [(4, 4), (NUMBER, NUMBER), (64, NUMBER)])
def test_a_chunk_is_not_larger_than_the_puzzles(model, asked, size):
    runs = rollout(model, PUZZLES, num_segments=2, chunk_size=asked, progress=False)
    assert runs.record["options"]["chunk_size"] == size
    assert runs.record["chunk_size_because"] == "it was asked for"


def test_a_folder_goes_on_with_the_size_it_began_with(
    model, tmp_path, monkeypatch, chunk_sizes, capsys
):
    sizes = {"num_segments": 2, "folder": tmp_path}
    whole = rollout(model, PUZZLES, **sizes, chunk_size=4, progress=False)
    (tmp_path / "chunks" / "000000.npz").unlink()
    monkeypatch.setattr(chunks, "_CACHED_VALUES", 1)  # as on another device
    again = rollout(model, PUZZLES, **sizes)
    assert chunk_sizes == [4, 4, 4]
    assert f"chunk size 4, because the run in {tmp_path} began with it" in capsys.readouterr().err
    for name, array in whole.items():
        assert array.tobytes() == again[name].tobytes(), name
    with pytest.raises(ValueError, match="its chunk_size is 4, asked for 3"):
        rollout(model, PUZZLES, **sizes, chunk_size=3, progress=False)
    new = rollout(model, PUZZLES, num_segments=2)
    assert new.record["options"]["chunk_size"] == 1
    assert "chunk size 1, because states and tangents then stay in" in capsys.readouterr().err


def test_a_program_says_how_much_memory_it_needs_and_runs_as_it_was_compiled():
    compiled = []

    def squares(shared: jax.Array, values: jax.Array) -> dict[str, jax.Array]:
        compiled.append(values.shape)
        return {"grown": jnp.outer(values, shared)}

    work = ChunkProgram(squares, jnp.ones(1000), lambda items: jnp.asarray(items, jnp.float32))
    assert 4 * 8 * 1000 <= work.memory(8) < 4 * 9 * 1000
    arrays = work(np.arange(work.parallel * 8).reshape(work.parallel, 8))
    assert arrays["grown"].shape == (work.parallel, 8, 1000)
    assert compiled == [(8,)]
    assert work.memory(64) > 7 * work.memory(8)


@pytest.mark.parametrize(
    ("size", "num_tangents", "words"),
    [
        (64, 0, r"a chunk size of 16 \(--chunk-size 16\) should fit; .* new folder"),
        (16, 2, r"a chunk size of 8 \(--chunk-size 8\)"),
        (1, 0, "one run at a time does not fit: fewer segments"),
        (1, 2, r"fit: fewer exponents \(--num-exponents\) or fewer segments"),
    ],
)
def test_what_ran_out_of_memory_names_the_size_that_fits(size, num_tangents, words):
    assert re.search(words, chunk_advice(Program(free=20), size, num_tangents))


def test_a_sweep_out_of_memory_says_which_chunk_size_would_do(model, monkeypatch):
    def run_out(program: ChunkProgram, items: np.ndarray) -> dict:
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 80 bytes.")

    monkeypatch.setattr(ChunkProgram, "__call__", run_out)
    with pytest.raises(OutOfMemory, match=r"allocating 80 bytes; a chunk size of 2 \(--chunk-"):
        rollout(model, PUZZLES, num_segments=2, chunk_size=4, progress=False)


def test_a_sweep_keeps_its_generator_and_names_the_settings_that_change_bits(model, tmp_path):
    rollout(model, PUZZLES, num_segments=2, folder=tmp_path, progress=False)
    identity = json.loads((tmp_path / "sweep.json").read_text())["identity"]
    assert identity["numerics"]["jax_enable_x64"] == "False"
    with (
        jax.enable_x64(True),
        pytest.raises(ValueError, match="jax_enable_x64 is False, asked for True"),
    ):
        rollout(model, PUZZLES, num_segments=2, folder=tmp_path, progress=False)
