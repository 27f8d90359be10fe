"""Sets and data-set folders: content, bytes, and every way a folder can be wrong."""

import dataclasses
import hashlib
import itertools
import json
import os
import shutil

import numpy as np
import pytest

from rrjax.puzzles import build_sudokus, from_tokens, generate_sudokus, is_solved, write_folder
from rrjax.puzzles.folders import Stream, read_folder, read_identifiers, write_streams
from rrjax.puzzles.sudoku import Puzzles, respects_givens
from rrjax.store import digest_arrays

PUZZLES = generate_sudokus(4, 5, seed=0)


def fingerprint(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def assert_same_set(first, second):
    for field in dataclasses.fields(first):
        if field.compare:
            np.testing.assert_equal(getattr(first, field.name), getattr(second, field.name))


@pytest.fixture
def folder(tmp_path):
    target = tmp_path / "data"
    write_folder(
        target, {"train": build_sudokus(PUZZLES, num_aug=2), "test": build_sudokus(PUZZLES)}
    )
    return target


def test_a_set_starts_each_group_with_the_puzzle_itself():
    puzzles = build_sudokus(PUZZLES, num_aug=3, seed=1)
    assert len(puzzles) == 20
    np.testing.assert_array_equal(puzzles.group_indices, [0, 4, 8, 12, 16, 20])
    np.testing.assert_array_equal(puzzles.puzzle_indices, np.arange(21))
    np.testing.assert_array_equal(from_tokens(puzzles.inputs[::4]), PUZZLES.boards)
    np.testing.assert_array_equal(from_tokens(puzzles.labels[::4]), PUZZLES.solutions)


def test_copies_are_puzzles_with_their_solutions_and_differ():
    puzzles = build_sudokus(PUZZLES, num_aug=3, seed=1)
    boards, solutions = from_tokens(puzzles.inputs), from_tokens(puzzles.labels)
    assert is_solved(solutions).all()
    assert respects_givens(boards, solutions).all()
    assert len(np.unique(boards, axis=0)) > 10
    clues = (boards > 0).sum(axis=1).reshape(5, 4)
    assert (clues == clues[:, :1]).all()


def test_copies_of_a_puzzle_do_not_depend_on_the_other_puzzles():
    few = build_sudokus(Puzzles(PUZZLES.boards[:2], PUZZLES.solutions[:2]), num_aug=3, seed=1)
    all_five = build_sudokus(PUZZLES, num_aug=3, seed=1)
    np.testing.assert_array_equal(few.inputs, all_five.inputs[:8])
    assert (build_sudokus(PUZZLES, num_aug=3, seed=2).inputs != all_five.inputs).any()


def test_a_folder_holds_the_official_files(folder):
    names = ("inputs", "labels", "puzzle_identifiers", "puzzle_indices", "group_indices")
    files = {f"{split}/all__{name}.npy" for split in ("train", "test") for name in names}
    files |= {"train/dataset.json", "test/dataset.json", "identifiers.json"}
    assert set(fingerprint(folder)) == files
    assert (folder / "identifiers.json").read_text() == '["<blank>"]'
    assert (folder / "train" / "dataset.json").read_text() == (
        '{"pad_id": 0, "ignore_label_id": 0, "blank_identifier_id": 0, "vocab_size": 6, '
        '"seq_len": 16, "num_puzzle_identifiers": 1, "total_groups": 5, '
        '"mean_puzzle_examples": 1.0, "total_puzzles": 5, "sets": ["all"]}'
    )
    dtypes = [np.load(folder / "train" / f"all__{name}.npy").dtype for name in names]
    assert dtypes == [np.uint8, np.uint8, np.int32, np.int32, np.int32]


def test_a_folder_comes_back_as_it_was_written(folder):
    assert_same_set(read_folder(folder, "train"), build_sudokus(PUZZLES, num_aug=2))
    assert_same_set(read_folder(folder, "test"), build_sudokus(PUZZLES))
    assert_same_set(read_folder(folder / "train", "test"), build_sudokus(PUZZLES, num_aug=2))


def test_the_same_seed_gives_the_same_bytes(folder, tmp_path):
    again = tmp_path / "again"
    made = generate_sudokus(4, 5, seed=0)
    write_folder(again, {"train": build_sudokus(made, num_aug=2), "test": build_sudokus(made)})
    assert fingerprint(again) == fingerprint(folder)
    other = tmp_path / "other"
    write_folder(
        other, {"train": build_sudokus(made, num_aug=2, seed=1), "test": build_sudokus(made)}
    )
    assert fingerprint(other) != fingerprint(folder)


def test_wide_integers_are_read_as_well(folder):
    path = folder / "test" / "all__inputs.npy"
    np.save(path, np.load(path).astype(np.int64))
    assert_same_set(read_folder(folder), build_sudokus(PUZZLES))


def test_the_digest_does_not_tell_where_a_set_comes_from(folder):
    assert read_folder(folder).digest() == build_sudokus(PUZZLES, source="elsewhere").digest()


@pytest.mark.parametrize(
    "changes",
    [
        {"inputs": np.maximum(build_sudokus(PUZZLES).inputs, 1)[::-1]},
        {"labels": build_sudokus(PUZZLES).labels[::-1]},
        {"puzzle_ids": np.ones(5, np.int32)},
        {"puzzle_indices": np.array([0, 2, 3, 5], np.int32)},
        {"group_indices": np.array([0, 2, 3], np.int32)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_the_digest_tells_sets_apart_in_every_array(changes):
    # one puzzle of two examples, groups of several puzzles, more than one identifier
    metadata = dataclasses.replace(
        build_sudokus(PUZZLES).metadata, num_puzzle_identifiers=2, total_groups=2
    )
    plain = dataclasses.replace(
        build_sudokus(PUZZLES),
        metadata=metadata,
        puzzle_indices=np.array([0, 1, 3, 5], np.int32),
        group_indices=np.array([0, 1, 3], np.int32),
    )
    assert dataclasses.replace(plain, **changes).digest() != plain.digest()
    assert dataclasses.replace(plain).digest() == plain.digest()


def test_puzzles_of_several_examples_share_their_identifier(folder):
    for name, array in (
        ("puzzle_indices", [0, 2, 5]),
        ("group_indices", [0, 1, 2]),
        ("puzzle_identifiers", [1, 2]),
    ):
        np.save(folder / "test" / f"all__{name}.npy", np.array(array, np.int32))
    edit_metadata(folder, num_puzzle_identifiers=3, total_groups=2, mean_puzzle_examples=2.5)
    np.testing.assert_array_equal(read_folder(folder).puzzle_ids, [1, 1, 2, 2, 2])


def test_writing_into_a_used_folder_is_refused_and_leaves_it_alone(folder):
    before = fingerprint(folder)
    with pytest.raises(ValueError, match="expected a new or empty folder"):
        write_folder(folder, {"test": build_sudokus(PUZZLES)})
    assert fingerprint(folder) == before
    file = folder / "identifiers.json"
    with pytest.raises(ValueError, match="expected a new or empty folder"):
        write_folder(file, {"test": build_sudokus(PUZZLES)})


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "empty").mkdir()
    write_folder(tmp_path / "empty", {"test": build_sudokus(PUZZLES)})
    assert len(read_folder(tmp_path / "empty")) == 5


def test_a_write_that_fails_leaves_nothing_behind(tmp_path, monkeypatch):
    def full_disk(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match=r"cannot write .*/data: No space left on device; free some"):
        write_folder(tmp_path / "data", {"test": build_sudokus(PUZZLES)})
    assert list(tmp_path.iterdir()) == []


def test_only_sudoku_like_sets_are_written(tmp_path):
    with pytest.raises(ValueError, match=r"splits: expected some of .* found"):
        write_folder(tmp_path / "data", {"valid": build_sudokus(PUZZLES)})
    with pytest.raises(ValueError, match="splits: expected some of"):
        write_folder(tmp_path / "data", {})
    several = dataclasses.replace(build_sudokus(PUZZLES).metadata, num_puzzle_identifiers=2)
    with pytest.raises(ValueError, match="test: expected one puzzle identifier"):
        write_folder(
            tmp_path / "data",
            {"test": dataclasses.replace(build_sudokus(PUZZLES), metadata=several)},
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("puzzles", "arguments", "message"),
    [
        (Puzzles(PUZZLES.boards, PUZZLES.solutions[:4]), {}, r"found \(5, 16\) and \(4, 16\)"),
        (Puzzles(PUZZLES.boards[:0], PUZZLES.solutions[:0]), {}, r"found \(0, 16\)"),
        (Puzzles(PUZZLES.boards, PUZZLES.solutions[::-1]), {}, "puzzle 0 does not have the sol"),
        (Puzzles(PUZZLES.boards, PUZZLES.boards), {}, "puzzle 0 does not have the solution"),
        (PUZZLES, {"num_aug": -1}, "num_aug must be at least 0, got -1"),
        (PUZZLES, {"seed": -1}, "seed must be at least 0, got -1"),
    ],
)
def test_wrong_puzzles_make_no_set(puzzles, arguments, message):
    with pytest.raises(ValueError, match=message):
        build_sudokus(puzzles, **arguments)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": np.zeros(16, np.int32)}, r"inputs: expected \(N >= 1, seq\), found .*\(16,\)"),
        ({"inputs": np.zeros((5, 16))}, "inputs: expected int32 .* found float64"),
        ({"labels": np.zeros((4, 16), np.int32)}, r"labels: expected .*\(5, 16\), found .*\(4, 16"),
        ({"puzzle_ids": np.ones(5, np.int32)}, r"puzzle_ids: expected values 0..0, found 1 at"),
        ({"group_indices": np.array([0, 5])}, "group_indices: expected int32 .* found int64"),
        (
            {"group_indices": np.array([0, 5], np.int32)},
            r"group_indices: expected 5 groups \(total_groups\), found 1",
        ),
    ],
)
def test_sets_that_contradict_themselves_are_refused(changes, message):
    with pytest.raises(ValueError, match="puzzles: " + message):
        dataclasses.replace(build_sudokus(PUZZLES), **changes)


def edit_metadata(folder, **changes):
    path = folder / "test" / "dataset.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vocab_size": 5}, r"inputs: expected values 0..4, found 5 at|labels: .*0..4, found 5"),
        ({"seq_len": 81}, r"inputs: expected int32 or uint8 of shape \(5, 81\), found .*\(5, 16\)"),
        ({"total_groups": 6}, "expected 6 groups"),
        ({"vocab_size": "6"}, "vocab_size: expected a positive number, found '6'"),
        ({"seq_len": 16.5}, "seq_len: expected an integer, found 16.5"),
        ({"total_puzzles": 0}, "total_puzzles: expected a positive number, found 0"),
        ({"ignore_label_id": None}, "ignore_label_id: expected 0, found None"),
        ({"sets": ["a", "b"]}, "sets: expected the name of one set"),
    ],
)
def test_wrong_metadata_is_refused(folder, changes, message):
    edit_metadata(folder, **changes)
    with pytest.raises(ValueError, match=message):
        read_folder(folder)


@pytest.mark.parametrize(
    ("text", "message"), [("{", "is not JSON"), ("[]", "found list"), ("\xff", "is not JSON")]
)
def test_damaged_metadata_is_refused(folder, text, message):
    (folder / "test" / "dataset.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match="dataset.json.*" + message):
        read_folder(folder)


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("inputs", np.full((5, 16), 6), r"inputs: expected values 0..5, found 6 at \(0, 0\)"),
        ("labels", np.full((5, 16), -1), "labels: expected values 0..5, found -1"),
        ("inputs", np.zeros((5, 16)), "inputs.npy: expected an array of integers, found float64"),
        ("inputs", np.array(3), r"expected an array of integers, found int64 of shape \(\)"),
        ("inputs", np.full((5, 16), 2**40), "expected 32-bit values"),
        ("inputs", np.zeros((5, 16), object), "expected a whole .npy file"),
        ("puzzle_identifiers", np.zeros(4, int), r"expected 5 puzzles .* found shape \(4,\)"),
        ("puzzle_indices", np.array([0, 1, 1, 2, 4, 5]), "expected bounds that rise from 0 to 5"),
        ("puzzle_indices", np.array([0, 2**31 - 1]), "expected bounds that rise from 0 to 5"),
        ("group_indices", np.array([0, 3, 2, 5]), "expected bounds that rise from 0 to 5"),
    ],
)
def test_wrong_arrays_are_refused(folder, name, array, message):
    np.save(folder / "test" / f"all__{name}.npy", array)
    with pytest.raises(ValueError, match=message) as caught:
        read_folder(folder)
    assert str(folder / "test") in str(caught.value)


@pytest.mark.parametrize("num_bytes", [0, 5, 60, 140])
def test_truncated_arrays_are_refused(folder, num_bytes):
    path = folder / "test" / "all__labels.npy"
    path.write_bytes(path.read_bytes()[:num_bytes])
    with pytest.raises(ValueError, match=r"all__labels.npy: expected a whole .npy file"):
        read_folder(folder)


def test_unknown_keys_of_the_metadata_are_noted(folder, capsys):
    expected = read_folder(folder).metadata
    edit_metadata(folder, description="Sudoku", builder={"version": 2})
    assert read_folder(folder).metadata == expected
    assert "test/dataset.json: builder, description has no effect here" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["dataset.json", "all__inputs.npy", "all__group_indices.npy"])
def test_missing_files_are_named(folder, name):
    (folder / "test" / name).unlink()
    with pytest.raises(ValueError, match=f"{name}: expected this file in a data-set folder"):
        read_folder(folder)


def test_a_missing_split_is_named(folder):
    shutil.rmtree(folder / "test")
    with pytest.raises(ValueError, match=r"test.dataset.json: expected this file"):
        read_folder(folder)


def test_a_large_set_stays_in_its_file_and_gives_the_same_rows_and_digest(folder, monkeypatch):
    read = read_folder(folder, "train")
    monkeypatch.setattr("rrjax.puzzles.folders.MAPPED_BYTES", 100)
    monkeypatch.setattr("rrjax.store.records._ROWS_AT_ONCE", 4)
    mapped = read_folder(folder, "train")
    assert isinstance(mapped.inputs, np.memmap)
    assert isinstance(mapped.labels, np.memmap)
    assert not isinstance(mapped.puzzle_ids, np.memmap)
    assert mapped.digest() == read.digest()
    assert_same_set(mapped[:7], read[:7])
    assert mapped[:7].inputs.dtype == np.int32


def test_the_digest_is_that_of_the_arrays_in_memory(folder):
    puzzles = read_folder(folder, "train")
    names = ("inputs", "labels", "puzzle_ids", "puzzle_indices", "group_indices")
    assert puzzles.digest() == digest_arrays(*(getattr(puzzles, name) for name in names))


def test_a_large_set_with_a_token_out_of_range_is_refused(folder, monkeypatch):
    path = folder / "test" / "all__labels.npy"
    tokens = np.load(path)
    tokens[3, 4] = 9
    np.save(path, tokens)
    monkeypatch.setattr("rrjax.puzzles.folders.MAPPED_BYTES", 10)
    with pytest.raises(ValueError, match=r"labels: expected values 0..5, found 9 at \(3, 4\)"):
        read_folder(folder)


def test_folders_of_hrm_do_not_count_their_puzzles(folder):
    path = folder / "test" / "dataset.json"
    content = json.loads(path.read_text())
    del content["total_puzzles"]
    path.write_text(json.dumps(content))
    assert_same_set(read_folder(folder), build_sudokus(PUZZLES))


def test_arrays_have_the_bytes_of_numpy(folder, tmp_path):
    for path in folder.rglob("*.npy"):
        np.save(tmp_path / "again.npy", np.load(path))
        assert (tmp_path / "again.npy").read_bytes() == path.read_bytes()


def stream(pieces):
    puzzles = build_sudokus(PUZZLES)
    return Stream(
        pieces=pieces,
        puzzle_ids=puzzles.puzzle_ids,
        puzzle_indices=puzzles.puzzle_indices,
        group_indices=puzzles.group_indices,
        metadata=puzzles.metadata,
    )


def test_pieces_make_the_same_folder(folder, tmp_path):
    tokens = (
        build_sudokus(PUZZLES).inputs.astype(np.uint8),
        build_sudokus(PUZZLES).labels.astype(np.uint8),
    )
    pieces = ((part[:2], other[:2]) for part, other in [tokens])
    rest = ((part[2:], other[2:]) for part, other in [tokens])
    made = stream(itertools.chain(pieces, rest))
    write_streams(tmp_path / "again", {"test": made}, {"identifiers.json": ["<blank>"]})
    assert_same_set(read_folder(tmp_path / "again"), read_folder(folder))


@pytest.mark.parametrize(
    ("pieces", "message"),
    [
        ([(np.zeros((4, 16), np.uint8),) * 2], "expected 5 examples in all, found 4"),
        (
            [(np.zeros((5, 16), np.uint8), np.zeros((4, 16), np.uint8))],
            r"expected .* found uint8 of shape \(4, 16",
        ),
        ([(np.zeros((5, 16), int),) * 2], "expected uint8 of shape .* found int64"),
        ([(np.zeros((5, 9), np.uint8),) * 2], r"expected uint8 of shape \(5, 16\), found"),
    ],
)
def test_pieces_that_are_not_those_announced_leave_nothing(tmp_path, pieces, message):
    with pytest.raises(ValueError, match=f"pieces: {message}"):
        write_streams(tmp_path / "data", {"test": stream(pieces)}, {})
    assert list(tmp_path.iterdir()) == []


def test_identifiers_are_names_that_differ(folder):
    assert read_identifiers(folder) == ["<blank>"]
    for content, message in (
        ('{"a": 1}', "expected a list of names, found dict"),
        ("[1]", "expected a list of names"),
        ("[]", "expected different names, found nothing"),
        ('["<blank>", "a", "a"]', "expected different names, found a again"),
        ("[", "is not JSON"),
    ):
        (folder / "identifiers.json").write_text(content)
        with pytest.raises(ValueError, match=f"identifiers.json.*{message}"):
            read_identifiers(folder)


@pytest.mark.parametrize(
    ("key", "rows"),
    [
        (slice(7), range(7)),
        (slice(4, None), range(4, 12)),
        (5, [5]),
        (-1, [11]),
        (np.arange(12) % 5 == 1, [1, 6, 11]),
        (np.array([2, 9]), [2, 9]),
    ],
    ids=["first", "rest", "one", "last", "mask", "numbers"],
)
def test_some_examples_of_a_set_are_a_set(key, rows):
    puzzles = build_sudokus(
        generate_sudokus(4, 3, seed=0), num_aug=3
    )  # three groups of four puzzles
    chosen, rows = puzzles[key], list(rows)
    np.testing.assert_array_equal(chosen.inputs, puzzles.inputs[rows])
    np.testing.assert_array_equal(chosen.labels, puzzles.labels[rows])
    assert chosen.puzzle_indices.tolist() == list(range(len(rows) + 1))
    groups = [row // 4 for row in rows]
    assert np.diff(chosen.group_indices).tolist() == [groups.count(g) for g in sorted({*groups})]
    assert chosen.metadata.total_groups == len({*groups})


def test_the_whole_of_a_set_is_the_set():
    puzzles = build_sudokus(generate_sudokus(4, 3, seed=0), num_aug=3)
    assert puzzles[:].digest() == puzzles[:99].digest() == puzzles.digest()
    assert repr(puzzles[:5]) == "PuzzleSet(5 of 16 tokens, from puzzles)"


def test_no_examples_are_no_set():
    puzzles = build_sudokus(generate_sudokus(4, 3, seed=0))
    with pytest.raises(ValueError, match="puzzles: the choice holds no example"):
        puzzles[3:]
    with pytest.raises(IndexError):
        puzzles[3]
