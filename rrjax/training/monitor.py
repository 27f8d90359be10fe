"""When a run must stop: numbers that are not finite, and losses that jump."""

import math
import statistics
from collections.abc import Mapping, Sequence

_RECENT = 20
"""Logged losses that a new one is compared with; fewer at the start."""

_FEWEST = 5
"""Logged losses before any is called a jump."""


class Monitor:
    """Watches the logged losses of a run.

    A spike is a loss above `factor` times the median of the last 20 and above the run's first: a
    run that has learned its puzzles by heart may jump by any factor from almost nothing.
    """

    def __init__(self, factor: float, losses: Sequence[float] = ()):
        """Begin, or go on.

        Args:
          factor: of a spike; 0: no loss is one.
          losses: what an earlier run's `losses` were.
        """
        self._factor = factor
        self.losses = list(losses)
        """The first logged loss and the last ones."""

    def complaint(self, means: Mapping[str, float]) -> str | None:
        """Why a run with these means cannot go on, or None; remembers the loss."""
        for name, words in _WATCHED.items():
            if not math.isfinite(means[name]):
                return f"{words} is {means[name]}"
        loss, recent = means["loss"], self.losses[-_RECENT:]
        if self._factor and len(recent) >= _FEWEST:
            median = statistics.median(recent)
            if loss > self._factor * median and loss > self.losses[0]:
                return (
                    f"the loss jumped to {loss:.4g}, more than {self._factor:g} times the median "
                    f"{median:.4g} of the {len(recent)} logged before (spike_factor)"
                )
        self.losses = [*self.losses[:1], *self.losses[1:][-_RECENT:], loss]
        return None


_WATCHED = {
    "loss": "the loss",
    "gradient_norm": "the norm of the gradient",
    "parameter_norm": "the norm of the weights",
}
