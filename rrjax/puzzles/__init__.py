"""Puzzles as tokens: sets of them, files, generators and the rules of Sudoku and mazes.

The modules hold more: solver and symmetries of Sudoku, ARC tasks and votes, data-set folders.
"""

from rrjax.puzzles.dataset import PuzzleSet
from rrjax.puzzles.folders import write_folder
from rrjax.puzzles.maze import Mazes, format_maze, is_shortest_path
from rrjax.puzzles.maze_build import build_mazes
from rrjax.puzzles.maze_generate import MazeRequest, generate_mazes
from rrjax.puzzles.readers import read
from rrjax.puzzles.sudoku import format_board, from_tokens, is_solved, parse_board, to_tokens
from rrjax.puzzles.sudoku_build import build_sudokus
from rrjax.puzzles.sudoku_generate import generate_sudokus
from rrjax.puzzles.sudoku_graph import naked_singles, peer_graphs
from rrjax.puzzles.sudoku_solver import solve_sudoku

__all__ = [
    "MazeRequest",
    "Mazes",
    "PuzzleSet",
    "build_mazes",
    "build_sudokus",
    "format_board",
    "format_maze",
    "from_tokens",
    "generate_mazes",
    "generate_sudokus",
    "is_shortest_path",
    "is_solved",
    "naked_singles",
    "parse_board",
    "peer_graphs",
    "read",
    "solve_sudoku",
    "to_tokens",
    "write_folder",
]
