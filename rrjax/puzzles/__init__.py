"""Puzzles as tokens: rules, solver, generators, symmetries, readers and data-set folders."""

from rrjax.puzzles.arc import Pair, Task
from rrjax.puzzles.arc_build import ArcRequest, num_visits, repeated_pairs, write_arc
from rrjax.puzzles.arc_evaluate import Ballot, Score, Vote, score, submission, write_submission
from rrjax.puzzles.arc_read import read_tasks, read_test_puzzles, read_unsolved_tasks
from rrjax.puzzles.dataset import Metadata, PuzzleSet, build
from rrjax.puzzles.folders import read_folder, read_identifiers, write_folder
from rrjax.puzzles.generate import distinct, generate, relabel
from rrjax.puzzles.maze import (
    Mazes,
    format_maze,
    is_shortest_path,
    is_valid_path,
    maze_size,
    parse_maze,
    path_lengths,
)
from rrjax.puzzles.maze_build import build_mazes, read_maze_csv, symmetry_class
from rrjax.puzzles.maze_generate import MazeRequest, generate_mazes
from rrjax.puzzles.readers import Listing, fill_solutions, read_csv, read_list, read_puzzles
from rrjax.puzzles.solver import Solution, solve
from rrjax.puzzles.sudoku import (
    Geometry,
    Puzzles,
    compact_board,
    format_board,
    from_answers,
    from_tokens,
    geometry,
    is_solved,
    parse_board,
    respects_givens,
    to_tokens,
    violations,
)
from rrjax.puzzles.symmetry import (
    Symmetries,
    apply,
    apply_to_tokens,
    compose,
    group_order,
    inverse,
    random_symmetries,
)

__all__ = [
    "ArcRequest",
    "Ballot",
    "Geometry",
    "Listing",
    "MazeRequest",
    "Mazes",
    "Metadata",
    "Pair",
    "PuzzleSet",
    "Puzzles",
    "Score",
    "Solution",
    "Symmetries",
    "Task",
    "Vote",
    "apply",
    "apply_to_tokens",
    "build",
    "build_mazes",
    "compact_board",
    "compose",
    "distinct",
    "fill_solutions",
    "format_board",
    "format_maze",
    "from_answers",
    "from_tokens",
    "generate",
    "generate_mazes",
    "geometry",
    "group_order",
    "inverse",
    "is_shortest_path",
    "is_solved",
    "is_valid_path",
    "maze_size",
    "num_visits",
    "parse_board",
    "parse_maze",
    "path_lengths",
    "random_symmetries",
    "read_csv",
    "read_folder",
    "read_identifiers",
    "read_list",
    "read_maze_csv",
    "read_puzzles",
    "read_tasks",
    "read_test_puzzles",
    "read_unsolved_tasks",
    "relabel",
    "repeated_pairs",
    "respects_givens",
    "score",
    "solve",
    "submission",
    "symmetry_class",
    "to_tokens",
    "violations",
    "write_arc",
    "write_folder",
    "write_submission",
]
