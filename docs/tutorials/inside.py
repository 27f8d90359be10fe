# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Inside the model: why does a failure fail?
#
# A spectrum says whether a run is stable. It does not say where the run comes to rest, which part
# of the network makes it stable, or what would have saved it. This tutorial takes one failure of a
# small HRM and asks four questions:
#
# 1. Does the run approach a fixed point, and is that point stable?
# 2. Which parts of the network stretch a perturbation, and which take it back?
# 3. What of a successful run, put into the failure, frees it?
# 4. From which segment on does the state hold the answer?
#
# Fixed points need float64. Enable it before any array is made; the model still runs in its own
# type, float32.

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import rrjax

jax.config.update("jax_enable_x64", True)
model = rrjax.load_model("hrm-sudoku6")
puzzles = model.test_puzzles()[:64]
NUM_SEGMENTS = 32

# %% [markdown]
# ## Find a failure that is at rest
#
# `observe_segments` runs the model and keeps what you ask for after every segment: here the
# answer, and the state `z_H` that it is read from.


# %%
def keep(dynamics, before, after, frame):
    answer = dynamics.readout(dynamics.context, after).logits.argmax(-1)
    return answer, after.z_H


@jax.jit
@jax.vmap
def run(tokens):
    return rrjax.observe_segments(model.bind(tokens), keep, NUM_SEGMENTS)


ends, (answers, z_H) = run(puzzles.inputs)
right = np.asarray((answers == puzzles.labels[:, None]).all(-1))  # (puzzles, segments)
steps = np.linalg.norm(np.diff(np.asarray(z_H), axis=1), axis=(2, 3))
failures = np.flatnonzero(~right[:, -1])
print(f"{len(failures)} of {len(puzzles)} puzzles fail; the last step of their z_H is")
print(steps[failures, -1].round(4))

# %% [markdown]
# Most failures hardly move any more. We take one that another start would have solved, because the
# third question needs a successful run of the same puzzle.

# %%
scale = float(model.bind(puzzles.inputs[0]).initial.z_H.std())
candidates = failures[:8]
keys = jax.random.split(jax.random.key(0), 4)


@jax.jit
@jax.vmap
def restart(tokens, key):
    dynamics = model.bind(tokens)
    start = rrjax.perturb(key, dynamics.initial, scale)
    return start, rrjax.rollout(dynamics, 16, initial=start).answers[-1]


tried = np.repeat(candidates, len(keys))
starts, ended = restart(puzzles.inputs[tried], jnp.tile(keys, len(candidates)))
freed = np.flatnonzero(np.asarray((ended == puzzles.labels[tried]).all(1)))
best = freed[np.argmin(steps[tried[freed], -1])]
failure, start = int(tried[best]), jax.tree.map(lambda leaf: leaf[best], starts)
label = puzzles.labels[failure]
print(f"puzzle {failure}: fails from its own start, is solved from another one")

# %% [markdown]
# ## 1. The fixed point
#
# Newton's method finds a state with F(z) = z, where F is one segment. It begins at the end of the
# run, and the residual of its result is the certificate.

# %%
exact = rrjax.load_model("hrm-sudoku6", dtype="float64").bind(puzzles.inputs[failure])
end = jax.tree.map(lambda leaf: leaf[failure].astype(float), ends)
point = rrjax.fixed_point(exact, initial=end, krylov=24, max_iterations=12)
readout = exact.readout(exact.context, point.state)
wrong = int((readout.logits.argmax(-1) != label).sum())
print(f"residual {point.residual:.1e}, {point.distance:.1e} from the end of the run")
print(f"its answer has {wrong} wrong cells, and q_halt is {readout.q_halt:+.2f}")

# %%
eigenvalues = rrjax.leading_eigenvalues(exact, point.state, 6).values
distance = np.linalg.norm(np.asarray(z_H[failure]) - np.asarray(point.state.z_H), axis=(1, 2))
figure, (left, right_axes) = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
left.semilogy(np.arange(1, NUM_SEGMENTS + 1), distance, "o-")
left.set(xlabel="segment", ylabel="distance of $z_H$ to the fixed point")
circle = np.exp(2j * np.pi * np.linspace(0, 1, 200))
right_axes.plot(circle.real, circle.imag, color="grey")
right_axes.plot(eigenvalues.real, eigenvalues.imag, "o")
right_axes.set(xlabel="real part", ylabel="imaginary part", title="eigenvalues of the segment map")
right_axes.set_aspect("equal")

# %% [markdown]
# All eigenvalues lie inside the unit circle: the point is stable, and the run falls into it at the
# rate of the largest one. This failure is neither chaotic nor unfinished. It rests at a wrong
# answer, and the model's own q may well call that answer right (q_halt > 0).
# `rrjax inside fixed-points` does this for many puzzles and counts; in this model three of four
# failures are of this kind, and in others they are not ([inside](../inside.md)).
#
# ## 2. Growth by part
#
# An update is a chain of sub-layers. `growth_by_part` splits λ₁ into their contributions, which
# add up to it. We compare the failed run with the successful one, which differs in its start only.

# %%
dynamics = model.bind(puzzles.inputs[failure])


@jax.jit
@jax.vmap
def split(initial):
    return rrjax.inside.growth_by_part(dynamics, 1, 16, key=jax.random.key(1), initial=initial)


pair = jax.tree.map(lambda one, other: jnp.stack([one, other]), dynamics.initial, start)
parts = split(pair)
updates = parts.log_growth.shape[1]
contributions = np.asarray(parts.stages.sum((1, 2))[..., 0]) / updates
places = np.arange(contributions.shape[1])
figure, axes = plt.subplots(figsize=(8, 3.2), layout="constrained")
for row, name, offset, color in zip(
    contributions, ("failed", "solved"), (0.2, -0.2), ("C1", "C0"), strict=True
):
    axes.bar(places + offset, row, 0.4, color=color, label=f"{name}: λ₁ = {row.sum():+.3f}")
axes.set_xticks(places, rrjax.inside.stage_names(dynamics), rotation=30, ha="right")
axes.set_ylabel("contribution (nats per update)")
axes.legend()

# %% [markdown]
# The residual sums (attention and SwiGLU) stretch, the norms take it back, and λ₁ is what is left:
# a small difference of large numbers. No single sub-layer is "the unstable one". Two runs show
# nothing about a model; `rrjax inside growth` compares hundreds, with intervals.
#
# ## 3. One patch
#
# After 6 segments we replace one field of the failed run's state by that of the successful run,
# and let it run on. The control moves z_H as far in a random direction.

# %%
own = rrjax.inside.state_at(dynamics, 6)
success = rrjax.rollout(dynamics, 6, initial=start).state


def fate(changed):
    return np.asarray((rrjax.rollout(changed, 22).answers == label).mean(-1))


only_z_H = rrjax.frames.random_frame(jax.random.key(2), dynamics.initial, 1)
only_z_H = jax.tree.map(lambda leaf: leaf[0], only_z_H)._replace(z_L=jnp.zeros_like(own.z_L))
changes = {
    "z_H of the success": rrjax.inside.patch(dynamics, success, 6, state=["z_H"]),
    "z_L of the success": rrjax.inside.patch(dynamics, success, 6, state=["z_L"]),
    "z_H as far in a random direction": rrjax.inside.kick(
        dynamics, only_z_H, jnp.linalg.norm(success.z_H - own.z_H), 6
    ),
}
for name, changed in changes.items():
    cells = fate(changed)
    print(f"{name}: {cells[5]:.0%} of the cells right before, {cells[-1]:.0%} at the end")

# %% [markdown]
# In this model z_H alone decides: with the z_H of the successful run the failure is solved, and its
# z_L changes nothing. One puzzle is an anecdote. `rrjax inside patch` repeats this for many puzzles
# in both directions, with donors of other kinds, controls and intervals.
#
# ## 4. One probe
#
# When does the state hold the answer? A linear probe reads the digit of a blank cell from the row
# of z_H that belongs to it. It is fitted by ridge regression on 48 puzzles, for each segment
# anew, and judged on the 16 others. The control is the same probe of shuffled digits.

# %%
rows = np.asarray(z_H)[:, :, -puzzles.inputs.shape[1] :]  # the last rows are those of the cells
blank = np.asarray(puzzles.inputs) == 1
learn, judge = blank[:48], blank[48:]
digits = np.asarray(puzzles.labels)[:48][learn]
truth = np.asarray(puzzles.labels)[48:][judge]


def probe(segment, digits):
    """Returns the share of blank cells whose digit the probe reads right."""
    x, z = rows[:48, segment][learn], rows[48:, segment][judge]
    mean = x.mean(0)
    gram = (x - mean).T @ (x - mean) + np.eye(x.shape[1])
    weights = np.linalg.solve(gram, (x - mean).T @ np.eye(8)[digits])
    return (((z - mean) @ weights).argmax(-1) == truth).mean()


shuffled = np.random.default_rng(0).permutation(digits)
own_answers = np.asarray(answers)[48:].transpose(1, 0, 2)[:, judge]
segments = np.arange(NUM_SEGMENTS)
figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
axes.plot(segments + 1, [probe(s, digits) for s in segments], "o-", label="probe of $z_H$")
axes.plot(segments + 1, (own_answers == truth).mean(1), "s--", label="the model's own answer")
axes.plot(segments + 1, [probe(s, shuffled) for s in segments], "x:", label="shuffled digits")
axes.set(xlabel="segment", ylabel="blank cells read right", ylim=(0, 1))
axes.legend()

# %% [markdown]
# The probe reads what the model answers. That is no discovery, because the model's own readout is
# linear in the same state. A probe becomes interesting where the two differ, or where it reads
# something that the model does not say. The shuffled control shows what a probe of so many weights
# reads from nothing. `rrjax inside probe` reads digits, candidates, conflicts and more, with
# controls and intervals, beside the same cell with fresh weights.
#
# ## Exercise
#
# Not every failure that moves is chaotic: it may go round in a cycle. The map z → 1 − 1.1 z² has a
# stable cycle of two steps. Which factor does a small perturbation of it get in these two steps?
# Work it out first: the two points of the cycle are the roots of 1.1 z² − z − 0.1/1.1 = 0, and the
# derivative of the map is −2.2 z.
#
# `rrjax.fixed_point(dynamics, period=2)` finds a point of the cycle, and
# `rrjax.leading_eigenvalues(dynamics, state, 1, period=2)` has the factor.

# %% tags=["hide-cell"]
# Solution: the factor is the product of both derivatives, 2.2² times the product of the roots.
cycle = rrjax.Dynamics.from_map(lambda z: 1 - 1.1 * z**2, jnp.array([0.9]))
on_cycle = rrjax.fixed_point(cycle, period=2)
factor = rrjax.leading_eigenvalues(cycle, on_cycle.state, 1, period=2).values[0].real
answer = 2.2**2 * (-0.1 / 1.1) / 1.1
print(factor, answer)
assert abs(answer - -0.4) < 1e-12
assert abs(factor - answer) < 1e-6
