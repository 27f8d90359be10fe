"""The pages: the reference has every public name, and tutorials are scripts with a solution."""

import ast
import importlib
import re
from pathlib import Path

import pytest

import rrjax

DOCS = Path(__file__).parents[2] / "docs"
PACKAGES = (
    *("rrjax", "rrjax.analysis", "rrjax.cells", "rrjax.experiments", "rrjax.flossing"),
    *("rrjax.inside", "rrjax.plots", "rrjax.puzzles", "rrjax.systems", "rrjax.horizons"),
)
TUTORIALS = sorted((DOCS / "tutorials").glob("*.py"))


def module(name: str):
    """A package by its public name, which may be an attribute of `rrjax` (`rrjax.horizons`)."""
    package, _, last = name.rpartition(".")
    return getattr(importlib.import_module(package), last) if package else rrjax


def documented() -> set[str]:
    """The full names that the pages of the reference document."""
    names = set()
    for page in (DOCS / "api").glob("*.md"):
        current = ""
        for line in page.read_text().splitlines():
            if match := re.match(r"\.\. currentmodule:: (\S+)", line):
                current = match[1]
            elif match := re.match(r"\.\. (?:auto\w+|py:data):: (\S+)", line):
                names.add(f"{current}.{match[1]}")
    return names


def value_of(name: str):
    package, _, last = name.rpartition(".")
    return getattr(module(package), last)


def test_the_reference_has_every_public_name_and_no_other():
    names = documented()
    public = {f"{package}.{name}" for package in PACKAGES for name in module(package).__all__}
    assert names <= public
    # a package has a page, and a name that two packages offer is documented once
    shown = [value_of(name) for name in names]
    missing = [
        name
        for name in sorted(public - names - set(PACKAGES))
        if not any(value_of(name) is value for value in shown)
    ]
    assert missing == []


def test_every_page_of_the_reference_is_in_its_table():
    index = (DOCS / "api" / "index.md").read_text()
    pages = {page.stem for page in (DOCS / "api").glob("*.md")} - {"index"}
    assert pages == set(re.findall(r"\((\w+)\.md\)", index))
    assert pages == set(re.search(r":hidden:\n(.*?)```", index, re.DOTALL)[1].split())


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_ends_with_an_exercise_and_its_checked_answer(path):
    *_, question, solution = path.read_text().split("# %%")
    assert "## Exercise" in question
    assert solution.startswith(' tags=["hide-cell"]\n# Solution')
    statements = ast.parse(solution.partition("\n")[2]).body
    checks = [ast.unparse(node) for node in statements if isinstance(node, ast.Assert)]
    assert any("answer" in check for check in checks)


def test_every_tutorial_is_listed():
    index = (DOCS / "tutorials" / "index.md").read_text()
    assert TUTORIALS
    for path in TUTORIALS:
        assert f"({path.name})" in index
        assert f"`docs/tutorials/{path.name}`" in index


def test_every_link_between_pages_and_files_leads_somewhere():
    broken = []
    for page in (*DOCS.rglob("*.md"), *TUTORIALS):
        if "_build" in page.parts:
            continue
        for target in re.findall(r"\]\((?!https?:)([^)#\s]+)(?:#[\w-]+)?\)", page.read_text()):
            if not (page.parent / target).exists():
                broken.append(f"{page.name}: {target}")
    assert broken == []
