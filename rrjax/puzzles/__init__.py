"""Puzzles as tokens: sets of them, files, generators and the rules of Sudoku and mazes.

The modules hold more: solver and symmetries of Sudoku, ARC tasks and votes, data-set folders.
"""

from rrjax.puzzles.dataset import PuzzleSet as PuzzleSet
from rrjax.puzzles.folders import write_folder as write_folder
from rrjax.puzzles.maze import format_maze as format_maze
from rrjax.puzzles.maze import is_shortest_path as is_shortest_path
from rrjax.puzzles.maze_build import build_mazes as build_mazes
from rrjax.puzzles.maze_generate import generate_mazes as generate_mazes
from rrjax.puzzles.readers import read as read
from rrjax.puzzles.sudoku import format_board as format_board
from rrjax.puzzles.sudoku import from_tokens as from_tokens
from rrjax.puzzles.sudoku import is_solved as is_solved
from rrjax.puzzles.sudoku import parse_board as parse_board
from rrjax.puzzles.sudoku import to_tokens as to_tokens
from rrjax.puzzles.sudoku_build import build_sudokus as build_sudokus
from rrjax.puzzles.sudoku_generate import generate_sudokus as generate_sudokus
from rrjax.puzzles.sudoku_solver import solve_sudoku as solve_sudoku
