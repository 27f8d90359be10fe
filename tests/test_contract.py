"""The contract: schedules against plain loops, and dynamics as pytrees."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rrjax.contract import (
    Dynamics,
    Repeat,
    Schedule,
    Update,
    count_updates,
    named_fields,
    run_segment,
    run_updates,
    scan_updates,
    split_last,
    updates,
)


def numbered(index: int) -> Update:
    """Maps that do not commute, so that any change of order shows; exact in float32."""
    return Update(f"u{index}", lambda context, x, drive: (index + 2) * x % 257 + index)


LEAVES = st.integers(0, 3).map(numbered)
SCHEDULES = st.recursive(
    st.lists(LEAVES, min_size=1, max_size=2).map(tuple),
    lambda inner: st.lists(
        LEAVES | st.builds(Repeat, st.integers(1, 3), inner), min_size=1, max_size=3
    ).map(tuple),
    max_leaves=3,
)


def unroll(schedule: Schedule) -> list[Update]:
    """Every update of a segment, by plain recursion."""
    out = []
    for item in schedule:
        out += [item] if isinstance(item, Update) else item.times * unroll(item.body)
    return out


def names(schedule: Schedule) -> list[str]:
    return [update.name for update in unroll(schedule)]


@settings(max_examples=100, deadline=None)
@given(SCHEDULES)
def test_updates_run_in_order_and_are_counted(schedule):
    assert [update.name for update in updates(schedule)] == names(schedule)
    assert count_updates(schedule) == len(names(schedule))


@settings(max_examples=100, deadline=None)
@given(SCHEDULES, st.data())
def test_split_last_cuts_off_exactly_the_last_updates(schedule, data):
    total = count_updates(schedule)
    number = data.draw(st.integers(0, total))
    head, tail = split_last(schedule, number)
    assert names(head) + names(tail) == names(schedule)
    assert len(names(tail)) == number


@pytest.mark.parametrize("number", [-1, 4])
def test_split_last_refuses_what_a_segment_has_not(number):
    with pytest.raises(ValueError, match=rf"number must lie in 0\.\.3.*got {number}"):
        split_last((Repeat(3, (numbered(0),)),), number)


def test_split_last_keeps_whole_repeats_whole():
    one, two = numbered(1), numbered(2)
    cycle = (Repeat(6, (one,)), two)
    assert split_last((Repeat(3, cycle),), 7) == ((Repeat(2, cycle),), (Repeat(1, cycle),))
    head, tail = split_last((Repeat(2, cycle),), 2)
    assert head == (Repeat(1, cycle), Repeat(5, (one,)))
    assert tail == (Repeat(1, (one,)), two)


@settings(max_examples=15, deadline=None)
@given(SCHEDULES)
def test_scanning_is_a_plain_loop(schedule):
    def step(update, x):
        after = update.apply(None, x, None)
        return after, {"before": x, "after": after[0]}

    carry, outputs = scan_updates(schedule, step, jnp.array([1, 2]))
    x, seen = np.array([1, 2]), []
    for update in unroll(schedule):
        seen.append(x)
        x = update.apply(None, x, None)
    np.testing.assert_array_equal(carry, x)
    np.testing.assert_array_equal(outputs["before"], seen)
    np.testing.assert_array_equal(outputs["after"], [y[0] for y in [*seen[1:], x]])


def test_scanning_of_nothing_returns_the_carry():
    carry, outputs = scan_updates((), lambda update, x: (x, x), 5)
    assert carry == 5
    assert outputs is None


def test_compiled_size_does_not_grow_with_repeats():
    def equations(times: int) -> int:
        schedule = (Repeat(times, (Repeat(times, (numbered(1),)), numbered(2))),)
        text = jax.make_jaxpr(
            lambda x: scan_updates(schedule, lambda u, x: (u.apply(0, x, 0), x), x)
        )(1)
        return len(str(text).splitlines())

    assert equations(50) == equations(2)


def test_a_segment_of_trm_s_shape_is_its_double_loop():
    latent = Update("latent", lambda c, z, d: (z[0], 3 * z[1] + z[0] + c + d))
    answer = Update("answer", lambda c, z, d: (z[0] - z[1], z[1]))
    schedule = (Repeat(2, (Repeat(3, (latent,)), answer)),)
    dynamics = Dynamics((jnp.array(1), jnp.array(2)), schedule, lambda c, z: z, context=10)
    h, low = 1, 2
    for _ in range(2):
        for _ in range(3):
            low = 3 * low + h + 10 + 7
        h = h - low
    assert jax.tree.map(int, run_segment(dynamics, dynamics.initial, 7)) == (h, low)


def test_running_both_parts_of_a_split_is_running_the_whole():
    schedule = (Repeat(3, (Repeat(2, (numbered(1),)), numbered(3))), numbered(2))
    dynamics = Dynamics(jnp.array(5), schedule, lambda c, x: x)
    whole = run_segment(dynamics, dynamics.initial)
    for number in range(count_updates(schedule) + 1):
        head, tail = split_last(schedule, number)
        middle = run_updates(head, dynamics, dynamics.initial, None)
        assert run_updates(tail, dynamics, middle, None) == whole


def halve(x: jax.Array) -> jax.Array:
    return x / 2


def test_from_map_applies_the_map_once_a_segment():
    dynamics = Dynamics.from_map(halve, np.array([8.0, 4.0], np.float32))
    assert count_updates(dynamics.schedule) == 1
    assert dynamics.gradient_updates is None
    state = run_segment(dynamics, dynamics.initial)
    np.testing.assert_array_equal(state, [4, 2])
    assert dynamics.readout(dynamics.context, state) is state


@pytest.mark.parametrize(
    "step",
    [
        lambda z: z["x"],
        lambda z: {"x": z["x"], "y": z["x"]},
        lambda z: {"x": z["x"][:1]},
        lambda z: {"x": z["x"].astype(jnp.float16)},
        lambda z: {"x": (z["x"],)},
    ],
    ids=["leaf", "more fields", "shape", "dtype", "nesting"],
)
def test_from_map_refuses_maps_that_change_the_state_s_form(step):
    with pytest.raises(ValueError, match="update 'step' must return a state with the structure"):
        Dynamics.from_map(step, {"x": jnp.ones(2)})


def test_one_compiled_program_serves_every_puzzle():
    schedule = (Repeat(2, (Update("add", lambda c, x, d: x + c),)),)

    def read(context, x):
        return x

    @jax.jit
    @chex.assert_max_traces(n=1)
    def run(dynamics: Dynamics):
        return run_segment(dynamics, dynamics.initial)

    first = run(Dynamics(jnp.ones(2), schedule, read, context=jnp.array(1.0)))
    second = run(Dynamics(jnp.zeros(2), schedule, read, context=jnp.array(5.0)))
    np.testing.assert_array_equal(first, [3, 3])
    np.testing.assert_array_equal(second, [10, 10])


def test_the_same_map_bound_twice_compiles_once():
    @jax.jit
    @chex.assert_max_traces(n=1)
    def run(dynamics: Dynamics):
        return run_segment(dynamics, dynamics.initial)

    for start in (1.0, 2.0):
        assert run(Dynamics.from_map(halve, jnp.array(start))) == start / 2


def test_dynamics_are_a_pytree_of_arrays_and_vmap():
    schedule = (Update("add", lambda c, x, d: x + c["w"]),)
    dynamics = Dynamics(
        jnp.zeros(3), schedule, lambda c, x: x, context={"w": jnp.ones(3)}, drive=jnp.ones(2)
    )
    leaves, treedef = jax.tree.flatten(dynamics)
    assert [leaf.shape for leaf in leaves] == [(3,), (3,), (2,)]
    again = jax.tree.unflatten(treedef, leaves)
    assert (again.schedule, again.readout) == (dynamics.schedule, dynamics.readout)
    batch = jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf]), dynamics)
    moved = jax.vmap(lambda dynamics: run_segment(dynamics, dynamics.initial))(batch)
    np.testing.assert_array_equal(moved, [[1, 1, 1], [2, 2, 2]])


@pytest.fixture
def driven() -> Dynamics:
    schedule = (Update("push", lambda c, x, d: x + d["u"]),)
    drive = {"u": jnp.arange(3.0), "v": jnp.ones((4, 2))}
    return Dynamics(jnp.array(0.0), schedule, lambda c, x: x, drive=drive)


@pytest.mark.parametrize("number", [1, 3])
def test_a_drive_is_cut_to_the_segments_asked_for(driven, number):
    cut = driven.drives(number)
    np.testing.assert_array_equal(cut["u"], np.arange(number))
    assert cut["v"].shape == (number, 2)


def test_a_drive_shorter_than_asked_for_is_refused(driven):
    with pytest.raises(ValueError, match="the drive has 3 segments, but 4 were asked for"):
        driven.drives(4)


@pytest.mark.parametrize("number", [0, -1])
def test_no_segments_are_refused_with_and_without_a_drive(driven, number):
    for dynamics in (driven, Dynamics.from_map(halve, jnp.array(1.0))):
        with pytest.raises(ValueError, match=f"num_segments must be at least 1, got {number}"):
            dynamics.drives(number)


def test_an_autonomous_system_has_no_drives_of_any_length():
    assert Dynamics.from_map(halve, jnp.array(1.0)).drives(10**9) is None


def test_start_takes_the_given_state_in_the_dynamics_dtypes():
    dynamics = Dynamics.from_map(halve, jnp.ones(2, jnp.float32))
    assert dynamics.start(None) is dynamics.initial
    given_state = dynamics.start(np.array([3, 4]))
    assert given_state.dtype == jnp.float32
    np.testing.assert_array_equal(given_state, [3, 4])


@pytest.mark.parametrize("initial", [np.ones(3), np.ones((1, 2)), {"x": np.ones(2)}, (1.0, 1.0)])
def test_start_refuses_states_of_another_form(initial):
    dynamics = Dynamics.from_map(halve, jnp.ones(2))
    with pytest.raises(ValueError, match="initial must have the shapes"):
        dynamics.start(initial)


def think(context, state, drive):
    return state | {"fast": jnp.tanh(context @ state["fast"] + state["slow"])}


def answer(context, state, drive):
    return state | {"slow": state["slow"] + state["fast"]}


def read_slow(context, state):
    return context @ state["slow"]


def from_functions(**options):
    start = {"fast": np.zeros(2), "slow": np.array([0.1, 0.2])}
    schedule = (Repeat(3, (Repeat(2, think), answer)),)
    return Dynamics.from_updates(start, schedule, read_slow, 0.5 * jnp.eye(2), **options)


def test_functions_become_updates_with_their_names():
    dynamics = from_functions(answer="slow")
    assert names(dynamics.schedule) == 3 * ["think", "think", "answer"]
    state = {"fast": np.zeros(2), "slow": np.array([0.1, 0.2])}
    for _ in range(3):
        for _ in range(2):
            state["fast"] = np.tanh(0.5 * state["fast"] + state["slow"])
        state["slow"] = state["slow"] + state["fast"]
    after = run_segment(dynamics, dynamics.initial)
    np.testing.assert_allclose(after["slow"], state["slow"], rtol=1e-6)
    np.testing.assert_allclose(dynamics.readout(dynamics.context, after), 0.5 * after["slow"])
    assert from_functions(answer="slow").schedule == dynamics.schedule  # so it compiles once


def test_updates_and_answers_that_do_not_fit_the_state_are_refused():
    with pytest.raises(ValueError, match=r"answer must be a field of the state \(fast, slow\)"):
        from_functions(answer="z_H")
    with pytest.raises(ValueError, match="update 'think' must return a state"):
        Dynamics.from_updates(
            {"fast": np.zeros(2), "slow": np.zeros((2, 2))}, think, read_slow, np.eye(2)
        )


def test_fields_are_named_by_their_paths():
    assert list(named_fields({"b": 1.0, "a": (2.0, 3.0)})) == ["a.0", "a.1", "b"]
    assert named_fields(jnp.float32(2.0)) == {"state": 2}
