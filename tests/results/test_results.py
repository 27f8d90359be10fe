"""Results load in one line, say how they were made, and go through netCDF unchanged."""

import copy
import json
import sys
from pathlib import Path

import numpy as np
import pytest

import rrjax
from rrjax.results.results import read_results
from rrjax.store import write_arrays, write_json, write_result
from tests.tools.tiny import snapshot

ARRAYS = {
    "exponents": np.array([[0.5, -np.inf, np.nan], [0.1, 0.0, -2.0]], np.float32),
    "solved": np.array([True, False]),
    "solved_by_segment": np.array([[False, True], [False, False]]),
    "inputs": np.array([[1, 255], [2, 3]], np.uint8),
    "failed_at": np.array([-1, 7], np.int32),
    "violations": np.array([[3, 0], [-4, 5]], np.int16),
    "wide": np.array([1 / 3, 2.0]),
}
AXES = {
    "exponents": ["puzzle", "exponent"],
    "solved": ["puzzle"],
    "solved_by_segment": ["puzzle", "segment"],
    "inputs": ["puzzle", "cell"],
    "failed_at": ["puzzle"],
    "violations": ["puzzle", "segment"],
    "wide": ["puzzle"],
}
RECORD = {
    "format": "results 2",
    "experiment": "spectrum",
    "answer": "z_H",
    "model": {
        "name": "trm-tiny",
        "sha256": "ab" * 32,
        "provenance": {"step": 900, "trained": {"lr": 0.001}},
    },
    "options": {"num_segments": 2, "seed": 0, "board": None},
    "axes": AXES,
    "units": {name: f"unit of {name}" for name in ARRAYS},
    "made_by": {
        "versions": {"rrjax": "0.1.0", "jax": "0.10.2"},
        "device_kind": "cpu",
        "time_utc": "2026-01-01T00:00:00+00:00",
        "command": ["rrjax", "spectrum", "trm-tiny"],
        "git": {"commit": "c0ffee", "dirty": True},
    },
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_result(tmp_path / "results.npz", ARRAYS, RECORD)
    return tmp_path


def test_a_folder_or_its_file_loads_in_one_line(folder):
    for path in (folder, str(folder), folder / "results.npz"):
        results = rrjax.load_results(path)
        assert results.path == folder / "results.npz"
        assert dict(results).keys() == ARRAYS.keys()
        for name, array in ARRAYS.items():
            np.testing.assert_array_equal(results[name], array)
            assert results[name].dtype == array.dtype
    assert results.record["options"] == RECORD["options"]
    assert (len(results), "solved" in results, "drift" in results) == (7, True, False)
    assert results.axes["inputs"] == ("puzzle", "cell")
    assert results.units["wide"] == "unit of wide"
    with pytest.raises(KeyError, match=r"'drift' is none of the arrays of .*: exponents, solved"):
        results["drift"]


def test_they_say_how_they_were_made(folder):
    results = rrjax.load_results(folder)
    assert results.how_made.splitlines() == [
        "rrjax spectrum, 2026-01-01T00:00:00+00:00",
        f"model trm-tiny, sha256 {'ab' * 32} (step: 900; the record tells of trained)",
        "options: num_segments=2, seed=0",
        "made with rrjax 0.1.0, jax 0.10.2 on cpu, commit c0ffee with changes",
    ]
    assert str(results).startswith(results.how_made)
    assert "  exponents: (puzzle 2, exponent 3) float32, unit of exponents\n" in str(results)
    assert "exponents (2, 3)" in repr(results)
    assert "\n" not in repr(results)


def test_another_format_is_refused_by_name(folder):
    write_result(folder / "results.npz", ARRAYS, RECORD | {"format": "results 1"})
    with pytest.raises(ValueError, match=r"results\.json has the format 'results 1', but this"):
        rrjax.load_results(folder)
    write_result(folder / "results.npz", ARRAYS, {})
    with pytest.raises(ValueError, match=r"results\.json names no format"):
        rrjax.load_results(folder)


def test_arrays_are_attributes_and_a_saved_result_is_the_same(folder, tmp_path):
    results = rrjax.load_results(folder)
    assert results.exponents is results["exponents"]
    assert "exponents" in dir(results)
    with pytest.raises(AttributeError, match="'drift' is none of the arrays"):
        _ = results.drift
    copied = copy.deepcopy(results)
    copied.save(tmp_path / "copy")
    again = rrjax.load_results(tmp_path / "copy")
    assert again.path == tmp_path / "copy" / "results.npz"
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(again[name], array)
    assert again.record == results.record
    assert again.experiment is results.experiment


def test_results_without_an_experiment_have_no_tables(folder):
    with pytest.raises(ValueError, match="do not know their experiment"):
        read_results(folder).summary()


def test_xarray_has_axes_units_coordinates_and_the_record(folder):
    data = rrjax.load_results(folder).to_xarray()
    assert {name: list(array.dims) for name, array in data.data_vars.items()} == AXES
    assert data["wide"].attrs == {"units": "unit of wide"}
    assert json.loads(data.attrs["record"])["made_by"] == RECORD["made_by"]
    assert data.attrs["title"] == "rrjax spectrum"
    assert {name: axis.values.tolist() for name, axis in data.coords.items()} == {
        "puzzle": [0, 1],
        "cell": [0, 1],
        "segment": [1, 2],
        "exponent": [1, 2, 3],
    }
    assert data["solved_by_segment"].sel(puzzle=0, segment=2).item() is True


def test_an_array_can_be_the_coordinate_of_its_axis(tmp_path):
    axes, units = {"sigma": ["sigma"], "a": ["sigma"]}, {"sigma": "1", "a": "1"}
    record = RECORD | {"axes": axes, "units": units}
    write_result(tmp_path / "results.npz", {"sigma": [0.1, 0.3], "a": [1.0, 2.0]}, record)
    data = rrjax.load_results(tmp_path).to_xarray()
    assert data["a"].sel(sigma=0.3).item() == 2.0


def test_netcdf_reads_back_equal(folder):
    import xarray

    results = rrjax.load_results(folder)
    results.to_netcdf(folder / "results.nc")
    with xarray.open_dataset(folder / "results.nc", engine="h5netcdf") as data:
        for name, array in ARRAYS.items():
            np.testing.assert_array_equal(data[name].values, array)
            assert data[name].dtype == array.dtype
            assert list(data[name].dims) == AXES[name]
            assert data[name].attrs["units"] == f"unit of {name}"
        assert json.loads(data.attrs["record"]) == results.record
        assert data["segment"].values.tolist() == [1, 2]


def test_a_long_record_goes_into_netcdf(tmp_path):
    # attributes of classic HDF5 end at 64 KiB
    import xarray

    record = RECORD | {"summary": ["λ" * 100] * 2000}
    write_result(tmp_path / "results.npz", ARRAYS, record)
    rrjax.load_results(tmp_path).to_netcdf(tmp_path / "a.nc")
    with xarray.open_dataset(tmp_path / "a.nc", engine="h5netcdf") as data:
        assert json.loads(data.attrs["record"])["summary"] == record["summary"]


def test_netcdf_appears_whole_or_not_at_all(folder, monkeypatch):
    results, before = rrjax.load_results(folder), snapshot(folder)
    with pytest.raises(ValueError, match=r"path must end in \.nc; got results\.npz"):
        results.to_netcdf("results.npz")

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OSError, match=r"cannot write .*results\.nc: No space"):
        results.to_netcdf(folder / "results.nc")
    assert snapshot(folder) == before


@pytest.mark.parametrize("module", ["xarray", "h5netcdf"])
def test_without_the_extra_it_is_named(folder, monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ModuleNotFoundError, match=f"{module} is missing: pip install xarray h5n"):
        rrjax.load_results(folder).to_xarray()


def test_nothing_there_is_said_in_words(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file or folder; expected an"):
        rrjax.load_results(tmp_path / "absent")
    with pytest.raises(FileNotFoundError, match=r"holds no results\.npz: expected the folder"):
        rrjax.load_results(tmp_path)
    write_json(tmp_path / "sweep.json", {})
    with pytest.raises(FileNotFoundError, match="holds an unfinished run: the command"):
        rrjax.load_results(tmp_path)


def test_what_is_no_result_is_said_in_words(folder):
    with pytest.raises(ValueError, match=r"results\.json is not a result: expected an \.npz"):
        rrjax.load_results(folder / "results.json")
    (folder / "results.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"has no record results\.json beside it"):
        rrjax.load_results(folder)
    write_json(folder / "results.json", {})
    np.savez(folder / "results.npz", a=np.zeros(3))
    with pytest.raises(ValueError, match="was not written by rrjax"):
        rrjax.load_results(folder)


def test_damage_is_seen(folder):
    data = bytearray((folder / "results.npz").read_bytes())
    data[60] ^= 1
    (folder / "results.npz").write_bytes(bytes(data))
    with pytest.raises(ValueError, match="truncated or damaged"):
        rrjax.load_results(folder)
    write_arrays(folder / "results.npz", {"a": np.zeros(2)})
    with pytest.raises(ValueError, match=r"is not the file that results\.json describes"):
        rrjax.load_results(folder)
