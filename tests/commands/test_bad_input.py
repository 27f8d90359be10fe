"""Bad input: one clear message, exit code 2, no traceback, nothing overwritten or half-written."""

import dataclasses
import errno
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rrjax import cli
from rrjax.commands import spectrum
from rrjax.puzzles import write_folder
from tests.tools.tiny import puzzles, snapshot, write_model

Refused = Callable[..., str]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with `model` and `data` of three puzzles, where the command runs."""
    write_model(tmp_path / "model")
    write_folder(tmp_path / "data", {"test": puzzles(3)})
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def refused(place: Path, capsys: pytest.CaptureFixture[str]) -> Refused:
    """Runs a command that must be refused, and returns the message."""

    def run(*arguments: str) -> str:
        before = snapshot(place)
        assert cli.main(arguments) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("rrjax: ")
        assert err.count("rrjax: ") == 1
        assert "Traceback" not in err
        assert "[Errno" not in err
        assert snapshot(place) == before
        return err.removeprefix("rrjax: ").removesuffix("\n")

    return run


def spectrum_of(*options: str, model: str = "model", data: str = "data") -> list[str]:
    sizes = ["--num-exponents", "2", "--num-segments", "2"]
    return ["spectrum", model, "--puzzles", data, "--out", "out", *sizes, *options]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--num-puzzles", "0"), "num_puzzles must be at least 1, got 0"),
        (("--num-puzzles", "-1"), "num_puzzles must be at least 1, got -1"),
        (("--num-puzzles", "4"), "has 3 puzzles, but 4 were asked for"),
        (("--num-exponents", "0"), "num_exponents must be at least 1, got 0"),
        (("--num-exponents", "-1"), "num_exponents must be at least 1, got -1"),
        (
            ("--num-exponents", "257"),
            "num_exponents must lie in 1..256, the dimension of the state; got 257",
        ),
        (("--num-segments", "0"), "num_segments must be at least 1, got 0"),
        (("--num-segments", "99999999999"), "must be at most 1000000, got 99999999999"),
        (("--chunk-size", "0"), "chunk_size must be at least 1, got 0"),
        (("--seed", "-1"), "seed must be at least 0, got -1"),
        (("--seed", "4294967296"), "seed must be at most 4294967295, got 4294967296"),
    ],
    ids=" ".join,
)
def test_numbers_out_of_range(refused, options, words):
    message = refused(*spectrum_of(*options))
    assert message.endswith(words)
    assert "\n" not in message


def test_a_model_that_is_not_there(refused):
    assert "no model 'nowhere': neither a folder nor bundled" in refused("spectrum", "nowhere")


def test_a_model_without_puzzles(refused):
    assert "comes without test puzzles; give it some with --puzzles" in refused("spectrum", "model")


def test_a_folder_that_is_no_model(refused):
    assert "data is not an rrjax model: it has no model.safetensors" in refused("spectrum", "data")


def test_a_folder_of_pytorch_weights(place, refused):
    (place / "torch").mkdir()
    (place / "torch" / "weights.pt").touch()
    assert "rrjax convert torch NEW_FOLDER" in refused("spectrum", "torch")


def test_truncated_weights(place, refused):
    path = place / "model" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    assert "model/model.safetensors is damaged" in refused(*spectrum_of())


def edit_config(place: Path, **arch: Any) -> None:
    path = place / "model" / "config.json"
    record = json.loads(path.read_text())
    record["config"]["arch"] |= arch
    path.write_text(json.dumps(record))


def test_a_typo_in_the_config(place, refused):
    edit_config(place, hiden_size=8)
    assert "no key 'hiden_size'; did you mean 'hidden_size'?" in refused(*spectrum_of())


def test_weights_of_another_shape(place, refused):
    edit_config(place, hidden_size=6)
    message = refused(*spectrum_of())
    assert "H_init: expected shape (6,), found (8,)" in message


def test_missing_and_unknown_weights(place, refused):
    edit_config(place, L_layers=2)
    message = refused(*spectrum_of())
    assert "missing: " in message
    assert "unknown: " not in message


def test_no_puzzles_where_they_should_be(refused):
    assert "nowhere: expected a file or a data-set folder" in refused(*spectrum_of(data="nowhere"))


def test_a_folder_without_a_data_set(refused):
    assert "dataset.json: expected this file" in refused(*spectrum_of(data="model"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "at least one puzzle, found none"),
        (bytes(range(256)), "expected"),
        (b"\xff\xfe\x00\x01", "expected a text file (UTF-8)"),
        (b"what is this?\n", "puzzles.txt, line 1: "),
        (b"1" * 16 + b"\n", "puzzles.txt, line 1: "),
        (b"." * 81 + b"\n", "puzzles.txt: tokens: this model expects the shape (1, 16)"),
        (b"source,question\n", "puzzles.txt"),
    ],
    ids=["empty", "bytes", "not utf-8", "prose", "contradiction", "another size", "half a csv"],
)
def test_a_rubbish_puzzle_file(place, refused, content, words):
    (place / "puzzles.txt").write_bytes(content)
    message = refused(*spectrum_of(data="puzzles.txt"))
    assert "puzzles.txt" in message
    assert words in message


def test_a_truncated_array(place, refused):
    path = place / "data" / "test" / "all__inputs.npy"
    path.write_bytes(path.read_bytes()[:-1])
    assert "all__inputs.npy: expected a whole .npy file" in refused(*spectrum_of())


def test_puzzles_of_another_size(place, refused):
    write_folder(place / "six", {"test": puzzles(2, size=6)})
    message = refused(*spectrum_of(data="six"))
    assert message.startswith("six")
    assert message.endswith(": tokens: this model expects the shape (2, 16), found (2, 36)")


def test_tokens_out_of_range(place, refused):
    three = puzzles(3)
    metadata = dataclasses.replace(three.metadata, vocab_size=9)
    inputs = np.full_like(three.inputs, 8)
    large = dataclasses.replace(three, inputs=inputs, metadata=metadata)
    write_folder(place / "large", {"test": large})
    message = refused(*spectrum_of(data="large"))
    assert message.startswith("large")
    assert message.endswith(": tokens: expected values 0..5, found 8 at (0, 0)")


def test_a_file_in_the_place_of_the_folder(place, refused):
    (place / "out").write_text("mine")
    assert "choose another folder (--out)" in refused(*spectrum_of())


def test_a_folder_below_a_file(place, refused):
    (place / "file").touch()
    message = refused(*spectrum_of("--out", "file/out"))
    assert message.startswith("file/out")
    assert "Not a directory" in message


def test_a_folder_with_something_else(place, refused):
    (place / "out").mkdir()
    (place / "out" / "results.npz").write_text("mine")
    assert "out is not empty and holds no run" in refused(*spectrum_of())


def test_a_read_only_disk(refused, monkeypatch):
    def read_only(path, *_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(Path, "mkdir", read_only)
    assert refused(*spectrum_of()) == "out: Read-only file system"


def test_a_full_disk_before_the_first_result(place, monkeypatch, capsys):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    assert cli.main(spectrum_of()) == 2
    assert capsys.readouterr().err == (
        "rrjax: cannot write out/sweep.json: No space left on device; free some space or choose "
        "another folder\n"
    )
    assert list((place / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "a/b"), "a/b: No space left on device"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error"),
        (OSError("the disk is gone"), "the disk is gone"),
        (ValueError("k must be even, got 3"), "k must be even, got 3"),
        (FloatingPointError("loss is NaN at step 3"), "loss is NaN at step 3"),
    ],
)
def test_an_error_is_its_message(refused, monkeypatch, error, message):
    def fail(_):
        raise error

    monkeypatch.setattr(spectrum, "main", fail)
    assert refused("spectrum") == message


def ask_xla_for_too_much() -> None:
    jnp.zeros((2**31 - 1, 2**10)).block_until_ready()  # 8 TiB


def ask_numpy_for_too_much() -> None:
    np.zeros(2**50)


def compile_for_too_much() -> None:
    raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Ran out of hbm.\n  buffer 1: 3G\n")


def run_out_inside_python() -> None:
    raise MemoryError


@pytest.mark.parametrize(
    ("fail", "words"),
    [
        (ask_xla_for_too_much, ": allocating 8796093018112 bytes; free some"),
        (ask_numpy_for_too_much, ": Unable to allocate 8.00 PiB for an array"),
        (compile_for_too_much, ": Ran out of hbm; free some memory"),
        (run_out_inside_python, "; free some memory"),
    ],
)
def test_too_little_memory_is_one_line_with_advice(refused, monkeypatch, fail, words):
    monkeypatch.setattr(spectrum, "main", lambda arguments: fail())
    message = refused("spectrum")
    assert message.startswith(f"out of memory{words}")
    assert message.endswith("free some memory, or use a machine or a device that has more")
    assert "\n" not in message


def test_a_chunk_too_large_for_the_machine(place, capsys):
    assert cli.main(spectrum_of("--chunk-size", str(2**50))) == 2
    assert "rrjax: chunk_size must be at most 2147483647" in capsys.readouterr().err


def test_an_interruption_has_the_code_that_shells_expect(monkeypatch, capsys):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(spectrum, "main", interrupt)
    assert cli.main(["spectrum"]) == 130
    assert capsys.readouterr().err.startswith("rrjax: interrupted")


@pytest.mark.parametrize(
    "error",
    [KeyError("a defect"), RuntimeError("a defect"), jax.errors.JaxRuntimeError("a defect")],
)
def test_an_error_of_our_own_is_not_disguised(monkeypatch, error):
    def fail(_):
        raise error

    monkeypatch.setattr(spectrum, "main", fail)
    with pytest.raises(type(error), match="a defect"):
        cli.main(["spectrum"])


def test_an_unknown_command_names_the_closest_one_or_lists_all(refused):
    assert refused("spectra") == (
        "unknown command 'spectra'; did you mean 'spectrum'? (see rrjax --help)"
    )
    message = refused("zzz")
    assert message.startswith("unknown command 'zzz'; known: ")
    assert all(name in message for name in cli.COMMANDS)


def test_help_lists_the_commands(capsys):
    assert cli.main(["--help"]) == 0
    helped = capsys.readouterr().out
    assert cli.main([]) == 2
    assert capsys.readouterr().out == helped
    assert all(name in helped for name in cli.COMMANDS)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--num-exponent", "2"), "--num-exponent"),
        (("--num-exponents", "two"), "two"),
        (("--dtype", "float16"), "float16"),
        (("--seed",), "--seed"),
    ],
)
def test_a_typo_in_an_option(place, capsys, options, words):
    before = snapshot(place)
    assert cli.main(["spectrum", "model", *options]) == 2
    out, err = capsys.readouterr()
    assert words in out + err
    assert snapshot(place) == before


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lr_min_ration: 0.1\n", "'lr_min_ration'"),
        (
            "arch:\n  name: trm\n  hiden_size: 8\n",
            "'hiden_size' for trm; did you mean 'hidden_size'",
        ),
        ("arch: [\n", "config.yaml is not YAML"),
        ("- 3\n", "config.yaml must hold a mapping"),
    ],
)
def test_training_with_a_typo_in_the_config(place, refused, text, words):
    (place / "config.yaml").write_text(text)
    options = ["--data", "data", "--out", "out", "--config", "config.yaml"]
    assert words in refused("train", *options)


@pytest.mark.parametrize(
    "options",
    [
        ("--num-segments", "1000001"),
        ("--cpu-devices", "257"),
        ("--symmetries", "100001"),
        ("--num-certified", "4"),
    ],
    ids=" ".join,
)
def test_sizes_beyond_all_machines_are_refused_by_name(refused, options):
    message = refused(*spectrum_of(*options))
    assert message.startswith(f"{options[0][2:].replace('-', '_')} must be at most")
    assert "\n" not in message


def test_results_beyond_the_memory_are_refused_before_anything_is_written(refused, monkeypatch):
    monkeypatch.setattr("rrjax.checks.machine_memory", lambda: 10**4)
    message = refused(*spectrum_of("--num-segments", "500"))
    assert message.startswith("spectrum: results of 3 runs of 500 segments (num_segments) would")


def test_a_program_beyond_the_memory_is_refused_before_it_runs(place, monkeypatch, capsys):
    monkeypatch.setattr("rrjax.jobs.devices.machine_memory", lambda: 100)
    assert cli.main(spectrum_of()) == 2
    err = capsys.readouterr().err
    assert "chunks at once need" in err
    assert "(--chunk-size" in err


@pytest.mark.parametrize(
    ("command_line", "words"),
    [
        (("toy", "--num-runs", "2000000000"), "num_runs times the last of readout_times"),
        (("sudoku", "out", "--num-train", "100000000"), "num_train must be at most 10000000"),
        (("maze", "out", "--size", "1001"), "size must be at most 1000"),
        (("maze", "out", "--size", "9", "--min-path", "81"), "min_path must be at most 80"),
        (("train", "--arch.hidden-size", "10000000"), "arch: "),
        (("train", "--global-batch-size", "2000000000"), "global_batch_size"),
    ],
)
def test_sizes_of_other_commands_are_bounded_too(place, refused, command_line, words):
    write_folder(place / "both", {"train": puzzles(3), "test": puzzles(3)})
    folders = ("--data", "both", "--out", "out") if command_line[0] == "train" else ()
    assert words in refused(*command_line, *folders)


def test_a_wrong_word_is_told_in_one_sentence(capsys):
    assert cli.main(["spectrum", "--cpu-devices", "two"]) == 2
    err = capsys.readouterr().err
    assert "Error parsing --cpu-devices: expected INT, found 'two'" in " ".join(err.split())
    assert cli.main(["spectrum", "--dtype", "x" * 5000]) == 2
    assert len(capsys.readouterr().err) < 1000


def test_a_message_is_short_whatever_it_shows(place, capsys):
    edit_config(place, **{"x" * 100_000: 1})
    assert cli.main(spectrum_of()) == 2
    assert len(capsys.readouterr().err) < 1500
    (place / "puzzles.csv").write_text("," * 10_000 + "\n")
    assert cli.main(spectrum_of(data="puzzles.csv")) == 2
    assert len(capsys.readouterr().err) < 1500


def test_many_lines_lose_their_middle(refused, monkeypatch):
    def fail(_):
        raise ValueError("\n".join(f"line {number}" for number in range(100)))

    monkeypatch.setattr(spectrum, "main", fail)
    lines = refused("spectrum").splitlines()
    assert lines == [*(f"line {i}" for i in range(5)), "… (91 lines more)", *lines[6:]]
    assert lines[6:] == [f"line {i}" for i in range(96, 100)]


def test_a_warning_is_one_line(monkeypatch, capsys):
    def show(_):
        # what Python prints; pytest keeps warnings for itself
        print(warnings.formatwarning("take care", UserWarning, "file.py", 3), end="")

    monkeypatch.setattr(spectrum, "main", show)
    assert cli.main(["spectrum"]) == 0
    assert capsys.readouterr().out == "rrjax: take care\n"


def test_training_with_a_config_that_is_not_there(refused):
    message = refused("train", "--data", "data", "--out", "out", "--config", "no.yaml")
    assert message.startswith("no config file 'no.yaml': it is neither a file nor a recipe")


@pytest.mark.parametrize(
    ("command_line", "message"),
    [
        (
            spectrum_of("--num-exponents", "300"),
            "num_exponents must lie in 1..256, the dimension of the state; got 300",
        ),
        (
            ["train", "--data", "nowhere", "--out", "out"],
            "nowhere/train/dataset.json: expected this file in a data-set folder, found none",
        ),
    ],
    ids=["spectrum", "train"],
)
def test_the_process_itself_exits_with_2_and_one_line(place, command_line, message):
    before = snapshot(place)
    run = subprocess.run(
        [sys.executable, "-m", "rrjax.cli", *command_line],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
    )
    assert (run.returncode, run.stdout, run.stderr) == (2, "", f"rrjax: {message}\n")
    assert snapshot(place) == before
