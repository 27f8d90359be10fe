"""CKA and RSA: closed forms, brute force, and numbers of rsatoolbox."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from rrjax.analysis.blank_cells import blank_features
from rrjax.analysis.jackknife import groups, jackknife_interval
from rrjax.analysis.similarity import (
    dissimilarities,
    gram,
    kendall_tau_a,
    rsa,
    unbiased_cka,
    unbiased_hsic,
)


def features(seed: int, n: int = 12, d: int = 30) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d))


def test_the_estimate_of_independent_features_has_no_bias():
    pairs = [(features(2 * s), features(2 * s + 1)) for s in range(200)]
    values = [unbiased_cka([x @ x.T, y @ y.T]).value[0, 1] for x, y in pairs]
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(len(values))
    centred = [(x - x.mean(0), y - y.mean(0)) for x, y in pairs]
    biased = [
        np.sum((x.T @ y) ** 2) / np.linalg.norm(x @ x.T) / np.linalg.norm(y @ y.T)
        for x, y in centred
    ]
    assert np.mean(biased) > 0.6  # what others report


def test_the_estimate_is_a_mean_over_four_different_puzzles():
    x, y = features(0, 6, 3), features(1, 6, 3)
    K, L = x @ x.T, y @ y.T
    total = 0.0
    for i in range(6):
        for j in {*range(6)} - {i}:
            for q in {*range(6)} - {i, j}:
                for r in {*range(6)} - {i, j, q}:
                    total += K[i, j] * (L[i, j] + L[q, r] - 2 * L[i, q])
    np.testing.assert_allclose(unbiased_hsic(gram(x), gram(y)), total / (6 * 5 * 4 * 3))


def test_leaving_a_puzzle_out_is_a_cka_without_it():
    x, y = features(0), features(1) + features(0)
    grams = [x @ x.T, y @ y.T]
    kept = np.delete(np.arange(12), 3)
    without = unbiased_cka([g[np.ix_(kept, kept)] for g in grams]).value
    np.testing.assert_allclose(unbiased_cka(grams).left_out[3], without)


def test_shifts_and_rotations_do_not_matter():
    x = features(0)
    turned = 3 * x @ np.linalg.qr(features(1, 30, 30))[0] + 7
    np.testing.assert_allclose(unbiased_cka([x @ x.T, turned @ turned.T]).value, 1)


# rsatoolbox 0.3.2: calc_rdm(Dataset(m), method=…), then compare(…, "spearman" or "tau-a")
@pytest.mark.parametrize(
    ("kind", "first", "spearman", "tau"),
    [
        ("correlation", 0.85342544, 0.58712999, 0.43492063),
        ("euclidean", 4.8504711, 0.6965251, 0.51428571),
    ],
)
def test_rsa_is_that_of_rsatoolbox(kind, first, spearman, tau):
    a = np.random.default_rng(22).normal(size=(9, 7))
    b = a + 0.8 * np.random.default_rng(23).normal(size=(9, 7))
    matrices = [dissimilarities(x, kind) for x in (a, b)]
    compared = rsa(matrices, groups(9))
    upper = np.triu_indices(9, 1)
    assert matrices[0][0, 1] == pytest.approx(first)
    assert compared.value[0, 1] == pytest.approx(spearman, abs=1e-6)
    assert kendall_tau_a(matrices[0][upper], matrices[1][upper]) == pytest.approx(tau)
    kept = np.delete(np.arange(9), 2)
    without = rsa([m[np.ix_(kept, kept)] for m in matrices], groups(8)).value
    np.testing.assert_allclose(compared.left_out[2], without, atol=1e-6)


def test_equal_values_share_a_rank_and_unknown_ones_make_it_unknown():
    x = np.random.default_rng(0).integers(0, 3, (2, 12, 4)).astype(float)
    coarse, other = (dissimilarities(each, "euclidean") for each in x)
    lacking = other.copy()
    lacking[0, 1:] = lacking[1:, 0] = np.nan
    compared = rsa([coarse, other, lacking], np.arange(12) % 4)
    for group, value in [(-1, compared.value), *enumerate(compared.left_out)]:
        kept = np.flatnonzero(np.arange(12) % 4 != group)
        first, second = (
            m[np.ix_(kept, kept)][np.triu_indices(len(kept), 1)] for m in (coarse, other)
        )
        assert value[0, 1] == pytest.approx(spearmanr(first, second)[0], abs=1e-6)
        assert np.isnan(value[0, 2]) == (group != 0)
        assert np.isnan(value[2, 2]) == (group != 0)


def test_given_cells_stand_at_the_mean_and_add_nothing():
    cells = np.random.default_rng(0).normal(size=(5, 4, 2))
    blank = np.random.default_rng(1).random((5, 4)) < 0.7
    changed = np.where(blank[..., None], cells, 99.0)
    x = blank_features(cells, blank)
    np.testing.assert_array_equal(x, blank_features(changed, blank))
    np.testing.assert_allclose(x.sum(0), 0, atol=1e-5)
    assert not x.reshape(5, 4, 2)[~blank].any()
    cells[3, blank[3].argmax()] = np.nan
    with pytest.raises(ValueError, match="the state of puzzle 3 is not finite"):
        blank_features(cells, blank)


def test_too_few_puzzles_are_refused():
    with pytest.raises(ValueError, match="puzzles must be at least 5"):
        unbiased_cka(np.ones((2, 4, 4)))
    with pytest.raises(ValueError, match="puzzles must be at least 4"):
        rsa(np.ones((2, 3, 3)), groups(3))


def test_the_jackknife_of_a_mean_is_students_interval():
    x = features(4, 9, 1)[:, 0]
    left_out = (x.sum() - x) / 8
    value, low, high = jackknife_interval(x.mean(), left_out).ends
    reach = 2.3060041350333704 * x.std(ddof=1) / 3
    np.testing.assert_allclose([low, high], [value - reach, value + reach])
