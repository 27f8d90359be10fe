"""`rrjax arc`: from the official files to a folder, or nothing at all."""

import json

import numpy as np
import pytest

from rrjax.cli import main
from rrjax.commands import arc
from rrjax.puzzles.arc_read import read_test_puzzles
from rrjax.puzzles.folders import read_folder, read_identifiers

TASKS = {
    "training": {
        "first": ([([[1, 2]], [[2, 1]])], [([[3, 4]], [[4, 4]])]),
        "second": ([([[1], [2]], [[2]])], [([[3], [4]], [[4, 0]])]),
    },
    "evaluation": {"third": ([([[1, 0, 2]], [[2]])], [([[0, 5]], [[5, 5, 5]])])},
}


@pytest.fixture
def source(tmp_path):
    """The beginning of the names of Kaggle's combined files."""
    folder = tmp_path / "kaggle"
    folder.mkdir()
    for subset, tasks in TASKS.items():
        challenges = {
            name: {
                "train": [{"input": i, "output": o} for i, o in train],
                "test": [{"input": i} for i, _ in test],
            }
            for name, (train, test) in tasks.items()
        }
        solutions = {name: [output for _, output in test] for name, (_, test) in tasks.items()}
        for kind, content in (("challenges", challenges), ("solutions", solutions)):
            (folder / f"arc-agi_{subset}_{kind}.json").write_text(json.dumps(content))
    return folder / "arc-agi"


def make(folder, source, *options):
    assert main(["arc", str(folder), "--source", str(source), "--num-aug", "4", *options]) == 0
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_subsets_go_where_they_belong(tmp_path, source, capsys):
    files = make(tmp_path / "data", source)
    assert {"identifiers.json", "test_puzzles.json", "test/dataset.json"} <= set(files)
    train, test = (read_folder(tmp_path / "data", split) for split in ("train", "test"))
    assert (len(train), len(test)) == (5 * 2 * 2 + 5, 5)
    names = read_identifiers(tmp_path / "data")
    assert [name for name in names if "|||" not in name] == ["<blank>", "first", "second", "third"]
    assert {names[row].split("|||")[0] for row in test.puzzle_ids} == {"third"}
    (task,) = read_test_puzzles(tmp_path / "data")
    assert (task.name, task.test[0].output.tolist()) == ("third", [[5, 5, 5]])
    assert "2 training and 1 test tasks, 15 puzzles" in capsys.readouterr().out


def test_a_seed_gives_the_same_bytes_wherever_the_tasks_come_from(tmp_path, source):
    first = make(tmp_path / "a", source, "--seed", "5")
    assert make(tmp_path / "b", source.parent, "--seed", "5") == first
    assert make(tmp_path / "c", source, "--seed", "6") != first


def test_another_subset_can_be_the_test_set(tmp_path, source):
    make(tmp_path / "data", source, "--test-set", "training")
    assert [task.name for task in read_test_puzzles(tmp_path / "data")] == ["first", "second"]
    make(tmp_path / "one", source, "--subsets", "evaluation")
    np.testing.assert_array_equal(
        read_folder(tmp_path / "one", "test").inputs,
        read_folder(make_all(tmp_path, source), "test").inputs,
    )


def make_all(tmp_path, source):
    make(tmp_path / "all", source)
    return tmp_path / "all"


def test_test_pairs_that_are_trained_on_are_named(tmp_path, source, capsys):
    path = source.with_name("arc-agi_training_solutions.json")
    path.write_text(json.dumps({"first": [[[4, 4]]], "second": [[[4]]]}))
    make(tmp_path / "data", source)
    assert "a test pair" not in capsys.readouterr().err
    path = source.with_name("arc-agi_evaluation_challenges.json")
    content = json.loads(path.read_text())
    content["third"]["test"][0]["input"] = [[7, 9]]
    path.write_text(json.dumps(content))
    path = source.with_name("arc-agi_evaluation_solutions.json")
    path.write_text(json.dumps({"third": [[[9, 9]]]}))
    make(tmp_path / "again", source)
    assert (
        "a test pair of third is also a pair of first, which is trained on"
        in capsys.readouterr().err
    )


def test_tasks_with_fewer_copies_than_asked_for_are_counted(tmp_path, source, capsys):
    make(tmp_path / "data", source, "--num-aug", "5000", "--subsets", "evaluation")
    assert "1 tasks have fewer copies that differ" in capsys.readouterr().out
    # 1, 2 and 5 become three of nine colours; rows of one line have four images
    assert len(read_identifiers(tmp_path / "data")) == 1 + 9 * 8 * 7 * 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--test-set", "concept"), "test_set: expected one of the subsets"),
        (("--subsets", "evaluation", "concept"), "expected *_concept_challenges.json or a folder"),
        (("--subsets", "training", "training", "evaluation"), "expected each once, found first"),
        (("--num-aug", "-1"), "num_aug must be at least 0, got -1"),
        (("--seed", "-1"), "seed must be at least 0, got -1"),
    ],
)
def test_an_impossible_request_writes_nothing(tmp_path, source, capsys, options, message):
    assert main(["arc", str(tmp_path / "data"), "--source", str(source), *options]) == 2
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["kaggle"]


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ([[0] * 31], "third: test 0 input: expected 1 to 30 rows and columns, found (1, 31)"),
        ([[10]], "third: test 0 input: expected values 0..9, found 10"),
        ([[1], [1, 2]], "third: test 0 input: expected rows of equal length"),
    ],
)
def test_a_damaged_task_writes_nothing(tmp_path, source, capsys, grid, message):
    path = source.with_name("arc-agi_evaluation_challenges.json")
    content = json.loads(path.read_text())
    content["third"]["test"][0]["input"] = grid
    path.write_text(json.dumps(content))
    assert main(["arc", str(tmp_path / "data"), "--source", str(source)]) == 2
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["kaggle"]


def test_a_place_that_is_taken_is_refused_before_anything_is_read(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(arc, "read_request", lambda *_: pytest.fail("read tasks"))
    (tmp_path / "notes.txt").write_text("keep")
    assert main(["arc", str(tmp_path)]) == 2
    assert "expected a new or empty folder" in capsys.readouterr().err
    assert (tmp_path / "notes.txt").read_text() == "keep"
