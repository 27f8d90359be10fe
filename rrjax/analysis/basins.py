"""How mixed the basins on a grid are: basin entropy and uncertainty exponent."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import scipy
from numpy.typing import ArrayLike

from rrjax.analysis.arrays import as_array
from rrjax.analysis.intervals import TAIL, UNDEFINED, Interval, percentile_interval

LN_2 = float(np.log(2))
"""A boundary basin entropy above it shows a fractal boundary; one below it shows nothing."""

MOVING = -1
"""The class of runs whose answer has not settled."""

WIDEST = 8
"""Points are compared up to this fraction, 1/8, of the grid's width: for those nearer to the edge
than the distance a neighbour is missing."""

MIN_SCALES = 3
"""A line through two points has no error."""

MAX_FRACTION = 0.99
"""Where more points than this have a neighbour of another basin, more distance can add none."""

INDEPENDENT = 0.8
"""From this part of the fraction that independent points would show on, f no longer scales."""


def answer_classes(answers: ArrayLike, settled: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Returns (N,) the class of each run by its final answer, and the (n, seq) distinct answers.

    The class is the place of the run's answer (N, seq) among the distinct answers of the settled
    runs, the most frequent first, ties by their tokens; it is −1 for runs that are not settled.
    """
    answers = as_array("answers", answers, ("N", "cells"), int)
    settled = as_array("settled", settled, answers.shape[:1], bool)
    index = np.full(len(answers), MOVING)
    if not settled.any():
        return index, answers[:0]
    distinct, inverse, counts = np.unique(
        answers[settled], axis=0, return_inverse=True, return_counts=True
    )
    order = np.argsort(-counts, kind="stable")
    index[settled] = np.argsort(order)[inverse.ravel()]
    return index, distinct[order]


class BasinEntropy(NamedTuple):
    """Basin entropy of a grid, in nats; see `basin_entropy`.

    Attributes:
      whole: S_b, over all boxes.
      boundary: S_bb, over the boxes with more than one basin; NaN without such.
      box_size: Points along the edge of a box.
      num_boxes: Whole boxes on the grid.
      num_boundary: Boxes with more than one basin.
    """

    whole: Interval
    boundary: Interval
    box_size: int
    num_boxes: int
    num_boundary: int


def basin_entropy(
    classes: ArrayLike, box_size: int = 5, seed: int = 0, num_resamples: int = 1000
) -> BasinEntropy:
    r"""Returns the basin entropies of a grid: how uncertain a point's basin is, given its box.

      S_i = −Σ_j p_ij ln p_ij,    S_b = Σ_i S_i / N,    S_bb = Σ_i S_i / N_b

    p_ij is the fraction of box i's points in basin j, N the number of boxes, N_b of those with more
    than one basin. S_b lies between 0 (one basin) and ln(number of basins). A smooth boundary
    parts two basins in almost every box it meets, so S_bb > ln 2 shows a fractal boundary. The
    criterion is sufficient and not necessary: fractal boundaries of two basins never exceed ln 2.
    Both depend on the size of the boxes, and few points in a box bias S_i downwards.

    Args:
      classes: (G, G) the basin of each point, any integers or booleans.
      box_size: Points along the edge of a box. What does not fill a box at the far edges is left
        out.
      seed: Seed of the resampling.
      num_resamples: Number of resamples of the percentile bootstrap over boxes, which takes them
        as independent.

    Raises:
      ValueError: The classes have another shape or kind, or a box has fewer than 2 points along
        its edge or is larger than the grid.

    Source: Daza, Wagemakers, Georgeot, Guéry-Odelin & Sanjuán 2016, Sci. Rep. 6, 31416.
    """
    classes = _as_classes(classes)
    if not 2 <= box_size <= len(classes):
        raise ValueError(f"box_size must lie in 2..{len(classes)}, the grid; got {box_size}")
    entropies, mixed = _by_box(classes, box_size)
    rng = np.random.default_rng(seed)
    draws = (rng.integers(len(mixed), size=len(mixed)) for _ in range(num_resamples))
    resampled = np.array([_means(entropies[draw], mixed[draw]) for draw in draws])
    whole, boundary = (
        Interval(value, *percentile_interval(column[np.isfinite(column)]))
        for value, column in zip(_means(entropies, mixed), resampled.T, strict=True)
    )
    return BasinEntropy(whole, boundary, box_size, len(mixed), int(mixed.sum()))


def _as_classes(classes: ArrayLike) -> np.ndarray:
    square = 2 * np.shape(classes)[:1] or ("G", "G")
    return as_array("classes", classes, square, int, least=2).astype(np.int64)


def _by_box(classes: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the entropy S_i of each whole box, and which boxes have more than one basin."""
    side = len(classes) // size
    whole = classes[: side * size, : side * size].reshape(side, size, side, size)
    boxes = whole.swapaxes(1, 2).reshape(side**2, size**2)
    basins, index = np.unique(boxes, return_inverse=True)
    pairs = np.arange(len(boxes))[:, None] * len(basins) + index.reshape(boxes.shape)
    box_and_basin, counts = np.unique(pairs, return_counts=True)
    shares, box = counts / size**2, box_and_basin // len(basins)
    entropies = np.bincount(box, scipy.special.entr(shares), minlength=len(boxes))
    return entropies, np.bincount(box, minlength=len(boxes)) > 1


def _means(entropies: np.ndarray, mixed: np.ndarray) -> tuple[float, float]:
    total, number = float(entropies.sum()), int(mixed.sum())
    return total / len(entropies), total / number if number else np.nan


@dataclass(frozen=True)
class UncertaintyExponent:
    """How the fraction of uncertain points grows with the uncertainty; see `uncertainty_exponent`.

    Attributes:
      exponent: α with the t-interval of the regression; NaN, all three, where it is undefined.
      standard_error: Standard error of α from the regression.
      distances: (m,) ε in grid steps.
      fractions: (m,) f(ε).
      used: (m,) which of them the line was fitted to.
      remark: Why α is undefined, or what must be known to read it; empty if nothing.
    """

    exponent: Interval
    standard_error: float
    distances: np.ndarray
    fractions: np.ndarray
    used: np.ndarray
    remark: str

    @property
    def dimension(self) -> Interval:
        """The box dimension of the boundary in the plane, D = 2 − α."""
        value, low, high = self.exponent.ends
        return Interval(2 - value, 2 - high, 2 - low)


def uncertainty_exponent(classes: ArrayLike) -> UncertaintyExponent:
    r"""Returns the power of a start's uncertainty ε with which its final state is uncertain.

      f(ε) ~ ε^α,    D = 2 − α

    f(ε) is the fraction of points that have another basin at distance ε to either side along
    either axis. α = 1 for a smooth boundary; at α = 0.1 a start a thousand times more exact halves
    f. α and its standard error are those of least squares on ln f against ln ε, over
    distances from one grid step to 1/8 of the width, as evenly spaced in ln ε as whole steps
    allow. All f are of the same points: the interval is that of the line, not of the sampling.

    Left out of the fit are f > 0.99, and distances from which on f is more than 0.8 of 1 − Σ pᵢ⁵,
    what five independent points would show for basins of shares pᵢ: there f saturates. If it is so
    from the first step on, all distances are used, α comes out near 0 (down to −0.02, since near
    the edge neighbours are missing), and a remark says that the grid cannot tell it from structure
    finer than its step.

    Args:
      classes: (G, G) the basin of each point, any integers or booleans.

    Returns:
      An `UncertaintyExponent`; NaN with a remark for one basin, G < 24, no boundary away from the
      edge, f > 0.99 throughout, or fewer than 3 distances before f saturates.

    Raises:
      ValueError: The classes have another shape or kind.

    Source: Grebogi, McDonald, Ott & Yorke 1983, Phys. Lett. A 99, 415.
    """
    classes = _as_classes(classes)
    widest = max(1, len(classes) // WIDEST)
    distances = np.unique(np.geomspace(1, widest, 12).round().astype(int))
    fractions = np.array([uncertain_points(classes, d).mean() for d in distances.tolist()])
    used, remark = _range_to_fit(classes, fractions)
    exponent, error = UNDEFINED, np.nan
    if used.any():
        fit: Any = scipy.stats.linregress(np.log(distances[used]), np.log(fractions[used]))
        slope, error = float(fit.slope), float(fit.stderr)
        reach = float(scipy.stats.t.ppf(1 - TAIL, used.sum() - 2)) * error
        exponent = Interval(slope, slope - reach, slope + reach)
    return UncertaintyExponent(exponent, error, distances, fractions, used, remark)


def uncertain_points(classes: np.ndarray, distance: int) -> np.ndarray:
    """Returns (G, G) where a point has another class at a distance along either axis."""
    uncertain = np.zeros(classes.shape, bool)
    for view, flags in ((classes, uncertain), (classes.T, uncertain.T)):
        differs = view[distance:] != view[:-distance]
        flags[distance:] |= differs
        flags[:-distance] |= differs
    return uncertain


def _range_to_fit(classes: np.ndarray, fractions: np.ndarray) -> tuple[np.ndarray, str]:
    """Returns which distances the line is fitted to, possibly none, and a remark."""
    nothing = np.zeros(len(fractions), bool)
    shares = np.unique(classes, return_counts=True)[1] / classes.size
    if len(shares) == 1:
        return nothing, "one basin alone"
    if len(fractions) < MIN_SCALES:
        return nothing, f"the grid is too small: at least {MIN_SCALES * WIDEST} points an axis"
    if (fractions == 0).any():
        return nothing, "at some distance no point is uncertain"
    below = fractions <= MAX_FRACTION
    if below.sum() < MIN_SCALES:
        return nothing, "saturated: at nearly every point the neighbours are of other basins"
    saturated = fractions >= INDEPENDENT * (1 - np.sum(shares**5))
    if saturated[0]:
        return below, (
            "neighbours differ like independent points from the first grid step on: a finer grid "
            "may show another exponent"
        )
    resolved = below & ~np.logical_or.accumulate(saturated)
    if resolved.sum() < MIN_SCALES:
        return nothing, "saturated within few grid steps: a finer grid is needed"
    return resolved, ""
