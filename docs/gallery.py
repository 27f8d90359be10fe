# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Gallery
#
# The figures of every command, each with the line that makes it. All are drawn when this page is
# built, from a bundled model and far too few puzzles to conclude anything from: they show what
# you get. In the shell give the line as it stands; here `shell` hands it on to the same command.
# The figures are written to the folder that `--out` names, and `rrjax.load_results(folder).plot()`
# draws them again.

# %% tags=["hide-cell"]
import contextlib
import io
import shlex

import rrjax
from rrjax.cli import main


def shell(line):
    """Runs a command without its text, and returns the figures in its folder."""
    words = shlex.split(line)[1:]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        assert main(words) == 0
    return rrjax.load_results(words[words.index("--out") + 1]).plot()


# %% [markdown]
# ## Spectra
#
# λ₁ of solved and of failed puzzles, the whole spectrum by outcome, and with `--attribution` where
# the leading vector lies on the board.

# %%
shell(
    "rrjax spectrum trm-sudoku6 --num-puzzles 8 --num-segments 4 --num-exponents 3 --attribution "
    "--out runs/spectrum"
)

# %% [markdown]
# ## Long rollouts
#
# Accuracy against compute, and how long failures last.

# %%
shell("rrjax rollout trm-sudoku6 --num-puzzles 10 --num-segments 32 --out runs/rollout")

# %% [markdown]
# ## Restarts
#
# Which share of the failures restarts solve, against the size of the perturbation.

# %%
shell(
    "rrjax basin trm-sudoku6 --num-puzzles 7 --sigmas 0.3 1 --num-restarts 2 "
    "--num-segments 16 --out runs/basin"
)

# %% [markdown]
# ## A plane of starts
#
# When each start comes to its answer, and which answer that is.

# %%
shell("rrjax slice trm-sudoku6 --puzzle 5 --grid 7 --num-segments 12 --out runs/slice")

# %% [markdown]
# ## Noisy runs
#
# The model's own q against λ₁, of noisy runs of puzzles that are sometimes solved.

# %%
shell("rrjax ptrm trm-sudoku6 --num-puzzles 7 --num-runs 3 --num-segments 6 --out runs/ptrm")

# %% [markdown]
# ## Policies
#
# What a budget of module evaluations solves: a longer rollout, or several runs and a choice.

# %%
shell(
    "rrjax policies trm-sudoku6 --num-puzzles 7 --ways starts --max-evaluations 128 "
    "--num-runs 2 --out runs/policies"
)

# %% [markdown]
# ## The toy
#
# Search and capture in one dimension: why failed runs are the chaotic ones.

# %%
shell("rrjax toy --num-runs 4000 --out runs/toy")
