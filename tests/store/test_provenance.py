"""The record tells how a result was made, but not where."""

import json
import os
import platform
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rrjax import store
from rrjax.store import provenance


def test_the_description_of_a_run_says_how(monkeypatch):
    import jax

    monkeypatch.setattr(sys, "argv", ["rrjax", "spectrum", "--num-puzzles=8", "data/6x6.txt"])
    about = store.describe_run()
    assert about["versions"]["jax"] == jax.__version__
    assert about["versions"]["numpy"] == np.__version__
    assert about["python"] == platform.python_version()
    assert about["backend"] == jax.default_backend()
    assert about["num_devices"] == jax.device_count()
    assert about["command"] == ["rrjax", "spectrum", "--num-puzzles=8", "data/6x6.txt"]
    assert about["time_utc"].endswith("+00:00")
    assert json.loads(json.dumps(about)) == about


def test_the_description_of_a_run_says_neither_where_nor_who(monkeypatch):
    home = str(Path.home() / "someone")
    monkeypatch.setattr(
        sys, "argv", [f"{home}/bin/rrjax", f"--out={home}/runs/one", f"{home}/a.txt"]
    )
    monkeypatch.setenv("XLA_FLAGS", f"--xla_cpu_enable_fast_math=false --xla_dump_to={home}/dump")
    about = store.describe_run()
    assert about["xla_flags"] == ["--xla_cpu_enable_fast_math=false", "--xla_dump_to=dump"]
    assert about["command"] == ["rrjax", "--out=one", "a.txt"]
    text = json.dumps(about)
    assert home not in text
    assert str(Path(store.__file__).parent) not in text
    assert socket.gethostname() not in text


def git(folder, *arguments):
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    if shutil.which("git") is None:
        pytest.skip("needs git")
    for key in [key for key in os.environ if key.startswith("GIT_")]:
        monkeypatch.delenv(key)
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "store.py").write_text("x = 1\n")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "first")
    return tmp_path


def test_git_state_knows_commit_and_changes(checkout):
    source = checkout / "package" / "store.py"
    state = provenance._git_state(source)
    assert len(state["commit"]) == 40
    assert state["dirty"] is False
    (checkout / "results.npz").touch()
    assert provenance._git_state(source)["dirty"] is False
    source.write_text("x = 2\n")
    assert provenance._git_state(source) == {**state, "dirty": True}


def test_git_state_ignores_what_a_hook_sets(checkout, monkeypatch, tmp_path_factory):
    state = provenance._git_state(checkout / "package" / "store.py")
    monkeypatch.setenv("GIT_DIR", str(tmp_path_factory.mktemp("elsewhere")))
    assert provenance._git_state(checkout / "package" / "store.py") == state


def test_an_installed_copy_inside_another_checkout_has_no_git_state(checkout):
    (checkout / "site-packages").mkdir()
    (checkout / "site-packages" / "store.py").touch()
    assert provenance._git_state(checkout / "site-packages" / "store.py") is None


def test_without_git_there_is_no_git_state(checkout, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert provenance._git_state(checkout / "package" / "store.py") is None
