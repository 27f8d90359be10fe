"""Linear probes in closed form: what can be read from states by a linear map.

All probes at one state share one covariance. Its root is computed once, and each further probe, of
other labels, of permuted ones or of a control task, costs one product. So a thousand probes take
the time of a few fits by gradient descent.
"""

from typing import NamedTuple

import numpy as np

from rrjax.checks import refuse


class Whitening(NamedTuple):
    """An affine map x ↦ (x − mean) root, after which the regularised covariance is 1.

    Attributes:
      mean: (d,) mean of the states.
      root: (d, d) the symmetric inverse root of the regularised covariance.
      shrinkage: Weight α of the multiple of 1 that the covariance is shrunk to, from 0 to ½.
    """

    mean: np.ndarray
    root: np.ndarray
    shrinkage: float

    def __call__(self, states: np.ndarray) -> np.ndarray:
        """Returns whitened states, of the shape (n, d) and type of `states`."""
        return (states - self.mean.astype(states.dtype)) @ self.root.astype(states.dtype)


class Discriminant(NamedTuple):
    """A linear probe of classes, on whitened states.

    Attributes:
      weights: (d, classes); a state's class is that of the largest score, x weights + offsets.
      offsets: (classes,)
      directions: (d, rank) orthonormal directions in whitened states that the scores depend on, by
        how far they take the classes apart.
    """

    weights: np.ndarray
    offsets: np.ndarray
    directions: np.ndarray

    def predict(self, whitened: np.ndarray) -> np.ndarray:
        """Returns (n,) the class of each state."""
        scores = whitened @ self.weights.astype(whitened.dtype)
        return np.argmax(scores + self.offsets.astype(whitened.dtype), axis=1)


class Regression(NamedTuple):
    """A linear probe of a number, on whitened states.

    Attributes:
      weights: (d,)
      offset: The mean of the number.
    """

    weights: np.ndarray
    offset: float

    def predict(self, whitened: np.ndarray) -> np.ndarray:
        """Returns (n,) the number of each state."""
        return whitened @ self.weights.astype(whitened.dtype) + self.offset


def whitening(states: np.ndarray) -> Whitening:
    """Returns the map that whitens states, with the shrinkage of Ledoit and Wolf.

      T = S + α/(1 − α) (tr S / d) 1,    x ↦ (x − mean) T^(−1/2)

    with S the covariance. α minimises the expected squared error of (1 − α) T for independent
    states; it is of order 1/n for many states, and large where they are few. It is at most ½ here.

    Args:
      states: (n, d)

    Raises:
      ValueError: There are not more states than features, or numbers that are not finite.

    Source: Ledoit and Wolf 2004, J. Multivar. Anal. 88, 365.

    Example:
      >>> states = np.random.default_rng(0).normal(size=(1000, 2)) * [1, 5]
      >>> whitened = rrjax.inside.whitening(states)(states)
      >>> np.cov(whitened.T, bias=True).round() + 0.0
      array([[1., 0.],
             [0., 1.]])
    """
    check_states(states)
    number, d = states.shape
    mean = states.mean(0, dtype=np.float64)
    centred = states - mean.astype(states.dtype)
    covariance = _products(centred, centred) / number
    size = np.trace(covariance) / d
    squares = np.square(centred)
    error = np.sum(_products(squares, squares)) / number - np.sum(np.square(covariance))
    spread = np.sum(np.square(covariance)) - d * size**2
    alpha = float(np.clip(error / number / spread, 0, 0.5)) if spread > 0 else 0.5
    values, vectors = np.linalg.eigh(covariance + alpha / (1 - alpha) * size * np.eye(d))
    least = values.max() * d * np.finfo(states.dtype).eps
    roots = np.where(values > least, values, np.inf) ** -0.5
    return Whitening(mean, (vectors * roots) @ vectors.T, alpha)


def discriminant(
    whitened: np.ndarray, classes: np.ndarray, num_classes: int, rank: int | None = None
) -> Discriminant:
    r"""Returns Fisher's linear discriminant between classes that count alike.

    With m_c the class means of whitened states and p_c the frequencies, the covariance within
    classes is W = 1 − Σ p_c m_c m_cᵀ, and the scores are

      x · W⁻¹ m_c − ½ m_c · W⁻¹ m_c.

    A probe of lower rank sees the first directions only, along which Σ p_c m_c m_cᵀ is largest
    (reduced-rank discriminant analysis). Every class counts alike, however frequent it is: the
    probe is judged by the accuracy that is balanced between classes.

    Args:
      whitened: (n, d) states after `whitening`, which was fitted on them.
      classes: (n,) from 0.
      num_classes: Number of classes. A class without a state is never predicted.
      rank: Number of directions; None: as many as tell the classes apart.

    Raises:
      ValueError: There is only one class.

    Source: Hastie, Tibshirani and Friedman 2009, The Elements of Statistical Learning, 4.3.

    Example:
      >>> rng = np.random.default_rng(0)
      >>> classes = np.arange(300) % 3
      >>> states = np.eye(3)[classes] @ rng.normal(size=(3, 4)) + 0.01 * rng.normal(size=(300, 4))
      >>> whitened = rrjax.inside.whitening(states)(states)
      >>> probe = rrjax.inside.discriminant(whitened, classes, 3)
      >>> bool((probe.predict(whitened) == classes).all()), probe.directions.shape
      (True, (4, 2))
    """
    counts = np.bincount(classes, minlength=num_classes)
    present = counts > 0
    if present.sum() < 2:
        refuse("classes", "hold two classes or more, to be told apart", _only(classes))
    one_hot = (classes[:, None] == np.arange(num_classes)).astype(whitened.dtype)
    means = _products(one_hot, whitened) / np.maximum(counts, 1)[:, None]
    weights = np.sqrt(counts / len(classes))[:, None]
    _, singular, rows = np.linalg.svd(weights * means, full_matrices=False)
    kept = min(int(np.sum(singular > 0)), int(present.sum()) - 1)  # the means have one mean
    directions = rows[: min(kept, rank or kept)].T
    means = means @ directions
    within = np.eye(means.shape[1]) - (weights * means).T @ (weights * means)
    solved = np.linalg.solve(within, means.T)  # (rank, classes)
    offsets = np.where(present, -0.5 * np.sum(means.T * solved, axis=0), -np.inf)
    return Discriminant(directions @ solved, offsets, directions)


def regression(whitened: np.ndarray, values: np.ndarray) -> Regression:
    """Returns the ridge regression of a number on whitened states.

      ȳ + x · (1/n) Σ x_i (y_i − ȳ)

    which is ridge regression on the states with the penalty that the whitening's shrinkage is.

    Args:
      whitened: (n, d) states after `whitening`, which was fitted on them.
      values: (n,)

    Raises:
      ValueError: All values are equal.

    Example:
      >>> states = np.random.default_rng(0).normal(size=(1000, 3))
      >>> whitened = rrjax.inside.whitening(states)(states)
      >>> values = states @ [1.0, 2.0, 0.0] + 7
      >>> probe = rrjax.inside.regression(whitened, values)
      >>> np.corrcoef(probe.predict(whitened), values)[0, 1].round(2)
      np.float64(1.0)
    """
    if np.ptp(values) == 0:
        refuse("values", "differ, to be told apart", _only(values))
    offset = float(values.mean(dtype=np.float64))
    centred = (values - offset).astype(whitened.dtype)
    return Regression(_products(whitened, centred) / len(values), offset)


def shuffled_within(
    rng: np.random.Generator, values: np.ndarray, puzzles: np.ndarray
) -> np.ndarray:
    """Returns values permuted among those of the same puzzle.

    Args:
      rng: Draws the permutation.
      values: (n,) the values of cells.
      puzzles: (n,) which puzzle each is of, in ascending order.

    Example:
      >>> rng = np.random.default_rng(0)
      >>> shuffled = rrjax.inside.shuffled_within(rng, np.arange(6), np.array([0, 0, 0, 1, 1, 1]))
      >>> sorted(shuffled[:3].tolist()), sorted(shuffled[3:].tolist())
      ([0, 1, 2], [3, 4, 5])
    """
    return values[np.lexsort((rng.random(len(values)), puzzles))]


def control_values(rng: np.random.Generator, values: np.ndarray, types: np.ndarray) -> np.ndarray:
    """Returns the values of Hewitt and Liang's control task: a random one for each type.

    A probe can learn them only by remembering the types. They are drawn from the values, so that
    they are as frequent.

    Args:
      rng: Draws the values.
      values: (n,) the values of the task.
      types: (n,) integers from 0; for cells of puzzles, which cell it is and what is given there.

    Source: Hewitt and Liang 2019, "Designing and interpreting probes with control tasks".

    Example:
      >>> rng = np.random.default_rng(0)
      >>> control = rrjax.inside.control_values(rng, np.arange(4), np.array([0, 1, 0, 1]))
      >>> bool((control[:2] == control[2:]).all())
      True
    """
    return rng.choice(values, types.max() + 1)[types]


def check_states(states: np.ndarray) -> None:
    """Refuses states that no probe can be fitted on."""
    if states.ndim != 2:
        refuse("states", "have the shape (states, features)", states.shape)
    number, d = states.shape
    if number <= d:
        refuse("states", f"be more than their {d} features; take more puzzles or cells", number)
    if not np.isfinite(states).all():
        raise ValueError("states must be finite, and some are NaN or infinite")


def _products(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Returns aᵀ b, summed in blocks of states so that float32 keeps its digits."""
    blocks = range(0, len(a), 4096)
    return np.sum([a[i : i + 4096].T @ b[i : i + 4096] for i in blocks], axis=0, dtype=float)


def _only(values: np.ndarray) -> str:
    return f"only {values[0]}" if len(values) else "none"
