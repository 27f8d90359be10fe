"""Winner-take-all over the trajectories of a puzzle: the best teaches, and lends its answer.

Source: Dillon 2026, "Speed is confidence" (arXiv 2601.19085), which runs K latent states of a
puzzle; here they are its trajectories.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from rrjax.cells import Config, unflatten
from rrjax.cells.kinds import KINDS
from rrjax.contract import State
from rrjax.training.act import Flat, Segment, Slots, run_slots
from rrjax.training.objective import Gradients, Weights, score_each, segment_gradients
from rrjax.training.settings import Recipe


def winner_gradients(
    weights: Weights, fixed: Flat, config: Config, slots: Slots, key: jax.Array, recipe: Recipe
) -> Gradients:
    """Returns the gradients of the mean loss of each puzzle's best trajectory in the next segment.

    The winner of a puzzle is the trajectory with the lowest cross-entropy after the segment, and
    the first of equal ones. Its answer, z_H, replaces that of the others, which keep their own z_L.
    All trajectories of a puzzle halt where the winner does. All run the segment without a gradient,
    and the winners run it again with one, and with the noise of their updates: K + 1 segments
    forwards and one backwards.

    Args:
      weights, fixed, config, key, recipe: as in `segment_gradients`.
      slots: refilled slots; those of a puzzle are neighbours.

    Returns:
      Gradients, of which those by the other trajectories' puzzle vectors are 0. The metrics are
      those of the winners, which the labels have chosen, so that they are better than those of a
      single trajectory. `clean_wins` counts the puzzles that halt of which the clean start won.
    """
    params = unflatten(weights.trained | fixed)
    segment = run_slots(params, weights.vectors, config, slots, key, recipe.update_noise)
    winner = winners(segment, config, recipe)

    places = jnp.arange(slots.steps.shape[0])
    mine, vectors, places = _of_winners((slots, weights.vectors, places), winner)
    best = Weights(weights.trained, vectors)
    result = segment_gradients(best, fixed, config, mine, key, recipe, places)

    number = recipe.augmentation.trajectories
    after = segment.slots._replace(
        state=share_answers(segment.slots.state, winner, config),
        halted=jnp.repeat(result.slots.halted, number, axis=0),
    )
    gradients = Weights(result.weights.trained, _to_slots(result.weights.vectors, winner, number))
    clean_wins = (result.slots.halted & (winner == 0)).sum()
    return Gradients(gradients, after, result.metrics | {"clean_wins": clean_wins})


def winners(segment: Segment, config: Config, recipe: Recipe) -> Int[Array, " puzzles"]:
    """Returns the number of each puzzle's trajectory with the lowest cross-entropy."""
    losses = score_each(segment, segment.slots.halted, config, recipe).metrics["lm_loss"]
    return losses.reshape(recipe.global_batch_size, -1).argmin(1)


def share_answers(state: State, winner: Int[Array, " puzzles"], config: Config) -> State:
    """Returns the states of all trajectories with the answer of their puzzle's winner."""
    answer = KINDS[config.arch.name].answer
    answers = getattr(state, answer)
    best = _of_winners(answers, winner)
    shared = jnp.repeat(best, len(answers) // len(winner), axis=0)
    return state._replace(**{answer: shared})


def _of_winners(tree: Any, winner: Int[Array, " puzzles"]) -> Any:
    """Returns the rows of the winners, of arrays whose rows are the trajectories of all puzzles."""

    def take(leaf: Array) -> Array:
        grouped = leaf.reshape(len(winner), -1, *leaf.shape[1:])
        return jax.vmap(lambda rows, index: rows[index])(grouped, winner)

    return jax.tree.map(take, tree)


def _to_slots(gradients: Array | None, winner: Int[Array, " puzzles"], number: int) -> Array | None:
    """Returns the gradients by the puzzle vectors of all slots from those of the winners."""
    if gradients is None:
        return None
    has_won = winner[:, None] == jnp.arange(number)  # (puzzles, trajectories)
    return jnp.where(has_won[..., None], gradients[:, None], 0).reshape(-1, gradients.shape[-1])
