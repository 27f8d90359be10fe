"""Mazes: symmetries, paths held against a plain search, the generator, sets and the CSV."""

from collections import deque
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rrjax.puzzles import build_mazes, format_maze, generate_mazes, is_shortest_path, write_folder
from rrjax.puzzles.dihedral import INVERSES, invert, transform
from rrjax.puzzles.folders import read_folder
from rrjax.puzzles.maze import (
    FREE,
    GOAL,
    PATH,
    START,
    WALL,
    Mazes,
    is_valid_path,
    maze_size,
    parse_maze,
    path_lengths,
)
from rrjax.puzzles.maze_build import symmetry_class
from rrjax.puzzles.maze_generate import MazeRequest
from rrjax.puzzles.text_files import read_maze_csv

SMALL = MazeRequest(size=6, min_path=8)
QUESTION = "S  ###  #    # G#     #  "
ANSWER = "So ###o # oo # G#     #  "


def generated(number, request=SMALL, seed=0):
    mazes = list(islice(generate_mazes(request, seed), number))
    return Mazes(*map(np.stack, zip(*mazes, strict=True)))


def plain_distance(question):
    """Moves from S to G by a queue of cells; None if there is no way."""
    size = round(question.size**0.5)
    grid = question.reshape(size, size)
    start, goal = (tuple(np.argwhere(grid == end)[0]) for end in (START, GOAL))
    distance, queue = {start: 0}, deque([start])
    while queue:
        row, column = queue.popleft()
        for cell in ((row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)):
            inside = min(cell) >= 0 and max(cell) < size
            if inside and grid[cell] != WALL and cell not in distance:
                distance[cell] = distance[row, column] + 1
                queue.append(cell)
    return distance.get(goal)


def plainly_joined(question, answer):
    """Whether merging neighbours among S, G and the marks leaves one set, and nothing changed."""
    size = round(question.size**0.5)
    same = [a == q or (q == FREE and a == PATH) for q, a in zip(question, answer, strict=True)]
    sets = [{i} for i, token in enumerate(answer) if token in (START, GOAL, PATH)]
    for i, j in [(i, i + 1) for i in range(size * size - 1) if (i + 1) % size] + [
        (i, i + size) for i in range(size * size - size)
    ]:
        one, other = ([part for part in sets if cell in part] for cell in (i, j))
        if one and other and one != other:
            sets = [part for part in sets if part not in (one[0], other[0])]
            sets.append(one[0] | other[0])
    return all(same) and len(sets) == 1


@st.composite
def questions(draw, size=5):
    cells = st.lists(st.sampled_from([WALL, FREE]), min_size=size * size, max_size=size * size)
    question = np.array(draw(cells), np.int32)
    ends = st.lists(st.integers(0, size * size - 1), min_size=2, max_size=2, unique=True)
    question[draw(ends)] = [START, GOAL]
    return question


@pytest.mark.parametrize("symmetry", range(8))
def test_symmetries_are_those_of_the_official_code(symmetry):
    grid = np.arange(6).reshape(2, 3)
    quarter = [[2, 5], [1, 4], [0, 3]]
    expected = [
        grid.tolist(),
        quarter,
        [[5, 4, 3], [2, 1, 0]],
        [[3, 0], [4, 1], [5, 2]],
        [[2, 1, 0], [5, 4, 3]],
        [[3, 4, 5], [0, 1, 2]],
        [[0, 3], [1, 4], [2, 5]],
        [[5, 2], [4, 1], [3, 0]],
    ]
    assert transform(grid, symmetry).tolist() == expected[symmetry]
    np.testing.assert_array_equal(invert(transform(grid, symmetry), symmetry), grid)
    np.testing.assert_array_equal(transform(grid[None, None], symmetry)[0, 0], expected[symmetry])
    assert INVERSES[INVERSES[symmetry]] == symmetry


@settings(deadline=None, max_examples=70)
@given(questions())
def test_path_lengths_are_those_of_a_plain_search(question):
    expected = plain_distance(question)
    assert path_lengths(question) == (-1 if expected is None else expected)


@settings(deadline=None, max_examples=70)
@given(questions(), st.lists(st.integers(0, 5), min_size=25, max_size=25), st.integers(0, 3))
def test_validity_is_that_of_a_plain_merge(question, tokens, kind):
    marked = np.where((question == FREE) & (np.array(tokens) > 1), PATH, question)
    answer = np.array(tokens) if kind == 0 else marked
    valid = plainly_joined(question, answer)
    assert is_valid_path(question, answer) == valid
    shortest = valid and (answer == PATH).sum() + 1 == plain_distance(question)
    assert is_shortest_path(question, answer) == shortest


def changed(text, *changes):
    for cell, symbol in changes:
        text = text[:cell] + symbol + text[cell + 1 :]
    return text


@pytest.mark.parametrize(
    ("answer", "valid", "shortest"),
    [
        (ANSWER, True, True),
        (changed(ANSWER, (2, "o"), (7, "o")), True, False),
        (changed(ANSWER, (2, "o")), True, False),
        (changed(ANSWER, (24, "o")), False, False),
        (changed(ANSWER, (6, " ")), False, False),
        (changed(QUESTION, (5, "o"), (10, "o")), False, False),
        (changed(ANSWER, (0, "o")), False, False),
        (changed(ANSWER, (15, " ")), False, False),
        (changed(ANSWER, (24, "#")), False, False),
        (QUESTION, False, False),
    ],
    ids=["exact", "loop", "spur", "apart", "gap", "wall", "no S", "no G", "new wall", "nothing"],
)
def test_known_answers(answer, valid, shortest):
    question, tokens = parse_maze(QUESTION), parse_maze(answer)
    assert is_valid_path(question, tokens) == valid
    assert is_shortest_path(question, tokens) == shortest
    padded = np.where(tokens == FREE, 0, tokens)
    assert not is_valid_path(question, padded)


def test_another_shortest_path_is_as_good_as_the_label():
    question = parse_maze("S    " + "     " * 3 + "    G")
    ways = [
        parse_maze("Soooo" + "    o" * 3 + "    G"),
        parse_maze("S    " + "o    " * 3 + "ooooG"),
    ]
    assert is_shortest_path(np.stack([question, question]), np.stack(ways)).tolist() == [True] * 2


def test_batches_keep_their_axes():
    mazes = generated(6)
    questions, answers = (part.reshape(2, 3, -1) for part in mazes)
    np.testing.assert_array_equal(path_lengths(questions).ravel(), path_lengths(mazes.questions))
    assert is_valid_path(questions, answers).shape == (2, 3)
    assert is_shortest_path(questions[:0], answers[:0]).shape == (0, 3)
    assert path_lengths(parse_maze(QUESTION)).tolist() == 5


def test_text_and_tokens_agree():
    assert parse_maze(ANSWER)[:7].tolist() == [START, PATH, FREE, WALL, WALL, WALL, PATH]
    assert format_maze(parse_maze(ANSWER)).replace("\n", "") == ANSWER
    assert format_maze(np.zeros(25, int)) == "\n".join(["....."] * 5)


def test_only_mazes_have_a_size():
    assert maze_size(900, 6) == 30
    assert maze_size(16, 6) is None  # a 4x4 Sudoku
    assert maze_size(900, 12) is None
    assert maze_size(26, 6) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("S" * 16, r"expected n \* n characters, n >= 5, found 16"),
        ("S" * 26, "found 26"),
        (QUESTION[:-1] + "x", "expected the characters '# SGo', found 'x' at place 25"),
    ],
)
def test_text_that_is_no_maze_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse_maze(text)


@pytest.mark.parametrize(
    ("questions", "message"),
    [
        (np.ones(25), "expected integers, found dtype float64"),
        (np.ones(16, int), r"expected \(..., n \* n\) with n >= 5, found \(16,\)"),
        (parse_maze(ANSWER), r"expected values 1..4, found 5 at \(1,\)"),
        (parse_maze(changed(QUESTION, (0, " "))), "expected one S each"),
        (parse_maze(changed(QUESTION, (1, "G"))), "expected one G each, found 2"),
    ],
)
def test_questions_that_are_no_maze_are_refused(questions, message):
    with pytest.raises(ValueError, match=f"questions: {message}"):
        is_shortest_path(questions, questions)


def test_answers_need_the_shape_of_the_questions():
    with pytest.raises(ValueError, match=r"answers: expected .*\(25,\), found \(36,\)"):
        is_shortest_path(parse_maze(QUESTION), np.ones(36, int))


@pytest.mark.parametrize("seed", range(3))
def test_generated_mazes_are_long_and_their_answers_shortest(seed):
    mazes = generated(30, seed=seed)
    lengths = np.array([plain_distance(question) for question in mazes.questions])
    assert lengths.min() >= SMALL.min_path
    np.testing.assert_array_equal((mazes.answers == PATH).sum(axis=1), lengths - 1)
    assert is_shortest_path(mazes.questions, mazes.answers).all()
    assert len({symmetry_class(question) for question in mazes.questions}) == 30


def test_goals_lie_at_every_length_that_is_allowed_and_paths_vary():
    mazes = generated(200, MazeRequest(size=5, min_path=4, walls=(0.2, 0.2)))
    lengths = set(path_lengths(mazes.questions).tolist())
    assert set(range(4, 9)) <= lengths
    empty = generated(40, MazeRequest(size=5, min_path=8, walls=(0.0, 0.0)))
    assert len(np.unique(empty.questions, axis=0)) == 4  # opposite corners
    assert len(np.unique(empty.answers, axis=0)) > 20


def test_several_least_lengths_take_turns():
    request = MazeRequest(size=6, min_path=(3, 8, 12))
    lengths = path_lengths(generated(60, request).questions).reshape(20, 3)
    assert (lengths.min(axis=0) >= [3, 8, 12]).all()
    assert lengths[:, 0].min() < 8 <= lengths[:, 1].min() < 12
    alone = generated(1, request._replace(min_path=(3,)))
    np.testing.assert_array_equal(alone.answers, generated(1, request).answers[:1])


def has_a_detour(question, answer):
    """Whether S and G stay as near if some cell of the path becomes a wall."""
    blocked = (
        plain_distance(changed_token(question, cell)) for cell in np.argwhere(answer == PATH)
    )
    return plain_distance(question) in blocked


def changed_token(question, cell, token=WALL):
    other = question.copy()
    other[cell] = token
    return other


def test_a_single_shortest_path_is_single_where_it_is_asked_for_and_rarely_otherwise():
    request = MazeRequest(size=8, min_path=10)
    unique = generated(40, request._replace(unique=True))
    assert is_shortest_path(unique.questions, unique.answers).all()
    assert path_lengths(unique.questions).min() >= 10
    assert not any(map(has_a_detour, *unique))
    assert sum(map(has_a_detour, *generated(40, request))) > 20
    # from a corner of an empty square these are the straight ways, to and fro
    straight = generated(200, MazeRequest(5, 4, (0.0, 0.0), unique=True))
    assert len(np.unique(straight.questions, axis=0)) == 8


def test_the_fraction_of_walls_is_the_one_asked_for():
    mazes = generated(50, MazeRequest(size=20, min_path=10, walls=(0.25, 0.35)))
    fractions = (mazes.questions == WALL).mean(axis=1)
    assert abs(fractions.mean() - 0.3) < 0.02
    assert fractions.std() > 0.02


def test_a_maze_depends_on_seed_and_index_alone():
    few, many = generated(3), generated(6)
    np.testing.assert_array_equal(few.answers, many.answers[:3])
    assert (generated(3, seed=1).questions != few.questions).any()


@pytest.mark.parametrize(
    ("request_", "seed", "message"),
    [
        (MazeRequest(size=4), 0, "size must be at least 5, got 4"),
        (MazeRequest(size=5, min_path=0), 0, "min_path must be at least 1, got 0"),
        (MazeRequest(size=5, min_path=(4, 25)), 0, "min_path must be at most 24, got 25"),
        (MazeRequest(size=5, min_path=()), 0, "min_path: expected .*, found none"),
        (
            MazeRequest(size=5, min_path=4, walls=(0.5, 0.4)),
            0,
            "walls: expected 0 <= least <= greatest < 1",
        ),
        (MazeRequest(size=5, min_path=4, walls=(0.5, 1.0)), 0, "walls: expected"),
        (MazeRequest(size=5, min_path=4), -1, "seed must be at least 0, got -1"),
    ],
)
def test_impossible_requests_are_refused(request_, seed, message):
    with pytest.raises(ValueError, match=message):
        next(generate_mazes(request_, seed))


def test_a_path_that_no_maze_has_is_refused_with_the_longest_found(monkeypatch):
    monkeypatch.setattr("rrjax.puzzles.maze_generate.MAX_TRIES", 50)
    with pytest.raises(ValueError, match=r"min_path: .* found 24; .* of 50 mazes of 5x5 .* had"):
        next(generate_mazes(MazeRequest(size=5, min_path=24), 0))


def test_a_set_holds_every_image_of_a_maze_in_its_group():
    mazes = generated(3)
    puzzles = build_mazes(mazes, num_copies=8)
    assert len(puzzles) == 24
    assert puzzles.group_indices.tolist() == [0, 8, 16, 24]
    assert puzzles.metadata.total_puzzles == puzzles.metadata.total_groups == 3
    np.testing.assert_array_equal(puzzles.inputs[::8], mazes.questions)
    assert is_shortest_path(puzzles.inputs, puzzles.labels).all()
    for group in puzzles.inputs.reshape(3, 8, 6, 6):
        np.testing.assert_array_equal(group[6], group[0].T)
        assert len({symmetry_class(image.ravel()) for image in group}) == 1


def test_a_set_comes_back_from_its_folder(tmp_path):
    puzzles = build_mazes(generated(3))
    write_folder(tmp_path / "mazes", {"test": puzzles})
    found = read_folder(tmp_path / "mazes")
    assert found.digest() == puzzles.digest()
    assert (found.metadata.vocab_size, found.metadata.seq_len) == (6, 36)


@pytest.mark.parametrize(
    ("mazes", "copies", "message"),
    [
        (Mazes(*(part[:0] for part in generated(1))), 1, r"number >= 1, .* found \(0, 36\)"),
        (
            Mazes(generated(2).questions, generated(1).answers),
            1,
            r"answers: .*\(2, 36\), found \(1, 36\)",
        ),
        (
            Mazes(generated(1).questions, generated(1).answers * 0 + FREE),
            1,
            "maze 0: .*keeps walls",
        ),
        (generated(1), 9, "num_copies must be at most 8, got 9"),
    ],
)
def test_wrong_mazes_make_no_set(mazes, copies, message):
    with pytest.raises(ValueError, match=message):
        build_mazes(mazes, copies)


def csv_text(*rows):
    return "source,question,answer,rating\n" + "".join(",".join(row) + "\n" for row in rows)


def test_the_official_csv_is_read(tmp_path):
    path = tmp_path / "train.csv"
    swapped = [
        text.replace("S", "x").replace("G", "S").replace("x", "G") for text in (QUESTION, ANSWER)
    ]
    path.write_text(csv_text(("web", QUESTION, ANSWER, "5"), ("web", *swapped, "5")))
    mazes = read_maze_csv(path)
    assert mazes.lines.tolist() == [2, 3]
    np.testing.assert_array_equal(mazes.questions[0], parse_maze(QUESTION))
    np.testing.assert_array_equal(mazes.answers[1], parse_maze(swapped[1]))
    assert is_shortest_path(mazes.questions, mazes.answers).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (csv_text(), "expected at least one puzzle, found none"),
        ("a,b\n", "line 1: unknown header 'a,b'"),
        (f"question\n{QUESTION}\n", "line 2: expected a maze with its answer, found none"),
        (
            csv_text(("web", QUESTION, ANSWER)),
            "line 2: expected source,question,answer,r",
        ),
        (csv_text(("web", QUESTION[:20], ANSWER, "5")), "line 2: maze: expected n .* found 20"),
        (
            csv_text(("web", QUESTION, "o" * 36, "5")),
            "line 2: expected 25 .* in the answer 36",
        ),
        (
            csv_text(("web", QUESTION, "o" * 25, "5")),
            "train.csv: maze 0: expected an answer that keeps",
        ),
        (csv_text(("web", ANSWER, ANSWER, "5")), "train.csv: questions: expected values 1..4"),
        (
            csv_text(
                ("a", QUESTION, ANSWER, "5"), ("a", "S" + " " * 34 + "G", "S" + " " * 34 + "G", "5")
            ),
            "line 3: expected 25 cells as in line 2, found 36",
        ),
    ],
)
def test_wrong_csv_files_are_refused(tmp_path, text, message):
    path = tmp_path / "train.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        read_maze_csv(path)
    assert str(path) in str(caught.value)
