# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Measure your own map, network or cell
#
# Nothing in rrjax needs puzzles or weights. Whatever maps a state to a state can be measured: a
# formula, a recurrent network, or a reasoner with a schedule of its own.
#
# ## A map
#
# Hénon's map is a function from a state to a state, and that is all `from_map` needs. One
# application is one segment.

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import rrjax


def henon_step(z):
    return jnp.array([1 - 1.4 * z[0] ** 2 + z[1], 0.3 * z[0]])


henon = rrjax.Dynamics.from_map(henon_step, jnp.array([0.1, 0.1]))
spectrum = rrjax.spectrum(henon, 2, 10_000, key=jax.random.key(0), state_transient=100)
print(spectrum.exponents)  # nats per update; the literature has 0.419 and -1.623

# %% [markdown]
# Two checks cost nothing. The determinant of Hénon's Jacobian is −0.3 everywhere, so that the
# exponents must add up to ln 0.3. And the growth of every update is kept, so that you can watch
# the exponent converge.

# %%
print(f"sum {spectrum.exponents.sum():+.4f}, ln 0.3 = {np.log(0.3):+.4f}")
print(f"Kaplan–Yorke dimension {rrjax.analysis.kaplan_yorke(spectrum.exponents).value:.3f}")

running = rrjax.horizons.running_exponents(spectrum.log_growth, henon.schedule, "update")
figure, axes = plt.subplots(figsize=(6, 3))
axes.semilogx(np.arange(1, len(running) + 1), running[:, 0])
axes.axhline(0.419, color="gray", linestyle=":")
axes.set(xlabel="updates", ylabel="λ₁, nats per update", title="λ₁ of Hénon's map converges")
plt.show()

# %% [markdown]
# ## Many networks at once, under `vmap`
#
# Functions of rrjax take one system; `jax.vmap` takes many. Here a random network z ↦ g·W tanh(z)
# runs for 16 gains g. What changes from system to system goes into the context, which is an
# argument of the compiled program. One program serves all gains.

# %%
size = 100
weights = jax.random.normal(jax.random.key(1), (size, size)) / jnp.sqrt(size)
start = jax.random.normal(jax.random.key(2), (size,))


def network_step(context, z, drive):
    return context["gain"] * context["weights"] @ jnp.tanh(z)


def lambda1(gain):
    network = rrjax.Dynamics.from_updates(
        initial=start,
        schedule=network_step,
        readout=lambda context, z: z,
        context={"gain": gain, "weights": weights},
    )
    run = rrjax.spectrum(network, 1, 300, key=jax.random.key(3), state_transient=200)
    return run.exponents[0]


gains = jnp.linspace(0.5, 3.0, 16)
exponents = jax.vmap(lambda1)(gains)

figure, axes = plt.subplots(figsize=(6, 3))
axes.plot(gains, exponents, "o-")
axes.axhline(0, color="gray", linewidth=0.8)
axes.set(xlabel="gain g", ylabel="λ₁, nats per update", title="A random network becomes chaotic")
plt.show()

# %% [markdown]
# Below g = 1 the network dies out, and above it most networks are chaotic. Dips back below 0 are
# windows in which this one network of 100 neurons is periodic; larger networks have fewer.
#
# ## A reasoner with a schedule of its own
#
# A recursive reasoner has more than one update and more than one state. The state may be a
# dictionary. Functions and repeats of functions make a segment: here three cycles of two thoughts
# and an answer.

# %%
width = 32
keys = jax.random.split(jax.random.key(4), 3)
params = {
    "think": 0.9 * jax.random.normal(keys[0], (2 * width, width)) / jnp.sqrt(width),
    "answer": 0.9 * jax.random.normal(keys[1], (2 * width, width)) / jnp.sqrt(width),
}


def think(context, state, drive):
    both = jnp.concatenate([state["fast"], state["slow"] + context["input"]])
    return {**state, "fast": jnp.tanh(both @ context["think"])}


def answer(context, state, drive):
    both = jnp.concatenate([state["fast"], state["slow"]])
    return {**state, "slow": jnp.tanh(both @ context["answer"])}


def reasoner(question):
    return rrjax.Dynamics.from_updates(
        initial={"fast": jnp.zeros(width), "slow": jnp.zeros(width)},
        schedule=(rrjax.Repeat(3, (rrjax.Repeat(2, think), answer)),),
        readout=lambda context, state: state["slow"],
        context={**params, "input": question},
        answer="slow",
    )


reasoner(jnp.zeros(width))

# %%
questions = jax.random.normal(keys[2], (16, width))
spectra = jax.vmap(lambda q: rrjax.spectrum(reasoner(q), 4, 20, key=jax.random.key(5)))(questions)
print(spectra.exponents.shape, "nats per update")

one = rrjax.spectrum(reasoner(questions[0]), 4, 20, key=jax.random.key(5))
share = rrjax.participation(one.frame)
print("share of the leading vector in the fast state:", share["fast"][0].sum())
everything = rrjax.full_spectrum(reasoner(questions[0]), 20)
print(f"all {len(everything.exponents)} exponents, the largest {everything.exponents[0]:+.3f}")

# %% [markdown]
# An update changes one of the two states and leaves the other as it is, and the tangent dynamics
# know that: no term is forgotten. The same `Dynamics` goes into `rrjax.rollout`,
# `rrjax.covariant_vectors`, `rrjax.fixed_points` and `rrjax.flossing.exponents`.
#
# ## In an experiment
#
# Experiments on many puzzles take any object that binds its map to a puzzle. The readout must have
# logits. Here is a reasoner that nobody trained, on 4×4 Sudokus.

# %%
puzzles = rrjax.puzzles.build_sudokus(rrjax.puzzles.generate_sudokus(4, 8, seed=0))
vocabulary = puzzles.metadata.vocab_size


class MyReasoner:
    """A network of one's own; `params` is placed on every device once."""

    def __init__(self, key):
        embed, mix, head = jax.random.split(key, 3)
        self.params = {
            "embed": jax.random.normal(embed, (vocabulary, 8)),
            "mix": jax.random.normal(mix, (16 * 8, 16 * 8)) / 8,
            "head": jax.random.normal(head, (8, vocabulary)),
        }

    def bind(self, tokens, puzzle_id=0):
        def update(context, z, drive):
            params, question = context
            return jnp.tanh(params["mix"] @ z.ravel() + question.ravel()).reshape(16, 8)

        return rrjax.Dynamics.from_updates(
            initial=jnp.zeros((16, 8)),
            schedule=update,
            readout=lambda context, z: z @ context[0]["head"],
            context=(self.params, self.params["embed"][jnp.asarray(tokens)]),
        )


run = rrjax.experiments.spectrum(
    MyReasoner(jax.random.key(6)), puzzles, num_exponents=2, num_segments=50, progress=False
)
print(run.solved.sum(), "of", len(run.solved), "solved; λ₁ =", np.round(run.exponents[:, 0], 3))

# %% [markdown]
# ## Exercise
#
# Arnold's cat map sends (x, y) to (2x + y, x + y), both modulo 1. Measure its larger exponent. (It
# is known exactly, and does not depend on the orbit.)

# %% tags=["hide-cell"]
# Solution
cat = rrjax.Dynamics.from_map(
    lambda z: jnp.array([2 * z[0] + z[1], z[0] + z[1]]) % 1, jnp.array([0.3, 0.4])
)
cat_spectrum = rrjax.spectrum(cat, 2, 1000, key=jax.random.key(0), frame_transient=20)
answer_of_exercise = float(cat_spectrum.exponents[0])
assert abs(answer_of_exercise - np.log((3 + np.sqrt(5)) / 2)) < 1e-4
print(answer_of_exercise)  # ln((3 + √5) / 2) = 0.9624
