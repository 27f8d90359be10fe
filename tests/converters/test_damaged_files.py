"""Archives that are damaged, hostile or of another format: one error, and it names the file."""

import pickle
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from converters.records import CheckpointError
from tests.converters.handmade import (
    BASE,
    WHOLE,
    check_outcome,
    mapping,
    read_or_refusal,
    read_state_dict,
    storage,
    tensor,
    write,
)


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ({"byteorder": b"big"}, "expected byte order b'little', found b'big'"),
        ({"data__0": BASE[:-1].tobytes()}, "expected 96 bytes, found 92"),
        ({"data__0": BASE.tobytes() + b"\0"}, "expected 96 bytes, found 97"),
        ({"more__data.pkl": b"."}, "exactly one data.pkl in the archive, found 2"),
        ({"data.pkl": b"\x80\x02" + b"N0" * 2**23 + b"."}, "a pickle of more than"),
    ],
)
def test_records_that_do_not_fit_are_refused(path: Path, records: dict, message: str):
    with pytest.raises(CheckpointError, match=message):
        read_state_dict(write(path, mapping(w=WHOLE), **records))


def test_missing_records_are_named(path: Path):
    with pytest.raises(CheckpointError, match="record 'archive/data/9' of a tensor is missing"):
        read_state_dict(write(path, mapping(w=tensor(storage(key="9"), (24,), (1,)))))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data/0", BASE.tobytes())
    with pytest.raises(CheckpointError, match=r"exactly one data\.pkl in the archive, found 0"):
        read_state_dict(path)


def test_a_compressed_record_is_refused(path: Path):
    bomb = bytes(2**20)
    with zipfile.ZipFile(write(path, mapping(w=WHOLE)), "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/1", bomb)
    with pytest.raises(CheckpointError, match="'archive/data/1' is compressed"):
        read_state_dict(path)


def test_an_encrypted_record_is_refused(path: Path):
    with zipfile.ZipFile(write(path, mapping(w=WHOLE)), "a") as archive:
        archive.writestr("archive/version", b"3\n")
        archive.filelist[-1].flag_bits |= 0x1
    with pytest.raises(CheckpointError, match="'archive/version' is compressed or encrypted"):
        read_state_dict(path)


def test_overlapping_records_are_refused(path: Path):
    write(path, mapping(w=WHOLE))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("archive/data/1", bytes(10_000))
        for key in range(2, 9):
            twin = zipfile.ZipInfo(f"archive/data/{key}")
            for field in ("header_offset", "file_size", "compress_size", "CRC"):
                setattr(twin, field, getattr(archive.filelist[-1], field))
            archive.filelist.append(twin)
    with pytest.raises(CheckpointError, match="claim more bytes than the file has"):
        read_state_dict(path)


def test_records_of_one_name_are_refused(path: Path):
    write(path, mapping(w=WHOLE))
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("archive/data/0", BASE.tobytes())
    with pytest.raises(CheckpointError, match="several records of one name"):
        read_state_dict(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no torch file: it begins with b''"),
        (b"hello", "no torch file: it begins with b'hello'"),
        (pickle.dumps({"w": 1}), "no torch file"),
        (pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2), "legacy format.*weights_only=True"),
        (b"storages".ljust(257, b"\0") + b"ustar\0", "tar archive.*if you trust.*weights_only=Fal"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    ],
)
def test_other_formats_are_named(path: Path, content: bytes, message: str):
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=message) as caught:
        read_state_dict(path)
    assert str(path) in str(caught.value)


def test_every_truncation_is_refused(path: Path):
    whole = write(path, mapping(w=WHOLE)).read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"truncated|no torch file"):
            read_state_dict(path)


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1)
)
def test_no_damage_causes_another_error(path: Path, changes: list[tuple[float, int]]):
    write(path, mapping(w=WHOLE, v=tensor(storage(), (4, 6), (6, 1))))
    content = bytearray(path.read_bytes())
    for place, byte in changes:
        content[int(place * len(content))] = byte
    path.write_bytes(content)
    check_outcome(read_or_refusal(path), path)
