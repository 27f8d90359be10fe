"""The flossing steps that are due before a training step."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from rrjax.cells import Config
from rrjax.checks import refuse
from rrjax.flossing.steps import check_steps
from rrjax.puzzles import PuzzleSet
from rrjax.puzzles.batch import Batch
from rrjax.training.gradients import Flat
from rrjax.training.logs import Row
from rrjax.training.placement import Placement
from rrjax.training.recipe import Recipe
from rrjax.training.sampler import Sampler
from rrjax.training.step import TrainState, floss_step, init_train_state


@dataclass(frozen=True)
class Episodes:
    """Flossing within a run.

    The batch and the frames of a flossing step follow from the seed and from how many there were
    before, so that a run resumes exactly.

    Attributes:
      config: the cell.
      recipe: with what is to be flossed, and when.
      placement: of the run's arrays.
      sampler: of flossing's batches.
    """

    config: Config
    recipe: Recipe
    placement: Placement
    sampler: Sampler

    @staticmethod
    def of(
        config: Config, recipe: Recipe, placement: Placement, train: PuzzleSet, augment: bool
    ) -> "Episodes":
        """Those of a run, checked before anything is written.

        Raises:
          ValueError: if the devices cannot share flossing's batch, or for a window, a number of
            exponents, patterns or a dtype that flossing cannot work with.
        """
        sampler = Sampler(train, recipe.floss.puzzles, recipe.seed, augment, stream=1)
        if recipe.floss.active:
            placement.check("floss.puzzles", recipe.floss.puzzles)
            _check(config, recipe, sampler)
        return Episodes(config, recipe, placement, sampler)

    def before(self, step: int, state: TrainState, write: Callable[[Row], None]) -> TrainState:
        """What is due before training step `step`, counted from 1; `write` gets a row for each.

        Raises:
          FloatingPointError: if so many steps in a row are skipped as the recipe allows.
        """
        number = self.recipe.floss.steps_before(step - 1)
        if not number:
            return state
        reference = _copy(state.trained)
        for _ in range(number):
            state, found = self._one(state, reference)
            assert state.floss is not None
            check_steps(state.floss.optimizer, self.recipe.floss.limit)
            write({"step": step, "floss_step": int(state.floss.count)} | _numbers(found))
        # an average of weights before preflossing would long outweigh those that it made
        return state._replace(average=_copy(state.trained)) if step == 1 else state

    def _one(
        self, state: TrainState, reference: Flat
    ) -> tuple[TrainState, Mapping[str, jax.Array]]:
        assert state.floss is not None
        batch = self.sampler.batch(int(state.floss.count))
        return self.placement.floss(self.config, self.recipe, state, batch, reference)


def _check(config: Config, recipe: Recipe, sampler: Sampler) -> None:
    """Trace a step, which runs nothing."""
    if config.arch.forward_dtype != "float32":
        raise ValueError(
            "flossing needs tangents, and they need --arch.forward-dtype float32; got "
            f"{config.arch.forward_dtype}"
        )

    window, segments = recipe.floss.segments, config.arch.halt_max_steps
    if window is not None and not 0 <= window[0] < window[1] <= segments:
        rule = f"be a part of the {segments} segments that training runs, and not empty"
        refuse("floss.segments", rule, window)

    def step(batch: Batch) -> TrainState:
        state = init_train_state(config, recipe)
        return floss_step(config, recipe, state, batch, state.trained)[0]

    jax.eval_shape(step, sampler.batch(0))


def _copy(flat: Flat) -> Flat:
    """Buffers of their own: steps donate those of the state."""
    return jax.tree.map(jnp.copy, flat)


def _numbers(found: Mapping[str, jax.Array]) -> Row:
    return {name: float(value) for name, value in jax.device_get(found).items()}
