"""Files that anybody may have written are refused in no time, whatever they are."""

import json
import os
import socket
import sys
from pathlib import Path

import pytest

from rrjax.store.reading import DEEPEST, check_file, read_bytes, read_json_value, read_text


def test_a_file_is_read(tmp_path: Path):
    path = tmp_path / "file"
    path.write_text("[1]", encoding="utf-8-sig")
    assert read_bytes(path, most=6) == b"\xef\xbb\xbf[1]"
    assert read_text(path) == "[1]"
    with pytest.raises(ValueError, match="file has 6 bytes, where at most 5 were expected"):
        read_bytes(path, most=5)


def test_no_text_is_refused(tmp_path: Path):
    path = tmp_path / "file"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"file: expected a text file \(UTF-8\)"):
        read_text(path)


@pytest.mark.skipif(sys.platform == "win32", reason="files of POSIX")
def test_what_is_no_file_is_refused_by_what_it_is(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
    paths = {tmp_path: "a folder", tmp_path / "pipe": "a pipe", tmp_path / "socket": "a socket"}
    for path, kind in {**paths, Path("/dev/zero"): "a device"}.items():
        with pytest.raises(ValueError, match=f"is {kind}, where a file was expected"):
            read_bytes(path)
    with pytest.raises(FileNotFoundError):
        check_file(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "text",
    ["[" * 10**5, "[" * 10**5 + "]" * 10**5, '{"a":' * 10**5, f'{{"a": {"[" * 500}{"]" * 500}}}'],
    ids=["without end", "lists", "mappings", "inside"],
)
def test_deep_json_is_refused(tmp_path: Path, text: str):
    path = tmp_path / "deep.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"deep.json (nests .* deeper than 64 levels|is not JSON)"):
        read_json_value(path)


def test_json_may_be_as_deep_as_the_limit(tmp_path: Path):
    path = tmp_path / "deep.json"
    value: list = []
    for _ in range(DEEPEST - 1):
        value = [value, 1]
    path.write_text(json.dumps(value))
    assert read_json_value(path) == value
    path.write_text(json.dumps([value]))
    with pytest.raises(ValueError, match="deeper than 64 levels"):
        read_json_value(path)


@pytest.mark.parametrize("text", ["", "{", "9" * 5000, "\x00", "{'a': 1}"])
def test_what_is_no_json_is_refused_by_name(tmp_path: Path, text: str):
    path = tmp_path / "wrong.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"wrong\.json is not JSON, or it is damaged"):
        read_json_value(path)
