"""The examples in the docstrings of all public functions give what they state."""

import doctest
import inspect
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import rrjax
from tests.docs.example_files import write_files
from tests.docs.test_site import PACKAGES, module

FUNCTIONS = {
    value: f"{package}.{name}"
    for package in PACKAGES
    for name in module(package).__all__
    if inspect.isfunction(value := getattr(module(package), name))
}
"""Every public function of the project, with a name of it."""

OTHERS = {"rrjax.flossing.EVERYTHING"}
"""Functions of JAX that are handed on."""

LONG = {
    f"rrjax.experiments.{name}"
    for name in (
        "circuits",
        "erase",
        "fixed_points",
        "growth",
        "logits",
        "meaning",
        "mixing",
        "patching",
    )
}
"""Functions whose programs take long to compile."""

ASSUMED = {"jax": jax, "jnp": jnp, "np": np, "optax": optax, "rrjax": rrjax}
"""What examples take as imported, as the page of the reference says."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where examples run: finished runs lie in it."""
    folder = tmp_path_factory.mktemp("examples")
    write_files(folder)
    return folder


@pytest.mark.parametrize(
    "function",
    [
        pytest.param(function, id=name, marks=[pytest.mark.slow] if name in LONG else [])
        for function, name in FUNCTIONS.items()
    ],
)
def test_a_public_function_has_an_example_that_runs(function, folder, monkeypatch):
    if FUNCTIONS[function] in OTHERS:
        return
    monkeypatch.chdir(folder)
    text = inspect.getdoc(function) or ""
    example = doctest.DocTestParser().get_doctest(text, dict(ASSUMED), FUNCTIONS[function], None, 0)
    assert example.examples, "its docstring has no example"
    report = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS, verbose=False)
    assert not runner.run(example, out=report.append).failed, "".join(report)
