"""A folder belongs to one job, and is cleaned of what killed writers left."""

import errno
import os
import time
from pathlib import Path

import pytest

from rrjax import store
from rrjax.store import claims
from tests.store.test_files import contents


def claim(folder):
    store.claim_folder(folder, "job.json", {"seed": 1}, {})


def claim_between_the_looks(monkeypatch, folder, identity):
    """Let another job claim the folder right after this one found it free."""
    is_free = claims._is_free

    def then_the_other(path, name):
        monkeypatch.setattr(claims, "_is_free", is_free)
        free = is_free(path, name)
        store.claim_folder(folder, "job.json", identity, {})
        return free

    monkeypatch.setattr(claims, "_is_free", then_the_other)


def test_of_two_different_jobs_that_start_at_once_one_is_refused(tmp_path, monkeypatch):
    claim_between_the_looks(monkeypatch, tmp_path / "new", {"seed": 2})
    with pytest.raises(ValueError, match="its seed is 2, asked for 1"):
        claim(tmp_path / "new")
    assert store.read_json(tmp_path / "new" / "job.json")["identity"] == {"seed": 2}
    assert os.listdir(tmp_path / "new") == ["job.json"]


def test_two_equal_jobs_may_start_at_once(tmp_path, monkeypatch):
    claim_between_the_looks(monkeypatch, tmp_path / "new", {"seed": 1})
    claim(tmp_path / "new")
    assert os.listdir(tmp_path / "new") == ["job.json"]


def test_without_hard_links_a_folder_is_claimed_all_the_same(tmp_path, monkeypatch):
    def unsupported(*_):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", unsupported)
    claim(tmp_path / "new")
    assert store.read_json(tmp_path / "new" / "job.json")["identity"] == {"seed": 1}
    assert os.listdir(tmp_path / "new") == ["job.json"]


def leave(path, hours):
    """A file, or a folder with one in it, that nobody touched for hours."""
    if path.suffix == ".old" or "model" in path.name:
        path.mkdir(parents=True)
        leave(path / "x", hours)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    os.utime(path, (time.time() - 3600 * hours,) * 2)


STRAYS = (
    ".job.json.0123abcd.tmp",
    "chunks/.000001.npz.0123abcd.tmp",
    "models/.model_1.0123abcd.tmp",
    "models/.model_2.0123abcd.old",
)


def test_what_killed_writers_left_is_removed_from_a_claimed_folder(tmp_path):
    claim(tmp_path)
    (tmp_path / "models" / "model_2").mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    for name in STRAYS:
        leave(tmp_path / name, 1.01)
    claim(tmp_path)
    assert sorted(tmp_path.rglob("*")) == sorted([*before, tmp_path / "chunks"])


def test_a_folder_with_nothing_but_a_stray_is_claimed_and_cleaned(tmp_path):
    leave(tmp_path / STRAYS[0], 1.01)
    claim(tmp_path)
    assert os.listdir(tmp_path) == ["job.json"]


@pytest.mark.parametrize(
    ("name", "hours"),
    [
        *((name, 0.99) for name in STRAYS[:3]),
        ("models/.model_3.0123abcd.old", 1000),  # nothing else is left of that model
        (".notes.tmp", 1000),
        ("job.json.0123abcd.tmp", 1000),
        (".job.json.0123ABCD.tmp", 1000),
        (".job.json.0123abcde.tmp", 1000),
        (".job.json.0123abcd.tmp.txt", 1000),
        ("checkpoints/10.orbax-checkpoint-tmp", 1000),
    ],
)
def test_what_is_young_or_needed_or_not_ours_is_kept(tmp_path, name, hours):
    claim(tmp_path)
    leave(tmp_path / name, hours)
    claim(tmp_path)
    assert (tmp_path / name).exists()


def test_a_folder_is_as_young_as_the_last_file_in_it(tmp_path):
    claim(tmp_path)
    leave(tmp_path / ".model.0123abcd.tmp", 5)
    inside = tmp_path / ".model.0123abcd.tmp" / "weights"
    leave(inside, 0.5)
    os.utime(inside.parent, (time.time() - 5 * 3600,) * 2)
    leave(inside.parent / ".weights.0123abcd.tmp", 5)  # not looked at on its own
    os.utime(inside.parent, (time.time() - 5 * 3600,) * 2)
    claim(tmp_path)
    assert sorted(contents(inside.parent)) == [".weights.0123abcd.tmp", "weights", "x"]


def test_the_folder_of_another_job_is_not_cleaned(tmp_path):
    claim(tmp_path)
    leave(tmp_path / STRAYS[1], 5)
    with pytest.raises(ValueError, match="its seed is 1, asked for 2"):
        store.claim_folder(tmp_path, "job.json", {"seed": 2}, {})
    assert (tmp_path / STRAYS[1]).exists()


def test_a_stray_that_cannot_be_removed_stops_nobody(tmp_path, monkeypatch):
    claim(tmp_path)
    leave(tmp_path / STRAYS[0], 5)
    leave(tmp_path / STRAYS[1], 5)
    unlink = Path.unlink

    def locked(path):
        if path.name.startswith(".job"):
            raise PermissionError(errno.EACCES, "Permission denied")
        unlink(path)

    monkeypatch.setattr(Path, "unlink", locked)
    claim(tmp_path)
    assert (tmp_path / STRAYS[0]).exists()
    assert not (tmp_path / STRAYS[1]).exists()
