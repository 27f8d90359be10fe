"""Results as xarray data sets and netCDF files."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rrjax.store import write_bytes_atomically

if TYPE_CHECKING:
    import xarray

COUNTED_FROM_1 = ("segment", "update", "exponent")
"""Axes that are times or ranks, which the papers count from 1; other axes are places, from 0."""


def to_xarray(
    arrays: Mapping[str, np.ndarray],
    axes: Mapping[str, tuple[str, ...]],
    units: Mapping[str, str],
    record: Mapping[str, Any],
    attributes: Mapping[str, str],
) -> "xarray.Dataset":
    """Returns arrays with named axes, their units as attributes, and the record as JSON.

    Segments, updates and exponents have coordinates counted from 1, all other axes from 0. An array
    that has the name of its axis is the coordinate.

    Raises:
      ModuleNotFoundError: xarray or h5netcdf is missing; the message says how to install it.
    """
    xarray = _import_xarray()
    variables = {
        name: (axes[name], array, {"units": units[name]}) for name, array in arrays.items()
    }
    sizes = {
        axis: size
        for name, array in arrays.items()
        for axis, size in zip(axes[name], array.shape, strict=True)
    }
    coordinates = {
        axis: np.arange(size) + (axis in COUNTED_FROM_1)
        for axis, size in sizes.items()
        if axis not in variables
    }
    text = json.dumps(record, ensure_ascii=False)
    return xarray.Dataset(variables, coordinates, {**attributes, "record": text})


def to_netcdf(data: "xarray.Dataset", path: str | Path) -> None:
    """Writes a data set as a netCDF-4 file, whole or not at all.

    Raises:
      ValueError: The path does not end in `.nc`.
      OSError: As `rrjax.store.write_bytes_atomically`.
    """
    if Path(path).suffix != ".nc":
        raise ValueError(f"path must end in .nc; got {path}")
    write_bytes_atomically(path, bytes(data.to_netcdf(engine="h5netcdf")))


def _import_xarray() -> Any:
    try:
        import h5netcdf  # noqa: F401 - which xarray would miss only when it writes
        import xarray
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{error.name} is missing: pip install 'rrjax[results]'", name=error.name
        ) from error
    return xarray
