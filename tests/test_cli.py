"""The `rrjax` command answers at once, keeps compiled programs, and says what is wrong."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import rrjax
from rrjax.cli import COMMANDS, main
from rrjax.jobs.compile_cache import cache_folder

PROGRAM = "import jax; print(jax.jit(lambda x: x + 1)(1))"


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs code in a fresh interpreter, without this test run's settings of JAX's cache."""
    inherited = {name: value for name, value in os.environ.items() if "_CACHE" not in name}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=True,
    )


def loaded_by_help(*arguments: str) -> set[str]:
    code = f"""
import sys
from rrjax.cli import main
try:
    main({[*arguments, "--help"]})
finally:
    print(*sys.modules, file=sys.stderr)
"""
    return set(run_python(code).stderr.splitlines()[-1].split())


def test_the_list_of_commands_loads_neither_jax_nor_numpy():
    assert {"jax", "numpy", "tyro"} & loaded_by_help() == set()


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_loads_no_jax(command: str):
    loaded = loaded_by_help(command)
    assert "tyro" in loaded
    assert {"jax", "optax", "flax"} & loaded == set()


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"rrjax {rrjax.__version__}\n"


def test_an_unknown_command_is_refused_with_the_list(capsys):
    assert main(["nothing-like-it"]) == 2
    message = capsys.readouterr().err
    assert message.startswith("rrjax: unknown command 'nothing-like-it'; known: ")
    assert all(name in message for name in COMMANDS)


def cached_run(folder: Path, code: str = PROGRAM, **environment: str) -> str:
    """Compiles one small program with the cache of the commands in `folder`; returns stderr."""
    start = "from rrjax.jobs.compile_cache import use_compile_cache; use_compile_cache()\n"
    environment = {"XDG_CACHE_HOME": str(folder), "LOCALAPPDATA": str(folder), **environment}
    environment |= {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    run = run_python(start + code, **environment)
    assert run.stdout == "2\n"
    return run.stderr


@pytest.fixture
def entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A function that lists the kept programs below `tmp_path`."""
    if sys.platform == "darwin":
        pytest.skip("the cache is in the user's library, which a test must not touch")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    return lambda: sorted(cache_folder().glob("*-cache"))


def test_compiled_programs_are_kept_and_used(tmp_path: Path, entries):
    cached_run(tmp_path)
    (kept,) = entries()
    changed = kept.stat().st_mtime_ns
    assert cache_folder().stat().st_mode & 0o077 == 0
    events = "import jax; jax.monitoring.register_event_listener(lambda name, **_: hits.add(name))"
    check = "\nassert '/jax/compilation_cache/cache_hits' in hits"
    cached_run(tmp_path, f"hits = set(); {events}\n{PROGRAM}{check}")
    assert (entries(), kept.stat().st_mtime_ns) == ([kept], changed)


def test_the_cache_is_turned_off_by_the_users_settings(tmp_path: Path, entries):
    cached_run(tmp_path, JAX_ENABLE_COMPILATION_CACHE="false")
    cached_run(tmp_path, JAX_COMPILATION_CACHE_DIR=str(tmp_path / "own"))
    assert entries() == []
    assert len(list((tmp_path / "own").glob("*-cache"))) == 1


def test_the_option_turns_the_cache_off(monkeypatch, capsys):
    monkeypatch.setenv("JAX_ENABLE_COMPILATION_CACHE", "true")
    assert main(["--no-compile-cache", "--version"]) == 0
    assert os.environ["JAX_ENABLE_COMPILATION_CACHE"] == "false"


def test_a_damaged_entry_does_not_stop_a_run(tmp_path: Path, entries):
    cached_run(tmp_path)
    (kept,) = entries()
    kept.write_bytes(kept.read_bytes()[:100])
    assert "persistent compilation cache" in cached_run(tmp_path)


def test_a_place_that_cannot_be_a_folder_does_not_stop_a_run(tmp_path: Path):
    (tmp_path / "rrjax").write_text("a file where the cache would be")
    assert cached_run(tmp_path) == ""
