"""Output that cannot be shown loses no work, and one line says so."""

import errno
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rrjax import cli
from rrjax.streams import PatientStream
from tests.tools.processes import begin
from tests.tools.tiny import snapshot

TOY = ("toy", "--num-runs", "20", "--readout-times", "2", "4")
FILES = {"sweep.json", "results.npz", "results.json", "toy.png"}


class Failing(io.StringIO):
    """A stream to which nothing can be written."""

    def __init__(self, number: int):
        super().__init__()
        self.number = number

    def flush(self) -> None:
        raise OSError(self.number, os.strerror(self.number))


def test_characters_that_the_encoding_lacks_are_named():
    stream = PatientStream(io.TextIOWrapper(raw := io.BytesIO(), encoding="latin-1"))
    assert stream.write("−λ1 × 2 …\n") == 10
    assert raw.getvalue() == "-?1 × 2 .\n".encode("latin-1")
    assert "(latin-1) cannot show λ … −; set PYTHONIOENCODING=utf-8" in str(stream.complaint())


def test_the_streams_own_way_with_such_characters_stays():
    wrapper = io.TextIOWrapper(raw := io.BytesIO(), "ascii", errors="backslashreplace")
    stream = PatientStream(wrapper)
    stream.write("λ\n")
    assert raw.getvalue() == b"\\u03bb\n"
    assert stream.complaint() is None


@pytest.mark.parametrize(
    ("number", "code", "words"),
    [
        (errno.ENOSPC, 2, "cannot be written (No space left on device); files are"),
        (errno.EPIPE, 0, "the reader of standard output ended early; files are"),
    ],
)
def test_a_run_survives_its_output(number, code, words, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", Failing(number))
    assert cli.main([*TOY, "--out", str(tmp_path)]) == code
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1
    assert snapshot(tmp_path).keys() == FILES


def test_help_is_no_work_but_fails_as_quietly(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", Failing(errno.ENOSPC))
    assert cli.main(["toy", "--help"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_process_whose_output_is_latin_and_whose_backend_is_not_there(tmp_path):
    command = [sys.executable, "-m", "rrjax.cli", *TOY, "--out", str(tmp_path)]
    process = begin(command, PYTHONIOENCODING="latin-1", MPLBACKEND="module_of_a_notebook")
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0
    assert "median ??" in out
    assert err.startswith("rrjax: standard output (iso8859-1) cannot show ")
    assert err.count("\n") == 1
    assert snapshot(tmp_path).keys() == FILES


def test_a_reader_that_has_gone_costs_one_line():
    ahead, behind = os.pipe()
    os.close(ahead)
    with os.fdopen(behind, "w") as closed:
        run = subprocess.run(
            [sys.executable, "-m", "rrjax.cli", "--help"],
            cwd=Path(__file__).parents[1],
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert run.returncode == 0
    assert run.stderr.count("\n") == 1
