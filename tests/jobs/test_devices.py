"""The same bits on one device, on four, in shards and in processes that share a folder."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rrjax import cli, store
from rrjax.jobs import devices, sweep
from rrjax.jobs.devices import ChunkProgram, use_cpu_devices
from rrjax.jobs.shares import Share, parse_share
from rrjax.jobs.sweep import Sweep
from rrjax.puzzles import write_folder
from scripts.accelerators import distributed
from tests.tools import jobs
from tests.tools.processes import ROOT, begin, finish
from tests.tools.tiny import puzzles, snapshot, write_model

ACCELERATORS = ROOT / "scripts" / "accelerators"
DISTRIBUTED = [sys.executable, "-m", "scripts.accelerators.distributed"]
NUMBER, CHUNK, SEGMENTS = 9, 2, 16
"""Five chunks, the last of them padded; they divide neither 2, 3 nor 4 devices."""


class Job(NamedTuple):
    """A command without --out, and the arrays it gives on one device."""

    options: list[str]
    results: dict[str, np.ndarray]

    def into(self, out: Path, *more: str) -> list[str]:
        return [*self.options, "--out", str(out), *more]


@pytest.fixture(scope="module", autouse=True)
def _no_figures() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rrjax.reports.terminal.draw_results", lambda *_: None)
        yield


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    folder = tmp_path_factory.mktemp("job")
    model = str(write_model(folder / "model"))
    write_folder(folder / "data", {"test": puzzles(NUMBER)})
    sizes = ["--num-exponents", "2", "--num-segments", str(SEGMENTS), "--chunk-size", str(CHUNK)]
    options = [model, "--puzzles", str(folder / "data"), *sizes]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(devices.jax, "local_devices", lambda: jax.devices()[:1])
        whole = Job(options, {})
        run(whole.into(folder / "out"))
    return Job(options, store.read_arrays(folder / "out" / "results.npz"))


def run(options: list[str]) -> str:
    return jobs.run("spectrum", *options)


def printed_by(process: subprocess.Popen[str]) -> str:
    """What a process that must succeed printed, its white space evened out."""
    return " ".join(finish(process).split())


def assert_same_bits(arrays: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> None:
    assert arrays.keys() == expected.keys()
    for name, array in expected.items():
        assert arrays[name].dtype == array.dtype, name
        assert arrays[name].tobytes() == array.tobytes(), name


def assert_same_results(out: Path, job: Job) -> None:
    assert_same_bits(store.read_arrays(out / "results.npz"), job.results)


def test_the_runs_are_chaotic_so_that_another_last_bit_would_show(job):
    assert job.results["finite"].all()
    # float32's last bit is e^-16 of a number: after growth by e^5 seven bits differ
    assert (job.results["log_growth"][..., 0].sum(1) > 5).all()


# Prints how many devices there are and how many chunks of how many items each call was given.
_ON_FOUR = """
import sys
from rrjax import cli
from rrjax.reports import terminal
from rrjax.jobs.devices import ChunkProgram

shapes, call = [], ChunkProgram.__call__
def counted(self, items):
    shapes.append((self.parallel, *items.shape))
    return call(self, items)
ChunkProgram.__call__ = counted
terminal.draw_results = lambda *_: None
code = cli.main(["spectrum", *sys.argv[1:]])
print(shapes)
sys.exit(code)
"""


def test_four_devices_give_the_bits_of_one(job, tmp_path):
    options = job.into(tmp_path, "--cpu-devices", "4")
    printed = printed_by(begin([sys.executable, "-c", _ON_FOUR, *options]))
    assert printed.endswith("[(4, 4, 2), (4, 1, 2)]")
    assert_same_results(tmp_path, job)


# As many devices as wanted, whole sweeps of a map whose last bit grows to order one, and what the
# devices are given.
_CHAOS = """
import sys
from pathlib import Path
import jax, jax.numpy as jnp, numpy as np
from rrjax.jobs import sweep
from rrjax.jobs.devices import ChunkProgram, use_cpu_devices

use_cpu_devices(4)
weights = jax.random.normal(jax.random.key(0), (16, 16))

def compute(weights, start):
    state = jax.lax.fori_loop(0, 300, lambda _, x: jnp.sin(x @ weights), start)
    return {"state": state}

def prepare(items):
    return jnp.sin(jnp.asarray(items)[:, None] + jnp.arange(16.0))

for number in (1, 2, 3, 4):
    work = ChunkProgram(compute, weights, prepare, jax.devices()[:number])
    job = sweep.Sweep(Path(sys.argv[1]) / str(number), 17, 3, {})
    sweep.run(job, work, lambda done: None, parallel=work.parallel)
    placed = work._program.lower(work._shared, prepare(np.zeros(3 * number, int)))
    assert len(work._shared.devices()) == number
    text = placed.compile().as_text()
    assert not any(word in text for word in ("all-reduce", "all-gather", "collective", "send("))
print(len(jax.devices()))
"""


def test_chunks_that_do_not_divide_the_devices_give_the_same_bits(tmp_path):
    assert printed_by(begin([sys.executable, "-c", _CHAOS, str(tmp_path)])) == "4"
    one = snapshot(tmp_path / "1" / "chunks")
    assert len(one) == 6
    for number in "234":
        assert snapshot(tmp_path / number / "chunks") == one


@pytest.mark.slow
def test_two_processes_of_jax_distributed_give_the_bits_of_one(job, tmp_path):
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        coordinator = f"localhost:{probe.getsockname()[1]}"
    script = [*DISTRIBUTED, "--num-processes", "2"]
    one_device = job.into(tmp_path, "--cpu-devices", "1")
    both = [
        begin(
            [*script, "--coordinator", coordinator, "--process-id", str(i), "spectrum", *one_device]
        )
        for i in range(2)
    ]
    first, second = map(printed_by, both)
    assert f"of {NUMBER} puzzles" in first
    assert f"results and figures are in {tmp_path}" in first
    assert second == "all 5 chunks are done; process 0 puts the results together"
    assert_same_results(tmp_path, job)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--process-id", "0", "spectrum"], "--num-processes and --process-id go together"),
        (["--coordinator", "localhost:1", "train"], "--num-processes and --process-id go together"),
        ([], "the following arguments are required: command"),
        (["sudoku", "folder"], "invalid choice: 'sudoku' (choose from spectrum, rollout, basin,"),
        (["--num-process", "2", "train"], "argument command: invalid choice: '2'"),
    ],
)
def test_half_of_a_meeting_place_and_another_command_are_refused(options, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        distributed.main(options)
    assert stopped.value.code == 2
    err = capsys.readouterr().err
    assert message in err.replace("'spectrum', 'rollout', 'basin',", "spectrum, rollout, basin,")


@pytest.mark.slow
def test_shards_one_after_another_then_all_together(job, tmp_path):
    words = [run(job.into(tmp_path, "--shard", f"{index}/3")) for index in range(2)]
    assert words[0].startswith("2 of 5 chunks are done, missing are 1, 2, 4; when the other")
    assert words[1].startswith("4 of 5 chunks are done, missing are 2; when the other workers")
    assert all("same command without a shard" in printed for printed in words)
    assert not (tmp_path / "results.npz").exists()
    last = run(job.into(tmp_path, "--shard", "2/3"))
    assert f"of {NUMBER} puzzles" in last
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ChunkProgram, "__call__", None)
        assert run(job.into(tmp_path)) == last
    assert_same_results(tmp_path, job)


@pytest.mark.slow
def test_the_shell_script_is_one_and_a_task_of_an_array_does_its_share(job, tmp_path):
    script = ACCELERATORS / "slurm_array.sh"
    assert printed_by(begin(["bash", "-n", str(script)])) == ""
    (tmp_path / "bin").mkdir()
    installed = tmp_path / "bin" / "rrjax"
    installed.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m rrjax.cli "$@"\n')
    installed.chmod(0o755)
    path = f"{installed.parent}:{os.environ['PATH']}"
    tasks = [
        printed_by(
            begin(
                ["sh", str(script), str(tmp_path / "out"), *job.options, "--cpu-devices", "1"],
                PATH=path,
                **slurm(task, 3, 4),
            )
        )
        for task in (3, 4)
    ]
    assert tasks[0].startswith("task 3 of 2 3 of 5 chunks are done, missing are 1, 3; when")
    assert f"of {NUMBER} puzzles" in tasks[1]
    assert_same_results(tmp_path / "out", job)


@pytest.mark.parametrize("arguments", [[], ["folder"], ["folder", "model"]])
def test_the_array_script_wants_a_folder_a_model_and_an_array(arguments):
    script = begin(["sh", str(ACCELERATORS / "slurm_array.sh"), *arguments])
    err = script.communicate(timeout=60)[1]
    assert script.returncode == 2
    assert ("give a folder", "give a model", "submit this with sbatch")[len(arguments)] in err


def slurm(task: int, first: int, last: int, count: int | None = None) -> dict[str, str]:
    numbers = {"ID": task, "MIN": first, "MAX": last, "COUNT": count or last - first + 1}
    return {f"SLURM_ARRAY_TASK_{name}": str(number) for name, number in numbers.items()}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("ID", "MIN", "MAX", "COUNT"):
        monkeypatch.delenv(f"SLURM_ARRAY_TASK_{name}", raising=False)
    return monkeypatch


def in_array(environment: pytest.MonkeyPatch, *numbers: int) -> None:
    for name, value in slurm(*numbers).items():
        environment.setenv(name, value)


@pytest.mark.parametrize(
    ("text", "share"),
    [
        (None, None),
        ("0/1", None),
        ("0/3", Share(0, 3)),
        ("2/3", Share(2, 3)),
        ("007/10", Share(7, 10)),
    ],
)
@pytest.mark.usefixtures("environment")
def test_the_share_that_a_text_names(text, share):
    assert parse_share(text) == share


@pytest.mark.parametrize("text", ["", "3", "1/2/3", "a/b", "-1/3", "1/-3", "1.0/3", " 0/3", "/"])
def test_another_form_of_a_share_is_refused(text):
    with pytest.raises(ValueError, match="shard must be i/n, such as 0/4 for the first of four"):
        parse_share(text)


@pytest.mark.parametrize("text", ["3/3", "4/3", "0/0"])
def test_a_shard_counts_from_zero_and_stays_below_the_number(text):
    with pytest.raises(ValueError, match=f"shard i/n needs i in 0..n−1.* got '{text}'"):
        parse_share(text)


@pytest.mark.parametrize(("numbers", "index"), [((0, 0, 3), 0), ((3, 0, 3), 3), ((7, 5, 8), 2)])
def test_the_share_of_a_task_of_a_slurm_array(environment, numbers, index):
    in_array(environment, *numbers)
    assert parse_share("slurm") == Share(index, 4)
    assert parse_share("1/2") == Share(1, 2)
    assert parse_share(None) is None  # an array over seeds, say: sharing is asked for


def test_an_array_of_one_task_does_all(environment):
    in_array(environment, 5, 5, 5)
    assert parse_share("slurm") is None


@pytest.mark.parametrize("name", ["ID", "MIN", "MAX", "COUNT"])
@pytest.mark.parametrize("value", [None, "", "many", "-1"])
def test_an_array_without_a_number_is_refused(environment, name, value):
    in_array(environment, 1, 0, 3)
    variable = f"SLURM_ARRAY_TASK_{name}"
    environment.delenv(variable) if value is None else environment.setenv(variable, value)
    with pytest.raises(ValueError, match=rf"shard slurm needs .* {variable}={value or ''}: sub"):
        parse_share("slurm")


@pytest.mark.usefixtures("environment")
def test_outside_of_an_array_there_is_no_share():
    with pytest.raises(ValueError, match="SLURM_ARRAY_TASK_COUNT=: submit the job with sbatch"):
        parse_share("slurm")


@pytest.mark.parametrize("task", [0, 2, 4])
def test_an_array_with_gaps_is_refused_by_every_task(environment, task):
    in_array(environment, task, 0, 4, 3)
    with pytest.raises(ValueError, match=rf"gaps; this is task {task} of 3 in 0\.\.4: num.* 0-2"):
        parse_share("slurm")


@pytest.mark.parametrize(("text", "share"), [(None, Share(0, 1, 1, 4)), ("2/3", Share(2, 3, 1, 4))])
def test_the_share_of_a_process(environment, text, share):
    environment.setattr(jax, "process_count", lambda: 4)
    environment.setattr(jax, "process_index", lambda: 1)
    assert parse_share(text) == share


def test_devices_asked_for_after_jax_has_started_are_refused():
    number = jax.local_device_count()
    use_cpu_devices(number)
    use_cpu_devices(None)
    with pytest.raises(ValueError, match=rf"cpu_devices {number + 1} .* it has {number} devices"):
        use_cpu_devices(number + 1)
    assert jax.local_device_count() == number


def double(factor: jax.Array, values: jax.Array) -> dict[str, jax.Array]:
    return {"twice": factor * values}


def test_what_cannot_work_is_refused_before_anything_is_computed():
    calls = []

    def wrong(factor: jax.Array, values: jax.Array) -> dict[str, jax.Array]:
        calls.append(values)
        raise ValueError("puzzles of another size")

    with pytest.raises(ValueError, match="puzzles of another size"):
        ChunkProgram(wrong, jnp.float32(2), jnp.asarray).result_size(2)
    with pytest.raises(jax.errors.TracerArrayConversionError):
        np.asarray(calls[0])  # traced, without numbers
    assert len(calls) == 1
    ChunkProgram(double, jnp.float32(2), jnp.asarray).result_size(2)


def test_a_command_that_cannot_work_writes_nothing(job, tmp_path, capsys):
    too_many = job.into(tmp_path / "out", "--num-exponents", "1000")
    assert cli.main(["spectrum", *too_many]) == 2
    assert "num_exponents" in capsys.readouterr().err
    assert cli.main(["spectrum", *job.into(tmp_path / "out", "--shard", "3/3")]) == 2
    assert "shard i/n needs i in 0..n−1" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("num_items", [1, 2, 5])
def test_every_item_is_computed_as_its_index_says(tmp_path, num_items):
    work = ChunkProgram(double, jnp.float32(2), jnp.asarray)
    arrays = sweep.run(
        Sweep(tmp_path, num_items, 2, {}), work, lambda done: None, parallel=work.parallel
    )
    np.testing.assert_array_equal(arrays["twice"], 2 * np.arange(num_items))
