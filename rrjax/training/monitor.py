"""Says when a run must stop: at numbers that are not finite, and at losses that jump."""

import math
import statistics
from collections.abc import Mapping, Sequence

_RECENT = 20
"""Number of logged losses that a new one is compared with; at the start there are fewer."""

_FEWEST = 5
"""Number of logged losses before any can be called a jump."""

_MUST_BE_FINITE = {
    "loss": "the loss",
    "gradient_norm": "the norm of the gradient",
    "parameter_norm": "the norm of the weights",
}


class Monitor:
    """Watches the logged losses of a run.

    A loss is a spike if it is above `factor` times the median of the last 20 losses and above the
    run's first loss. The second condition is for a run that has learned its puzzles by heart: its
    loss is almost 0 and may jump by any factor.
    """

    def __init__(self, factor: float, losses: Sequence[float] = ()):
        """Starts with the `losses` of the run that is continued; a factor of 0 allows spikes."""
        self._factor = factor
        self.losses = list(losses)
        """The first logged loss, and the last ones."""

    def complaint(self, means: Mapping[str, float]) -> str | None:
        """Returns why a run with these means cannot go on, or None, and remembers the loss."""
        for name, words in _MUST_BE_FINITE.items():
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
