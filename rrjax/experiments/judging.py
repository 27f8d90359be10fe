"""Which answers count as right: by their label, or by the rules of mazes and Sudokus."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rrjax import outcomes
from rrjax.checks import refuse
from rrjax.experiments.reasoner import Puzzles, Reasoner, is_solved
from rrjax.outcomes import EXACT_MATCH, OBEYS_RULES, SHORTEST_PATH, VALID_PATH
from rrjax.puzzles import PuzzleSet
from rrjax.puzzles.batch import Batch
from rrjax.puzzles.maze import maze_size
from rrjax.puzzles.sudoku import geometry, size_of
from rrjax.results.axes import ArraySpec
from rrjax.results.results import Results
from rrjax.store import Arrays

SOLVED = "solved"
OWN_RULE = "rule of the model"
"""What a record calls the outcome of a model that has its own `is_solved`."""

WORDS = {
    EXACT_MATCH: "the labelled answer",
    VALID_PATH: "any path that joins S to G and changes nothing else",
    SHORTEST_PATH: "any shortest path from S to G",
    OBEYS_RULES: "any board that keeps the clues and has every digit once in each unit",
}


def outcome_arrays(*axes: str) -> dict[str, ArraySpec]:
    """Returns the axes and units of the outcomes that are stored beside `solved`."""
    return {
        name: ArraySpec(axes, f"whether the answer is {what}", "b") for name, what in WORDS.items()
    }


@dataclass(frozen=True)
class Judge:
    """Says in compiled programs which answers are right.

    Attributes:
      model: The model, which may have a rule of its own.
      outcome: What `solved` means: one of `WORDS`, or `OWN_RULE`.
      stored: The outcomes that are stored by name; empty where `solved` alone is.
    """

    model: Reasoner
    outcome: str
    stored: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of what calls return."""
        return self.stored or (SOLVED,)

    def path_length(self, puzzle: Batch) -> Array | None:
        """Returns the moves of a shortest path through a maze; None where none is asked for."""
        return outcomes.path_length(puzzle.inputs) if SHORTEST_PATH in self.stored else None

    def __call__(
        self, puzzle: Batch, path_length: Array | None, answers: Array
    ) -> dict[str, Array]:
        """Returns by name which answers (..., seq) to one puzzle are right.

        Args:
          puzzle: The puzzle.
          path_length: What the method of this name returns of the puzzle.
          answers: Tokens.
        """
        if not self.stored:
            return {SOLVED: is_solved(self.model, answers, puzzle.labels)}
        answers, right = answers.astype(jnp.int32), {}
        if EXACT_MATCH in self.stored:
            right[EXACT_MATCH] = outcomes.is_solved(answers, puzzle.labels)
        if OBEYS_RULES in self.stored:
            units = jnp.asarray(_units(puzzle))
            right[OBEYS_RULES] = _by_answer(outcomes.obeys_rules, puzzle, answers, units)
        if VALID_PATH in self.stored:
            right[VALID_PATH] = _by_answer(outcomes.is_valid_path, puzzle, answers)
            right[SHORTEST_PATH] = _by_answer(
                outcomes.is_shortest_path, puzzle, answers, path_length
            )
        return right

    def is_right(self, puzzle: Batch, answers: Array) -> Array:
        """Returns which of the answers (..., seq) to one puzzle are right, by the outcome alone."""
        right = self(puzzle, self.path_length(puzzle), answers)
        return right[self.outcome if self.stored else SOLVED]

    def with_solved(self, arrays: Arrays, name: str = SOLVED) -> Arrays:
        """Returns arrays with the outcome that counts also under the name `solved`, or another."""
        arrays = dict(arrays)
        right = arrays[self.outcome] if self.stored else arrays.pop(SOLVED)
        return {name: right, **arrays}


def _units(puzzle: Batch) -> np.ndarray:
    return geometry(round(puzzle.inputs.shape[-1] ** 0.5)).units


def _by_answer(rule: Any, puzzle: Batch, answers: Array, *facts: Any) -> Array:
    def one(answer: Array) -> Array:
        return rule(puzzle.inputs, answer, *facts)

    return jnp.vectorize(one, signature="(n)->()")(answers)


def choose_judge(model: Reasoner, puzzles: Puzzles, outcome: str = "auto") -> Judge:
    """Returns the judge of a model's answers to some puzzles.

    Args:
      model: The model.
      puzzles: The puzzles.
      outcome: As in `rrjax.experiments.spectrum`.

    Raises:
      ValueError: The puzzles or the model do not have this outcome.
    """
    if hasattr(model, "is_solved"):
        return _chosen(Judge(model, OWN_RULE), (), outcome, "a model that has its own rule")
    if not isinstance(puzzles, PuzzleSet):
        return _chosen(Judge(model, EXACT_MATCH), (EXACT_MATCH,), outcome, "such puzzles")
    meta, source = puzzles.metadata, puzzles.source
    if maze_size(meta.seq_len, meta.vocab_size) is not None:
        stored = *_exact_match(puzzles), VALID_PATH, SHORTEST_PATH
        return _chosen(Judge(model, SHORTEST_PATH, stored), stored, outcome, source)
    if size_of(meta.seq_len, meta.vocab_size) is None:
        return _chosen(Judge(model, EXACT_MATCH), (EXACT_MATCH,), outcome, source)
    stored = *_exact_match(puzzles), OBEYS_RULES
    all_labelled = bool(_labelled(puzzles).all())
    if all_labelled and outcome != OBEYS_RULES:
        return _chosen(Judge(model, EXACT_MATCH), stored, outcome, source)
    return _chosen(Judge(model, OBEYS_RULES, stored), stored, outcome, source)


def _chosen(judge: Judge, known: tuple[str, ...], outcome: str, source: str) -> Judge:
    if outcome == "auto":
        return judge
    if outcome not in known:
        refuse("outcome", f"be one of {', '.join(('auto', *known))} for {source}", outcome)
    return Judge(judge.model, outcome, judge.stored)


def _labelled(puzzles: PuzzleSet) -> np.ndarray:
    return (puzzles.labels != puzzles.metadata.ignore_label_id).any(axis=1)


def _exact_match(puzzles: PuzzleSet) -> tuple[str, ...]:
    return (EXACT_MATCH,) if _labelled(puzzles).any() else ()


def judge_on_host(judge: Judge, puzzle: Batch, answers: np.ndarray) -> dict[str, np.ndarray]:
    """Returns by name which answers (number, seq) to one puzzle are right."""

    def program(puzzle: Batch, answers: Array) -> dict[str, Array]:
        return judge(puzzle, judge.path_length(puzzle), answers)

    return {name: np.asarray(right) for name, right in jax.jit(program)(puzzle, answers).items()}


def judge_all(judge: Judge, puzzles: Batch, answers: np.ndarray) -> np.ndarray:
    """Returns which answers (N, ..., seq) to N puzzles are right."""

    def one(puzzle: Batch, answers: Array) -> dict[str, Array]:
        return judge(puzzle, judge.path_length(puzzle), answers)

    right = jax.jit(jax.vmap(one))(puzzles, answers)
    arrays = {name: np.asarray(array) for name, array in right.items()}
    return judge.with_solved(arrays)[SOLVED]


def with_outcome(results: Results, outcome: str) -> Results:
    """Returns a spectrum in which another of its stored outcomes counts; `auto` keeps its own.

    Raises:
      ValueError: The spectrum does not hold this outcome.
    """
    if outcome in ("auto", results.record.get("outcome", EXACT_MATCH)):
        return results
    if outcome not in results:
        stored = [name for name in WORDS if name in results]
        rule = f"be one of the outcomes stored in {results.path or 'these results'}: "
        refuse("outcome", rule + ", ".join(("auto", *stored)), outcome)
    right = results[outcome]
    arrays = {**results, "solved_by_segment": right, SOLVED: right[:, -1]}
    record = {**results.record, "outcome": outcome}
    return Results(arrays, record, results.experiment, results.path)


def outcome_notes(results: Results) -> list[str]:
    """Returns what `solved` means, where answers are judged in several ways."""
    outcome = results.record.get("outcome", EXACT_MATCH)
    if outcome not in results:
        return []
    at_end = {name: _at_end(results, name) for name in WORDS if name in results}
    others = "".join(
        f"; {right.sum()} are {WORDS[name]}" for name, right in at_end.items() if name != outcome
    )
    counted = f"{at_end[outcome].sum()} of {at_end[outcome].size} last answers"
    return [f"Solved means {WORDS[outcome]} ({counted}){others}."]


def _at_end(results: Results, name: str) -> np.ndarray:
    return results[name][..., -1] if results.axes[name][-1] == "segment" else results[name]
