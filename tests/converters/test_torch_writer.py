"""State dicts written without torch, read back by the reader and, where it is there, by torch."""

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from converters.records import STORAGE_DTYPES, CheckpointError
from converters.torch_writer import write_state_dict
from tests.converters.handmade import read_state_dict

GOLDEN = Path(__file__).parents[1] / "golden"
CASES = sorted(folder.name for folder in GOLDEN.iterdir())

# Any bytes are a value: NaN payloads and negative zeros must survive too.
patterns = st.sampled_from(list(STORAGE_DTYPES.values())).flatmap(
    lambda dtype: hnp.arrays(
        np.uint8 if dtype != np.bool_ else np.bool_,
        hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3).map(
            lambda shape: (*shape, dtype.itemsize)
        ),
    ).map(lambda raw: raw.view(dtype)[..., 0])
)


def assert_bit_equal(found: Any, expected: Any):
    assert list(found) == list(expected)
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape
        assert found[name].tobytes() == array.tobytes()


@settings(max_examples=30, deadline=None)
@given(arrays=st.dictionaries(st.text(max_size=12), patterns, min_size=1, max_size=4))
def test_what_is_written_is_read_bit_equal(tmp_path_factory: pytest.TempPathFactory, arrays: Any):
    path = tmp_path_factory.mktemp("round", numbered=True) / "weights.pt"
    write_state_dict(path, arrays)
    assert_bit_equal(read_state_dict(path), arrays)


def test_equal_weights_give_equal_bytes(tmp_path: Path):
    arrays = {"w": np.arange(6.0).reshape(2, 3), "b": np.ones(3, ml_dtypes.bfloat16)}
    for name in ("one.pt", "two.pt"):
        write_state_dict(tmp_path / name, arrays)
    assert (tmp_path / "one.pt").read_bytes() == (tmp_path / "two.pt").read_bytes()


def test_existing_files_and_foreign_dtypes_are_refused(tmp_path: Path):
    path = tmp_path / "weights.pt"
    with pytest.raises(ValueError, match="w has dtype complex64"):
        write_state_dict(path, {"w": np.ones(2, np.complex64)})
    assert not list(tmp_path.iterdir())
    path.write_text("precious")
    with pytest.raises(ValueError, match="exists already"):
        write_state_dict(path, {"w": np.ones(2)})
    assert path.read_text() == "precious"


def as_numpy(tensor: Any) -> np.ndarray:
    import torch

    dtype = {torch.bfloat16: ml_dtypes.bfloat16}.get(tensor.dtype)
    raw = tensor.detach().contiguous()
    return raw.view(torch.uint16).numpy().view(dtype) if dtype else raw.numpy()


@pytest.fixture
def torch_arrays() -> dict[str, Any]:
    torch = pytest.importorskip("torch")
    grid = torch.arange(48.0).reshape(6, 8)
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4))
    dtypes = [torch.bfloat16, torch.float16, torch.float64, torch.int64, torch.int32]
    dtypes += [torch.int16, torch.int8, torch.uint8, torch.bool]
    return {
        **module.state_dict(),
        **{str(dtype): torch.arange(5).to(dtype) for dtype in dtypes},
        "grid": grid,
        "transposed": grid.T,
        "window": grid[1:3, 2:5],
        "steps": grid[::2, ::3],
        "diagonal": grid.diagonal(),
        "scalar": grid[5, 7],
        "empty": torch.empty(0, 4),
        "parameter": torch.nn.Parameter(torch.ones(2).bfloat16()),
    }


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_what_torch_writes_is_read_bit_equal(tmp_path: Path, torch_arrays: Any, protocol: int):
    import torch

    torch.save(torch_arrays, tmp_path / "weights.pt", pickle_protocol=protocol)
    expected = {name: as_numpy(tensor) for name, tensor in torch_arrays.items()}
    assert_bit_equal(read_state_dict(tmp_path / "weights.pt"), expected)


def test_what_is_written_torch_reads_bit_equal(tmp_path: Path, torch_arrays: Any):
    import torch

    expected = {name: as_numpy(tensor) for name, tensor in torch_arrays.items()}
    write_state_dict(tmp_path / "weights.pt", expected)
    found = torch.load(tmp_path / "weights.pt", weights_only=True)
    assert_bit_equal({name: as_numpy(tensor) for name, tensor in found.items()}, expected)


@pytest.mark.parametrize("case", CASES)
def test_the_official_files_are_read_as_torch_reads_them(case: str):
    torch = pytest.importorskip("torch")
    path = GOLDEN / case / "weights.pt"
    expected = torch.load(path, weights_only=True)
    assert_bit_equal(
        read_state_dict(path), {name: as_numpy(tensor) for name, tensor in expected.items()}
    )


def test_the_command_given_for_a_legacy_file_converts_it(tmp_path: Path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "old weights.pt"
    torch.save({"w": torch.arange(3.0)}, path, _use_new_zipfile_serialization=False)
    with pytest.raises(CheckpointError, match="legacy format") as caught:
        read_state_dict(path)
    command = str(caught.value).split("run: ")[1].split("; then convert ")
    _, *arguments = shlex.split(command[0])
    subprocess.run([sys.executable, *arguments], check=True)
    np.testing.assert_array_equal(read_state_dict(Path(command[1]))["w"], [0, 1, 2])
