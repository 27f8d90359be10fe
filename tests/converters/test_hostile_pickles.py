"""Pickles that ask for more than tensors, or are damaged: refused, and nothing in them is run."""

import pickle
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from converters.records import CheckpointError
from tests.converters.handmade import (
    ORDERED_DICT,
    WHOLE,
    called,
    check_outcome,
    mapping,
    named,
    push,
    read_or_refusal,
    read_state_dict,
    storage,
    tensor,
    write,
)

TUPLE_KEY = b"}" + push((1, 2)) + WHOLE + b"s"
HOSTILE = {
    "call": (called(named("os", "system"), push("touch CANARY")), "os.system"),
    "call in a dict": (
        mapping(w=called(named("builtins", "eval"), push("open('CANARY', 'w')"))),
        "builtins.eval",
    ),
    "call in a tensor's hooks": (
        mapping(w=tensor(storage(), (24,), (1,), hooks=called(named("posix", "system")))),
        "posix.system",
    ),
    "name by strings": (push("os") + push("system") + b"\x93" + push("ls") + b"\x85R", "os.system"),
    "name by no strings": (push(1) + push((2,)) + b"\x93", "without a name"),
    "dotted name": (named("torch", "FloatStorage.__init__"), "FloatStorage.__init__"),
    "torch function": (named("torch", "load"), "torch.load"),
    "instance": (b"(" + push("ls") + b"ios\nsystem\n", "opcode INST"),
    "object": (b"(cos\nsystem\n" + push("ls") + b"o", "os.system"),
    "new object": (named("collections", "OrderedDict") + b")\x81", "opcode NEWOBJ"),
    "extension": (b"\x82\x01", "opcode EXT1"),
    "state of a tensor": (WHOLE + b"}b", "sets the state"),
    "state of a function": (named("torch._utils", "_rebuild_tensor_v2") + b"}b", "sets the state"),
    "call of a dtype": (called(named("torch", "FloatStorage")), "rebuilds no tensor"),
    "call of a string": (called(push("os.system"), push("ls")), "rebuilds no tensor"),
    "dict from arguments": (called(named("collections", "OrderedDict"), WHOLE), "rebuilds no"),
    "tensor from no storage": (mapping(w=tensor(push("0"), (24,), (1,))), "rebuilds no tensor"),
    "foreign persistent id": (push("storage") + b"Q", "not described as torch does"),
    "tuple as key": (TUPLE_KEY, "key of type tuple"),
    "complex": (mapping(w=tensor(storage("ComplexFloatStorage", size=12), (1,), (1,))), "Complex"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_anything_but_tensors_is_refused_and_never_run(
    path: Path, monkeypatch: pytest.MonkeyPatch, case: str
):
    value, message = HOSTILE[case]
    monkeypatch.chdir(path.parent)
    with pytest.raises(CheckpointError, match=message):
        read_state_dict(write(path, value))
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"0",
        b"(",
        b"t",
        b"R",
        b"u",
        b"}u",
        b"](u",
        b"}(" + push("a") + b"u",
        b"}(" + push("a") + b"e",
        b"h\x05",
        b"q\x00",
        b"b",
        b"X\xff\xff\xff\x7fa",
        b"\xff",
        b"\x93",
    ],
)
def test_a_damaged_pickle_is_refused(path: Path, value: bytes):
    with pytest.raises(CheckpointError, match=r"damaged|refused"):
        read_state_dict(write(path, value))


@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [
        ((24,), (-1,), 23),
        ((-1,), (1,), 0),
        ((24,), (1,), -1),
        ((24,), (1, 1), 0),
        ((24, 1), (1,), 0),
        ((2.0,), (1,), 0),
        (("a",), (1,), 0),
    ],
)
def test_impossible_shapes_are_refused(path: Path, shape, strides, offset):
    with pytest.raises(CheckpointError, match=r"impossible shape|refused"):
        read_state_dict(write(path, mapping(w=tensor(storage(), shape, strides, offset))))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (WHOLE, "expected a state dict, found"),
        (b"}", "expected a state dict, found"),
        (mapping(model=mapping()), "found dict under 'model'; of a training checkpoint"),
        (mapping(model=mapping(w=WHOLE, n=push(3))), "found dict under 'model'; of a training"),
        (b"}q\x05(" + push("model") + b"h\x05u", "found dict under 'model'"),  # it holds itself
        (mapping(w=WHOLE, step=push(3)), "found int under 'step'"),
        (mapping(w=WHOLE, losses=b"](" + pickle.BINFLOAT + bytes(8) + b"e"), "found list"),
        (b"}" + push(3) + WHOLE + b"s", "under 3"),
    ],
)
def test_only_a_dict_of_tensors_is_taken(path: Path, value: bytes, message: str):
    with pytest.raises(CheckpointError, match=message):
        read_state_dict(write(path, value))


PIECES = [WHOLE, storage(), ORDERED_DICT, push("w"), push(3), push((2, 3)), b"}", b"]", b")"]
PIECES += [bytes([opcode]) for opcode in b"(tRQsuaebN\x88\x85\x86\x87\x94\x93"]


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(pieces=st.lists(st.sampled_from(PIECES), max_size=12))
def test_no_order_of_opcodes_causes_another_error(path: Path, pieces: list[bytes]):
    write(path, b"".join(pieces))
    check_outcome(read_or_refusal(path), path)
