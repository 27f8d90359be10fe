"""YAML files: what they hold, and what is refused before it fills the memory."""

from pathlib import Path

import pytest

from rrjax.store.yaml_files import read_yaml


def read(tmp_path: Path, text: str):
    path = tmp_path / "file.yaml"
    path.write_text(text)
    return read_yaml(path)


def test_a_file_is_read(tmp_path):
    text = "a: &a {x: 1, y: [2, null]}\nb: {<<: *a, y: text}\nc: *a\n"
    assert read(tmp_path, text) == {
        "a": {"x": 1, "y": [2, None]},
        "b": {"x": 1, "y": "text"},
        "c": {"x": 1, "y": [2, None]},
    }
    assert read(tmp_path, "# nothing\n") is None


TOWER = "a0: &a0 [x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 40)
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (TOWER, "more than 8,192 values, if its aliases are written out"),
        (TOWER + "? *a39\n: 1\n", "more than 8,192 values"),
        ("&a [*a]", "more than 8,192 values"),
        ("a: &a {<<: *a}", "more than 8,192 values"),
        ("[" * 3000, "nests lists and mappings deeper than 64 levels"),
        ("[" * 100 + "]" * 100, "nests lists and mappings deeper than 64 levels"),
        ("- " * 10_000 + "a", "nests lists and mappings deeper than 64 levels"),
        ("x" * 2**16, "has 65,536 bytes, where at most 32,768 were expected"),
        ("[" + "1," * 10_000 + "]", "more than 8,192 values"),
    ],
)
def test_what_would_fill_the_memory_is_refused(tmp_path, text, words):
    with pytest.raises(ValueError, match=r"file\.yaml") as caught:
        read(tmp_path, text)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        *("2001-99-99", "!!int abc", "!!bool perhaps", "!!timestamp x", "!!float ''", "9" * 5000),
        *("[", "{a: 1", "\tx", "!!python/object/apply:os.system [x]", "{[a]: 1}", "!!binary é"),
    ],
)
def test_what_is_no_value_is_refused_by_the_name_of_the_file(tmp_path, text):
    with pytest.raises(ValueError, match=r"file\.yaml (is not YAML|holds a value that is not of)"):
        read(tmp_path, text)
