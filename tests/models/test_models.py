"""Models as folders: what is written is what is read, whole or not at all, and damage is named."""

import dataclasses
import errno
import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import huggingface_hub
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from huggingface_hub import constants, errors

from rrjax import models
from rrjax.cells import bind, flatten
from rrjax.models import check_tokens, load_model, read_model, save_model
from rrjax.puzzles import write_folder
from tests.tools.tiny import CONFIG, puzzles, snapshot, weights, write_model

TOKENS = np.arange(16, dtype=np.int32) % 6


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model")


@pytest.mark.parametrize("dtype", [np.float32, np.float64, ml_dtypes.bfloat16])
def test_arrays_come_back_bit_for_bit(tmp_path, dtype):
    written = {name: array.astype(dtype) for name, array in weights().items()}
    save_model(tmp_path / "model", written, CONFIG, {"steps": 3, "by": ["λ"]})
    flat, config, provenance = read_model(tmp_path / "model")
    assert (config, provenance) == (CONFIG, {"steps": 3, "by": ["λ"]})
    assert flat.keys() == written.keys()
    for name, array in written.items():
        assert (flat[name].dtype, flat[name].tobytes()) == (array.dtype, array.tobytes()), name
    assert snapshot(tmp_path).keys() == {"model", "model/model.safetensors", "model/config.json"}


def test_a_training_run_without_a_model_says_when_it_has_one(tmp_path):
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"no model\.safetensors; a training run saves its first"):
        load_model(tmp_path / "run")


def test_equal_models_are_equal_files(tmp_path):
    save_model(tmp_path / "a", weights(), CONFIG, {})
    save_model(tmp_path / "b", dict(reversed(weights().items())), CONFIG, {})
    assert snapshot(tmp_path / "a") == snapshot(tmp_path / "b")


def test_a_loaded_model_says_what_it_is(folder):
    model = load_model(folder)
    assert model.name == "model"
    assert model.provenance == {"made": "by a test"}
    assert model.config == CONFIG


def test_the_digest_tells_weights_and_settings_apart_and_nothing_else(tmp_path):
    other = {name: 2 * array for name, array in weights().items()}
    damped = dataclasses.replace(CONFIG, arch=dataclasses.replace(CONFIG.arch, damping=0.5))
    save_model(tmp_path / "plain", weights(), CONFIG, {})
    save_model(tmp_path / "renamed", weights(), CONFIG, {"made": "by another test"})
    save_model(tmp_path / "other", other, CONFIG, {})
    save_model(tmp_path / "damped", weights(), damped, {})
    digests = [
        load_model(tmp_path / name).digest for name in ("plain", "renamed", "other", "damped")
    ]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_weights_are_float32_at_least_and_the_cell_computes_in_the_dtype_asked_for(tmp_path):
    half = {name: array.astype(ml_dtypes.bfloat16) for name, array in weights().items()}
    save_model(tmp_path / "half", half, CONFIG, {})
    for dtype in ("bfloat16", "float32"):
        model = load_model(tmp_path / "half", dtype)
        assert model.config.arch.forward_dtype == dtype
        for name, leaf in flatten(model.params).items():
            assert leaf.dtype == jnp.float32
            np.testing.assert_array_equal(leaf, half[name].astype(np.float32))


def test_float64_without_x64_is_refused_with_advice(folder):
    with pytest.raises(ValueError, match=r"jax\.config\.update\('jax_enable_x64', True\)"):
        load_model(folder, "float64")


def test_float64_with_x64(folder):
    with jax.enable_x64(True):
        model = load_model(folder, "float64")
        assert {leaf.dtype for leaf in jax.tree.leaves(model.params)} == {np.dtype("float64")}


def test_bind_is_the_cells_own(folder):
    model = load_model(folder)
    found, expected = model.bind(TOKENS), bind(model.params, CONFIG, jnp.asarray(TOKENS), 0)
    assert found.schedule == expected.schedule
    np.testing.assert_array_equal(found.context["x"], expected.context["x"])
    assert model.bind(TOKENS.tolist()).context["x"].shape == (16, 8)


@pytest.mark.parametrize(
    ("tokens", "puzzle_id", "words"),
    [
        (TOKENS[:15], 0, r"tokens: this model expects the shape \(16,\), found \(15,\)"),
        (np.zeros(17, np.int32), 0, r"tokens: .* found \(17,\)"),
        ([], 0, r"tokens: .* found \(0,\)"),
        (3, 0, r"tokens: .* found \(\)"),
        (TOKENS.reshape(4, 4), 0, r"tokens: .* found \(4, 4\)"),
        (TOKENS + 1, 0, r"tokens: expected values 0..5, found 6 at"),
        (TOKENS - 1, 0, r"tokens: expected values 0..5, found -1 at"),
        (TOKENS / 2, 0, "tokens: expected integers, found dtype float64"),
        (TOKENS, 1, r"puzzle_id: expected values 0..0, found 1 at"),
        (TOKENS, -1, r"puzzle_id: expected values 0..0, found -1 at"),
        (TOKENS, [0], r"puzzle_id: this model expects the shape \(\), found \(1,\)"),
    ],
)
def test_puzzles_the_model_was_not_made_for_are_refused(folder, tokens, puzzle_id, words):
    model = load_model(folder)
    with pytest.raises(ValueError, match=words):
        model.bind(tokens, puzzle_id)


def test_puzzles_of_a_batch_are_checked_together():
    check_tokens(CONFIG, TOKENS[None], np.array([0]), (1,))
    with pytest.raises(ValueError, match=r"tokens: .* the shape \(2, 16\), found \(1, 16\)"):
        check_tokens(CONFIG, TOKENS[None], np.array([0, 0]), (2,))
    with pytest.raises(ValueError, match="puzzle_id: expected integers, found dtype float64"):
        check_tokens(CONFIG, TOKENS[None], np.array([0.0]), (1,))


def test_bind_works_under_vmap_and_jit_and_copies_no_weights(folder):
    model = load_model(folder)
    boards = np.stack([TOKENS, TOKENS[::-1]])

    def embedded(tokens):
        dynamics = model.bind(tokens)
        return dynamics.context["x"], dynamics.context["lm_head"]["weight"]

    # the weights are the same for all puzzles, hence no axis of puzzles is added to them
    x, weight = jax.jit(jax.vmap(embedded, out_axes=(0, None)))(boards)
    assert weight.shape == (6, 8)
    for tokens, expected in zip(boards, x, strict=True):
        np.testing.assert_array_equal(model.bind(tokens).context["x"], expected)


def test_shapes_and_types_are_checked_under_vmap_and_jit(folder):
    model = load_model(folder)
    with pytest.raises(ValueError, match=r"tokens: .* the shape \(16,\), found \(15,\)"):
        jax.vmap(lambda tokens: model.bind(tokens).context["x"])(np.zeros((2, 15), np.int32))
    with pytest.raises(ValueError, match="tokens: expected integers, found dtype float32"):
        jax.jit(lambda tokens: model.bind(tokens).context["x"])(np.zeros(16, np.float32))


def test_a_loaded_model_has_not_started_jax(folder):
    code = (
        f"import rrjax; model = rrjax.load_model({str(folder)!r}); repr(model);"
        "import jax; jax.config.update('jax_num_cpu_devices', 3); assert len(jax.devices()) == 3"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_model_shows_itself_in_one_line_and_in_a_table(folder):
    model = load_model(folder)
    assert repr(model).startswith("Model(name model, cell trm, tokens 16, width 8, parameters ")
    assert "\n" not in repr(model)
    assert "<tr><th>cell</th><td>trm</td></tr>" in model._repr_html_()


def test_a_training_run_is_its_best_model_with_the_puzzles_of_the_run(tmp_path):
    for model in ("best", "step_3"):
        write_model(tmp_path / "run" / "models" / model)
    write_folder(tmp_path / "run" / "puzzles", {"test": puzzles(3)})
    model = load_model(tmp_path / "run")
    assert (model.name, model.folder) == ("run", tmp_path / "run" / "models" / "best")
    for each in (model, load_model(tmp_path / "run" / "models" / "step_3")):
        assert each.test_puzzles().digest() == puzzles(3).digest()


def test_every_wrong_array_is_listed_and_nothing_is_written(tmp_path):
    flat = weights()
    head = flat.pop("lm_head.weight")
    flat["lm_head.wait"] = head
    flat["H_init"] = flat["H_init"][:-1]
    flat["L_init"] = np.zeros(flat["L_init"].shape, np.int32)
    with pytest.raises(ValueError, match="flat does not fit trm") as caught:
        save_model(tmp_path / "model", flat, CONFIG, {})
    assert str(caught.value).splitlines()[1:] == [
        "  missing: lm_head.weight (6, 8)",
        "  unknown: lm_head.wait",
        "  H_init: expected shape (8,), found (7,)",
        "  L_init: expected floating-point numbers, found int32",
    ]
    assert snapshot(tmp_path) == {}


def test_an_existing_folder_is_kept_unless_asked(folder):
    before = snapshot(folder)
    with pytest.raises(ValueError, match="model exists; choose another folder or remove it"):
        save_model(folder, weights(seed=1), CONFIG, {})
    assert snapshot(folder) == before


def test_replace_leaves_only_the_new_model(folder):
    (folder / "stale").touch()
    save_model(folder, weights(seed=1), CONFIG, {}, replace=True)
    np.testing.assert_array_equal(read_model(folder)[0]["H_init"], weights(seed=1)["H_init"])
    assert [path.name for path in folder.parent.iterdir()] == ["model"]
    assert not (folder / "stale").exists()


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), lambda path: path.touch()])
def test_replace_spares_what_is_no_model(tmp_path, make):
    make(tmp_path / "mine")
    before = snapshot(tmp_path)
    with pytest.raises(ValueError, match="mine exists"):
        save_model(tmp_path / "mine", weights(), CONFIG, {}, replace=True)
    assert snapshot(tmp_path) == before


class FullDisk:
    """Stands for a function of `os`; its n-th call fails."""

    def __init__(self, call: str, fails_at: int):
        self._real, self._left = getattr(os, call), fails_at

    def __call__(self, *arguments):
        self._left -= 1
        if self._left == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self._real(*arguments)


# the config; then weights, config and folder are flushed and the folder renamed
@pytest.mark.parametrize(
    ("call", "fails_at"),
    [("replace", 1), ("fsync", 1), ("fsync", 2), ("fsync", 3), ("fsync", 4), ("rename", 1)],
)
def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch, call, fails_at):
    monkeypatch.setattr(os, call, FullDisk(call, fails_at))
    with pytest.raises(OSError, match=f"cannot write {tmp_path}/model: No space left"):
        save_model(tmp_path / "model", weights(), CONFIG, {})
    assert snapshot(tmp_path) == {}


# the older model is renamed first, the new one second
@pytest.mark.parametrize(
    ("call", "fails_at"), [("replace", 1), ("fsync", 4), ("rename", 1), ("rename", 2)]
)
def test_a_failed_replacement_keeps_the_older_model(folder, monkeypatch, call, fails_at):
    before = snapshot(folder.parent)
    monkeypatch.setattr(os, call, FullDisk(call, fails_at))
    with pytest.raises(OSError, match="No space left on device"):
        save_model(folder, weights(seed=1), CONFIG, {}, replace=True)
    assert snapshot(folder.parent) == before


def test_an_unknown_name_lists_the_bundled_ones(tmp_path, monkeypatch):
    monkeypatch.setattr(models, "_BUNDLED", tmp_path)
    write_model(tmp_path / "trm-sudoku4")
    write_model(tmp_path / "hrm-sudoku4")
    with pytest.raises(ValueError, match=r"'trm-sudoku': .* \(hrm-sudoku4, trm-sudoku4\)"):
        load_model("trm-sudoku")
    assert models.bundled_names() == ["hrm-sudoku4", "trm-sudoku4"]


def test_a_bundled_model_comes_with_its_test_puzzles(tmp_path, monkeypatch):
    monkeypatch.setattr(models, "_BUNDLED", tmp_path)
    write_model(tmp_path / "trm-sudoku4")
    with pytest.raises(ValueError, match="trm-sudoku4 comes without test puzzles"):
        load_model("trm-sudoku4").test_puzzles()
    write_folder(tmp_path / "trm-sudoku4" / "puzzles", {"test": puzzles(3)})
    model = load_model("trm-sudoku4")
    assert model.name == "trm-sudoku4"
    np.testing.assert_array_equal(model.test_puzzles().inputs, puzzles(3).inputs)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(ValueError, match=f"is not an rrjax model: it has no {name}$"):
        load_model(folder)


@pytest.mark.parametrize("name", ["weights.pt", "step_1000"])
def test_a_pytorch_folder_is_sent_to_the_converter(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(ValueError, match=rf"{name} there may be PyTorch's: rrjax convert .*"):
        load_model(tmp_path)


def one_array(dtype: str, size: int) -> bytes:
    header = json.dumps({"a": {"dtype": dtype, "shape": [1], "data_offsets": [0, size]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(size)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda data: b"", "is damaged"),
        (lambda data: data[:-1], "is damaged"),
        (lambda data: data[:50], "is damaged"),
        (lambda data: b"\xff" * 8 + data[8:], "is damaged"),
        (lambda data: data + b"\0", "is damaged"),
        (lambda data: one_array("F8_E4M3", 1), "of a type that cannot be read"),
        (lambda data: one_array("F32", 4), "unknown: a"),
    ],
    ids=["empty", "cut by one", "cut in the header", "huge header", "longer", "float8", "foreign"],
)
def test_damaged_weights_are_named(folder, damage, words):
    path = folder / "model.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=rf"(?s)model\.safetensors.*{words}"):
        load_model(folder)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", r"config\.json is not JSON"),
        ("[]", "must hold a record"),
        ("{}", "has no entry `config`"),
        ('{"format": "model 2", "config": {}}', "has the format 'model 2', but .* 'model 1'"),
        ('{"config": []}', "has no entry `config`"),
        ('{"config": {"arch": 3}}', r"config\.json: config\.arch must be a mapping"),
        ('{"config": {"arch": {"hiden_size": 8}}}', "did you mean 'hidden_size'"),
        ('{"config": {"arch": {"name": "trm", "hidden_size": "8"}}}', "must be an integer"),
        ('{"config": {"arch": {"name": "trm"}, "seq_len": 0}}', "seq_len"),
    ],
)
def test_a_damaged_config_is_named(folder, text, words):
    (folder / "config.json").write_text(text)
    with pytest.raises(ValueError, match=words) as caught:
        load_model(folder)
    assert "config.json" in str(caught.value)


def test_a_file_is_no_model(tmp_path):
    (tmp_path / "trm.pth").write_bytes(b"")
    with pytest.raises(ValueError, match=r"trm\.pth is a file, .*: rrjax convert .*trm\.pth NEW"):
        load_model(tmp_path / "trm.pth")


def test_a_hub_folder_is_downloaded_and_loaded(tmp_path, monkeypatch):
    write_model(tmp_path / "some" / "folder")
    asked = []

    def download(repo, allow_patterns):
        asked.append((repo, allow_patterns))
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert load_model("hf://user/repo/some/folder").folder == tmp_path / "some" / "folder"
    files = ["some/folder/model.safetensors", "some/folder/config.json"]
    assert asked == [("user/repo", files)]


def test_without_the_hub_the_files_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ValueError, match="cannot reach the hub for user/repo") as caught:
        load_model("hf://user/repo/sub")
    for words in (
        "sub/model.safetensors and sub/config.json",
        "rrjax convert user/repo/sub",
    ):
        assert words in str(caught.value)


def test_a_broken_connection_is_no_traceback(monkeypatch):
    def download(repo, allow_patterns):
        raise errors.HTTPError("timed out")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    with pytest.raises(ValueError, match=r"the hub for user/repo \(HTTPError: timed out\)"):
        load_model("hf://user/repo/sub")


@pytest.mark.parametrize("source", ["hf://", "hf://user", "hf://user/", "hf:///repo"])
def test_half_a_hub_name_is_refused(source):
    with pytest.raises(ValueError, match="is written hf://user/repo/sub/folder, got"):
        load_model(source)
