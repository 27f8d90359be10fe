"""Listing and downloading from the Hub, with and without a network."""

from pathlib import Path

import huggingface_hub
import pytest

from rrjax.hub import HubError, download_files, list_files


def unreachable(repo: str, **_: object) -> str:
    raise huggingface_hub.errors.HTTPError("timed out\nRequest ID: 7")


def test_files_are_those_of_the_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    asked = {}
    monkeypatch.setattr(huggingface_hub, "list_repo_files", lambda repo: [f"{repo}/a", "b"])
    monkeypatch.setattr(
        huggingface_hub, "snapshot_download", lambda repo, **options: asked.update(options) or "x"
    )
    assert list_files("user/repo") == ["user/repo/a", "b"]
    assert download_files("user/repo", iter(["a", "b"])) == Path("x")
    assert asked == {"allow_patterns": ["a", "b"]}


def test_without_a_network_the_cached_files_are_listed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    (tmp_path / "trm").mkdir()
    (tmp_path / "trm" / "step_1").write_text("")
    monkeypatch.setattr(huggingface_hub, "list_repo_files", unreachable)

    def cached(repo: str, *, local_files_only: bool) -> str:
        assert local_files_only
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", cached)
    assert list_files("user/repo") == ["trm/step_1"]


def test_the_reason_is_told_on_one_line(monkeypatch: pytest.MonkeyPatch):
    for name in ("list_repo_files", "snapshot_download"):
        monkeypatch.setattr(huggingface_hub, name, unreachable)
    for call in (lambda: list_files("user/repo"), lambda: download_files("user/repo", ["a"])):
        with pytest.raises(HubError, match=r"^HTTPError: timed out$"):
            call()
