"""Arrays and records come back equal, and damage is noticed."""

import hashlib
import io
import json
import os
import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rrjax import store
from scripts.checks.bad_files import archive
from tests.store.test_files import full_disk

ARRAYS = {
    "exponents": np.linspace(-1, 1, 24, dtype=np.float32).reshape(8, 3),
    "solved": np.arange(8) % 2 == 0,
    "names": np.array(["a", "λ₁"]),
    "nothing": np.zeros((0, 4), dtype=np.int64),
    "number": np.float64(2.5),
    "not_finite": np.array([np.nan, np.inf, -np.inf]),
    # Names that NumPy's own `savez` would take for its options.
    "file": np.arange(3),
    "allow_pickle": np.arange(2),
}


def assert_equal_arrays(found, expected):
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == np.asarray(array).dtype


def test_a_record_comes_back_as_plain_values(tmp_path):
    record = {
        "n": np.int64(3),
        "a": np.array([[1.5, np.nan]]),
        "b": (np.True_, "λ"),
        "c": {"d": None},
    }
    store.write_json(tmp_path / "a.json", record)
    found = store.read_json(tmp_path / "a.json")
    assert found == {"n": 3, "a": [[1.5, None]], "b": [True, "λ"], "c": {"d": None}}


def test_infinities_survive_strict_json(tmp_path):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    store.write_json(tmp_path / "a.json", {"low": -np.inf, "high": np.float32(np.inf)})
    found = json.loads((tmp_path / "a.json").read_text(), parse_constant=refuse)
    assert {key: float(value) for key, value in found.items()} == {"low": -np.inf, "high": np.inf}


def test_what_json_cannot_hold_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(TypeError):
        store.write_json(tmp_path / "a.json", {"a": object()})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b'{"a": 1', b"[1]", b"\xff\xfe\x00"])
def test_a_damaged_record_is_refused(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.json"):
        store.read_json(tmp_path / "a.json")


def test_arrays_come_back_equal(tmp_path):
    store.write_arrays(tmp_path / "a.npz", ARRAYS)
    assert_equal_arrays(store.read_arrays(tmp_path / "a.npz"), ARRAYS)
    with np.load(tmp_path / "a.npz") as file:
        assert_equal_arrays(dict(file.items()), ARRAYS)


@given(
    st.dictionaries(
        st.sampled_from(["a", "b.c", "d/e"]),
        hnp.arrays(hnp.scalar_dtypes(), hnp.array_shapes(min_dims=0, max_dims=3, min_side=0)),
    )
)
@settings(max_examples=50, deadline=None)
def test_any_plain_arrays_come_back_equal(tmp_path_factory, arrays):
    path = tmp_path_factory.mktemp("arrays") / "a.npz"
    store.write_arrays(path, arrays)
    assert_equal_arrays(store.read_arrays(path), arrays)


def test_equal_arrays_give_equal_bytes(tmp_path):
    first = store.write_arrays(tmp_path / "a.npz", ARRAYS)
    second = store.write_arrays(tmp_path / "b.npz", ARRAYS)
    assert first == second
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert store.write_arrays(tmp_path / "c.npz", {"file": np.arange(4)}) != first


@pytest.mark.parametrize(
    "array",
    [np.array([None]), np.zeros(2, dtype=ml_dtypes.bfloat16), np.zeros(2, dtype=[("x", "f4")])],
)
def test_arrays_that_would_not_come_back_are_refused(tmp_path, array):
    with pytest.raises(ValueError, match=r"arrays\['x'\] has type"):
        store.write_arrays(tmp_path / "a.npz", {"x": array})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "function",
    [store.read_arrays, store.read_result, lambda path: store.write_arrays(path, {})],
)
def test_another_ending_is_refused(tmp_path, function):
    with pytest.raises(ValueError, match=r"must end in \.npz"):
        function(tmp_path / "a.json")


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_a_truncated_file_is_refused(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("truncated") / "a.npz"
    store.write_arrays(path, ARRAYS)
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(ValueError, match=r"a\.npz is truncated or damaged"):
        store.read_arrays(path)


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_a_changed_byte_is_refused(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("changed") / "a.npz"
    store.write_arrays(path, ARRAYS)
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.npz is truncated or damaged"):
        store.read_arrays(path)


def test_a_file_of_another_program_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros(3))
    with pytest.raises(ValueError, match="was not written by rrjax"):
        store.read_arrays(tmp_path / "a.npz")


def test_a_pickle_with_a_right_digest_is_refused_unread(tmp_path):
    class Trap:
        def __reduce__(self):
            return Path.touch, (tmp_path / "sprung",)

    buffer = io.BytesIO()
    np.savez(buffer, trap=np.array([Trap()], dtype=object))
    # The comment's length stands in the last two bytes.
    content = buffer.getvalue()[:-2] + (64).to_bytes(2, "little")
    digest = hashlib.sha256(content).hexdigest()
    (tmp_path / "a.npz").write_bytes(content + digest.encode())
    with pytest.raises(ValueError, match="allow_pickle=False"):
        store.read_arrays(tmp_path / "a.npz")
    assert not (tmp_path / "sprung").exists()


def npy(header: bytes) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header


@pytest.mark.parametrize(
    "data",
    [
        archive({"a.npy": npy(b"(" * 9000 + b")" * 9000)}),
        archive({"a.npy": npy(b"-" * 9999 + b"1")}),
        archive({"a.npy": npy(b"[1, 2]")}),
        archive({"a.npy": npy(b"{'descr': '|u1', 'fortran_order': False, 'shape': (10**15,)}")}),
        archive({"a.npy": b"text"}),
        archive({"a.txt": b"text"}),
        archive({"a.npy": bytes(10**6)}, zipfile.ZIP_DEFLATED),
        b"text" + hashlib.sha256(b"text").hexdigest().encode(),
    ],
    ids=[
        *("parentheses", "minus signs", "a list", "a large shape", "no array", "another file"),
        *("compressed", "no archive"),
    ],
)
def test_a_right_digest_of_wrong_content_is_refused(tmp_path, data):
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises(ValueError, match=r"a\.npz holds no arrays as rrjax writes them"):
        store.read_arrays(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({}, "expected an integer as the entry a.b, found none"),
        ({"a": 3}, "expected an integer as the entry a.b, found none"),
        ({"a": {"b": True}}, "expected an integer as the entry a.b, found true or false"),
        ({"a": {"b": 1}, "c": []}, "expected a text as the entry c, found a list"),
    ],
)
def test_entries_of_another_type_are_refused_by_name(record, words):
    store.check_entries({"a": {"b": 1}}, {"a.b": int, "c?": str}, "file.json")
    with pytest.raises(ValueError, match=f"^file.json: {words}$"):
        store.check_entries(record, {"a.b": int, "c?": str}, "file.json")


def test_an_absent_file_is_called_absent(tmp_path):
    with pytest.raises(FileNotFoundError):
        store.read_arrays(tmp_path / "a.npz")
    with pytest.raises(FileNotFoundError):
        store.read_json(tmp_path / "a.json")


def test_a_result_comes_back_with_its_record(tmp_path):
    store.write_result(tmp_path / "a.npz", ARRAYS, {"clock": "update"})
    arrays, record = store.read_result(tmp_path / "a.npz")
    assert_equal_arrays(arrays, ARRAYS)
    digest = hashlib.sha256((tmp_path / "a.npz").read_bytes()).hexdigest()
    assert record == {"clock": "update", "sha256": digest}


@pytest.mark.parametrize("ending", ["npz", "json"])
def test_half_a_result_is_called_absent(tmp_path, ending):
    store.write_result(tmp_path / "a.npz", ARRAYS, {})
    (tmp_path / f"a.{ending}").unlink()
    with pytest.raises(FileNotFoundError, match=rf"a\.{ending}"):
        store.read_result(tmp_path / "a.npz")


def test_a_damaged_result_is_called_damaged(tmp_path):
    store.write_result(tmp_path / "a.npz", ARRAYS, {})
    (tmp_path / "a.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:-1])
    with pytest.raises(ValueError, match="truncated or damaged"):
        store.read_result(tmp_path / "a.npz")


def test_a_record_that_cannot_be_written_leaves_a_pair_that_is_refused(tmp_path, monkeypatch):
    store.write_result(tmp_path / "a.npz", {"x": np.zeros(1)}, {})
    replace, calls = os.replace, []

    def fail_the_second(source, target):
        calls.append(target)
        return replace(source, target) if len(calls) == 1 else full_disk()

    monkeypatch.setattr(os, "replace", fail_the_second)
    with pytest.raises(OSError, match=r"a\.json"):
        store.write_result(tmp_path / "a.npz", {"x": np.ones(1)}, {})
    with pytest.raises(ValueError, match=r"not the file that a\.json describes"):
        store.read_result(tmp_path / "a.npz")
    assert sorted(item.name for item in tmp_path.iterdir()) == ["a.json", "a.npz"]


def test_another_format_is_refused_by_name():
    record = {**store.format_entry("model", 1), "config": {}}
    store.check_format(record, "model", 1, "here")
    for kind, version in (("model", 2), ("spectrum", 1)):
        with pytest.raises(ValueError, match=f"here has the format 'model 1'.*'{kind} {version}'"):
            store.check_format(record, kind, version, "here")
    with pytest.raises(ValueError, match="here names no format"):
        store.check_format({"config": {}}, "model", 1, "here")


def test_a_digest_is_that_of_kind_shape_and_every_row(monkeypatch):
    array = np.arange(21, dtype=np.int16).reshape(7, 3)
    expected = hashlib.sha256(b"<i2(7, 3)" + array.tobytes()).hexdigest()
    assert store.digest_arrays(array) == expected
    monkeypatch.setattr("rrjax.store.records._ROWS_AT_ONCE", 2)
    assert store.digest_arrays(array) == expected
    assert store.digest_arrays(array.astype(np.int64), dtype=np.int16) == expected
    assert store.digest_arrays(array[:6]) != expected


def test_a_record_is_replaced_without_its_arrays(tmp_path):
    path = tmp_path / "results.npz"
    store.write_result(path, ARRAYS, {"seed": 1})
    before = path.stat()
    store.write_record(path, {"seed": 1, "summary": {"auc": 0.5}})
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    arrays, record = store.read_result(path)
    assert_equal_arrays(arrays, ARRAYS)
    assert (record["seed"], record["summary"]) == (1, {"auc": 0.5})
