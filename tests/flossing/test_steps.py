"""When flossing steps are due, which parameters they move, and what if one is not finite."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from rrjax.flossing.schedule import FlossingSchedule
from rrjax.flossing.steps import (
    check_steps,
    flossing_step,
    masked,
    matching,
    num_skipped,
    skip_nonfinite,
)

PARAMS = {"L": {"up": jnp.ones(2), "down": jnp.ones(3)}, "head": jnp.ones(2)}


def test_when_episodes_come():
    plan = FlossingSchedule(pre=5, every=10, episode=3, at_most=2)
    due = {step: plan.steps_before(step) for step in range(45) if plan.steps_before(step)}
    assert due == {0: 5, 10: 3, 20: 3}
    assert [FlossingSchedule(pre=2).steps_before(step) for step in range(3)] == [2, 0, 0]
    assert FlossingSchedule(every=4, episode=1).steps_before(400) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every": 0}, "every must be at least 1"),
        ({"pre": -1}, "pre must be at least 0"),
        ({"at_most": -2}, "at_most must be at least 0"),
    ],
)
def test_bad_schedules_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        FlossingSchedule(**options)
    with pytest.raises(ValueError, match="step must be at least 0"):
        FlossingSchedule().steps_before(-1)


def test_groups_by_name():
    assert matching(PARAMS, ["L.*"]) == {"L": {"up": True, "down": True}, "head": False}
    assert matching(PARAMS, ["head", "L.up"]) == {"L": {"up": True, "down": False}, "head": True}


@pytest.mark.parametrize("patterns", [[], "head"])
def test_patterns_must_be_a_sequence(patterns):
    with pytest.raises(ValueError, match="patterns must be a sequence"):
        matching(PARAMS, patterns)


def test_a_pattern_without_a_match_is_named():
    with pytest.raises(ValueError, match=r"'H\.\*' matches no parameter; there are L.down, L.up"):
        matching(PARAMS, ["L.*", "H.*"])


def loss(params, factor):
    return factor * sum(jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(params))


def test_masked_parameters_do_not_move():
    optimizer = masked(optax.adamw(0.1), matching(PARAMS, ["L.*"]))
    params, _, value = flossing_step(loss, optimizer, PARAMS, optimizer.init(PARAMS), 1.0)
    assert value == 7
    np.testing.assert_array_equal(params["head"], PARAMS["head"])
    assert (params["L"]["up"] < 1).all()


@pytest.mark.parametrize("factor", [jnp.nan, jnp.inf])
def test_steps_that_are_not_finite_are_skipped_counted_and_end_the_run(factor):
    optimizer = skip_nonfinite(optax.adam(0.1))
    params, state = PARAMS, optimizer.init(PARAMS)
    step = jax.jit(lambda params, state, f: flossing_step(loss, optimizer, params, state, f))
    for _ in range(2):
        params, state, _ = step(params, state, factor)
        jax.tree.map(np.testing.assert_array_equal, params, PARAMS)
    check_steps(state, 3)
    with pytest.raises(FloatingPointError, match=r"last 2 flossing steps .*\(2 in all\)"):
        check_steps(state, 2)
    params, state, _ = step(params, state, 1.0)
    assert num_skipped(state) == (0, 2)
    assert (params["head"] < 1).all()
    check_steps(state, 1)


def test_a_loss_that_is_not_finite_is_no_zero_gradient():
    optimizer = skip_nonfinite(optax.sgd(0.1))

    def unresolved(params):
        return jnp.nan + 0 * jnp.sum(params)

    _, state, value = flossing_step(unresolved, optimizer, jnp.ones(2), optimizer.init(jnp.ones(2)))
    assert np.isnan(value)
    assert num_skipped(state) == (1, 1)


def test_the_guard_is_asked_for():
    with pytest.raises(TypeError, match="skip_nonfinite"):
        num_skipped(optax.adam(0.1).init(PARAMS))
    with pytest.raises(ValueError, match="limit must be at least 1"):
        check_steps(skip_nonfinite(optax.sgd(1.0)).init(PARAMS), 0)
