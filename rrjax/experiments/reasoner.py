"""What an experiment needs of a model and of its puzzles."""

import copy
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rrjax import outcomes
from rrjax.cells import bind as bind_cell
from rrjax.checks import refuse
from rrjax.contract import Dynamics, State, named_fields
from rrjax.models import Model, check_tokens
from rrjax.puzzles import PuzzleSet
from rrjax.puzzles.batch import Batch, take_batch
from rrjax.store import digest_arrays


@runtime_checkable
class Reasoner(Protocol):
    """A model that experiments can run: any object that binds its map to a puzzle.

    The readout of its dynamics is an array of logits (seq, vocab), or an object that has such
    `logits` and may have `q_halt`, the logit of "the answer is right". Experiments also use these
    attributes where the object has them:

    - `params`: A pytree of the arrays that `bind` reads from the object. Experiments place them on
      every device once; without it the arrays become constants of the compiled programs.
    - `is_solved(answers, labels)`: Returns which answers (..., seq) are right, in a compiled
      program. Without it an answer is right if it agrees with every label that is known.
    - `name`: The name in messages and folders; without it the name of the class.
    - `digest`: A text that tells the model from others, so that a folder of results is only
      continued with the same model; without it the sha256 of the bound arrays.
    - `provenance`: A dictionary for the record, which says where the model comes from.
    """

    def bind(self, tokens: Any, puzzle_id: Any = 0, /) -> Dynamics:
        """Returns the dynamics on one puzzle, whose tokens (seq,) may be traced."""
        ...


@runtime_checkable
class Puzzles(Protocol):
    """Puzzles that experiments can run: a `PuzzleSet`, or any object with these two arrays."""

    @property
    def inputs(self) -> np.ndarray:
        """(N, seq) integers."""
        ...

    @property
    def labels(self) -> np.ndarray:
        """(N, seq) integers, the tokens of the answers; −100 where a token is not known."""
        ...


def bind(model: Reasoner, params: Any, puzzle: Batch) -> Dynamics:
    """Returns the dynamics of a model on one puzzle, with its parameters as they are given."""
    if isinstance(model, Model):
        return bind_cell(params, model.config, puzzle.inputs, puzzle.puzzle_ids)
    if hasattr(model, "params"):
        model = copy.copy(model)
        object.__setattr__(model, "params", params)
    return model.bind(puzzle.inputs, puzzle.puzzle_ids)


class Answer(NamedTuple):
    """What a state says.

    Attributes:
      logits: (seq, vocab)
      q_halt: The logit of "the answer is right"; NaN for models without one.
    """

    logits: Array
    q_halt: Array


def read_answer(dynamics: Dynamics, state: State) -> Answer:
    """Returns the logits and q_halt that are read out of a state."""
    readout = dynamics.readout(dynamics.context, state)
    logits = getattr(readout, "logits", readout)
    return Answer(logits, getattr(readout, "q_halt", jnp.full((), jnp.nan, logits.dtype)))


def observe_tokens(dynamics: Dynamics, before: State, after: State, frame: Any) -> Array:
    """Returns (seq,) the answer after a segment, as an observer of `rrjax.dynamics.rollout`."""
    return read_answer(dynamics, after).logits.argmax(-1)


def token_type(answer: Answer) -> np.dtype:
    """Returns the narrowest type that holds the tokens of the vocabulary."""
    return np.min_scalar_type(answer.logits.shape[-1] - 1)


def is_solved(model: Reasoner, answers: Array, labels: Array) -> Array:
    """Returns which answers (..., seq) to a puzzle are right, by the model's rule if it has one."""
    return getattr(model, "is_solved", outcomes.is_solved)(answers.astype(jnp.int32), labels)


def answer_field(dynamics: Dynamics) -> str:
    """Returns the name of the field that answers are read from; the first if none is named."""
    return dynamics.answer or next(iter(named_fields(dynamics.initial)))


def take(puzzles: Puzzles, items: np.ndarray) -> Batch:
    """Returns some puzzles side by side."""
    if isinstance(puzzles, PuzzleSet):
        return take_batch(puzzles, items)
    inputs, labels = np.asarray(puzzles.inputs), np.asarray(puzzles.labels)
    return Batch(inputs[items], labels[items], np.zeros(len(items), np.int32))


def describe_model(model: Reasoner, dynamics: Dynamics) -> dict[str, Any]:
    """Returns the name, digest and provenance of a model, for the record and a folder's identity.

    Args:
      model: The model.
      dynamics: The model on the first puzzle.
    """
    digest = getattr(model, "digest", None)
    leaves = jax.tree.leaves((dynamics.initial, dynamics.context))
    return {
        "name": getattr(model, "name", type(model).__name__),
        "sha256": digest or digest_arrays(*map(np.asarray, leaves)),
        "provenance": getattr(model, "provenance", {}),
    }


def describe_puzzles(puzzles: Puzzles) -> dict[str, Any]:
    """Returns the digest of all that results depend on, and the number of tokens if it is known."""
    if isinstance(puzzles, PuzzleSet):
        return {"sha256": puzzles.digest(), "vocab_size": puzzles.metadata.vocab_size}
    return {"sha256": digest_arrays(np.asarray(puzzles.inputs), np.asarray(puzzles.labels))}


def check_puzzles(model: Reasoner, puzzles: Puzzles) -> None:
    """Refuses puzzles that a model was not made for.

    Raises:
      ValueError: There are no puzzles, labels and inputs differ in number, or tokens are out of
        range.
    """
    number = len(puzzles.inputs)
    if number == 0 or len(puzzles.labels) != number:
        sizes = f"{number} inputs and {len(puzzles.labels)} labels"
        refuse("puzzles", "be one or more, with labels for each", sizes)
    if isinstance(model, Model) and isinstance(puzzles, PuzzleSet):
        try:
            check_tokens(model.config, puzzles.inputs, puzzles.puzzle_ids, (number,))
        except ValueError as error:
            raise ValueError(f"{puzzles.source}: {error}") from None
