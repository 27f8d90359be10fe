"""Puzzles as tokens: rules, solver, generator, symmetries, readers and data-set folders."""

from rrjax.puzzles.dataset import Metadata, PuzzleSet, build
from rrjax.puzzles.folders import read_folder, write_folder
from rrjax.puzzles.generate import distinct, generate, relabel
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
    "Geometry",
    "Listing",
    "Metadata",
    "PuzzleSet",
    "Puzzles",
    "Solution",
    "Symmetries",
    "apply",
    "apply_to_tokens",
    "build",
    "compact_board",
    "compose",
    "distinct",
    "fill_solutions",
    "format_board",
    "from_answers",
    "from_tokens",
    "generate",
    "geometry",
    "group_order",
    "inverse",
    "is_solved",
    "parse_board",
    "random_symmetries",
    "read_csv",
    "read_folder",
    "read_list",
    "read_puzzles",
    "relabel",
    "respects_givens",
    "solve",
    "to_tokens",
    "violations",
    "write_folder",
]
