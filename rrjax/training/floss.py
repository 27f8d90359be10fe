"""Gradient flossing within a training run: its settings, and its loss on a batch of puzzles."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from rrjax.cells import Config, bind, unflatten
from rrjax.checks import check_choice, check_count, refuse, refuse_idle
from rrjax.dynamics.rollout import rollout
from rrjax.flossing.differentiable import exponents
from rrjax.flossing.losses import (
    answer_kl,
    mean_over,
    one_sided,
    one_sided_leading,
    one_sided_volume,
    two_sided,
)
from rrjax.flossing.schedule import FlossingSchedule
from rrjax.outcomes import is_right
from rrjax.puzzles.batch import Batch
from rrjax.training.gradients import Flat

LossName = Literal["two_sided", "one_sided_leading", "one_sided", "one_sided_volume"]
Which = Literal["all", "failing", "correct"]

_LOSSES = {
    "two_sided": two_sided,
    "one_sided_leading": one_sided_leading,
    "one_sided": one_sided,
    "one_sided_volume": one_sided_volume,
}
_CHOICES = {"loss": LossName, "which": Which}


@dataclass(frozen=True)
class Floss(FlossingSchedule):
    """Flossing steps before and during training; none as it stands.

    Attributes:
      pre: flossing steps before the first training step (preflossing); 0: none.
      every: training steps between two episodes of interflossing; None: never.
      episode: flossing steps of each of those.
      at_most: how many of those there are in all; None: as many as come.
      loss: one of the losses of `rrjax.flossing`.
      target: λ*, nats per module evaluation.
      num_exponents: k.
      segments: the window, of the segments that training runs: from which to before which, counted
        from 0; None: all.
      stride: count every so many segments of it.
      segments_per_qr: QR after so many segments; None: after every module evaluation.
      puzzles: training puzzles of a flossing step.
      which: those that count: all, or the failing or the correct ones at the window's end.
      kl: weight of KL(answers before the episode ‖ answers now) at the window's end, nats a token.
      params: patterns of the weights that move, e.g. `*L_level*`.
      lr: learning rate of flossing's own Adam.
      limit: so many skipped steps in a row (not finite) stop the run.
    """

    loss: LossName = "two_sided"
    target: float = 0.0
    num_exponents: int = 4
    segments: tuple[int, int] | None = None
    stride: int = 1
    segments_per_qr: int | None = 1
    puzzles: int = 8
    which: Which = "all"
    kl: float = 0.0
    params: tuple[str, ...] = ("*",)
    lr: float = 1e-3
    limit: int = 10

    def __post_init__(self):
        super().__post_init__()
        for name, kind in _CHOICES.items():
            check_choice(f"floss.{name}", getattr(self, name), kind)
        for name in ("num_exponents", "stride", "puzzles", "limit"):
            check_count(f"floss.{name}", getattr(self, name), least=1)
        for name in ("kl", "lr"):
            if not 0 <= getattr(self, name) < float("inf"):
                _refuse(name, "be finite and not negative", getattr(self, name))
        if not abs(self.target) < float("inf"):
            _refuse("target", "be finite", self.target)
        if self.every is not None and not self.episode:
            _refuse("episode", "be at least 1 where floss.every is given", self.episode)

    def refuse_idle(self) -> None:
        """Refuse settings of flossing, or of its episodes, where there is none.

        Raises:
          ValueError: naming one.
        """
        if not self.active:
            refuse_idle("floss", self, {f.name for f in fields(self)}, "floss.pre or floss.every")
        elif self.every is None:
            refuse_idle("floss", self, ("episode", "at_most"), "floss.every")

    @property
    def active(self) -> bool:
        """Whether any flossing step comes."""
        return self.pre > 0 or self.every is not None

    def window(self, segments: int) -> range:
        """The segments that count, of a run of so many."""
        first, end = self.segments or (0, segments)
        return range(first, end, self.stride)


def _refuse(name: str, rule: str, found: object) -> None:
    refuse(f"floss.{name}", rule, found)


def batch_loss(
    trained: Flat,
    fixed: Flat,
    config: Config,
    floss: Floss,
    batch: Batch,
    key: jax.Array,
    reference: Flat,
) -> tuple[Array, Mapping[str, Array]]:
    """The mean flossing loss of the puzzles that count, and what it saw.

    Args:
      trained: flat weights, differentiated.
      fixed: the other flat parameters.
      config: the cell.
      floss: settings.
      batch: puzzles.
      key: of the frames, one for each puzzle.
      reference: `trained` before the episode.

    Returns:
      The loss, 0 where no puzzle counts; and `chosen` (how many do), `unresolved` (exponents of
      theirs left out), and means over them: `lambda1` and `lambda_mean` over all k (nats per module
      evaluation, NaN where one is not resolved) and `kl` (nats a token).
    """
    new, old = unflatten(trained | fixed), unflatten(reference | fixed)
    window = floss.window(config.arch.halt_max_steps)

    def measure(row: Batch, key: jax.Array) -> tuple[Array, Array, Array, Array]:
        dynamics = bind(new, config, row.inputs, row.puzzle_ids)
        found = exponents(
            dynamics,
            floss.num_exponents,
            window[-1] + 1 - window.start,
            key=key,
            frame_transient=window.start,
            stride=window.step,
            segments_per_qr=floss.segments_per_qr,
        )
        logits = dynamics.readout(dynamics.context, found.state).logits
        kl = jnp.zeros([])
        if floss.kl:
            before = rollout(bind(old, config, row.inputs, row.puzzle_ids), window[-1] + 1)
            kl = answer_kl(before.logits[-1], logits)
        solved = is_right(logits.argmax(-1), row.labels)
        return _LOSSES[floss.loss](found, floss.target), found.values, kl, solved

    keys = jax.random.split(key, len(batch.inputs))
    losses, values, kl, solved = jax.vmap(measure)(batch, keys)
    chosen = counted(floss.which, solved)
    seen = {
        "chosen": chosen.sum(),
        "unresolved": (jnp.isnan(values).sum(-1) * chosen).sum(),
        "lambda1": mean_over(values[:, 0], chosen),
        "lambda_mean": mean_over(values.mean(-1), chosen),
        "kl": mean_over(kl, chosen),
    }
    return mean_over(losses + floss.kl * kl, chosen), seen


def counted(which: Which, solved: Bool[Array, " batch"]) -> Bool[Array, " batch"]:
    """The puzzles whose losses count."""
    return {"all": jnp.ones_like(solved), "failing": ~solved, "correct": solved}[which]
