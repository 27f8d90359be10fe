"""A model on one's own puzzle: its answer, whether it obeys the rules, and how sure it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from rrjax.analysis.selection import majority
from rrjax.checks import MOST_RUNS, check_count, check_number, check_seed, refuse
from rrjax.experiments.basins import BASIN, perturbed
from rrjax.experiments.experiment import Job
from rrjax.experiments.restarts import measure, run_grid
from rrjax.jobs.memory import OutOfMemory
from rrjax.models import Model
from rrjax.outcomes import OBEYS_RULES, VALID_PATH
from rrjax.puzzles.dataset import PuzzleSet, set_of_groups
from rrjax.puzzles.maze import is_shortest_path
from rrjax.puzzles.own_puzzle import format_answer, parse_puzzle
from rrjax.puzzles.symmetric_copies import symmetric_copies
from rrjax.store import Arrays

SOLVE = replace(BASIN, name="solve")
"""The runs of a basin, under the name that their progress shows."""

REST = 0.01
"""Relative step of the state, over the last segments, below which a run counts as at rest."""


@dataclass(frozen=True, repr=False)
class SolvedPuzzle:
    """The answer of a model to one puzzle; prints as the board with what is known of it.

    Attributes:
      tokens: (seq,) the puzzle.
      answer: (seq,) tokens of the answer that most runs give; of equally many that of the plain
        run, or else of the earliest.
      obeys_rules: Whether the answer keeps the puzzle and solves it: every digit once in each unit,
        or a path from S to G.
      is_shortest: Whether that path is a shortest one; None for Sudokus.
      num_votes: Number of runs that give this answer.
      num_runs: Number of all runs: starts times symmetric copies.
      num_right: Number of runs whose answer obeys the rules.
      q_halt: Logit of "the answer is right" in the first run that gives the answer; NaN for models
        without one.
      lambda1: The largest Lyapunov exponent of that run, in nats per update.
      residual: Norm of the state's change over a segment, relative to the state's, as the mean of
        its last segments.
      vocab_size: Number of token values.
    """

    tokens: np.ndarray
    answer: np.ndarray
    obeys_rules: bool
    is_shortest: bool | None
    num_votes: int
    num_runs: int
    num_right: int
    q_halt: float
    lambda1: float
    residual: float
    vocab_size: int = field(kw_only=True)

    @property
    def probability(self) -> float:
        """The probability that the answer is right, as the model itself says: σ(q_halt)."""
        return float(1 / (1 + np.exp(-self.q_halt)))

    @property
    def at_rest(self) -> bool:
        """Whether the run came to rest: its last relative steps are below `REST`."""
        return self.residual < REST

    @property
    def board(self) -> str:
        """The answer as text, with what the puzzle gives told apart."""
        return format_answer(self.tokens, self.answer, self.vocab_size)

    def __repr__(self) -> str:
        return "\n".join([self.board, "", *self._lines()])

    def _lines(self) -> list[str]:
        if self.is_shortest is None:
            verdict = "The answer obeys the rules." if self.obeys_rules else "The answer is wrong."
            legend = "Clues stand in brackets; !5! is a clue that the answer changes."
        else:
            kind = "a shortest" if self.is_shortest else "a longer"
            verdict = (
                f"The answer is {kind} path." if self.obeys_rules else "The answer is no path."
            )
            legend = "o marks the path; ! is a cell that the answer must not change."
        sure = f"q {self.q_halt:.3g}, probability {self.probability:.3g}"
        rest = "came to rest" if self.at_rest else "did not come to rest"
        lines = [
            f"{verdict} {legend}",
            f"The model's own estimate that it is right: {sure}.",
            f"λ₁ is {self.lambda1:.4f} nats per update. The run {rest} (relative step "
            f"{self.residual:.2g}).",
        ]
        if self.num_runs > 1:
            lines.append(
                f"{self.num_votes} of {self.num_runs} runs give this answer; {self.num_right} obey "
                "the rules."
            )
        return lines


def solve(
    model: Model,
    puzzle: str | np.ndarray,
    *,
    num_segments: int = 16,
    restarts: int = 0,
    sigma: float = 0.3,
    symmetries: int = 1,
    seed: int = 0,
    progress: bool = True,
) -> SolvedPuzzle:
    """Returns a model's answer to your own puzzle, with what tells how far to trust it.

    Args:
      model: A model of Sudokus or mazes.
      puzzle: Its text, as `rrjax.puzzles.own_puzzle.parse_puzzle` reads it, or tokens (seq,).
      num_segments: Number of segments of each run.
      restarts: Number of further starts z0 + σ · std(H_init) · noise of each copy.
      sigma: σ, the size of that noise.
      symmetries: The number K of symmetric copies of the puzzle that are run, including the puzzle
        itself. Their answers are mapped back, and the one that most runs give is taken.
      seed: Seed of the noise and of the copies.
      progress: Whether a progress bar is shown.

    Raises:
      ValueError: The model is of other puzzles, the text is no puzzle of its size, or a number is
        out of range.

    Example:
      >>> model = rrjax.load_model("trm-sudoku6")
      >>> solved = rrjax.solve(
      ...     model, model.test_puzzles().inputs[0], num_segments=2, progress=False
      ... )
      >>> solved.answer.shape
      (36,)
    """
    check_count("restarts", restarts, most=MOST_RUNS)
    check_number("sigma", sigma, above=0)
    check_seed("seed", seed)
    config = model.config
    if isinstance(puzzle, str):
        tokens = parse_puzzle(puzzle, config.seq_len, config.vocab_size)
    else:
        tokens = _checked_tokens(puzzle, config.seq_len)
    alone = set_of_groups(tokens[None], 0 * tokens[None], 1, config.vocab_size, "puzzle")
    copies = symmetric_copies(alone, symmetries, seed)
    try:
        arrays = _run(model, copies.puzzles, num_segments, restarts, sigma, seed, progress)
    except OutOfMemory as error:
        reason = str(error).partition("; ")[0]
        advice = "fewer segments (--num-segments) need less memory"
        raise OutOfMemory(f"{reason}; {advice}") from error
    answers = copies.map_back(arrays["answers"]).reshape(1, -1, len(tokens)).astype(np.int32)
    chosen = int(majority(answers)[0])
    numbers = {name: float(arrays[name].ravel()[chosen]) for name in ("q_halt", "residual")}
    answer = answers[0, chosen]
    right = _right(arrays)
    return SolvedPuzzle(
        tokens=tokens,
        answer=answer,
        obeys_rules=bool(right.ravel()[chosen]),
        is_shortest=bool(is_shortest_path(tokens, answer)) if VALID_PATH in arrays else None,
        num_votes=int((answers[0] == answer).all(axis=1).sum()),
        num_runs=answers.shape[1],
        num_right=int(right.sum()),
        lambda1=float(arrays["exponents"].ravel()[chosen]),
        vocab_size=config.vocab_size,
        **numbers,
    )


def _run(
    model: Model,
    puzzles: PuzzleSet,
    num_segments: int,
    restarts: int,
    sigma: float,
    seed: int,
    progress: bool,
) -> Arrays:
    """Returns the arrays of a basin (copies, runs, ...) with one exponent, and possibly one run."""
    job = Job(SOLVE, model, puzzles, num_segments, seed, "exact", None, "auto", None, progress)
    grid = run_grid((sigma,), restarts)
    return measure(job, grid, perturbed, (), 1)


def _right(arrays: Mapping[str, Any]) -> np.ndarray:
    """Returns (copies, runs) whether each last answer obeys the rules."""
    return arrays[VALID_PATH if VALID_PATH in arrays else OBEYS_RULES][:, :, -1]


def _checked_tokens(puzzle: Any, seq_len: int) -> np.ndarray:
    tokens = np.asarray(puzzle)
    if tokens.shape != (seq_len,) or tokens.dtype.kind not in "iu":
        refuse("puzzle", f"be text or ({seq_len},) tokens", f"{tokens.dtype} {tokens.shape}")
    return tokens.astype(np.int32)
