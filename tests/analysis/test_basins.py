"""Basin entropy and uncertainty exponent against closed forms, brute force and known fractals."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial import cKDTree

from rrjax.analysis.basins import (
    LN_2,
    BasinEntropy,
    SharedBoundaries,
    basin_entropy,
    shared_boundaries,
    uncertain_points,
    uncertainty_exponent,
)


def random_colours(shares: tuple[float, ...], grid: int) -> np.ndarray:
    return np.random.default_rng(0).choice(len(shares), size=(grid, grid), p=shares)


def halves(grid: int, left: int) -> np.ndarray:
    """A straight boundary `left` points from the edge."""
    return np.broadcast_to((np.arange(grid) >= left)[:, None], (grid, grid))


def blocks(grid: int, size: int) -> np.ndarray:
    """Squares of random colours."""
    colours = random_colours((0.5, 0.5), grid // size)
    return np.kron(colours, np.ones((size, size), int))


def cantor(level: int) -> np.ndarray:
    """Stripes coloured by the parity of the middle third they lie in, on 3^level points.

    The boundaries accumulate at the Cantor set, of dimension ln 2/ln 3 on the line.
    """
    digits = np.array(list(itertools.product(range(3), repeat=level)))
    is_middle = digits == 1
    first = np.where(is_middle.any(axis=1), is_middle.argmax(axis=1), level)
    return np.broadcast_to((first % 2)[:, None], (3**level, 3**level))


def newton(grid: int, width: float = 1.0, iterations: int = 60) -> np.ndarray:
    """Which root of z³ = 1 Newton's method finds from each point of a square around 0."""
    axis = np.linspace(-width, width, grid) + 1e-9
    z = axis[:, None] + 1j * axis
    for _ in range(iterations):
        z = z - (z**3 - 1) / (3 * z**2)
    roots = np.exp(2j * np.pi * np.arange(3) / 3)
    return np.abs(z[..., None] - roots).argmin(axis=-1)


def multinomial_entropy(number: int, shares: tuple[float, ...]) -> float:
    """The mean entropy of the shares among `number` independent points."""
    mean = 0.0
    for counts in itertools.product(range(number + 1), repeat=len(shares) - 1):
        full = (*counts, number - sum(counts))
        if full[-1] < 0:
            continue
        ways = math.factorial(number) / math.prod(map(math.factorial, full))
        weight = ways * math.prod(p**n for p, n in zip(shares, full, strict=True))
        mean -= weight * sum(n / number * math.log(n / number) for n in full if n)
    return mean


def test_one_basin_has_no_entropy_and_no_exponent():
    found = basin_entropy(np.zeros((20, 20), int), 5)
    assert found.whole == 0
    assert np.isnan(found.boundary)
    assert (found.num_boxes, found.num_boundary) == (16, 0)
    exponent = uncertainty_exponent(np.zeros((64, 64), int))
    assert np.isnan(exponent.exponent)
    assert np.isnan(exponent.dimension)
    assert exponent.remark == "one basin alone"


def test_the_entropy_of_a_straight_boundary_is_that_of_the_boxes_it_cuts():
    found = basin_entropy(halves(20, 8), 5)  # 3 of the 5 columns of one box in four
    cut = -(0.6 * math.log(0.6) + 0.4 * math.log(0.4))
    assert found.boundary == pytest.approx(cut)
    assert found.whole == pytest.approx(cut / 4)
    assert found.num_boundary == 4


def test_a_chequerboard_has_ln_2_in_every_box():
    found = basin_entropy(np.indices((16, 16)).sum(axis=0) % 2, 4)
    assert found.whole == pytest.approx(LN_2)
    assert found.boundary == found.whole


def test_what_fills_no_box_is_left_out():
    classes = np.zeros((17, 17), int)
    classes[15:] = np.arange(34).reshape(2, 17)
    classes[4, 3:9] = 1
    assert basin_entropy(classes, 5) == basin_entropy(classes[:15, :15], 5)
    assert basin_entropy(classes, 5).num_boxes == 9


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.9, 0.1), (0.2, 0.3, 0.5)])
def test_random_colours_have_the_entropy_of_the_multinomial(shares):
    found = basin_entropy(random_colours(shares, 300), 3)
    expected = multinomial_entropy(9, shares)
    assert found.whole == pytest.approx(expected, abs=0.006)  # 3 standard errors at most


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.8, 0.2), (0.2, 0.3, 0.5)])
def test_random_colours_have_the_exponent_0_and_a_remark(shares):
    found = uncertainty_exponent(random_colours(shares, 256))
    assert found.exponent == pytest.approx(0, abs=0.02)
    assert found.fractions[0] == pytest.approx(1 - sum(p**5 for p in shares), abs=0.01)
    assert "a finer grid may show another exponent" in found.remark


@pytest.mark.parametrize("grid", [24, 64, 101])
def test_a_straight_boundary_has_the_exponent_1(grid):
    found = uncertainty_exponent(halves(grid, grid // 2))
    assert found.exponent == pytest.approx(1, abs=1e-12)
    assert found.dimension == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(found.fractions, 2 * found.distances / grid)
    assert (found.distances[0], found.distances[-1]) == (1, grid // 8)
    assert found.remark == ""


def test_a_circle_has_the_exponent_1():
    axis = np.linspace(-1, 1, 256)
    found = uncertainty_exponent(np.hypot(axis[:, None], axis) < 0.6)
    assert found.exponent == pytest.approx(1, abs=0.02)


def test_the_boundary_of_cantor_stripes_has_the_dimension_of_the_cantor_set():
    found = uncertainty_exponent(cantor(6))  # 729 points, distances 1..91
    dimension = 1 + math.log(2) / math.log(3)
    assert found.dimension == pytest.approx(dimension, abs=0.03)
    assert found.remark == ""


def test_newtons_fractal_has_the_dimension_of_its_boundary_boxes():
    classes = newton(512)
    found = uncertainty_exponent(classes)
    uncertain, sizes = uncertain_points(classes, 1), (2, 4, 8, 16)
    boxes = [
        uncertain.reshape(512 // size, size, 512 // size, size).any(axis=(1, 3)).sum()
        for size in sizes
    ]
    counted = -np.polyfit(np.log(sizes), np.log(boxes), 1)[0]
    assert found.dimension == pytest.approx(counted, abs=0.06)
    assert 1.4 < found.dimension < 1.5


def test_newtons_fractal_is_shown_to_be_fractal_by_the_entropy_of_its_boundary():
    found = basin_entropy(newton(512), 5)
    assert LN_2 < found.boundary < math.log(3)
    assert 0 < found.whole < found.boundary
    for grid in (64, 128, 512):
        shared = shared_boundaries(newton(grid))
        assert shared.persistent
        assert shared.fine / shared.coarse == pytest.approx(1, abs=0.1)


def voronoi(seed: int, grid: int, number: int, colours: int) -> np.ndarray:
    """Cells of random points with straight boundaries."""
    rng = np.random.default_rng(seed)
    points, colour = rng.random((number, 2)) * grid, rng.integers(colours, size=number)
    places = np.stack(np.meshgrid(*2 * [np.arange(grid)], indexing="ij"), axis=-1)
    return colour[cKDTree(points).query(places)[1]]


@pytest.mark.parametrize(
    ("grid", "number", "colours"),
    [(64, 160, 10_000), (64, 160, 4), (64, 20, 3), (64, 640, 10_000), (128, 320, 10_000)],
)
def test_straight_boundaries_are_not_called_fractal(grid, number, colours):
    """Of 160 cells S_bb lies above ln 2 in every draw, as it does of Newton's fractal."""
    draws = [voronoi(seed, grid, number, colours) for seed in range(20)]
    shared = [shared_boundaries(classes) for classes in draws]
    assert not any(one.persistent for one in shared)
    ratios = [one.fine / one.coarse for one in shared]
    assert 0.4 < np.mean(ratios) < 0.55
    if (number, colours) == (160, 10_000):
        assert all(basin_entropy(classes).boundary > LN_2 for classes in draws)


def test_basins_too_narrow_for_the_grid_are_not_called_fractal():
    assert not shared_boundaries(voronoi(0, 64, 3000, 10_000)).persistent
    assert not shared_boundaries(random_colours((0.3, 0.3, 0.4), 64)).persistent


def test_two_basins_share_no_boundary_with_a_third():
    assert shared_boundaries(halves(20, 8)) == SharedBoundaries(0.0, 0.0, False)
    nothing = shared_boundaries(np.zeros((20, 20), int))
    assert np.isnan([nothing.fine, nothing.coarse]).all()
    assert not nothing.persistent


def test_basins_that_meet_in_one_block_alone_are_not_called_fractal():
    classes = np.zeros((11, 11), int)
    classes[:, 6:] = 1
    classes[0, 6] = 2
    assert not shared_boundaries(classes).persistent


def test_shared_squares_by_hand():
    classes = np.zeros((5, 5), int)
    classes[2:, :2], classes[2:, 2:] = 1, 2  # three basins meet once
    shared = shared_boundaries(classes)
    assert (shared.fine, shared.coarse) == (1 / 6, 4 / 8)


@pytest.mark.parametrize(
    ("classes", "remark"),
    [
        (halves(23, 11), "the grid is too small"),
        (np.arange(64**2).reshape(64, 64), "saturated: at nearly every point"),
        (np.indices((64, 64)).sum(axis=0) % 2, "at some distance no point"),
        (blocks(72, 3), "saturated within few grid steps"),
    ],
)
def test_an_exponent_that_cannot_be_known_is_nan_with_a_reason(classes, remark):
    found = uncertainty_exponent(classes)
    assert found.remark.startswith(remark)
    assert np.isnan(found.exponent)
    assert not found.used.any()


def test_distances_at_which_basins_are_mixed_are_left_out():
    found = uncertainty_exponent(blocks(520, 20))
    assert found.remark == ""
    assert found.used[0]
    assert not found.used[found.distances > 20].any()
    assert found.exponent == pytest.approx(1, abs=0.15)


@given(hnp.arrays(np.int64, (9, 9), elements=st.integers(-1, 2)), st.integers(1, 8))
def test_uncertain_points_are_those_of_a_search(classes, distance):
    steps = [(distance, 0), (-distance, 0), (0, distance), (0, -distance)]
    expected = np.zeros((9, 9), bool)
    for i, j in np.ndindex(9, 9):
        near = [(i + a, j + b) for a, b in steps if 0 <= i + a < 9 and 0 <= j + b < 9]
        expected[i, j] = any(classes[place] != classes[i, j] for place in near)
    np.testing.assert_array_equal(uncertain_points(classes, distance), expected)


@given(hnp.arrays(np.int64, (12, 12), elements=st.integers(0, 3)), st.integers(2, 12))
def test_entropies_keep_their_bounds_and_forget_the_names_of_the_basins(classes, box_size):
    found = basin_entropy(classes, box_size)
    renamed = basin_entropy(7 - 3 * classes, box_size)
    np.testing.assert_allclose(_numbers(found), _numbers(renamed), atol=1e-12)
    assert 0 <= found.whole <= np.log(4) + 1e-12
    assert found.num_boundary <= found.num_boxes == (12 // box_size) ** 2
    if found.num_boundary:
        assert found.whole <= found.boundary <= np.log(4) + 1e-12


def _numbers(found: BasinEntropy) -> np.ndarray:
    return np.array([found.whole, found.boundary])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((3, 4), int),), r"classes must be integers or booleans of shape \(3, 3\)"),
        ((np.zeros((1, 1), int),), r"box_size must lie in 2\.\.1"),
        ((np.zeros((4, 4)),), "integers or booleans"),
        ((np.zeros((4, 4), int), 1), r"box_size must lie in 2\.\.4"),
        ((np.zeros((4, 4), int), 5), r"box_size must lie in 2\.\.4"),
    ],
)
def test_bad_requests_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        basin_entropy(*arguments)
