"""`rrjax convert` on bad input gives one message and exit code 2, and changes no file."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.converters.handmade import called, mapping, named, push, rewrite, write

PREFIX = "_orig_mod.model.inner."


def snapshot(folders: list[Path]) -> dict[Path, bytes | None]:
    paths = [path for folder in folders for path in folder.rglob("*")]
    return {path: path.read_bytes() if path.is_file() else None for path in paths}


def refused(capsys: pytest.CaptureFixture[str], call: Callable, *arguments: str | Path) -> str:
    """The one message of a call that must fail and leave every file as it is."""
    folders = [Path(a).parent for a in arguments if isinstance(a, Path)]
    before = snapshot(folders)
    capsys.readouterr()
    assert call(*arguments) == 2
    assert snapshot(folders) == before
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("rrjax: ")
    assert "Traceback" not in output.err
    return output.err


def drop(tensors: dict[str, np.ndarray]) -> None:
    del tensors[PREFIX + "q_head.bias"]


def rename(tensors: dict[str, np.ndarray]) -> None:
    tensors[PREFIX + "q_head.bais"] = tensors.pop(PREFIX + "q_head.bias")


def transpose(tensors: dict[str, np.ndarray]) -> None:
    key = PREFIX + "L_level.layers.1.mlp.down_proj.weight"
    tensors[key] = tensors[key].T


def spoil(tensors: dict[str, np.ndarray]) -> None:
    tensors[PREFIX + "lm_head.weight"] = tensors[PREFIX + "lm_head.weight"] * np.float32(np.nan)


def shorten(tensors: dict[str, np.ndarray]) -> None:
    tensors[PREFIX + "puzzle_emb.weights"] = tensors[PREFIX + "puzzle_emb.weights"][:3]


@pytest.mark.parametrize(
    ("change", "messages"),
    [
        (drop, ["in the model but not in the file (1): 'q_head.bias'"]),
        (rename, ["'q_head.bais' (nearest: 'q_head.bias')", "'q_head.bias' (nearest: 'q_head.ba"]),
        (transpose, ["L_level.layers.1.mlp.down_proj.weight: (256, 32) in the file, (32, 256) in"]),
        (spoil, ["lm_head.weight: 192 of 192 values are NaN or infinite"]),
        (shorten, ["puzzle_emb.weights has 3 rows", "--resize-puzzle-embeddings"]),
    ],
)
def test_weights_of_another_model_are_refused(
    run: Callable, source: Path, tmp_path: Path, capsys, change: Callable, messages: list[str]
):
    rewrite(source, change)
    error = refused(capsys, run, source, tmp_path / "model")
    assert all(message in error for message in messages)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("hidden_size", "hiden_size", "did you mean 'hidden_size'"),
        ("hidden_size: 32", "hidden_size: 64", "(64,) in the model"),
        ("L_layers: 2", "L_layers: 3", "in the model but not in the file (4): 'L_level.layers.2."),
        ("mlp_t: true", "mlp_t: false", "L_level.layers.0.self_attn.qkv_proj.weight"),
        ("@TinyRecursive", "@TinyRecursiv", "is not a known cell; did you mean"),
        ("arch:", "arc:", "expected an `arch:` block"),
        ("arch:", "arch: [", "is not YAML"),
    ],
)
def test_a_wrong_configuration_is_refused(
    run: Callable, source: Path, tmp_path: Path, capsys, old: str, new: str, message: str
):
    config = source / "all_config.yaml"
    config.write_text(config.read_text().replace(old, new, 1))
    assert message in refused(capsys, run, source, tmp_path / "model")


def test_damaged_and_hostile_files_are_refused(run: Callable, source: Path, tmp_path: Path, capsys):
    weights = source / "weights.pt"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1000])
    assert "weights.pt: truncated or damaged" in refused(capsys, run, source, tmp_path / "model")
    write(weights, mapping(w=called(named("os", "system"), push(f"touch {tmp_path / 'CANARY'}"))))
    assert "it asks for 'os.system'" in refused(capsys, run, source, tmp_path / "model")


@pytest.mark.parametrize("name", ["model", "file"])
def test_nothing_is_overwritten(run: Callable, source: Path, tmp_path: Path, capsys, name: str):
    run(source, tmp_path / "model")
    (tmp_path / "file").write_text("precious")
    assert "exists" in refused(capsys, run, source, tmp_path / name)
    # Before anything is looked for, let alone downloaded.
    assert "exists" in refused(capsys, run, tmp_path / "nowhere", tmp_path / name)
    assert "exists" in refused(capsys, run, "--to-torch", tmp_path / "model", tmp_path / name)


def test_wrong_folders_and_options_are_refused(run: Callable, source: Path, tmp_path: Path, capsys):
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "empty has no file of weights; found nothing" in refused(
        capsys, run, empty, tmp_path / "model"
    )
    error = refused(capsys, run, tmp_path / "nowhere", tmp_path / "model")
    assert "there is no folder or file" in error
    error = refused(capsys, run, "--to-torch", source, tmp_path / "back.pt")
    assert "is not an rrjax model" in error
    for option in ("--seq-len", "--resize-puzzle-embeddings"):
        error = refused(capsys, run, "--to-torch", source, tmp_path / "back.pt", option, "16")
        assert "--to-torch takes no sizes" in error
    run(source, tmp_path / "model")
    error = refused(capsys, run, "--to-torch", tmp_path / "model", tmp_path / "no" / "back.pt")
    assert "create its folder first" in error
    options = ["--resize-puzzle-embeddings", "9", "--num-puzzle-identifiers", "5"]
    error = refused(capsys, run, source, tmp_path / "again", *options)
    assert "num_puzzle_identifiers is 5 by the option, but puzzle_emb.weights has 9" in error


def test_offline_the_command_says_which_files_to_put_where(tmp_path: Path):
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hub")}
    result = subprocess.run(
        [sys.executable, "-m", "converters", "user/repo/trm_sudoku", tmp_path / "model"],
        cwd=Path(__file__).parents[2],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    assert result.stderr.startswith("rrjax: cannot download trm_sudoku/weights.pt of the Hub")
    assert "trm_sudoku/all_config.yaml as FOLDER/all_config.yaml" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "model").exists()
