"""Information that cells hold on a category, bounded from below by probes on held-out puzzles."""

from typing import NamedTuple

import numpy as np
import scipy

from rrjax.analysis.intervals import UNDEFINED, Interval, student_interval
from rrjax.checks import refuse

PENALTY = 10.0
"""Weight of ½‖W‖² beside the summed loss: a normal prior of variance 1/10 for each weight of
features that are scaled to variance 1. Without it a probe of few cells is sure and wrong."""

_ITERATIONS = 40
"""Steps of the fit. The held-out loss no longer moves in its third digit then."""


class Classifier(NamedTuple):
    """A multinomial logistic regression of several questions on the same features.

    Attributes:
      weights: (d, questions, classes)
      offsets: (questions, classes)
      mean: (d,) subtracted from features.
      scale: (d,) divided by.
    """

    weights: np.ndarray
    offsets: np.ndarray
    mean: np.ndarray
    scale: np.ndarray

    def log_probabilities(self, features: np.ndarray) -> np.ndarray:
        """Returns (n, questions, classes) logarithms of probabilities."""
        x = (features - self.mean) / self.scale
        return _log_softmax(np.einsum("nd,dqc->nqc", x, self.weights, optimize=True) + self.offsets)


def fit_classifier(features: np.ndarray, classes: np.ndarray, num_classes: int) -> Classifier:
    """Returns the logistic regression with the least mean loss and a small penalty, by L-BFGS.

    Args:
      features: (n, d)
      classes: (n, questions) from 0.
      num_classes: Number of classes of every question.
    """
    mean, scale = features.mean(0), features.std(0)
    scale = np.where(scale > 0, scale, 1)
    x = np.hstack([(features - mean) / scale, np.ones((len(features), 1), features.dtype)])
    n, d = x.shape
    questions = classes.shape[1]
    truth = np.eye(num_classes, dtype=x.dtype)[classes].reshape(n, -1)

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.astype(x.dtype).reshape(d, -1)
        logs = _log_softmax((x @ weights).reshape(n, questions, num_classes)).reshape(n, -1)
        inner = weights.copy()
        inner[-1] = 0  # offsets are free
        value = -np.sum(truth * logs, dtype=np.float64) / n
        value += PENALTY / n / 2 * np.sum(inner**2, dtype=np.float64)
        gradient = x.T @ ((np.exp(logs) - truth) / n) + PENALTY / n * inner
        return value, gradient.astype(np.float64).ravel()

    start = np.zeros(d * questions * num_classes)
    options = {"maxiter": _ITERATIONS}
    best = scipy.optimize.minimize(loss, start, jac=True, method="L-BFGS-B", options=options)
    weights = best.x.astype(x.dtype).reshape(d, questions, num_classes)
    return Classifier(weights[:-1], weights[-1], mean, scale)


def _log_softmax(scores: np.ndarray) -> np.ndarray:
    shifted = scores - scores.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


class Information(NamedTuple):
    """A lower bound of the information of cells on questions.

    Attributes:
      nats: (N,) the sum over each puzzle's cells, a mean over questions.
      entropy: (N,) the same of the surprise of the prior, the ceiling of `nats`.
      cells: (N,) the number of cells.
    """

    nats: np.ndarray
    entropy: np.ndarray
    cells: np.ndarray

    def per_cell(self, chosen: np.ndarray) -> Interval:
        """Returns the nats per cell of some puzzles (N,), with an interval over puzzles."""
        return _ratio(self.nats[chosen], self.cells[chosen])

    def ceiling(self, chosen: np.ndarray) -> Interval:
        """Returns the entropy per cell of some puzzles (N,)."""
        return _ratio(self.entropy[chosen], self.cells[chosen])


def _ratio(values: np.ndarray, cells: np.ndarray) -> Interval:
    """Returns Σ values/Σ cells with Student's interval of its linear form over puzzles."""
    if not cells.sum():
        return UNDEFINED
    ratio = values.sum() / cells.sum()
    change = student_interval((values - ratio * cells) / cells.mean())
    return change.map(lambda end: float(ratio + end))


def held_out_information(
    states: np.ndarray, puzzle: np.ndarray, classes: np.ndarray, num_puzzles: int
) -> Information:
    r"""Returns how much the states of cells tell of categories, by probes on other puzzles.

      I(z; y) ≥ ⟨log q(y | z) − log p(y)⟩

    for any q, here a logistic regression that was fitted on the other half of the puzzles, and p
    the frequencies there. Both halves are scored. The bound is in nats per cell and cannot exceed
    the entropy of y, at most log of the number of classes, whatever N is. An estimate by nearest
    neighbours (Kraskov's) cannot exceed about log N nats *per puzzle*, 6.2 for 512 boards, takes
    digits for points on a line, and needs some 20 components in place of the state. The price of
    the bound is that it counts only what a linear map can read. Too few cells make it negative.

    Args:
      states: (n, d) states of all cells.
      puzzle: (n,) the puzzle of each cell.
      classes: (n, questions) categories from 0.
      num_puzzles: N.

    Raises:
      ValueError: There are too few cells for a fit, or only one class.

    Source: Barber and Agakov 2003, NIPS 16; Xu et al. 2020, ICLR (arXiv 2002.10689), for what a
    family of probes can use.

    Example:
      >>> rng = np.random.default_rng(0)
      >>> classes = rng.integers(0, 3, (900, 1))
      >>> states = np.eye(3)[classes[:, 0]] * 9
      >>> bits = rrjax.analysis.held_out_information(states, np.arange(900) // 9, classes, 100)
      >>> [round(float(bits.nats.sum() / 900), 2), round(float(np.log(3)), 2)]
      [1.06, 1.1]
    """
    states = np.asarray(states, np.float32)
    num_classes = int(classes.max()) + 1
    if num_classes < 2:
        refuse("classes", "hold two categories or more, to be told apart", num_classes)
    if len(np.unique(puzzle)) < 8 or len(states) < 8 * num_classes:
        cells = f"{len(states)} cells of {len(np.unique(puzzle))} puzzles"
        refuse("puzzles", f"be at least 8, with {8 * num_classes} cells to be found", cells)
    half = puzzle % 2
    gained, surprise = np.zeros(len(states)), np.zeros(len(states))
    for side in (0, 1):
        fitted, scored = half != side, half == side
        counts = (classes[fitted][..., None] == np.arange(num_classes)).sum(0) + 0.5
        prior = np.log(counts / counts.sum(-1, keepdims=True))
        probe = fit_classifier(states[fitted], classes[fitted], num_classes)
        logs = probe.log_probabilities(states[scored])
        own = classes[scored][..., None]
        expected = np.take_along_axis(np.broadcast_to(prior, logs.shape), own, -1)[..., 0]
        gained[scored] = (np.take_along_axis(logs, own, -1)[..., 0] - expected).mean(1)
        surprise[scored] = -expected.mean(1)
    return Information(
        np.bincount(puzzle, gained, num_puzzles),
        np.bincount(puzzle, surprise, num_puzzles),
        np.bincount(puzzle, minlength=num_puzzles),
    )
