"""What a sweep says it will take, after its first chunks."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rrjax.jobs import forecast
from rrjax.jobs.devices import ChunkProgram
from rrjax.jobs.forecast import Forecast
from rrjax.jobs.memory import peak_memory, size_in_words
from rrjax.jobs.progress import progress
from rrjax.jobs.sweep import Sweep, run


def squares(folder, num_items, capsys):
    program = ChunkProgram(lambda _, x: {"square": x**2}, (), jnp.asarray, jax.devices()[:1])
    with progress("squares", num_items) as bar:
        arrays = run(Sweep(folder, num_items, 4, {}), Forecast(program, bar), bar.report)
    np.testing.assert_array_equal(arrays["square"], np.arange(num_items) ** 2)
    return capsys.readouterr().err.splitlines()


def test_the_first_chunk_tells_the_time_and_memory_of_the_others(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(forecast, "peak_memory", lambda device: 350_000_000)
    lines = squares(None, 10, capsys)
    told = [line for line in lines if "will take" in line]
    assert lines[0] == "squares: compiling…"
    assert len(told) == 1
    pattern = (
        r"squares: compiled in \S+ s; 4 took \S+ s, the other 6 will take about \S+ s, "
        "in 350 MB of memory"
    )
    assert re.fullmatch(pattern, told[0])


def test_what_is_done_already_is_not_foretold(tmp_path, capsys):
    squares(tmp_path, 10, capsys)
    (tmp_path / "chunks" / "000001.npz").unlink()
    assert any("the other 2 will take" in line for line in squares(tmp_path, 10, capsys))
    (tmp_path / "chunks" / "000002.npz").unlink()
    assert not any("will take" in line for line in squares(tmp_path, 10, capsys))
    assert not any("compil" in line for line in squares(tmp_path, 10, capsys))


def test_the_results_count_in_the_memory(monkeypatch, capsys):
    monkeypatch.setattr(forecast, "peak_memory", lambda device: 0)
    program = ChunkProgram(
        lambda _, x: {"wide": jnp.zeros((4, 62_500), jnp.int32)}, (), jnp.asarray, jax.devices()[:1]
    )
    with progress("wide", 12) as bar:
        Forecast(program, bar)(np.arange(4)[None])  # of 1 MB
    (line,) = (line for line in capsys.readouterr().err.splitlines() if "will take" in line)
    assert line.endswith("in 4.0 MB of memory")  # two copies of what is left


def test_this_process_has_used_memory():
    assert 10e6 < (peak_memory(jax.devices()[0]) or 0) < 1e12


@pytest.mark.parametrize(
    ("num_bytes", "words"),
    [(1, "1.0 MB"), (9.96e6, "10 MB"), (3.5e8, "350 MB"), (1.24e9, "1.2 GB"), (2e12, "2,000 GB")],
)
def test_sizes_have_a_unit_that_fits(num_bytes, words):
    assert size_in_words(num_bytes) == words
