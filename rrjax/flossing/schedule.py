"""When flossing steps are due in a training run. This module needs neither JAX nor optax."""

from dataclasses import dataclass

from rrjax.checks import check_count


@dataclass(frozen=True)
class FlossingSchedule:
    """How many flossing steps run before each training step.

    Attributes:
      pre: Flossing steps before the first training step (preflossing); 0: none.
      every: Training steps between two episodes of interflossing; None: there are none.
      episode: Flossing steps of each episode.
      at_most: The largest number of episodes; None: no limit.
    """

    pre: int = 0
    every: int | None = None
    episode: int = 0
    at_most: int | None = None

    def __post_init__(self):
        check_count("every", self.every, least=1)
        for name in ("pre", "episode", "at_most"):
            check_count(name, getattr(self, name))

    def steps_before(self, step: int) -> int:
        """Returns the flossing steps due before the training step `step`, counted from 0.

        Raises:
          ValueError: For a negative step.
        """
        check_count("step", step)
        if step == 0:
            return self.pre
        if self.every is None or step % self.every:
            return 0
        number = step // self.every
        return self.episode if self.at_most is None or number <= self.at_most else 0
