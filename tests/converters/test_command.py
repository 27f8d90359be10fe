"""`rrjax convert` from end to end, on the official models' files."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from rrjax.models import read_model
from tests.converters.handmade import read_state_dict, rewrite

GOLDEN = Path(__file__).parents[1] / "golden"
CASES = sorted(folder.name for folder in GOLDEN.iterdir())
PREFIX = "_orig_mod.model.inner."


def bits(tensors: dict[str, np.ndarray]) -> dict[str, tuple]:
    return {key: (a.dtype, a.shape, a.tobytes()) for key, a in tensors.items()}


@pytest.mark.parametrize("case", CASES)
def test_the_round_trip_is_bit_equal(run: Callable, tmp_path: Path, case: str):
    model, back = tmp_path / "model", tmp_path / "back.pt"
    original = read_state_dict(GOLDEN / case / "weights.pt")
    run(GOLDEN / case, model)
    flat, config, _ = read_model(model)
    assert bits({PREFIX + name: array for name, array in flat.items()}) == bits(original)
    sizes = json.loads((GOLDEN / case / "meta.json").read_text())
    assert {name: getattr(config, name) for name in sizes} == sizes
    run("--to-torch", model, back)
    assert bits(read_state_dict(back)) == bits(original)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back.pt", "model"]


@pytest.mark.parametrize("prefix", ["", "model.inner.", "module._orig_mod.model.inner."])
def test_mixed_dtypes_and_the_prefix_survive(
    run: Callable, source: Path, tmp_path: Path, prefix: str
):
    def as_official_files_have_it(tensors: dict[str, np.ndarray]) -> None:
        for key in list(tensors):
            tensor = tensors.pop(key)
            dtype = ml_dtypes.bfloat16 if key.endswith("_init") else tensor.dtype
            tensors[prefix + key.removeprefix(PREFIX)] = tensor.astype(dtype)

    rewrite(source, as_official_files_have_it)
    original = read_state_dict(source / "weights.pt")
    run(source, tmp_path / "model")
    run("--to-torch", tmp_path / "model", tmp_path / "back.pt")
    assert bits(read_state_dict(tmp_path / "back.pt")) == bits(original)
    assert read_model(tmp_path / "model")[0]["H_init"].dtype == ml_dtypes.bfloat16


def test_provenance_and_report(
    run: Callable, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (source / "weights.pt").rename(source / "step_12")
    run(source, tmp_path / "model")
    flat, _, provenance = read_model(tmp_path / "model")
    assert provenance["source_file"] == "step_12"
    assert provenance["key_prefix"] == PREFIX
    digest = hashlib.sha256((source / "step_12").read_bytes()).hexdigest()
    assert provenance["source_sha256"] == digest
    assert str(tmp_path) not in (tmp_path / "model" / "config.json").read_text()
    *lines, config, summary = capsys.readouterr().out.splitlines()
    reported = {line.split()[0]: line for line in lines}
    assert set(reported) == set(flat)
    for name, array in flat.items():
        assert str(array.shape) in reported[name]
        assert str(array.dtype) in reported[name]
        assert reported[name].endswith(PREFIX + name)
    assert config == "trm: seq_len 16, vocab_size 6, num_puzzle_identifiers 5"
    total = sum(array.size for array in flat.values())
    assert summary == f"15 tensors, {total:,} parameters, written to {tmp_path / 'model'}"


def test_sizes_can_be_given_as_options(run: Callable, source: Path, tmp_path: Path):
    (source / "meta.json").unlink()
    run(source / "weights.pt", tmp_path / "model", "--seq-len", 16)
    sizes = ["--seq-len", 16, "--vocab-size", 6, "--num-puzzle-identifiers", 5]
    run(source / "weights.pt", tmp_path / "again", *sizes)
    assert read_model(tmp_path / "model")[1] == read_model(tmp_path / "again")[1]


def test_puzzle_embeddings_are_resized_on_request(run: Callable, source: Path, tmp_path: Path):
    table = read_state_dict(source / "weights.pt")[PREFIX + "puzzle_emb.weights"]
    run(source, tmp_path / "model", "--resize-puzzle-embeddings", 9)
    flat, config, provenance = read_model(tmp_path / "model")
    assert config.num_puzzle_identifiers == 9
    assert provenance["resize_puzzle_embeddings"] == 9
    expected = np.tile(table.mean(axis=0), (9, 1))
    np.testing.assert_allclose(flat["puzzle_emb.weights"], expected, rtol=1e-6, atol=1e-7)
