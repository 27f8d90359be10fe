"""ARC folders: which pairs go where, what copies and translations change, bytes, memory."""

import hashlib
import json

import numpy as np
import pytest

from rrjax.puzzles.arc import Pair, Task, augment, encode, parse_name, restore
from rrjax.puzzles.arc_build import ArcRequest, num_visits, repeated_pairs, write_arc
from rrjax.puzzles.arc_copies import draw_copies, pair_class
from rrjax.puzzles.arc_read import as_json, read_test_puzzles
from rrjax.puzzles.folders import read_folder, read_identifiers


def grid(*rows):
    return np.array(rows, np.uint8)


# no two pairs are images of each other
TRAINED = Task(
    "trained",
    [Pair(grid([1, 2, 3]), grid([3, 2, 1])), Pair(grid([4, 5]), grid([5, 4]))],
    [Pair(grid([6, 7], [1, 1]), grid([7, 6], [1, 1]))],
)
TESTED = Task(
    "tested",
    [Pair(grid([1, 2], [3, 4]), grid([1], [3])), Pair(grid([5, 1]), grid([5]))],
    [Pair(grid([6, 7, 8]), grid([6])), Pair(grid([9, 8], [9, 6]), grid([9], [9]))],
)
UNIFORM = Task("uniform", [Pair(grid([0]), grid([0]))], [Pair(grid([1]), grid([1]))])
REQUEST = ArcRequest([TRAINED], [TESTED], num_aug=20, seed=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    target = tmp_path_factory.mktemp("arc") / "data"
    write_arc(target, REQUEST)
    return target


def fingerprint(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [(p.relative_to(folder), hashlib.sha256(p.read_bytes()).hexdigest()) for p in files]


def pairs_of(folder, split):
    """(task, identifier, corner, pair as in the task) of each example, told by its tokens."""
    puzzles, names = read_folder(folder, split), read_identifiers(folder)
    for inputs, labels, row in zip(puzzles.inputs, puzzles.labels, puzzles.puzzle_ids, strict=True):
        task, augmentation = parse_name(names[row])
        found = []
        for tokens in (inputs, labels):
            rows, columns = np.nonzero(tokens.reshape(30, 30) >= 2)
            area = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
            colours = (tokens.reshape(30, 30)[area] - 2).astype(np.uint8)
            corner = np.array([rows.min()]), np.array([columns.min()])
            np.testing.assert_array_equal(encode(colours[None], *corner)[0], tokens)
            found.append((corner, restore(colours, augmentation) if augmentation else colours))
        assert found[0][0] == found[1][0]
        yield task, names[row], found[0][0], tuple(part.tolist() for _, part in found)


def plain(pairs):
    return [(pair.input.tolist(), pair.output.tolist()) for pair in pairs]


def test_every_copy_holds_the_pairs_of_its_task(folder):
    expected = {
        ("train", "trained"): plain(TRAINED.train + TRAINED.test),
        ("train", "tested"): plain(TESTED.train),
        ("test", "tested"): plain(TESTED.test),
    }
    found = {}
    for split in ("train", "test"):
        for task, name, _, pair in pairs_of(folder, split):
            found.setdefault((split, task), {}).setdefault(name, []).append(pair)
    assert found.keys() == expected.keys()
    for place, copies in found.items():
        assert len(copies) == 21
        assert all(pairs == expected[place] for pairs in copies.values())


def test_no_test_pair_of_an_evaluation_task_is_trained_on_under_any_augmentation(folder):
    tests = plain(TESTED.test)
    trained = list(pairs_of(folder, "train"))
    assert not [name for task, name, _, pair in trained if task == "tested" and pair in tests]
    # whatever the identifier says: no image of a test pair either
    classes = {pair_class(pair) for pair in TESTED.test}
    assert not [n for _, n, _, p in trained if pair_class(Pair(*map(grid_of, p))) in classes]


def grid_of(rows):
    return np.array(rows, np.uint8)


def test_both_splits_share_the_identifiers_of_an_evaluation_task(folder):
    names = read_identifiers(folder)
    train, test = (read_folder(folder, split) for split in ("train", "test"))
    assert names[:2] == ["<blank>", "trained"]
    assert len(names) == 43 == train.metadata.num_puzzle_identifiers
    assert sorted(set(train.puzzle_ids)) == list(range(1, 43))
    assert sorted(set(test.puzzle_ids)) == list(range(22, 43))
    assert names[22] == "tested"


def test_metadata_are_the_official_ones(folder):
    assert json.loads((folder / "train" / "dataset.json").read_text()) == {
        "pad_id": 0,
        "ignore_label_id": 0,
        "blank_identifier_id": 0,
        "vocab_size": 12,
        "seq_len": 900,
        "num_puzzle_identifiers": 43,
        "total_groups": 2,
        "mean_puzzle_examples": 2.5,
        "total_puzzles": 42,
        "sets": ["all"],
    }
    puzzles = read_folder(folder, "train")
    assert puzzles.group_indices.tolist() == [0, 21, 42]
    assert np.diff(puzzles.puzzle_indices).tolist() == [3] * 21 + [2] * 21
    few = puzzles[:64]
    assert (few.metadata.total_groups, few.metadata.total_puzzles) == (2, 22)
    assert np.load(folder / "train" / "all__inputs.npy").dtype == np.uint8
    assert [as_json(task) for task in read_test_puzzles(folder)] == [as_json(TESTED)]


def test_training_grids_are_translated_but_one_of_each_copy_and_test_grids_never(folder):
    corners = {}
    for _, name, (row, column), _ in pairs_of(folder, "train"):
        corners.setdefault(name, []).append((int(row[0]), int(column[0])))
    assert all((0, 0) in places for places in corners.values())
    moved = [place for places in corners.values() for place in places if place != (0, 0)]
    assert len(moved) >= 60  # 42 of 105 stay, few others come to (0, 0) by chance
    rows, columns = np.array(moved).T
    assert min(rows.max(), columns.max()) > 20
    assert {(int(r[0]), int(c[0])) for _, _, (r, c), _ in pairs_of(folder, "test")} == {(0, 0)}


def test_translations_reach_every_edge_and_never_leave_the_canvas(tmp_path):
    tall = Task("tall", [Pair(np.full((30, 29), 1, np.uint8), grid([2]))] * 2, TESTED.test)
    write_arc(tmp_path / "data", ArcRequest([], [tall], num_aug=60))
    puzzles = read_folder(tmp_path / "data", "train")
    sizes = (puzzles.inputs >= 2).sum(axis=1)
    assert set(sizes.tolist()) == {30 * 29}
    eos = (puzzles.inputs == 1).sum(axis=1)
    assert set(eos.tolist()) == {30, 0}  # free line at the far side, or at the near side


def test_copies_differ_and_depend_on_seed_and_task():
    copies = draw_copies(TESTED, 30, seed=1)
    pairs = [
        [
            augment(side, parse_augmentation(copies, i)).tolist()
            for pair in TESTED.train
            for side in pair
        ]
        for i in range(31)
    ]
    assert len({json.dumps(content) for content in pairs}) == 31
    assert copies.symmetries[0] == 0
    assert copies.colours[0].tolist() == list(range(10))
    other = draw_copies(TESTED._replace(name="other"), 30, seed=1)
    assert (other.colours != copies.colours).any()
    assert (draw_copies(TESTED, 30, seed=2).colours != copies.colours).any()
    assert (copies.colours[:, 0] == 0).all()
    assert (np.sort(copies.colours) == np.arange(10)).all()


def parse_augmentation(copies, index):
    return parse_name(
        f"x|||t{copies.symmetries[index]}|||{''.join(map(str, copies.colours[index]))}"
    )[1]


def test_a_symmetric_task_of_one_colour_has_as_many_copies_as_differ():
    copies = draw_copies(UNIFORM, 50, seed=0)
    assert len(copies.symmetries) == 9  # 1 becomes one of 1..9
    assert len(set(copies.colours[:, 1].tolist())) == 9


def test_the_same_seed_gives_the_same_bytes(folder, tmp_path):
    seen = []
    write_arc(tmp_path / "again", REQUEST, seen.append)
    assert seen == list(range(1, num_visits(REQUEST) + 1))
    assert fingerprint(tmp_path / "again") == fingerprint(folder)
    write_arc(tmp_path / "other", ArcRequest([TRAINED], [TESTED], num_aug=20, seed=4))
    assert fingerprint(tmp_path / "other") != fingerprint(folder)


def test_a_task_keeps_its_copies_when_others_are_added(folder, tmp_path):
    write_arc(tmp_path / "alone", ArcRequest([], [TESTED], num_aug=20, seed=3))
    alone, both = (read_folder(path, "train") for path in (tmp_path / "alone", folder))
    np.testing.assert_array_equal(alone.inputs, both.inputs[63:])
    assert read_identifiers(tmp_path / "alone")[1:] == read_identifiers(folder)[22:]


def test_repeated_pairs_are_found_under_augmentation():
    turned = Pair(grid([5], [3], [2]), grid([5]))
    same = Task("same", [turned], [Pair(grid([1, 1]), grid([1]))])
    assert repeated_pairs(ArcRequest([same], [TESTED])) == [("tested", "same")]
    assert repeated_pairs(REQUEST) == []
    own = Task("own", [TESTED.test[0]], TESTED.test)
    assert repeated_pairs(ArcRequest([], [own])) == [("own", "own")]
    other_size = Task("same", [Pair(grid([6, 7, 8]), grid([6, 6]))], same.test)
    assert repeated_pairs(ArcRequest([other_size], [TESTED])) == []


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (ArcRequest([TRAINED], []), "evaluation: expected at least one task, found none"),
        (ArcRequest([TESTED], [TESTED]), "tasks: expected each once, found tested again"),
        (ArcRequest([], [TESTED], num_aug=-1), "num_aug must be at least 0, got -1"),
        (ArcRequest([], [TESTED], seed=-1), "seed must be at least 0, got -1"),
    ],
)
def test_impossible_requests_write_nothing(tmp_path, request_, message):
    with pytest.raises(ValueError, match=message):
        write_arc(tmp_path / "data", request_)
    assert list(tmp_path.iterdir()) == []


def test_tasks_alone_are_a_set_too(tmp_path):
    copies = write_arc(tmp_path / "data", ArcRequest([], [TESTED], num_aug=0))
    assert [len(each.symmetries) for each in copies] == [1]
    assert read_identifiers(tmp_path / "data") == ["<blank>", "tested"]
    assert len(read_folder(tmp_path / "data", "test")) == 2
