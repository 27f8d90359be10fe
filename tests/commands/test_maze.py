"""`rrjax maze`: reproducible folders whose sets share no maze, or nothing at all."""

import numpy as np
import pytest

from rrjax.cli import main
from rrjax.commands import maze
from rrjax.puzzles import is_shortest_path
from rrjax.puzzles.folders import read_folder
from rrjax.puzzles.maze import CHARSET, path_lengths
from rrjax.puzzles.maze_build import symmetry_class

SMALL = ("--size", "6", "--min-path", "8", "--num-train", "12", "--num-test", "6")
QUESTION = "S  ###  #  #  G#   " + " " * 6


def make(folder, *options):
    """The files that the command writes."""
    assert main(["maze", str(folder), *options]) == 0
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_seed_gives_the_same_bytes(tmp_path):
    first = make(tmp_path / "a", *SMALL, "--seed", "5")
    assert make(tmp_path / "b", *SMALL, "--seed", "5") == first
    other = make(tmp_path / "c", *SMALL, "--seed", "6")
    assert other["train/all__inputs.npy"] != first["train/all__inputs.npy"]
    assert other["test/all__inputs.npy"] != first["test/all__inputs.npy"]


@pytest.mark.parametrize("seed", range(3))
def test_no_test_maze_is_an_image_of_a_training_maze(tmp_path, seed):
    # without walls there are few such mazes up to a symmetry: plain draws repeat
    options = ("--size", "5", "--min-path", "5", "--walls", "0", "0.1", "--seed", str(seed))
    make(tmp_path / "data", *options, "--num-train", "15", "--num-test", "15")
    train, test = (read_folder(tmp_path / "data", split) for split in ("train", "test"))
    classes = [{symmetry_class(row) for row in part.inputs} for part in (train, test)]
    assert [len(part) for part in classes] == [15, 15]
    assert not classes[0] & classes[1]


def test_labels_are_shortest_paths_of_the_length_asked_for(tmp_path, capsys):
    make(tmp_path / "data", *SMALL, "--augment", "8")
    train, test = (read_folder(tmp_path / "data", split) for split in ("train", "test"))
    assert (len(train), len(test)) == (96, 6)
    for part in (train, test):
        assert is_shortest_path(part.inputs, part.labels).all()
        assert path_lengths(part.inputs).min() >= 8
    assert train.metadata.total_groups == 12
    assert "12 train mazes (96 examples); 6 test mazes (6 examples)" in capsys.readouterr().out


def test_short_and_long_paths_stand_in_one_set(tmp_path):
    make(tmp_path / "data", *SMALL, "--min-path", "3", "12")
    lengths = path_lengths(read_folder(tmp_path / "data", "train").inputs)
    assert lengths.min() < 8
    assert (lengths >= 12).sum() >= 6


@pytest.fixture
def csv(tmp_path):
    """A folder as the official one, of the mazes of a set."""
    make(tmp_path / "made", *SMALL)
    (tmp_path / "csv").mkdir()
    for split in ("train", "test"):
        part = read_folder(tmp_path / "made", split)
        rows = [
            ",".join(["web", *("".join(CHARSET[t - 1] for t in side) for side in pair), "8"])
            for pair in zip(part.inputs, part.labels, strict=True)
        ]
        text = "source,question,answer,rating\n" + "\n".join(rows) + "\n"
        (tmp_path / "csv" / f"{split}.csv").write_text(text)
    return tmp_path / "csv"


def test_the_official_csv_makes_the_same_folder_without_a_bar(tmp_path, csv, monkeypatch):
    bars = []
    progress = maze.progress
    monkeypatch.setattr(
        maze, "progress", lambda *call, shown: bars.append(shown) or progress(*call, shown)
    )
    files = make(tmp_path / "data", "--csv", str(csv))
    assert bars == [False]
    made = {name: (tmp_path / "made" / name).read_bytes() for name in files}
    assert files == made


def test_of_more_mazes_than_wanted_a_seeded_choice_stays(tmp_path, csv):
    few = ("--csv", str(csv), "--num-train", "5")
    first = make(tmp_path / "a", *few)
    assert make(tmp_path / "b", *few) == first
    assert make(tmp_path / "c", *few, "--seed", "1") != first
    whole, part = (read_folder(tmp_path / name, "train").inputs for name in ("made", "a"))
    places = [np.flatnonzero((whole == row).all(axis=1)).item() for row in part]
    assert places == sorted(set(places))
    assert len(read_folder(tmp_path / "a", "test")) == 6


def test_labels_of_a_csv_that_are_no_shortest_path_are_counted(tmp_path, csv, capsys):
    path = csv / "test.csv"
    header, first, *rest = path.read_text().splitlines()
    source, question, _, rating = first.split(",")
    path.write_text("\n".join([header, ",".join([source, question, question, rating]), *rest]))
    make(tmp_path / "data", "--csv", str(csv))
    assert "6 test mazes (6 examples, 1 of them labelled with no" in capsys.readouterr().out


def refused(tmp_path, capsys, message, *options):
    before = sorted(tmp_path.iterdir())
    assert main(["maze", str(tmp_path / "data"), *options]) == 2
    assert message in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--size", "4"), "size must be at least 5, got 4"),
        (("--min-path", "0"), "min_path must be at least 1"),
        (("--min-path", "3", "36"), "min_path must be at most 35, got 36"),
        (("--min-path",), "min_path: expected a number or several, found none"),
        (("--walls", "0.6", "0.5"), "walls: expected 0 <= least <= greatest < 1"),
        (("--num-train", "0"), "num_train must be at least 1, got 0"),
        (("--num-test", "-1"), "num_test must be at least 1, got -1"),
        (("--seed", "-1"), "seed must be at least 0, got -1"),
        # three corners apart, up to symmetry one maze
        (("--size", "5", "--walls", "0", "0"), "that differ by more than a symmetry, only 1"),
    ],
)
def test_an_impossible_request_writes_nothing(tmp_path, capsys, options, message):
    refused(tmp_path, capsys, message, *SMALL, *options)


def test_a_path_that_no_maze_has_writes_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("rrjax.puzzles.maze_generate.MAX_TRIES", 20)
    refused(tmp_path, capsys, "of 20 mazes of 6x6 cells had", *SMALL, "--min-path", "35")


def test_a_csv_that_does_not_fit_writes_nothing(tmp_path, csv, capsys):
    refused(tmp_path, capsys, "1 to the 12 puzzles", "--csv", str(csv), "--num-train", "13")
    other = f"source,question,answer,rating\nweb,{QUESTION},{QUESTION},5\n"
    (csv / "test.csv").write_text(other)
    refused(tmp_path, capsys, "found 36 cells in train.csv and 25 in test", "--csv", str(csv))
    (csv / "test.csv").unlink()
    refused(tmp_path, capsys, "test.csv: expected a file", "--csv", str(csv))


def test_a_place_that_is_taken_is_refused_before_anything_is_made(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(maze, "maze_sets", lambda *_, **__: pytest.fail("made mazes"))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "notes.txt").write_text("keep")
    refused(tmp_path, capsys, "expected a new or empty folder", *SMALL)
    assert (tmp_path / "data" / "notes.txt").read_text() == "keep"
