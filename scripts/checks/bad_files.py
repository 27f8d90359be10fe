"""Bad contents of files, made from good ones: by format, and by the kind of damage."""

import copy
import hashlib
import io
import json
import random
import struct
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

Damage = Callable[[bytes, random.Random], bytes]
"""From a good content to a bad one."""

_DEEP = 100_000


def _cut(good: bytes, rng: random.Random) -> bytes:
    return good[: rng.randrange(len(good) or 1)]


def _flip(good: bytes, rng: random.Random) -> bytes:
    good = good or b"0"
    place = rng.randrange(len(good))
    return good[:place] + bytes([good[place] ^ rng.randrange(1, 256)]) + good[place + 1 :]


def _insert(good: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(good) or 1)
    return good[:place] + rng.randbytes(rng.randrange(1, 40)) + good[place:]


def _shuffle(good: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(good) or 1)
    return good[place:] + good[:place]


ANY: dict[str, Damage] = {
    "empty": lambda good, rng: b"",
    "random bytes": lambda good, rng: rng.randbytes(rng.randrange(1, 3000)),
    "zeros": lambda good, rng: bytes(len(good)),
    "cut": _cut,
    "a byte": _flip,
    "inserted": _insert,
    "turned around": _shuffle,
    "twice": lambda good, rng: good + good,
    "UTF-16": lambda good, rng: good.decode("latin1").encode("utf-16"),
    "not UTF-8": lambda good, rng: b"\xff\xfe\xfa" + good,
    "large": lambda good, rng: b"[" + b"0," * 2**22,
    "HTML": lambda good, rng: b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
    "an LFS pointer": lambda good, rng: (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"
    ),
}
"""Damage that no format survives, or hardly any."""


_VALUES: tuple[Any, ...] = (
    *(None, True, "", "text", "x" * 100_000, 0, -1, 0.5, 10**30, -(10**30), 1e300, 2**31),
    *(float("nan"), float("inf"), [], {}, [[]], [None], {"": {}}, ["a", 1], "\ud800", "\x00"),
)


def _change_value(tree: Any, rng: random.Random) -> Any:
    """Returns a copy of a tree in which one value, or one branch, is another."""
    places = list(_places(tree))
    if not places:
        return rng.choice(_VALUES)
    tree = copy.deepcopy(tree)
    *above, last = rng.choice(places)
    branch = tree
    for step in above:
        branch = branch[step]
    action = rng.randrange(8)
    if action == 0:
        del branch[last]
    elif action == 1 and isinstance(branch, dict):
        branch[f"{last}x"] = branch.pop(last)
    else:
        branch[last] = rng.choice(_VALUES)
    return tree


def _places(tree: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in items:
        yield (*above, key)
        if isinstance(value, dict | list):
            yield from _places(value, (*above, key))


def _json_value(good: bytes, rng: random.Random) -> bytes:
    return json.dumps(_change_value(json.loads(good), rng)).encode()


JSON: dict[str, Damage] = {
    "deep lists": lambda good, rng: b"[" * _DEEP + b"]" * _DEEP,
    "deep mappings": lambda good, rng: b'{"a":' * _DEEP + b"0" + b"}" * _DEEP,
    "deep inside": lambda good, rng: b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"," + good.strip()[1:],
    "a long number": lambda good, rng: b'{"config": ' + b"9" * 5000 + b"}",
    "a list": lambda good, rng: b"[1, 2, 3]",
    "a text": lambda good, rng: b'"config"',
    "null": lambda good, rng: b"null",
    "no key": lambda good, rng: b"{}",
    "BOM": lambda good, rng: b"\xef\xbb\xbf{",
}
JSON_VALUES: dict[str, Damage] = {f"a value {i}": _json_value for i in range(1, 9)}
"""Another value somewhere: what nobody reads does no harm."""


_ALIASES = b"a0: &a0 [x, x]\n" + b"".join(
    b"a%d: &a%d [%s]\n" % (i, i, b", ".join([b"*a%d" % (i - 1)] * 9)) for i in range(1, 40)
)
YAML: dict[str, Damage] = {
    "deep lists": lambda good, rng: b"[" * _DEEP + b"]" * _DEEP,
    "deep mappings": lambda good, rng: b"{a: " * _DEEP + b"}" * _DEEP,
    "deep blocks": lambda good, rng: b"- " * 20_000 + b"a",
    "aliases as a value": lambda good, rng: _ALIASES + b"arch: *a39\n",
    "aliases as a setting": lambda good, rng: _ALIASES + b"lr: *a39\nrecipe.lr: *a39\n",
    "aliases as a key": lambda good, rng: _ALIASES + b"? *a39\n: 1\n",
    "aliases of a list": lambda good, rng: (
        b"- &a0 [x]\n"
        + b"".join(b"- &a%d [*a%d, *a%d]\n" % (i, i - 1, i - 1) for i in range(1, 60))
    ),
    "a circle": lambda good, rng: b"&a {arch: *a, lr: *a, recipe.lr: *a}\n",
    "a merge of itself": lambda good, rng: b"arch: &a\n  <<: *a\n",
    "a date that is none": lambda good, rng: b"lr: 2001-99-99\n",
    "a tag of code": lambda good, rng: b"lr: !!python/object/apply:os.system [touch run]\n",
    "a wrong int": lambda good, rng: b"lr: !!int abc\n",
    "a wrong bool": lambda good, rng: b"lr: !!bool perhaps\n",
    "a wrong timestamp": lambda good, rng: b"lr: !!timestamp x\n",
    "a wrong float": lambda good, rng: b"lr: !!float ''\n",
    "a long number": lambda good, rng: b"lr: " + b"9" * 5000 + b"\n",
    "sexagesimals": lambda good, rng: b"lr: 1" + b":59" * 3000 + b"\n",
    "a set": lambda good, rng: b"lr: !!set {a, b}\n",
    "bytes": lambda good, rng: b"lr: !!binary AAAA\n",
    "keys of all kinds": lambda good, rng: b"1: 2\nnull: 3\n[a]: 4\n1.5: 5\n",
    "tabs": lambda good, rng: b"\tarch:\n\t\tname: trm\n",
    "two documents": lambda good, rng: good + b"---\n" + good,
    "a list": lambda good, rng: b"[1, 2, 3]\n",
    "a text": lambda good, rng: b"trm\n",
    "an unknown key": lambda good, rng: good + b"\nlearning_rate: 3\n",
    "an unknown key of many lines": lambda good, rng: b'"a\\n\\n\\n\\n\\n\\n\\n\\nb": 3\n',
    "an unknown long key": lambda good, rng: b"x" * 900 + b": 3\n",
    "a long value": lambda good, rng: b"lr: " + b"x" * 10**6 + b"\nrecipe.lr: 3\n",
    "a long list": lambda good, rng: b"lr: [" + b"1," * 10**4 + b"]\nrecipe.lr: [1]\n",
}


def npy(header: bytes, data: bytes = b"", version: tuple[int, int] = (1, 0)) -> bytes:
    """Returns a `.npy` file of any header."""
    length = struct.pack("<H" if version == (1, 0) else "<I", len(header) % 2**16)
    return b"\x93NUMPY" + bytes(version) + length + header + data


def _described(descr: str, shape: str, extra: str = "") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, {extra}}}"
    return text.encode().ljust(117) + b"\n"


NPY: dict[str, Damage] = {
    "parentheses": lambda good, rng: npy(b"(" * 9000 + b")" * 9000),
    "minus signs": lambda good, rng: npy(b"-" * 9999 + b"1"),
    "a product": lambda good, rng: npy(b"9**9**9**9"),
    "a call": lambda good, rng: npy(b"__import__('os').system('touch run')"),
    "a list": lambda good, rng: npy(b"[1, 2]"),
    "nothing": lambda good, rng: npy(b""),
    "a large shape": lambda good, rng: npy(_described("'|u1'", "(1000000000000, 16)"), bytes(64)),
    "a shape beyond 64 bits": lambda good, rng: npy(_described("'|u1'", f"({2**70}, 16)")),
    "a negative shape": lambda good, rng: npy(_described("'|u1'", "(-1, 16)"), bytes(64)),
    "a shape of texts": lambda good, rng: npy(_described("'|u1'", "('a',)"), bytes(64)),
    "a shape of many axes": lambda good, rng: npy(_described("'|u1'", "(1,) * 70"), bytes(64)),
    "objects": lambda good, rng: npy(_described("'|O'", "(4,)"), bytes(64)),
    "records": lambda good, rng: npy(_described("[('a', '<i4')]", "(4,)"), bytes(64)),
    "texts": lambda good, rng: npy(_described("'<U4'", "(4,)"), bytes(64)),
    "an unknown type": lambda good, rng: npy(_described("'<q99'", "(4,)"), bytes(64)),
    "a type of parentheses": lambda good, rng: npy(_described("(" * 50 + ")" * 50, "(4,)")),
    "a key more": lambda good, rng: npy(_described("'|u1'", "(4,)", "'a': 1"), bytes(64)),
    "floats": lambda good, rng: npy(_described("'<f4'", "(16,)"), bytes(64)),
    "another shape": lambda good, rng: npy(_described("'|u1'", "(64,)"), bytes(64)),
    "large numbers": lambda good, rng: npy(_described("'|u1'", "(4, 16)"), b"\xff" * 64),
    "version 9": lambda good, rng: npy(_described("'|u1'", "(64,)"), bytes(64), (9, 0)),
    "a header beyond the end": lambda good, rng: npy(b"{", b"", (2, 0))[:8] + b"\xff\xff\xff\x7f{",
}


def archive(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """Returns a zip archive that ends in its own SHA-256, as those of results do."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        file.comment = b"0" * 64
        for name, data in members.items():
            file.writestr(name, data)
    content = buffer.getvalue()[:-64]
    return content + hashlib.sha256(content).hexdigest().encode()


def _members(good: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(good)) as file:
        return {name: file.read(name) for name in file.namelist()}


def _changed_member(good: bytes, rng: random.Random, change: Callable[[bytes], bytes]) -> bytes:
    members = _members(good)
    name = rng.choice(sorted(members))
    return archive({**members, name: change(members[name])})


def _changed_array(good: bytes, rng: random.Random) -> bytes:
    """Returns an archive in which one array has another shape, type or content."""

    def change(member: bytes) -> bytes:
        array = np.load(io.BytesIO(member))
        ways: tuple[Callable[[np.ndarray], np.ndarray], ...] = (
            lambda a: a[..., None],
            lambda a: a.ravel()[:0],
            lambda a: a.ravel()[:1].reshape(()) if a.size else a,
            lambda a: a[:1] if a.ndim else a,
            lambda a: np.concatenate([a, a]) if a.ndim else a[None],
            lambda a: a.astype(str),
            lambda a: a.astype(complex) if a.dtype.kind in "biuf" else a.astype("S3"),
            lambda a: np.full_like(a, np.nan, dtype=float),
            lambda a: np.full(a.shape, -(2**40)),
            lambda a: np.full(a.shape, 1e308),
            lambda a: np.zeros(a.shape, "M8[s]"),
            lambda a: np.zeros(a.shape, [("a", "i4")]),
        )
        buffer = io.BytesIO()
        np.save(buffer, rng.choice(ways)(array))
        return buffer.getvalue()

    return _changed_member(good, rng, change)


def _without_member(good: bytes, rng: random.Random) -> bytes:
    members = _members(good)
    del members[rng.choice(sorted(members))]
    return archive(members)


def _renamed_member(good: bytes, rng: random.Random) -> bytes:
    members = _members(good)
    name = rng.choice(sorted(members))
    new = rng.choice(("x.npy", "../x.npy", "x", ".npy", "/etc/x.npy", "x" * 5000))
    return archive({(new if key == name else key): data for key, data in members.items()})


NPZ: dict[str, Damage] = {
    **{
        f"right digest, {name}": lambda good, rng, damage=damage: _changed_member(
            good, rng, lambda member: damage(member, rng)
        )
        for name, damage in {**NPY, "cut": _cut, "a byte": _flip, "empty": ANY["empty"]}.items()
    },
    **{f"right digest, an array {i}": _changed_array for i in range(1, 16)},
    **{f"right digest, one less {i}": _without_member for i in range(1, 6)},
    **{f"right digest, another name {i}": _renamed_member for i in range(1, 4)},
    "right digest, nothing": lambda good, rng: archive({}),
    "right digest, no archive": lambda good, rng: (
        b"text" + hashlib.sha256(b"text").hexdigest().encode()
    ),
    "right digest, a bomb": lambda good, rng: archive(
        {
            **_members(good),
            "log_growth.npy": npy(_described("'<f8'", "(40000000,)")) + bytes(320_000_000),
        },
        zipfile.ZIP_DEFLATED,
    ),
}


def safetensors(header: bytes, data: bytes = b"", length: int | None = None) -> bytes:
    """Returns a safetensors file of any header."""
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def _header(good: bytes) -> tuple[dict[str, Any], bytes]:
    (length,) = struct.unpack("<Q", good[:8])
    return json.loads(good[8 : 8 + length]), good[8 + length :]


def _changed_header(good: bytes, rng: random.Random) -> bytes:
    header, data = _header(good)
    return safetensors(json.dumps(_change_value(header, rng)).encode(), data)


def _retyped(name: str) -> Damage:
    def damage(good: bytes, rng: random.Random) -> bytes:
        header, data = _header(good)
        for entry in header.values():
            entry["dtype"] = name
        return safetensors(json.dumps(header).encode(), data)

    return damage


SAFETENSORS: dict[str, Damage] = {
    "deep header": lambda good, rng: safetensors(b'{"a":' * 50_000 + b"}" * 50_000),
    "a long header": lambda good, rng: safetensors(b"{}", b"", 2**62),
    "a header beyond the end": lambda good, rng: safetensors(b"{}", b"", 10**6),
    "no header": lambda good, rng: safetensors(b""),
    "no tensor": lambda good, rng: safetensors(b"{}"),
    **{f"a header {i}": _changed_header for i in range(1, 9)},
    **{f"type {name}": _retyped(name) for name in ("I32", "F8_E4M3", "BOOL", "F64", "C64", "X1")},
    "a large shape": lambda good, rng: safetensors(
        json.dumps({"a": {"dtype": "F32", "shape": [2**62], "data_offsets": [0, 4]}}).encode(),
        bytes(4),
    ),
}


def _pickled(data: bytes, extra: dict[str, bytes] | None = None) -> Damage:
    def damage(good: bytes, rng: random.Random) -> bytes:
        members = _members(good)
        (name,) = (name for name in members if name.endswith("data.pkl"))
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as file:
            for key, value in {**members, **(extra or {}), name: data}.items():
                file.writestr(key, value)
        return buffer.getvalue()

    return damage


def _changed_pickle(good: bytes, rng: random.Random) -> bytes:
    (data,) = (data for name, data in _members(good).items() if name.endswith("data.pkl"))
    return _pickled(rng.choice((_cut, _flip, _insert, _flip, _flip))(data, rng))(good, rng)


TORCH: dict[str, Damage] = {
    **{f"a pickle {i}": _changed_pickle for i in range(1, 17)},
    "deep tuples": _pickled(b"\x80\x02" + b"(" * 90_000 + b"N" + b"t" * 90_000 + b"."),
    "deep lists": _pickled(b"\x80\x02" + b"]" * 90_000 + b"a" * 89_999 + b"."),
    "a tower of memos": _pickled(b"\x80\x02)q\x00" + b"h\x00h\x00\x86q\x00" * 2000 + b"."),
    "code": _pickled(b"cos\nsystem\n(S'touch run'\ntR."),
    "built-in code": _pickled(b"\x80\x02c__builtin__\nexec\nX\x05\x00\x00\x00a = 1\x85R."),
    "a long integer": _pickled(b"\x80\x02\x8b\x00\x00\x10\x00" + b"\xff" * 2**20 + b"."),
    "a long length": _pickled(b"\x80\x02X\xff\xff\xff\x7fa."),
    "a text": _pickled(b"\x80\x02X\x01\x00\x00\x00a."),
    "an empty dict": _pickled(b"\x80\x02}."),
    "no end": _pickled(b"\x80\x02}"),
    "protocol 9": _pickled(b"\x80\x09}."),
    "compressed": lambda good, rng: archive(_members(good), zipfile.ZIP_DEFLATED),
    "no pickle": lambda good, rng: archive({"a/data/0": bytes(9)}),
    "two pickles": _pickled(b"\x80\x02}.", {"b/data.pkl": b"\x80\x02}."}),
    "the legacy format": lambda good, rng: b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19." + good,
    "a tar archive": lambda good, rng: bytes(257) + b"ustar" + bytes(600),
}


def _changed_line(good: bytes, rng: random.Random) -> bytes:
    lines = good.split(b"\n")
    place = rng.randrange(max(1, len(lines) - 1))
    ways: tuple[Callable[[bytes], bytes], ...] = (
        lambda line: line + b"," + line,
        lambda line: line[:-3],
        lambda line: line.replace(b",", b"\t"),
        lambda line: b'"' + line,
        lambda line: b"\x00" + line,
        lambda line: line + b"9" * 200_000,
        lambda line: line.replace(b"1", b"e").replace(b"S", b"Q"),
        lambda line: b"nan,inf,-1," + line,
    )
    lines[place] = rng.choice(ways)(lines[place])
    return b"\n".join(lines)


TEXT: dict[str, Damage] = {
    **{f"a line {i}": _changed_line for i in range(1, 13)},
    "a header alone": lambda good, rng: b"source,question,answer,rating\n",
    "names twice": lambda good, rng: b"question,question\n" + good,
    "one long line": lambda good, rng: b"1" * 2**23,
    "a quote without end": lambda good, rng: b'question\n"' + b"1" * 2**20,
    "many columns": lambda good, rng: b"," * 10**6 + b"\n",
    "prose": lambda good, rng: b"What is this?\nNo puzzle at all.\n",
    "JSON": lambda good, rng: b'{"question": "1234"}\n',
    "comments alone": lambda good, rng: b"# a comment\n" * 5,
}

FORMATS: dict[str, dict[str, Damage]] = {
    "json": JSON,
    "yaml": YAML,
    "npy": NPY,
    "npz": NPZ,
    "safetensors": SAFETENSORS,
    "torch": TORCH,
    "text": TEXT,
    "bytes": {},
}
