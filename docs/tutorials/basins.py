# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Basins, restarts and slices
#
# A recursive reasoner starts every puzzle from the same state. Would another start have solved it?
# If so, the failure belongs to the start and restarts help. If not, it belongs to the puzzle. This
# tutorial asks one puzzle by hand, then many, then a whole plane of starts.
#
# ## Restarts of one puzzle, by hand

# %%
import jax
import numpy as np

import rrjax

model = rrjax.load_model("trm-sudoku6")
puzzles = model.test_puzzles()[:12]
number = 5
dynamics = model.bind(puzzles.inputs[number])
labels = puzzles.labels[number]


def final_answer(key, sigma):
    start = rrjax.perturb(key, dynamics.initial, sigma)
    return rrjax.rollout(dynamics, 16, initial=start).answers[-1]


keys = jax.random.split(jax.random.key(0), 8)
for sigma in (0.0, 0.3, 1.0):
    answers = jax.vmap(final_answer, in_axes=(0, None))(keys, sigma)
    solved = (answers == labels).all(axis=1)
    distinct = len(np.unique(answers, axis=0))
    print(f"σ = {sigma}: {solved.sum()} of 8 restarts solve it, {distinct} different answers")

# %% [markdown]
# `perturb` adds N(0, σ²) to every component of the state. The noise depends on the key alone and
# not on σ, so that the rows above go in the same 8 directions, and farther.
#
# ## Restarts of many puzzles
#
# The experiment does this for many puzzles. Its σ is relative to the spread of the model's initial
# vector, which makes models comparable. The unperturbed start always runs once, and failures are
# counted there.

# %%
basin = rrjax.experiments.basin(
    model, puzzles, sigmas=[0.3, 1.0], num_restarts=3, num_segments=16, progress=False
)
basin.summary()

# %%
basin.plot()

# %% [markdown]
# How to read it:
#
# - **Single runs** of a larger σ solve less on average if the start matters and the trained one is
#   good.
# - **The best of K** counts a puzzle as solved if one of K restarts solves it. It needs someone
#   who recognises a right answer, and it can only rise with K. Compare with **votes** and with the
#   model's own **q**, which need nobody.
# - **Which failures the start decides**: those that some restart solves. The others form the hard
#   core.
#
# ## A plane of starts
#
# A slice runs one puzzle from a grid of starts z₀ + a·u + b·v. Here u and v are two random
# directions, and 1 on an axis is as far as σ = 1.

# %%
plane = rrjax.experiments.slice(
    model, puzzles[number], grid=11, extent=1.0, num_segments=16, progress=False
)
plane.summary()

# %%
plane.plot()

# %% [markdown]
# - **Basin entropy** says how mixed the answers are in small squares of the plane: 0 where all
#   starts of a square end in the same answer.
# - **The uncertainty exponent** α says how the share of starts with another outcome nearby shrinks
#   with the distance: 1 for a smooth boundary, less for a fractal one. A grid of 11 is far too
#   coarse for it; use 64 or more, and let the summary tell you when it knows nothing.
# - A run that has not settled after the last segment has an answer, but it may not be its last.
#   Settling times show where that is so.
#
# `directions="lyapunov"` takes the directions along which the first segments stretch most.
# `num_exponents=1` measures λ₁ at every start of the plane.

# %%
share = np.mean(plane.solved) if "solved" in plane else np.nan
print(
    f"{share:.0%} of the plane solves the puzzle; {len(plane.distinct_answers)} different answers"
)

# %% [markdown]
# ## Exercise
#
# Take a plane of 64 × 64 starts whose answer is 1 where the column is larger than the row, and 0
# elsewhere. What is its basin entropy with boxes of 8 × 8, in nats? Work it out first: how many
# boxes does the boundary cut?
#
# `rrjax.analysis.basin_entropy(classes, box_size=8)` computes it.

# %% tags=["hide-cell"]
# Solution: 8 of 64 boxes are cut, and each has 28 of 64 starts above the diagonal.
rows, columns = np.indices((64, 64))
entropy = rrjax.analysis.basin_entropy((columns > rows).astype(int), box_size=8)
p = 28 / 64
answer = 8 / 64 * -(p * np.log(p) + (1 - p) * np.log(1 - p))
print(entropy, answer)
assert abs(answer - 0.0857) < 1e-4
