"""Results as xarray data sets and netCDF files."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rrjax.store import write_bytes_atomically

if TYPE_CHECKING:
    import xarray

    from rrjax.results.results import Results

COUNTED_FROM_1 = ("segment", "update", "exponent")
"""Axes that are times or ranks, which the papers count from 1; other axes are places, from 0."""


def to_xarray(results: "Results") -> "xarray.Dataset":
    """Returns results as `Results.to_xarray` describes.

    An array that has the name of its axis is the coordinate.
    """
    try:
        import h5netcdf  # noqa: F401 - which xarray would miss only when it writes
        import xarray
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{error.name} is missing: pip install xarray h5netcdf h5py", name=error.name
        ) from error
    variables = {
        name: (results.axes[name], array, {"units": results.units[name]})
        for name, array in results.items()
    }
    sizes = {
        axis: size
        for axes, array, _ in variables.values()
        for axis, size in zip(axes, array.shape, strict=True)
    }
    coordinates = {
        axis: np.arange(size) + (axis in COUNTED_FROM_1)
        for axis, size in sizes.items()
        if axis not in variables
    }
    attributes = {
        "title": f"rrjax {results.record['experiment']}",
        "history": results.how_made,
        "record": json.dumps(results.record, ensure_ascii=False),
    }
    return xarray.Dataset(variables, coordinates, attributes)


def to_netcdf(data: "xarray.Dataset", path: str | Path) -> None:
    """Writes a data set as a netCDF-4 file, whole or not at all."""
    if Path(path).suffix != ".nc":
        raise ValueError(f"path must end in .nc; got {path}")
    write_bytes_atomically(path, bytes(data.to_netcdf(engine="h5netcdf")))
