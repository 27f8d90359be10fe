"""Scores of single channels: what a mean over puzzles keeps of them, and what it hides."""

from typing import NamedTuple

import numpy as np


class ChannelScores(NamedTuple):
    """Shares of the variance of each channel over blank cells, and its time course.

    Attributes:
      mean: (channels,) mean over the blank cells of all puzzles.
      puzzle_deviation: (channels,) standard deviation over puzzles of the mean over a puzzle's
        blank cells: what stands beside the mean and is hidden by it.
      position_share: (channels,) share of the variance that the place of a cell explains.
      answer_share: (channels,) share that the label of a cell explains.
    """

    mean: np.ndarray
    puzzle_deviation: np.ndarray
    position_share: np.ndarray
    answer_share: np.ndarray


def channel_scores(cells: np.ndarray, blank: np.ndarray, labels: np.ndarray) -> ChannelScores:
    r"""Returns what explains the variance of each channel over blank cells.

      ε² = 1 − (n − 1)/(n − K) · SS_within/SS_total

    for the K places or the K labels. Unlike the plain share of the variance, which grows with K/n,
    it is 0 on average where nothing is explained, and may be negative.

    Averaging states over puzzles first, as scores of "polysemantic" neurons do, keeps of a channel
    what the place of the cell explains and hides all else.

    Args:
      cells: (N, cells, channels) states after one segment.
      blank: (N, cells) booleans.
      labels: (N, cells) tokens.

    Source: Kelley 1935, Proc. Natl. Acad. Sci. 21, 554, for ε².

    Example:
      >>> labels = np.random.default_rng(0).integers(0, 3, (50, 4))
      >>> cells = np.stack([labels, np.broadcast_to(np.arange(4), (50, 4))], axis=-1)
      >>> scores = rrjax.analysis.channel_scores(cells, np.ones((50, 4), bool), labels)
      >>> bool(scores.answer_share[0] == 1), bool(scores.position_share[1] == 1)
      (True, True)
    """
    values = cells[blank].astype(np.float64)  # (n, channels)
    puzzle, place = np.nonzero(blank)
    means, counts = _means(values, puzzle, len(cells))
    return ChannelScores(
        mean=values.mean(0),
        puzzle_deviation=means[counts > 0].std(0),
        position_share=_explained(values, place),
        answer_share=_explained(values, labels[blank]),
    )


def _means(values: np.ndarray, group: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns (groups, channels) means, and how many values each group has."""
    order = np.argsort(group, kind="stable")
    counts = np.bincount(group, minlength=number)
    present = counts > 0
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])[present]
    means = np.zeros((number, values.shape[1]))
    means[present] = np.add.reduceat(values[order], starts) / counts[present, None]
    return means, counts


def _explained(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    n = len(values)
    _, group = np.unique(group, return_inverse=True)
    means, counts = _means(values, group, int(group.max()) + 1)
    total = np.sum((values - values.mean(0)) ** 2, axis=0)
    within = np.sum((values - means[group]) ** 2, axis=0)
    left = n - len(counts)
    if left <= 0:
        return np.full(values.shape[1], np.nan)
    ratio = np.divide(within, total, out=np.full_like(total, np.nan), where=total > 0)
    return 1 - (n - 1) / left * ratio


def turns(early: np.ndarray, late: np.ndarray, blank: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the cosine of each channel between two segments, averaged first and not.

    The first is of patterns over cells that are means over puzzles, as in the score of
    "polysemanticity"; the second is of all blank cells of all puzzles, nothing averaged.

    Args:
      early: (N, cells, channels)
      late: The same after a later segment.
      blank: (N, cells) booleans.

    Returns:
      Two arrays (channels,) in −1..1, of values less the channel's mean.

    Example:
      >>> x = np.random.default_rng(0).normal(size=(20, 4, 1))
      >>> rrjax.analysis.turns(x, -x, np.ones((20, 4), bool))[1].round(6)
      array([-1.])
    """
    place = np.nonzero(blank)[1]
    pairs = [z[blank].astype(np.float64) for z in (early, late)]
    pairs = [values - values.mean(0) for values in pairs]
    averaged = [_means(values, place, blank.shape[1])[0] for values in pairs]
    return _cosine(*averaged), _cosine(*pairs)


def _cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    size = np.sqrt(np.sum(a**2, axis=0) * np.sum(b**2, axis=0))
    return np.sum(a * b, axis=0) / np.where(size > 0, size, np.nan)


def random_rotation(channels: int, seed: int) -> np.ndarray:
    """Returns a (channels, channels) orthogonal matrix of Haar's measure: another basis.

    Example:
      >>> q = rrjax.analysis.random_rotation(3, 0)
      >>> bool(np.allclose(q @ q.T, np.eye(3)))
      True
    """
    normal = np.random.default_rng(seed).normal(size=(channels, channels))
    q, r = np.linalg.qr(normal)
    return q * np.sign(np.diagonal(r))
