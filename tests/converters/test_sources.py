"""Which files a name stands for, and where the sizes of the data come from."""

import json
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest

from converters.sizes import find_sizes
from converters.sources import Source, find_source

SIZES = {"seq_len": 81, "vocab_size": 11, "num_puzzle_identifiers": 1}
UNSTATED = dict.fromkeys(SIZES)
TENSORS = {
    "embed_tokens.embedding_weight": np.ones((11, 4)),
    "puzzle_emb.weights": np.ones((1, 4)),
}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """As the repositories of several models and data sets on the Hub are laid out."""
    for model in ("trm_sudoku", "hrm_sudoku", "trm_maze"):
        (tmp_path / model).mkdir()
        (tmp_path / model / "all_config.yaml").write_text("arch: {}")
        (tmp_path / model / "weights.pt").write_bytes(b"")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "sudoku_meta.json").write_text(json.dumps(SIZES | {"sets": ["all"]}))
    return tmp_path


def test_a_folder_and_its_weights_file_name_the_same_checkpoint(repository: Path):
    folder = repository / "trm_sudoku"
    expected = Source(
        weights=folder / "weights.pt",
        config=folder / "all_config.yaml",
        metas=(repository / "data" / "sudoku_meta.json",),
    )
    assert find_source(str(folder)) == expected
    assert find_source(str(folder / "weights.pt")) == expected


def test_the_working_folder_is_a_source(repository: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(repository / "trm_sudoku")
    assert find_sizes(UNSTATED, find_source("."), {}) == SIZES
    assert find_sizes(UNSTATED, find_source("weights.pt"), {}) == SIZES


def test_one_step_file_is_taken_and_several_are_asked_about(repository: Path):
    folder = repository / "trm_sudoku"
    (folder / "weights.pt").rename(folder / "step_58590")
    assert find_source(str(folder)).weights == folder / "step_58590"
    (folder / "step_100").write_bytes(b"")
    with pytest.raises(ValueError, match="several weights files; name one of step_100, step_58590"):
        find_source(str(folder))
    with pytest.raises(ValueError, match=r"such as .*/trm_sudoku/step_58590"):
        find_source(str(folder))
    assert find_source(str(folder / "step_100")).weights == folder / "step_100"


def test_missing_files_are_named_with_what_was_found(repository: Path):
    folder = repository / "trm_sudoku"
    with pytest.raises(ValueError, match=r"data has no file of weights; found sudoku_meta\.json"):
        find_source(str(repository / "data"))
    (folder / "all_config.yaml").unlink()
    with pytest.raises(ValueError, match=r"has no all_config\.yaml; found weights\.pt\. Give --co"):
        find_source(str(folder))
    assert find_source(str(folder), "trm_mlp_sudoku_extreme").config.name.startswith("trm_mlp")
    other = folder.with_name("mine.yaml")
    other.write_text("arch: {}")
    assert find_source(str(folder), str(other)).config == other
    with pytest.raises(ValueError, match=r"no config file 'trm_mlp_sudoku': .* did you mean"):
        find_source(str(folder), "trm_mlp_sudoku")


def test_an_own_meta_file_goes_before_the_repositorys(repository: Path):
    own = repository / "trm_sudoku" / "meta.json"
    own.write_text(json.dumps(SIZES | {"seq_len": 16}))
    source = find_source(str(repository / "trm_sudoku"))
    assert source.metas == (own,)
    assert find_sizes(UNSTATED, source, TENSORS)["seq_len"] == 16


def test_of_several_meta_files_the_one_named_like_the_folder_counts(repository: Path):
    maze = {"seq_len": 900, "vocab_size": 6, "num_puzzle_identifiers": 1}
    (repository / "data" / "maze_meta.json").write_text(json.dumps(maze))
    for model, sizes in {"trm_sudoku": SIZES, "hrm_sudoku": SIZES, "trm_maze": maze}.items():
        assert find_sizes(UNSTATED, find_source(str(repository / model)), {}) == sizes
    (repository / "trm_maze").rename(repository / "best")
    source = find_source(str(repository / "best"))
    with pytest.raises(ValueError, match=r"maze_meta\.json, sudoku_meta\.json; copy the right one"):
        find_sizes(UNSTATED, source, {})
    assert find_sizes(maze, source, {}) == maze


@pytest.fixture
def bare(repository: Path) -> Source:
    (repository / "data" / "sudoku_meta.json").unlink()
    return find_source(str(repository / "trm_sudoku"))


def test_options_go_before_meta_files(repository: Path):
    source = find_source(str(repository / "trm_sudoku"))
    assert find_sizes(UNSTATED | {"seq_len": 16}, source, TENSORS) == SIZES | {"seq_len": 16}


def test_tables_state_the_sizes_that_nothing_else_states(bare: Source):
    assert find_sizes(UNSTATED | {"seq_len": 81}, bare, TENSORS) == SIZES
    with pytest.raises(ValueError, match="seq_len stated nowhere: give --seq-len N"):
        find_sizes(UNSTATED, bare, TENSORS)
    with pytest.raises(ValueError, match="give --seq-len N --vocab-size N, or"):
        find_sizes(UNSTATED, bare, {})


def test_without_puzzle_embeddings_there_is_one_identifier(bare: Source):
    tensors = {name: array for name, array in TENSORS.items() if name != "puzzle_emb.weights"}
    assert find_sizes(UNSTATED | {"seq_len": 81}, bare, tensors)["num_puzzle_identifiers"] == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("vocab_size", r"vocab_size is 12 by the option, but embed_tokens\.\w+ has 11 rows$"),
        ("num_puzzle_identifiers", r"puzzle_emb\.weights has 1 rows \(--resize-puzzle-embeddings"),
    ],
)
def test_sizes_that_contradict_the_tables_are_refused(bare: Source, name: str, message: str):
    with pytest.raises(ValueError, match=message):
        find_sizes(SIZES | {name: 12}, bare, TENSORS)


def test_a_damaged_meta_file_is_named(repository: Path):
    source = find_source(str(repository / "trm_sudoku"))
    source.metas[0].write_text('{"seq_len": ')
    with pytest.raises(ValueError, match=r"sudoku_meta\.json"):
        find_sizes(UNSTATED, source, TENSORS)


@pytest.fixture
def hub(repository: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A Hub whose only repository is `repository`; the list records what was asked of it."""
    asked: list[Any] = []

    def list_repo_files(repo_id: str) -> list[str]:
        files = (path for path in repository.rglob("*") if path.is_file())
        return [path.relative_to(repository).as_posix() for path in files]

    def snapshot_download(repo_id: str, *, allow_patterns: list[str]) -> str:
        asked.append((repo_id, set(allow_patterns)))
        return str(repository)

    monkeypatch.setattr(huggingface_hub, "list_repo_files", list_repo_files)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return asked


@pytest.mark.parametrize("text", ["user/repo/trm_sudoku", "hf://user/repo/trm_sudoku/"])
def test_a_hub_id_names_a_folder_of_a_repository(repository: Path, hub: list[Any], text: str):
    source = find_source(text)
    assert source.hub_id == "hf://user/repo/trm_sudoku"
    assert source.weights == repository / "trm_sudoku" / "weights.pt"
    assert find_sizes(UNSTATED, source, TENSORS) == SIZES
    [(repo, patterns)] = hub
    assert repo == "user/repo"
    wanted = {"trm_sudoku/all_config.yaml", "trm_sudoku/weights.pt", "data/*_meta.json"}
    assert wanted <= patterns


def test_a_hub_id_can_name_a_step_file(repository: Path, hub: list[Any]):
    folder = repository / "trm_sudoku"
    (folder / "weights.pt").rename(folder / "step_7")
    (folder / "step_8").write_bytes(b"")
    assert find_source("user/repo/trm_sudoku/step_7").weights == folder / "step_7"
    assert {"trm_sudoku/step_7", "trm_sudoku/all_config.yaml"} <= hub[0][1]


def test_a_repository_without_the_folder_is_refused(hub: list[Any]):
    with pytest.raises(ValueError, match="user/repo has no checkpoint at 'trm_arc'"):
        find_source("user/repo/trm_arc")
    assert hub == []


@pytest.mark.parametrize(
    "text", ["trm_sudoku/modle", "nowhere", "/nowhere/at/all", "../a/b", "hf://user", "hf://a/../b"]
)
def test_what_is_neither_on_disk_nor_a_hub_id_never_asks_the_hub(
    repository: Path, hub: list[Any], monkeypatch: pytest.MonkeyPatch, text: str
):
    monkeypatch.chdir(repository)
    with pytest.raises(ValueError, match=f"no folder or file '{text}'; a repository of the Hug"):
        find_source(text)
    assert hub == []


@pytest.mark.parametrize(
    ("text", "file"),
    [("user/repo/trm", "trm/weights.pt"), ("hf://user/repo/trm/step_7", "trm/step_7")],
)
def test_without_a_network_the_message_says_what_to_put_where(
    monkeypatch: pytest.MonkeyPatch, text: str, file: str
):
    def unreachable(repo_id: str, **_: object) -> str:
        raise huggingface_hub.errors.LocalEntryNotFoundError("outgoing traffic is disabled")

    monkeypatch.setattr(huggingface_hub, "list_repo_files", unreachable)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", unreachable)
    with pytest.raises(ValueError, match="outgoing traffic is disabled") as caught:
        find_source(text)
    message = str(caught.value)
    assert "trm/all_config.yaml as FOLDER/all_config.yaml" in message
    assert f"{file} as FOLDER/{Path(file).name}" in message
    assert message.endswith("rrjax convert FOLDER DESTINATION")
