"""The names that `import rrjax` offers: each is one documented object, whenever it is asked for."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import rrjax

INIT = Path(rrjax.__file__)


def typed_names() -> dict[str, str]:
    """The names that type checkers are told of, with the modules they are said to come from."""
    (block,) = (node for node in ast.parse(INIT.read_text()).body if isinstance(node, ast.If))
    imports = (node for node in block.body if isinstance(node, ast.ImportFrom))
    return {alias.name: str(node.module) for node in imports for alias in node.names}


def test_type_checkers_see_the_names_that_there_are():
    names = typed_names()
    assert sorted(names) == rrjax.__all__
    for name, module in names.items():
        assert getattr(rrjax, name) is getattr(sys.modules[module], name)
    assert set(rrjax.__all__) <= set(dir(rrjax))


def test_an_unknown_name_is_refused():
    with pytest.raises(AttributeError, match="module 'rrjax' has no attribute 'spectra'"):
        rrjax.spectra  # noqa: B018


def test_a_name_is_the_same_object_before_and_after_its_module_is_imported():
    code = """
import importlib, pkgutil, rrjax
first = {name: getattr(rrjax, name) for name in rrjax.__all__}
again = {name: getattr(rrjax, name) for name in rrjax.__all__}
for module in pkgutil.walk_packages(rrjax.__path__, "rrjax."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
last = {name: getattr(rrjax, name) for name in rrjax.__all__}
print([name for name in first if not first[name] is again[name] is last[name]])
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


@pytest.mark.parametrize("name", rrjax.__all__)
def test_a_public_name_says_what_it_is_or_returns(name: str):
    value = getattr(rrjax, name)
    text = inspect.getdoc(value) or ""
    assert text.partition("\n")[0].endswith((".", ":"))
    if inspect.isfunction(value):
        assert "eturns" in text, f"{name} does not say what it returns"
