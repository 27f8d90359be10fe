"""Checkpoints as forks leave them: file names, wrappers, averages, caches, class paths, formats."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import ml_dtypes
import numpy as np
import pytest
import yaml
from safetensors.numpy import save_file

from converters.convert import convert
from rrjax.cells import Config
from rrjax.cells.layers import rotary_tables
from rrjax.models import load_model, read_model, torch_files
from tests.converters.handmade import (
    called,
    named,
    nested,
    push,
    read_state_dict,
    write,
    write_nested,
)

GOLDEN = Path(__file__).parents[1] / "golden"
PREFIX = "_orig_mod.model.inner."
BUFFERS = ("H_init", "L_init", "puzzle_emb.weights")


@pytest.fixture
def state(source: Path) -> dict[str, np.ndarray]:
    return read_state_dict(source / "weights.pt")


@pytest.fixture
def weights(source: Path) -> Path:
    return source / "weights.pt"


def converted(source: Path, **options: Any) -> dict[str, np.ndarray]:
    destination = source.parent / "model"
    shutil.rmtree(destination, ignore_errors=True)
    convert(source, destination, **options)
    return read_model(destination)[0]


def assert_same(flat: dict[str, np.ndarray], state: dict[str, np.ndarray]) -> None:
    assert {PREFIX + name: a.tobytes() for name, a in flat.items()} == {
        name: a.tobytes() for name, a in state.items()
    }


@pytest.mark.parametrize(
    "name",
    [
        *("step_58590", "checkpoint", "step_39060_sudoku_epoch_60k", "best.pth", "last.ckpt"),
        *("model_best.pth.tar", "pytorch_model.bin", "TRM-Sudoku.PT", "trained", "checkpoint-100"),
    ],
)
def test_the_only_weights_file_is_taken_whatever_its_name(
    source: Path, weights: Path, state: dict[str, np.ndarray], name: str
):
    weights.rename(source / name)
    for other in ("README.md", "LICENSE", "losses.npz", "optimizer.pt", "rng_state.pth", ".x.pt"):
        (source / other).write_text("none")
    assert_same(converted(source), state)


def test_weights_in_the_only_folder_inside_are_taken(
    source: Path, weights: Path, state: dict[str, np.ndarray]
):
    (source / "checkpoints").mkdir()
    weights.rename(source / "checkpoints" / "step_7")
    assert_same(converted(source), state)


def test_of_several_files_those_that_are_likely_come_first():
    assert torch_files(["a/step_1", "a/x/step_2", "step_3.yaml"], "a") == ["a/step_1"]
    assert torch_files(["notes", "model.safetensors", "deep/step_2"]) == ["model.safetensors"]
    assert torch_files(["b/step_2", "a/step_1", "c/d/step_3"]) == ["a/step_1", "b/step_2"]
    assert torch_files(["README", "a.csv", "optimizer.pt", "config.json"]) == []


def optimizer_of(state: dict[str, np.ndarray]) -> dict[str, Any]:
    step = np.ones(1, np.float32)
    moments = {i: {"step": step, "exp_avg": a} for i, a in enumerate(state.values())}
    return {"state": moments, "param_groups": [{"lr": 1e-4, "betas": (0.9, 0.95), "params": [0]}]}


@pytest.mark.parametrize("name", ["model", "model_state_dict", "state_dict", "net"])
def test_the_state_is_found_in_a_trainers_checkpoint(
    weights: Path, state: dict[str, np.ndarray], name: str
):
    rest = {"optimizer": optimizer_of(state), "step": 3, "metrics": {"loss": [0.5, None]}}
    rest |= {"torch_rng": np.zeros(16, np.uint8), "carry": {"z_H": np.ones(3, np.float32)}}
    write_nested(weights, {"epoch": 2**40, name: state, **rest, "python_rng": (3, (1, 2), None)})
    assert_same(converted(weights), state)


def test_the_state_is_found_in_a_list(weights: Path, state: dict[str, np.ndarray]):
    arrays: list[np.ndarray] = []
    items = [nested(item, arrays) for item in (state, optimizer_of(state), 7)]
    records = {f"data__{key}": array.tobytes() for key, array in enumerate(arrays, start=1)}
    write(weights, b"](" + b"".join(items) + b"e", **records)
    assert_same(converted(weights), state)


def averaged(state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What the official average holds: parameters, and no buffers."""
    return {k: a * np.float32(2) for k, a in state.items() if not k.endswith(BUFFERS)}


@pytest.mark.parametrize(
    ("place", "entry"), [("ema", "ema"), ("ema.shadow", "ema"), ("ema.shadow", "ema.shadow")]
)
def test_an_average_is_taken_by_its_entry_with_the_buffers_of_the_weights(
    run: Callable, source: Path, weights: Path, tmp_path: Path, state, capsys, place, entry
):
    shadow = averaged(state)
    wrapped = {"decay": 0.999, "shadow": shadow} if place == "ema.shadow" else shadow
    slow = {key: array + 1 for key, array in shadow.items()}
    write_nested(weights, {"model": state, "ema": wrapped, "slow": slow})
    assert run(source, tmp_path / "model") == 2
    number = len(state) - len(BUFFERS)
    error = capsys.readouterr().err
    for words in ("several state dicts", f"model ({len(state)} tensors)", "choose one by --entry"):
        assert words in error
    assert f"{place} ({number} tensors)" in error
    assert run(source, tmp_path / "model", "--entry", entry) == 0
    flat, _, provenance = read_model(tmp_path / "model")
    assert_same(flat, {**state, **shadow})
    assert provenance["entry"] == place
    output = capsys.readouterr().out.splitlines()
    assert f"taken from the entry {place}" in output
    (line,) = (line for line in output if line.startswith("taken from the entry model"))
    assert set(line.partition(": ")[2].split(", ")) == set(BUFFERS)
    assert_same(converted(source, entry="model"), state)


def test_an_unknown_entry_is_refused_with_those_there_are(weights: Path, state: dict):
    write_nested(weights, {"model": state, "ema": averaged(state)})
    with pytest.raises(
        ValueError, match=r"no single entry 'shadow'; it has model \(15 tensors\), "
    ):
        converted(weights, entry="shadow")


@pytest.mark.parametrize("suffix", [".safetensors", ""])
def test_safetensors_are_read(source: Path, weights: Path, state, suffix: str):
    state[PREFIX + "H_init"] = state[PREFIX + "H_init"].astype(ml_dtypes.bfloat16)
    weights.unlink()
    save_file(state, source / f"checkpoint{suffix}")
    assert_same(converted(source), state)


def test_an_entry_may_be_the_beginning_of_the_keys(source: Path, weights: Path, state):
    weights.unlink()
    average = {key: array + 1 for key, array in state.items()}
    both = {f"{n}.{k}": a for n, s in (("net", state), ("ema", average)) for k, a in s.items()}
    save_file(both, source / "both.safetensors")
    with pytest.raises(
        ValueError, match=r"several models, with the prefixes 'ema\..* --entry PREFIX"
    ):
        converted(source)
    assert_same(converted(source, entry="ema"), average)


@pytest.fixture
def attention(source: Path) -> Path:
    shutil.rmtree(source)
    return Path(shutil.copytree(GOLDEN / "trm_att", source))


def caches_of(config: Config, dtype: Any = np.float32) -> dict[str, np.ndarray]:
    cos, sin = (table.astype(dtype) for table in rotary_tables(config))
    return {
        f"{PREFIX}rotary_emb.cos_cached": cos,
        f"{PREFIX}rotary_emb.sin_cached": sin,
        "_orig_mod.model.rotary_emb.inv_freq": np.ones(4, np.float32),
        f"{PREFIX}puzzle_emb.local_weights": np.zeros((8, 32), np.float32),
        f"{PREFIX}puzzle_emb.local_ids": np.zeros(8, np.int32),
        "n_averaged": np.array(3),
    }


@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16])
def test_caches_are_dropped_with_a_line_that_says_so(
    run: Callable, attention: Path, tmp_path: Path, capsys, dtype: Any
):
    convert(attention, tmp_path / "plain")
    flat, config, _ = read_model(tmp_path / "plain")
    state, caches = read_state_dict(attention / "weights.pt"), caches_of(config, dtype)
    write_nested(attention / "weights.pt", {**caches, **state})
    assert run(attention, tmp_path / "model") == 0
    (line,) = (li for li in capsys.readouterr().out.splitlines() if li.startswith("left out, as"))
    assert line.partition(": ")[2].split(", ") == list(caches)
    again, same, _ = read_model(tmp_path / "model")
    assert same == config
    assert {k: a.tobytes() for k, a in again.items()} == {k: a.tobytes() for k, a in flat.items()}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("rope_theta: 10000.0", "rope_theta: 500000.0", "rotary table of rope_theta 500000 and"),
        ("pos_encodings: rope", "pos_encodings: none", "has pos_encodings none"),
    ],
)
def test_rotary_tables_of_another_network_are_refused(
    attention: Path, tmp_path: Path, old: str, new: str, message: str
):
    convert(attention, tmp_path / "plain")
    config = read_model(tmp_path / "plain")[1]
    state = read_state_dict(attention / "weights.pt")
    write_nested(attention / "weights.pt", {**caches_of(config), **state})
    path = attention / "all_config.yaml"
    content = yaml.safe_load(path.read_text())
    content["arch"] |= yaml.safe_load(new)
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(ValueError, match=f"the network differs: .*{message}"):
        converted(attention)


def test_what_is_no_cache_is_refused_still(source: Path, weights: Path, state):
    write_nested(
        weights, {**state, PREFIX + "L_level.layers.0.gate.weight": np.ones(3, np.float32)}
    )
    with pytest.raises(
        ValueError, match=r"in the file but not in the model \(1\): 'L_level.layers"
    ):
        converted(source)


def edit_arch(source: Path, **changes: Any) -> None:
    path = source / "all_config.yaml"
    content = yaml.safe_load(path.read_text())
    content["arch"] |= changes
    path.write_text(yaml.safe_dump(content))


@pytest.mark.parametrize(
    "name",
    [
        *("architectures.trm@TRM", "trm.trm@TRM", "trm@TinyRecursiveReasoningModel_ACTV1"),
        *("models.recursive_reasoning.trm@TinyRecursiveModel", "model.trm.trm@TRM_ACTV1"),
    ],
)
def test_class_paths_of_forks_are_accepted(source: Path, state, name: str):
    edit_arch(source, name=name)
    assert_same(converted(source), state)


@pytest.mark.parametrize(
    "name", ["hrm.hrm@HRM", "models.hrm.hrm_act_v1@HierarchicalReasoningModel"]
)
def test_class_paths_of_hrm_are_accepted(source: Path, name: str):
    shutil.rmtree(source)
    shutil.copytree(GOLDEN / "hrm", source)
    edit_arch(source, name=name)
    assert_same(converted(source), read_state_dict(source / "weights.pt"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"name": "recursive_reasoning.etrm@TRMWithEncoder"},
            "'.*etrm@TRMWithEncoder' is not a known",
        ),
        ({"name": "recursive_reasoning.trm@TRMWithEncoder"}, "trm@TRMWithEncoder' is not a known"),
        ({"name": "hrm.hrm_lm_v1@HRMLM"}, "'hrm.hrm_lm_v1@HRMLM' is not a known cell"),
        ({"name": "trm.trm_singlez@TRM"}, "in the file but not in the model"),
        ({"skip_prefix": True}, "arch has no key 'skip_prefix' for trm.* give --config COPY"),
    ],
)
def test_a_network_that_differs_is_refused_by_what_differs(source: Path, changes, message: str):
    edit_arch(source, **changes)
    with pytest.raises(ValueError, match=message):
        converted(source)


def test_the_loss_is_no_part_of_the_network(source: Path):
    loss = {"name": "models.losses@MyLossHead", "loss_type": "softmax_cross_entropy", "lambda": 0.1}
    edit_arch(source, loss=loss)
    conversion = convert(source, source.parent / "other")
    assert conversion.config.arch.loss_type == "softmax_cross_entropy"
    assert conversion.notes == (
        "not read, because the loss is not part of the network: arch.loss.lambda, arch.loss.name",
    )
    edit_arch(source, loss={"loss_type": "focal"})
    assert "arch.loss.loss_type" in str(convert(source, source.parent / "third"))


def test_a_configuration_may_be_given(run: Callable, source: Path, tmp_path: Path, state, capsys):
    config = source / "all_config.yaml"
    arch = yaml.safe_load(config.read_text())["arch"]
    bare = tmp_path / "trm.yaml"  # as in the official config/arch
    bare.write_text(yaml.safe_dump({**arch, "puzzle_emb_ndim": "${.hidden_size}"}))
    config.unlink()
    assert run(source, tmp_path / "model") == 2
    message = "Give --config FILE, the configuration that it was trained with, or --config NAME"
    assert message in capsys.readouterr().err
    assert_same(converted(source, config=bare), state)
    note = "H_cycles 3 and L_cycles 6 are those of trm.yaml, as no weight shows them"
    assert convert(source, tmp_path / "third", config=bare).notes == (note,)
    assert run(source, tmp_path / "other", "--config", "trm_mlp_sudoku_extreme") == 2
    assert "with another shape" in capsys.readouterr().err
    assert run("--to-torch", tmp_path / "model", tmp_path / "x.pt", "--config", "hrm_arc1") == 2
    assert "--to-torch takes neither --entry nor --config" in capsys.readouterr().err


@pytest.mark.parametrize("case", ["trm_mlp", "trm_learned", "hrm_samsung_mlp", "trm_nopuz"])
def test_the_tensors_show_the_number_of_tokens_where_they_can(tmp_path: Path, case: str):
    config = convert(GOLDEN / case, tmp_path / "plain").config
    shutil.copytree(GOLDEN / case, tmp_path / "bare")
    (tmp_path / "bare" / "meta.json").unlink()
    sizes: dict[str, Any] = {} if config.arch.puzzle_emb_ndim else {"num_puzzle_identifiers": 5}
    if config.arch.mlp_t or config.arch.pos_encodings == "learned":
        assert convert(tmp_path / "bare", tmp_path / "model", **sizes).config == config
    else:
        with pytest.raises(ValueError, match="seq_len stated nowhere: give --seq-len N"):
            convert(tmp_path / "bare", tmp_path / "model", **sizes)


NUMPY = called(named("numpy.core.multiarray", "scalar"), push(1))
NAMESPACE = named("argparse", "Namespace") + b")\x81}" + push("lr") + push(1) + b"sb"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"best": NUMPY}, "it asks for 'numpy.core.multiarray.scalar', not for tensors"),
        ({"args": NAMESPACE}, "it asks for 'argparse.Namespace', not for tensors"),
        (
            {"seeds": called(named("__builtin__", "set"), b"]")},
            "it asks for '__builtin__.set', not",
        ),
        ({"table": b"}" + push((1, 2)) + push(3) + b"s"}, "a dict key of type tuple"),
        ({"rng": named("torch._C", "Generator")}, "it asks for 'torch._C.Generator'"),
        ({"pytorch-lightning_version": "2.5"}, "a Lightning checkpoint, whose weights lie in"),
    ],
)
def test_trainers_objects_are_refused_with_what_to_do(weights: Path, state, content, message: str):
    write_nested(weights, {"state_dict": state, **content})
    with pytest.raises(ValueError, match=message) as caught:
        converted(weights)
    target = weights.with_name("weights.pt.weights.pt")
    for words in ("If you trust its author", "weights_only=False", f"then convert {target}"):
        assert words in str(caught.value)


def test_no_one_is_told_to_load_what_is_hostile(weights: Path, state):
    write_nested(weights, {"model": state, "x": called(named("posix", "system"), push("true"))})
    with pytest.raises(ValueError, match=r"it asks for 'posix\.system', not for tensors$"):
        converted(weights)


@pytest.fixture
def hub(source: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of the Hub; its folder."""
    root = source.parent / "repository"

    def list_repo_files(repo_id: str) -> list[str]:
        return [str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()]

    def snapshot_download(repo_id: str, *, allow_patterns: list[str]) -> str:
        return str(root)

    monkeypatch.setattr(huggingface_hub, "list_repo_files", list_repo_files)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    shutil.copytree(source, root / "trm")
    return root


def test_a_folder_of_the_hub_is_listed(source: Path, hub: Path, state):
    (hub / "trm" / "weights.pt").rename(hub / "trm" / "epoch_9.pth")
    convert("user/repo/trm", source.parent / "a")
    (hub / "trm" / "all_config.yaml").rename(hub / "all_config.yaml")
    convert("hf://user/repo", source.parent / "b")
    assert read_model(source.parent / "b")[2]["source"] == "hf://user/repo"
    for name in "ab":
        assert_same(read_model(source.parent / name)[0], state)
    shutil.copytree(hub / "trm", hub / "hrm")
    with pytest.raises(ValueError, match=r"name one of hrm/epoch_9.pth, trm/epoch_9.pth, such as "):
        convert("hf://user/repo", source.parent / "c")
    convert("hf://user/repo/hrm/epoch_9.pth", source.parent / "c")


def test_a_model_of_the_hub_that_is_pytorchs_is_told(hub: Path):
    with pytest.raises(ValueError, match=r"weights\.pt there may be PyTorch's: rrjax convert hf:"):
        load_model("hf://user/repo/trm")
