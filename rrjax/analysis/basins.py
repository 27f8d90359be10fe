"""How mixed the basins on a grid are: basin entropy and uncertainty exponent."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy
from numpy.typing import ArrayLike

from rrjax.analysis.arrays import as_array
from rrjax.analysis.intervals import Z

LN_2 = float(np.log(2))
"""A boundary basin entropy above it shows a fractal boundary where `shared_boundaries` are
persistent; one below it shows nothing."""

PERSISTENT = 0.75
"""Between ½, of straight boundaries, and 1, of fractal ones that three basins share."""

BLOCKS = 8
"""Blocks along each axis that the jackknife leaves out one by one."""

MOVING = -1
"""The class of runs whose answer has not settled."""

WIDEST = 8
"""Points are compared up to this fraction, 1/8, of the grid's width: for those nearer to the edge
than the distance a neighbour is missing."""

MIN_SCALES = 3
"""A line through two points cannot be checked."""

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

    whole: float
    boundary: float
    box_size: int
    num_boxes: int
    num_boundary: int


def basin_entropy(classes: ArrayLike, box_size: int = 5) -> BasinEntropy:
    r"""Returns the basin entropies of a grid: how uncertain a point's basin is, given its box.

      S_i = −Σ_j p_ij ln p_ij,    S_b = Σ_i S_i / N,    S_bb = Σ_i S_i / N_b

    p_ij is the fraction of box i's points in basin j, N the number of boxes, N_b of those with more
    than one basin. S_b lies between 0 (one basin) and ln(number of basins). Both depend on the size
    of the boxes, and few points in a box bias S_i downwards. They have no interval: neighbouring
    boxes are alike, so that boxes drawn anew cover too little.

    S_bb > ln 2 shows a fractal boundary only where boxes with three basins or more become no rarer
    as boxes shrink; see `shared_boundaries`.

    Args:
      classes: (G, G) the basin of each point, any integers or booleans.
      box_size: Points along the edge of a box. What does not fill a box at the far edges is left
        out.

    Raises:
      ValueError: The classes have another shape or kind, or a box has fewer than 2 points along
        its edge or is larger than the grid.

    Source: Daza, Wagemakers, Georgeot, Guéry-Odelin & Sanjuán 2016, Sci. Rep. 6, 31416.

    Example:
      >>> rows, columns = np.indices((64, 64))
      >>> entropy = rrjax.analysis.basin_entropy(columns > rows, box_size=8)
      >>> round(float(entropy.whole), 4)
      0.0857
    """
    classes = _as_classes(classes)
    if not 2 <= box_size <= len(classes):
        raise ValueError(f"box_size must lie in 2..{len(classes)}, the grid; got {box_size}")
    entropies, mixed = _by_box(classes, box_size)
    whole, num_boundary = float(entropies.mean()), int(mixed.sum())
    boundary = float(entropies.sum()) / num_boundary if num_boundary else np.nan
    return BasinEntropy(whole, boundary, box_size, len(mixed), num_boundary)


class SharedBoundaries(NamedTuple):
    """How often three basins or more meet, by the distance of points; see `shared_boundaries`.

    Attributes:
      fine: Fraction of the boundary squares of one grid step that hold three basins or more.
      coarse: The same of squares of two grid steps.
      persistent: Whether three basins or more meet as often in the smaller squares.
    """

    fine: float
    coarse: float
    persistent: bool


def shared_boundaries(classes: ArrayLike) -> SharedBoundaries:
    """Returns whether three basins or more go on meeting as squares of four points shrink.

    Smooth boundaries meet in points. Squares with two basins become half as many when their edge
    is halved, but squares with three basins become a quarter, so that their share of the boundary
    squares halves: fine/coarse is ½ (0.42 to 0.51 in simulated Voronoi cells of two grid steps and
    more, of any number and colours). On a fractal boundary of three basins fine/coarse is 1, as it
    is for Newton's fractal on 64 × 64 points.

    They are persistent where fine/coarse exceeds ¾ by 1.96 standard errors, of the jackknife over
    8 × 8 blocks of the grid. They never are where more than half of the small squares are boundary
    squares: basins narrower than about three steps cannot be told from a fractal.

    Args:
      classes: (G, G) the basin of each point, any integers or booleans, G ≥ 3.

    Returns:
      NaN for a fraction without a boundary square.

    Raises:
      ValueError: The classes have another shape or kind.
    """
    classes = _as_classes(classes)
    counts = [_squares(classes, step) for step in (1, 2)]
    (shared, boundary), (shared_2, boundary_2) = counts
    fine, coarse = _fraction(shared, boundary), _fraction(shared_2, boundary_2)
    if not (fine > 0 and coarse > 0) or boundary.sum() > 0.5 * (len(classes) - 1) ** 2:
        return SharedBoundaries(fine, coarse, False)
    left_out = [[array.sum() - array for array in pair] for pair in counts]
    with np.errstate(invalid="ignore", divide="ignore"):
        (fine_j, coarse_j) = (pair[0] / pair[1] for pair in left_out)
        ratios = fine_j / coarse_j  # infinite, and the error NaN, where one block has all of them
        number = len(ratios)
        error = np.sqrt((number - 1) / number * np.sum((ratios - ratios.mean()) ** 2))
    return SharedBoundaries(fine, coarse, bool(fine / coarse - Z * error > PERSISTENT))


def _squares(classes: np.ndarray, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns by block how many squares of four points hold three basins or more, and two."""
    corners = [classes[:-step, :-step], classes[step:, :-step]]
    corners += [classes[:-step, step:], classes[step:, step:]]
    ordered = np.sort(corners, axis=0)
    basins = 1 + (np.diff(ordered, axis=0) != 0).sum(axis=0)
    side = np.arange(basins.shape[0]) * BLOCKS // basins.shape[0]
    block = (side[:, None] * BLOCKS + side).ravel()
    shared, boundary = (
        np.bincount(block, (basins > number).ravel(), BLOCKS**2) for number in (2, 1)
    )
    return shared, boundary


def _fraction(part: np.ndarray, whole: np.ndarray) -> float:
    return float(part.sum() / whole.sum()) if whole.sum() else np.nan


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


@dataclass(frozen=True)
class UncertaintyExponent:
    """How the fraction of uncertain points grows with the uncertainty; see `uncertainty_exponent`.

    Attributes:
      exponent: α; NaN where it is undefined.
      distances: (m,) ε in grid steps.
      fractions: (m,) f(ε).
      used: (m,) which of them the line was fitted to.
      remark: Why α is undefined, or what must be known to read it; empty if nothing.
    """

    exponent: float
    distances: np.ndarray
    fractions: np.ndarray
    used: np.ndarray
    remark: str

    @property
    def dimension(self) -> float:
        """The box dimension of the boundary in the plane, D = 2 − α."""
        return 2 - self.exponent


def uncertainty_exponent(classes: ArrayLike) -> UncertaintyExponent:
    r"""Returns the power of a start's uncertainty ε with which its final state is uncertain.

      f(ε) ~ ε^α,    D = 2 − α

    f(ε) is the fraction of points that have another basin at distance ε to either side along
    either axis. α = 1 for a smooth boundary; at α = 0.1 a start a thousand times more exact halves
    f. α is that of least squares on ln f against ln ε, over distances from one grid step to 1/8 of
    the width, as evenly spaced in ln ε as whole steps allow.

    It has no interval. All f are of the same points, so that the error of the line covers little,
    and on a finite grid α is biased: of 5 to 160 Voronoi cells on 64 to 256 points an axis it is
    0.81 to 0.96 in place of 1, with a scatter of 0.02.

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

    Example:
      >>> rows, columns = np.indices((64, 64))
      >>> result = rrjax.analysis.uncertainty_exponent(columns > 32)
      >>> round(float(result.exponent), 2)
      1.0
    """
    classes = _as_classes(classes)
    widest = max(1, len(classes) // WIDEST)
    distances = np.unique(np.geomspace(1, widest, 12).round().astype(int))
    fractions = np.array([uncertain_points(classes, d).mean() for d in distances.tolist()])
    used, remark = _range_to_fit(classes, fractions)
    exponent = np.nan
    if used.any():
        exponent = float(np.polyfit(np.log(distances[used]), np.log(fractions[used]), 1)[0])
    return UncertaintyExponent(exponent, distances, fractions, used, remark)


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
