# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Your first spectrum, and how to read it honestly
#
# A recursive reasoner such as TRM refines an answer by applying the same small network again and
# again. Its leading Lyapunov exponent λ₁ says what happens meanwhile to a small perturbation of
# its state: below 0 it dies out, above 0 it grows. In this tutorial you measure λ₁ of a small TRM
# on 16 Sudokus, compare the puzzles it solves with those it fails, and find out how much of what
# you see you may believe.

# %%
import numpy as np

import rrjax

model = rrjax.load_model("trm-sudoku9-hard")
puzzles = model.test_puzzles()[:16]
model

# %% [markdown]
# `load_model` takes the name of a bundled model, a folder, a training run, or
# `hf://user/repo/folder`. Bundled models come with puzzles that they were not trained on.
#
# ## Measure
#
# The model runs each puzzle for 16 segments, as many as the official evaluation does. With
# `folder="runs/first"` the run would also be written to disk, and the same call would go on where
# it was cut off.

# %%
run = rrjax.experiments.spectrum(model, puzzles, num_exponents=1, num_segments=16, progress=False)
run

# %% [markdown]
# A result is a set of named arrays. `exponents` has a row for each puzzle and is in nats per
# update, where an update is one evaluation of the network. `solved` says whether the last answer
# is right.

# %%
lambda1 = run.exponents[:, 0]
for name, group in (("solved", run.solved), ("failed", ~run.solved)):
    print(f"{name}: {group.sum():2d} puzzles, median λ₁ {np.median(lambda1[group]):+.3f}")

# %% [markdown]
# The figures of a result are one call away. Puzzles that fail lie to the right.

# %%
run.plot()

# %% [markdown]
# ## Read
#
# The summary is what the command `rrjax spectrum` prints.

# %%
run.summary()

# %% [markdown]
# Four habits keep you honest here.
#
# **Look at the interval first.** The AUC is the probability that a solved puzzle has the smaller
# λ₁ of a random pair. It may well be 1.000 here, and yet its interval reaches far down, because
# there are only a few failures. The same model on 256 puzzles has an AUC of 0.991 with an interval
# from 0.965 to 0.998 ([findings](../findings.md)).
#
# **Ask the rivals.** The second table shows what else tells solved from failed. The late drift
# (how far the state still moves at the end) does so as well as λ₁, since a state that keeps moving
# cannot hold an answer. If you claim that λ₁ *explains* failure, show what it adds among puzzles
# that are equal in drift or in clues: the last column.
#
# **Know the clock.** The exponent is per update. One segment of this model has 21 updates, 18 of
# the latent state and 3 of the answer, so a number per segment is 21 times as large.
# [Clocks](../concepts/clocks.md) converts them.
#
# **Remember that the run is short.** These are finite-time exponents of 336 updates. They depend a
# little on the initial tangent vector, and the note below the second table says how much. Whether
# λ₁ is +0.002 or −0.002 means nothing if another vector would move it by 0.003.
#
# ## Is it always so?
#
# No. Here is another bundled TRM, which was trained on easier 6×6 Sudokus.

# %%
other = rrjax.load_model("trm-sudoku6")
second = rrjax.experiments.spectrum(
    other, other.test_puzzles()[:32], num_exponents=1, progress=False
)
auc = rrjax.analysis.auc_interval(-second.exponents[:, 0], second.solved)
print(f"AUC {auc.value:.2f}, 95 % interval {auc.low:.2f} to {auc.high:.2f}")

# %% [markdown]
# The interval holds one half: λ₁ tells nothing about success in this model, and with 256 puzzles
# it still does not. That a stable run succeeds is a fact about one model and one set of puzzles,
# until it has been measured for another.
#
# ## What one run holds
#
# The growth of every update is kept, so that other horizons need no other run. Here is λ₁ of the
# first puzzle over the first 4 segments and over the last 4.

# %%
schedule = model.bind(puzzles.inputs[0]).schedule
growth = run.log_growth[0]
early = rrjax.horizons.exponents_per_step(growth, schedule, "segment", stop=4)
late = rrjax.horizons.exponents_per_step(growth, schedule, "segment", start=12)
print(f"nats per segment: {early[0]:+.2f} early, {late[0]:+.2f} late")

# %% [markdown]
# ## Exercise
#
# None of the failures of this model was at rest at the end of its run. How many failures must you
# watch, none of them at rest, before the 95 % interval of "share of failures that come to rest"
# ends below 0.05?
#
# `rrjax.analysis.fraction_interval(0, n)` gives the interval for n failures.

# %% tags=["hide-cell"]
# Solution
answer = next(n for n in range(1, 1000) if rrjax.analysis.fraction_interval(0, n).high < 0.05)
assert answer == 72
print(answer)
