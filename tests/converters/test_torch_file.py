"""Reading torch files: every file here is written by hand, opcode by opcode, without torch."""

import pickle
import zipfile
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from converters.records import CheckpointError
from tests.converters.handmade import (
    BASE,
    ORDERED_DICT,
    WHOLE,
    called,
    mapping,
    named,
    push,
    read_state_dict,
    storage,
    tensor,
    write,
)


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        ("DoubleStorage", np.float64),
        ("FloatStorage", np.float32),
        ("HalfStorage", np.float16),
        ("BFloat16Storage", ml_dtypes.bfloat16),
        ("LongStorage", np.int64),
        ("IntStorage", np.int32),
        ("ShortStorage", np.int16),
        ("CharStorage", np.int8),
        ("ByteStorage", np.uint8),
        ("BoolStorage", np.bool_),
    ],
)
def test_every_dtype_is_read_bit_equal(path: Path, kind: str, dtype: Any):
    values = np.array([0, 1, 1, 0, 1, 0]).astype(dtype)
    value = mapping(x=tensor(storage(kind, "7", 6), (2, 3), (3, 1)))
    found = read_state_dict(write(path, value, data__7=values.tobytes()))["x"]
    assert found.dtype == values.dtype
    assert found.shape == (2, 3)
    assert found.tobytes() == values.tobytes()


def test_views_of_one_storage_are_what_their_strides_say(path: Path):
    grid = BASE.reshape(4, 6)
    value = mapping(
        whole=tensor(storage(), (4, 6), (6, 1)),
        transposed=tensor(storage(), (6, 4), (1, 6)),
        window=tensor(storage(), (2, 3), (6, 1), offset=8),
        strided=tensor(storage(), (2, 3), (12, 2), offset=1),
        diagonal=tensor(storage(), (4,), (7,)),
        scalar=tensor(storage(), (), (), offset=23),
        empty=tensor(storage(), (0, 6), (6, 1), offset=24),
    )
    found = read_state_dict(write(path, value))
    np.testing.assert_array_equal(found["whole"], grid)
    np.testing.assert_array_equal(found["transposed"], grid.T)
    np.testing.assert_array_equal(found["window"], grid[1:3, 2:5])
    np.testing.assert_array_equal(found["strided"], grid[::2, 1::2])
    np.testing.assert_array_equal(found["diagonal"], np.diag(grid))
    assert found["scalar"] == 23
    assert found["scalar"].shape == ()
    assert found["empty"].shape == (0, 6)
    assert all(array.flags.c_contiguous for array in found.values())


def test_tied_tensors_are_equal_and_cannot_be_changed_by_accident(path: Path):
    found = read_state_dict(write(path, mapping(a=WHOLE, b=WHOLE)))
    np.testing.assert_array_equal(found["a"], BASE)
    np.testing.assert_array_equal(found["b"], BASE)
    with pytest.raises(ValueError, match="read-only"):
        found["a"][0] = -1


def test_module_state_dicts_parameters_and_unknown_records_are_read(path: Path):
    parameter = called(
        named("torch._utils", "_rebuild_parameter"), WHOLE, pickle.NEWTRUE, ORDERED_DICT
    )
    metadata = b"}" + push("_metadata") + ORDERED_DICT + b"sb"
    value = ORDERED_DICT + b"(" + push("w") + parameter + b"u" + metadata
    found = read_state_dict(write(path, value, version=b"3\n", unknown=b"?"))
    np.testing.assert_array_equal(found["w"], BASE)


def test_protocol_4_is_read(path: Path):
    short = [b"\x8c" + bytes([len(name)]) + name for name in (b"collections", b"OrderedDict")]
    value = b"\x95" + bytes(8) + b"".join(short) + b"\x93)R\x94(" + push("w") + WHOLE + b"u"
    assert list(read_state_dict(write(path, value))) == ["w"]


def test_files_without_a_byte_order_are_little_endian(path: Path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02" + mapping(w=WHOLE) + b".")
        archive.writestr("a/data/0", BASE.tobytes())
    np.testing.assert_array_equal(read_state_dict(path)["w"], BASE)


@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [
        ((24,), (1,), 1),
        ((1,), (1,), 24),
        ((4, 6), (7, 1), 0),
        ((2,), (2**62,), 0),
        ((), (), 24),
        # Larger than the storage, though each element lies in it.
        ((2**40,), (0,), 0),
        ((5, 5), (4, 1), 0),
    ],
)
def test_a_view_that_leaves_its_storage_is_refused(path: Path, shape, strides, offset):
    with pytest.raises(CheckpointError, match=r"'w' of shape .* does not fit in its storage of 24"):
        read_state_dict(write(path, mapping(w=tensor(storage(), shape, strides, offset))))
