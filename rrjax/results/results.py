"""Finished results: arrays with named axes and units, and how they were made."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rrjax.store import read_result, write_bytes_atomically

if TYPE_CHECKING:
    import xarray

FILE = "results.npz"
COUNTED_FROM_1 = ("segment", "update", "exponent")
"""Axes that are times or ranks, as the papers count them; the others are places, from 0, as they
stand in the arrays."""


@dataclass(frozen=True, repr=False, eq=False)
class Results(Mapping[str, np.ndarray]):
    """The arrays of one result, by name, and its record.

    `results["exponents"]` is a NumPy array; `repr(results)` says how it was made and what is in it.

    Attributes:
      arrays: by name.
      record: what the JSON beside them says: model, options, versions, summary.
      path: of the `.npz` file.
    """

    arrays: dict[str, np.ndarray]
    record: dict[str, Any]
    path: Path

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self.arrays:
            raise KeyError(f"{name!r} is none of the arrays of {self.path}: {', '.join(self)}")
        return self.arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.arrays)

    def __len__(self) -> int:
        return len(self.arrays)

    def __repr__(self) -> str:
        rows = [f"  {name}: {self._described(name)}" for name in self]
        return "\n".join([self.how_made, f"{self.path} holds", *rows])

    @property
    def command(self) -> str:
        """What made them, such as `rrjax spectrum`."""
        words = self.record.get("made_by", {}).get("command", ["an unknown program"])
        job = self.record.get("command")
        return f"rrjax {job}" if job else " ".join(words[:2])

    @property
    def axes(self) -> dict[str, tuple[str, ...]]:
        """The names of each array's axes.

        Raises:
          ValueError: for results that do not say.
        """
        return {name: tuple(axes) for name, axes in self._of_arrays("axes").items()}

    @property
    def units(self) -> dict[str, str]:
        """The unit of each array, in words.

        Raises:
          ValueError: for results that do not say.
        """
        return self._of_arrays("units")

    @property
    def how_made(self) -> str:
        """A few lines: the command, the model, options and versions."""
        made_by = self.record.get("made_by", {})
        lines = [f"{self.command}, {made_by.get('time_utc', 'at an unknown time')}"]
        if "model" in self.record:
            lines.append(_model_line(self.record["model"]))
        lines.append(f"options: {_pairs(self.record.get('options', {}))}")
        lines.append(f"made with {_pairs(made_by.get('versions', {}), ' ')}{_source(made_by)}")
        return "\n".join(lines)

    def to_xarray(self) -> "xarray.Dataset":
        """The arrays with named axes, `units` as attributes and the record as JSON.

        Segments, updates and exponents have coordinates counted from 1, all other axes from 0.
        The attribute `record` of the data set is the record; `json.loads` reads it.

        Raises:
          ModuleNotFoundError: without xarray, saying how to install it.
          ValueError: for results that do not name their axes.
        """
        xarray = _import_xarray()
        axes, units = self.axes, self.units
        variables = {
            name: (axes[name], array, {"units": units[name]}) for name, array in self.items()
        }
        sizes = {
            axis: size
            for name in self
            for axis, size in zip(axes[name], self[name].shape, strict=True)
        }
        coordinates = {
            axis: np.arange(size) + (axis in COUNTED_FROM_1)
            for axis, size in sizes.items()
            if axis not in variables
        }
        attributes = {
            "title": self.command,
            "history": self.how_made,
            "record": json.dumps(self.record, ensure_ascii=False),
        }
        return xarray.Dataset(variables, coordinates, attributes)

    def to_netcdf(self, path: str | Path) -> None:
        """Write `to_xarray` as a netCDF-4 file, whole or not at all.

        `xarray.open_dataset(path, engine="h5netcdf")` reads equal values back, booleans too.

        Raises:
          ModuleNotFoundError: without xarray and h5netcdf, saying how to install them.
          ValueError: for a path that does not end in `.nc`, or results that do not name their axes.
          OSError: as `rrjax.store.write_bytes_atomically`.
        """
        if Path(path).suffix != ".nc":
            raise ValueError(f"path must end in .nc; got {path}")
        content = self.to_xarray().to_netcdf(engine="h5netcdf")
        write_bytes_atomically(path, bytes(content))

    def _of_arrays(self, key: str) -> dict[str, Any]:
        said = self.record.get(key)
        missing = [name for name in self if not isinstance(said, dict) or name not in said]
        if not isinstance(said, dict) or missing:
            raise ValueError(
                f"{self.path} does not say the {key} of {', '.join(missing)}: it was made by "
                f"{self.command} before results did; run that again"
            )
        return said

    def _described(self, name: str) -> str:
        array = self[name]
        try:
            axes, unit = self.axes[name], f", {self.units[name]}"
        except ValueError:
            axes, unit = ("?",) * array.ndim, ""
        shape = ", ".join(f"{axis} {n}" for axis, n in zip(axes, array.shape, strict=True))
        return f"({shape}) {array.dtype}{unit}"


def load_results(path: str | Path) -> Results:
    """Returns the results that a command of rrjax wrote.

    Args:
      path: the `.npz` file, or the folder with `results.npz` in it.

    Raises:
      FileNotFoundError: if there is none, or no record beside it.
      ValueError: for a file that is damaged, of another program, or not that of its record.
    """
    path = Path(path)
    file = path / FILE if path.is_dir() else path
    if not file.exists():
        raise FileNotFoundError(_missing(path))
    if file.suffix != ".npz":
        raise ValueError(f"{file} is no result: expected an .npz file, or the folder it is in")
    record = file.with_suffix(".json")
    if not record.exists():
        raise FileNotFoundError(
            f"{file} has no record {record.name} beside it, which says how it was made: it is of "
            "another program, or the two were separated; numpy.load reads the numbers alone"
        )
    return Results(*read_result(file), path=file)


def _missing(path: Path) -> str:
    if not path.is_dir():
        return f"{path}: no such file or folder; expected an .npz file of results, or its folder"
    if (path / "sweep.json").exists():
        return f"{path} holds an unfinished run: the command that began it continues it"
    return f"{path} holds no {FILE}: expected the folder that a command of rrjax wrote (--out)"


def _model_line(model: Mapping[str, Any]) -> str:
    provenance = model.get("provenance", {})
    words = [f"{key}: {value}" for key, value in provenance.items() if not isinstance(value, dict)]
    rest = [key for key, value in provenance.items() if isinstance(value, dict)]
    more = f"; the record says of {', '.join(rest)}" if rest else ""
    said = "; ".join(words)
    return f"model {model.get('name')}, sha256 {model.get('sha256')}" + (
        f" ({said}{more})" if said or more else ""
    )


def _pairs(values: Mapping[str, Any], sign: str = "=") -> str:
    return ", ".join(f"{key}{sign}{value}" for key, value in values.items() if value is not None)


def _source(made_by: Mapping[str, Any]) -> str:
    device = f" on {made_by['device_kind']}" if "device_kind" in made_by else ""
    git = made_by.get("git")
    if not git:
        return device
    return f"{device}, commit {git['commit']}{' with changes' if git['dirty'] else ''}"


def _import_xarray() -> Any:
    try:
        import h5netcdf  # noqa: F401 - which xarray would miss only when it writes
        import xarray
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{error.name} is missing: pip install 'rrjax[results]'", name=error.name
        ) from error
    return xarray
