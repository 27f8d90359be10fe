"""Results of an experiment: arrays with named axes and units, and how they were made."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from rrjax.results import export
from rrjax.results.axes import check_axes
from rrjax.store import (
    Arrays,
    check_entries,
    check_format,
    format_entry,
    read_result,
    write_record,
    write_result,
)
from rrjax.store.records import plain

if TYPE_CHECKING:
    import xarray

FILE = "results.npz"
_RECORD = {
    **dict.fromkeys(("axes", "units", "options", "made_by", "made_by.versions"), dict),
    **dict.fromkeys(("model?", "model.provenance?", "puzzles?"), dict),
    **dict.fromkeys(("experiment", "made_by.time_utc", "model.name?", "answer?", "clock?"), str),
    **dict.fromkeys(
        ("puzzles.vocab_size?", "options.num_segments?", "updates_per_segment?", "dimension?"), int
    ),
    "made_by.command?": list,
}
"""The types of the entries of a record that are read."""

FORMAT = 2
"""The number of the format of results files; it rises when older files can no longer be read."""


@runtime_checkable
class Experiment(Protocol):
    """What results need of the experiment that made them (`rrjax.experiments.experiment`)."""

    def summarize(self, results: "Results", **options: Any) -> Any:
        """Returns the numbers of the experiment's tables, in an object that prints as these."""
        ...

    def draw(self, results: "Results", **options: Any) -> Any:
        """Returns the experiment's figures by name."""
        ...

    def report_panels(self, results: "Results") -> list[Any]:
        """Returns the charts of the experiment's own that stand in the report."""
        ...

    def report(self, results: "Results") -> Any:
        """Returns the interactive report, which `save` writes and a notebook shows."""
        ...


class Results(Mapping[str, np.ndarray]):
    """The arrays of one result by name, and its record.

    `results.exponents` and `results["exponents"]` are the same NumPy array; `print(results)` shows
    how the result was made and what is in it.

    Attributes:
      arrays: The arrays by name.
      record: How the result was made: model, options, versions, axes and units, as JSON holds it.
      experiment: The experiment that made the result, which brings its tables, figures and report.
      path: The `.npz` file, or None for a result that is in memory only.
    """

    def __init__(
        self,
        arrays: Arrays,
        record: Mapping[str, Any],
        experiment: Experiment | None = None,
        path: Path | None = None,
    ):
        self.arrays, self.record = arrays, plain(record)
        self.experiment, self.path = experiment, path

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self.arrays:
            where = self.path or "these results"
            raise KeyError(f"{name!r} is none of the arrays of {where}: {', '.join(self)}")
        return self.arrays[name]

    def __getattr__(self, name: str) -> np.ndarray:
        if name.startswith("_") or name == "arrays":  # asked for by copy and pickle
            raise AttributeError(name)
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(error.args[0]) from None

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self]

    def __iter__(self) -> Iterator[str]:
        return iter(self.arrays)

    def __len__(self) -> int:
        return len(self.arrays)

    def __repr__(self) -> str:
        model = f" of {self.record['model']['name']}" if "model" in self.record else ""
        shapes = ", ".join(f"{name} {array.shape}" for name, array in self.arrays.items())
        return f"Results({self.record['experiment']}{model}: {shapes})"

    def __str__(self) -> str:
        lines = [f"  {name}: {self._describe(name)}" for name in self]
        return "\n".join([self.how_made, f"{self.path or 'in memory'} holds", *lines])

    @property
    def axes(self) -> dict[str, tuple[str, ...]]:
        """The names of each array's axes."""
        return {name: tuple(axes) for name, axes in self.record["axes"].items()}

    @property
    def units(self) -> dict[str, str]:
        """The unit of each array, in words."""
        return self.record["units"]

    @property
    def answer_drift(self) -> str:
        """The name of the drift of the state that answers are read from, such as `drift_z_H`."""
        return f"drift_{self.record['answer']}"

    @property
    def how_made(self) -> str:
        """A few lines that name the experiment, the model, the options and the versions."""
        made_by = self.record["made_by"]
        lines = [f"rrjax {self.record['experiment']}, {made_by['time_utc']}"]
        if "model" in self.record:
            lines.append(_model_line(self.record["model"]))
        lines.append(f"options: {_pairs(self.record['options'])}")
        lines.append(f"made with {_pairs(made_by['versions'], ' ')}{_source(made_by)}")
        return "\n".join(lines)

    def summary(self, **options: Any) -> Any:
        """Returns the numbers of the experiment's tables, in an object that prints as these tables.

        Args:
          options: What the experiment's `summarize` takes, such as `readout_segment` of a rollout.

        Raises:
          ValueError: No experiment is known, or the options do not fit the result.
        """
        return self._known_experiment().summarize(self, **options)

    def plot(self, **options: Any) -> Any:
        """Returns the experiment's figures by name; a notebook shows them, `.save(folder)` writes.

        Raises:
          ModuleNotFoundError: Matplotlib is missing; the message says how to install it.
          ValueError: No experiment is known, or the options do not fit the result.
        """
        return self._known_experiment().draw(self, **options)

    def report(self, path: str | Path | None = None) -> Any:
        """Returns the interactive report, one HTML page that works offline; a notebook shows it.

        Args:
          path: The file that it is also written to, or None.

        Raises:
          ModuleNotFoundError: Altair or vl-convert-python is missing; the message says how to
            install them.
          OSError: The file cannot be written.
          ValueError: No experiment is known, or a report does not show its results.
        """
        page = self._known_experiment().report(self)
        return page if path is None else page.save(path)

    def save(self, path: str | Path) -> None:
        """Writes the arrays and, beside them, the record as JSON, each whole or not at all.

        Args:
          path: A folder, which gets `results.npz` and `results.json`, or a name that ends in
            `.npz`.

        Raises:
          OSError: The files cannot be written.
        """
        path = Path(path)
        self.path = path if path.suffix == ".npz" else path / FILE
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_result(self.path, self.arrays, self._formatted_record())

    def save_summary(self, summary: Any) -> None:
        """Keeps what `summary` returned in the record, and in its file where results are saved."""
        self.record["summary"] = plain(summary.as_record())
        if self.path is not None:
            write_record(self.path, self._formatted_record())

    def _formatted_record(self) -> dict[str, Any]:
        return {**format_entry("results", FORMAT), **self.record}

    def to_xarray(self) -> "xarray.Dataset":
        """Returns an xarray data set with named axes, `units` as attributes and the record as JSON.

        Segments, updates and exponents have coordinates counted from 1, all other axes from 0.
        The attribute `record` of the data set is the record; `json.loads` reads it.

        Raises:
          ModuleNotFoundError: Xarray or h5netcdf is missing; the message says how to install it.
        """
        return export.to_xarray(self)

    def to_netcdf(self, path: str | Path) -> None:
        """Writes `to_xarray` as a netCDF-4 file, whole or not at all.

        `xarray.open_dataset(path, engine="h5netcdf")` reads equal values back, booleans too.

        Raises:
          ModuleNotFoundError: Xarray or h5netcdf is missing; the message says how to install it.
          ValueError: The path does not end in `.nc`.
          OSError: The file cannot be written.
        """
        export.to_netcdf(self.to_xarray(), path)

    def _known_experiment(self) -> Experiment:
        if self.experiment is None:
            raise ValueError(
                "these results do not know their experiment: read them with rrjax.load_results"
            )
        return self.experiment

    def _describe(self, name: str) -> str:
        array = self[name]
        axes = zip(self.axes[name], array.shape, strict=True)
        shape = ", ".join(f"{axis} {size}" for axis, size in axes)
        return f"({shape}) {array.dtype}, {self.units[name]}"


def read_results(path: str | Path) -> Results:
    """Returns the results in a file or folder, without the experiment that made them.

    Args:
      path: The `.npz` file, or the folder with `results.npz` in it.

    Raises:
      FileNotFoundError: There is no such file, or no record beside it.
      ValueError: The file is damaged, of another program or format, or not that of its record.
    """
    path = Path(path)
    file = path / FILE if path.is_dir() else path
    if not file.exists():
        raise FileNotFoundError(_explain_missing(path))
    if file.suffix != ".npz":
        raise ValueError(
            f"{file} is not a result: expected an .npz file, or the folder that holds it"
        )
    record_file = file.with_suffix(".json")
    if not record_file.exists():
        raise FileNotFoundError(
            f"{file} has no record {record_file.name} beside it, which says how it was made: it is "
            "of another program, or the two were separated; numpy.load reads the numbers alone"
        )
    arrays, record = read_result(file)
    check_format(record, "results", FORMAT, record_file)
    check_entries(record, _RECORD, record_file)
    try:
        check_axes(arrays, record["axes"])
    except (ValueError, TypeError) as error:
        raise ValueError(f"{file} does not hold what its record says: {error}") from None
    return Results(arrays, record, path=file)


def _explain_missing(path: Path) -> str:
    if not path.is_dir():
        return f"{path}: no such file or folder; expected an .npz file of results, or its folder"
    if (path / "sweep.json").exists():
        return f"{path} holds an unfinished run: the command that began it continues it"
    return f"{path} holds no {FILE}: expected the folder that a command of rrjax wrote (--out)"


def _model_line(model: Mapping[str, Any]) -> str:
    provenance = model["provenance"]
    words = [f"{key}: {value}" for key, value in provenance.items() if not isinstance(value, dict)]
    nested = [key for key, value in provenance.items() if isinstance(value, dict)]
    if nested:
        words.append(f"the record tells of {', '.join(nested)}")
    details = f" ({'; '.join(words)})" if words else ""
    return f"model {model['name']}, sha256 {model['sha256']}{details}"


def _pairs(values: Mapping[str, Any], sign: str = "=") -> str:
    return ", ".join(f"{key}{sign}{value}" for key, value in values.items() if value is not None)


def _source(made_by: Mapping[str, Any]) -> str:
    device = f" on {made_by['device_kind']}" if "device_kind" in made_by else ""
    git = made_by.get("git")
    if not git:
        return device
    return f"{device}, commit {git['commit']}{' with changes' if git['dirty'] else ''}"
