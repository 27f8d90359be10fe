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
# The figures of every command, each with the line that makes it. Those with a cell of code are
# drawn when this page is built, from a bundled model and far too few puzzles to conclude anything
# from: they show what you get. The others, of questions that take minutes, are those of the runs in
# [what the states hold](representations.md) and [why a failure fails](inside.md). In the shell give
# the line as it stands; here `shell` hands it on to the same command. The figures are written to
# the folder that `--out` names, and `rrjax.load_results(folder).plot()` draws them again.

# %% tags=["hide-cell"]
import contextlib
import io
import shlex
from pathlib import Path

import rrjax
from rrjax.cli import main
from rrjax.page.assemble import Report


def quietly(line):
    """Runs a command without its text, and returns its words."""
    words = shlex.split(line)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        assert main(words[1:]) == 0
    return words


def shell(line):
    """Runs a command without its text, and returns the figures in its folder."""
    words = quietly(line)
    return rrjax.load_results(words[words.index("--out") + 1]).plot()


# %% [markdown]
# ## Spectra
#
# λ₁ of solved and of failed puzzles, the whole spectrum by outcome, and with `--attribution` where
# the leading vector lies on the board.

# %%
shell(
    "rrjax spectrum trm-sudoku6 --num-puzzles 24 --num-segments 6 --num-exponents 2 --attribution "
    "--out runs/spectrum"
)

# %% [markdown]
# ## Analyses of a spectrum
#
# Which runs settled, whether λ₁ tells anything among puzzles that are alike, whether the beginning
# of a run tells its end, and λ₁ of the first updates. `rrjax.experiments.analyse` draws the same
# figures.

# %%
quietly("rrjax analyse runs/spectrum --out runs/analysis")
rrjax.experiments.analyse(rrjax.load_results("runs/spectrum")).plot()

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
# ## Inside: fixed points
#
# Where each run ends: at rest at a right or at a wrong fixed point, on a cycle, or wandering; and
# how stable the points are.

# %%
shell(
    "rrjax inside fixed-points hrm-sudoku6 --num-puzzles 4 --num-segments 16 --periods 1 "
    "--num-starts 1 --num-eigenvalues 4 --krylov 16 --max-iterations 8 --out runs/fixed-points"
)

# %% [markdown]
# ## Inside: growth by part
#
# What each sub-layer contributes to λ₁, and how failed runs differ from solved ones.

# %%
shell(
    "rrjax inside growth hrm-sudoku6 --num-puzzles 16 --num-vectors 1 --num-segments 8 "
    "--num-lanczos 0 --out runs/growth"
)

# %% [markdown]
# ## Inside: patches
#
# What is solved after a part of the state was replaced by that of a run with the other outcome.

# %%
shell(
    "rrjax inside patch hrm-sudoku6 --num-puzzles 16 --segments 2 6 --num-starts 2 "
    "--num-copies 0 --out runs/patches"
)

# %% [markdown]
# ## Inside: what the states hold
#
# Which digits a linear probe reads from the states, how alike the states of different segments are,
# and how many dimensions they have. The first command records the states, and the others read them.

# %%
shell(
    "rrjax inside probe trm-sudoku6 --num-puzzles 48 --num-segments 6 --targets digit "
    "--num-permutations 4 --states runs/states --out runs/probe"
)

# %%
shell(
    "rrjax inside similarity trm-sudoku6 --num-puzzles 48 --num-segments 6 --states runs/states "
    "--out runs/similarity"
)

# %%
shell(
    "rrjax inside dimension trm-sudoku6 --num-puzzles 48 --num-segments 6 --states runs/states "
    "--out runs/dimension"
)

# %% [markdown]
# ## Inside: mixing between tokens
#
# Whether the weights between cells follow the rows, columns and boxes of the board.

# %%
shell(
    "rrjax inside mixing trm-sudoku6 --num-puzzles 8 --num-sampled 4 --segments 1 --out runs/mixing"
)

# %% [markdown]
# ## Inside: information and single channels
#
# What a blank cell tells of its digit and of the givens around it, and what the place of a cell and
# its digit explain of each channel, beside a random basis: `rrjax inside states hrm-sudoku6
# --num-puzzles 512 --out runs/states-hrm`, then `rrjax inside information runs/states-hrm` and
# `rrjax inside neurons runs/states-hrm`.
#
# ![Information of a blank cell on its answer against that on the givens in its units: z_H of the
# trained HRM goes up, z_L stays below, fresh weights at 0.](inside_information.png)
#
# ![Share of the variance of each channel that the label of a cell explains against the share of the
# cell's place: z_H holds labels, z_L places.](inside_neurons.png)

# %% [markdown]
# ## Inside: blanks and depth
#
# How many cells are right by the number of blank cells and of segments: `rrjax inside blanks
# hrm-sudoku6`.
#
# ![Two tables of shares: with few blank cells the HRM solves less than with 16.](inside_blanks.png)

# %% [markdown]
# ## Inside: naked singles and logits
#
# What a naked single needs, and what each stage of the last segment adds to the margin of a blank
# cell: `rrjax inside circuits hrm-sudoku6 --num-puzzles 128 --num-sampled 64` and `rrjax inside
# logits hrm-sudoku6 --num-sampled 64`.
#
# ![Change of the margin of naked singles by what is ablated: rows into the cell, its MLP and its
# peers' clues cost 25 to 40 logits, random cells nothing.](inside_circuits.png)
#
# ![Terms of the margin by stage: they reach 200 logits and nearly cancel.](inside_logits.png)

# %% [markdown]
# ## Inside: erasing the digit
#
# How many cells are right after the directions of a probe, or as many random ones, are erased:
# `rrjax inside erase hrm-sudoku6 --num-puzzles 512 --segments 2 --num-measured 32`.
#
# ![Cells right by segment: LEACE in z_H makes them fall, random directions and steps of the same
# length do not, and z_L can be erased without a change.](inside_erase.png)

# %% [markdown]
# ## Inside: meaning and dynamics
#
# How much the leading covariant vector moves what a probe reads, over that with permuted labels:
# `rrjax inside meaning hrm-sudoku6 --num-puzzles 512 --num-vectors 1 --num-measured 32`.
#
# ![Overlap with what probes read by segment and outcome: of digits in z_H it is 3 to 47, and it
# stays high in failures.](inside_meaning.png)

# %% [markdown]
# ## Inside: kicks
#
# Which share of failures a push along a covariant vector or a gradient frees, beside random pushes
# of the same length: `rrjax inside kick hrm-sudoku6 --num-puzzles 384 --sizes 0.3`.
#
# ![Share solved after a kick: along the gradient of the loss 0.85, along the leading vector 0.25,
# along that of the entropy as along random directions, 0.1.](inside_kick.png)

# %% [markdown]
# ## The toy
#
# Search and capture in one dimension: why failed runs are the chaotic ones.

# %%
shell("rrjax toy --num-runs 4000 --out runs/toy")

# %% [markdown]
# ## The HTML report, with a training run
#
# Training runs have no figures of their own; the report draws their curves. It is one page that
# works offline, and here it shows the spectrum from above beside a training. Click a point.

# %%
quietly("rrjax sudoku data/sudoku4 --size 4 --num-train 100 --num-test 32")
quietly(
    "rrjax train --config cpu_sudoku4 --data data/sudoku4 --out runs/training --steps 60 "
    "--log-every 10 --eval-every 30 --checkpoint-every 30"
)
quietly("rrjax report runs/spectrum runs/training --out runs/report.html")
Report(Path("runs/report.html").read_text(encoding="utf-8"))
