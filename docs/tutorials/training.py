# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Train a model, and watch its exponents
#
# This tutorial trains a small TRM on 4×4 Sudokus with the official recipe (stablemax, ACT
# streaming, AdamATan2, EMA), then measures its exponents along the training. It does in a minute
# on a processor what `docs/findings.md` does for a larger model: it asks when the instability of
# failures appears.
#
# ## Data
#
# The lines below are commands of the shell. Here Python hands them on, so that this page can run.

# %%
import shlex
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import rrjax
from rrjax.cli import main


def shell(line):
    assert main(shlex.split(line)[1:]) == 0


shell("rrjax sudoku data/sudoku4 --size 4 --num-train 300 --num-test 64 --seed 0")

# %% [markdown]
# ## Training
#
# A recipe is a YAML file of the official keys, and `cpu_sudoku4` comes with rrjax. Every number of
# it is an option too. If you kill the training, the same command goes on where it stopped, to the
# same bits.

# %%
shell(
    "rrjax train --config cpu_sudoku4 --data data/sudoku4 --out runs/sudoku4 --augment "
    "--steps 500 --log-every 25 --eval-every 125 --checkpoint-every 125"
)

# %%
run = rrjax.load_run("runs/sudoku4")
print(", ".join(run.metrics))

# %% [markdown]
# `metrics.csv` has a row for each logged step. The run folder also keeps the evaluated models,
# under `models/step_N/`.

# %%
folders = sorted(Path("runs/sudoku4/models").glob("step_*"))
steps = [int(folder.name.removeprefix("step_")) for folder in folders]
accuracy = run.evaluations("exact_accuracy")
figure, axes = plt.subplots(figsize=(6, 3))
axes.plot(steps, accuracy, "o-")
axes.set(xlabel="training step", ylabel="exact accuracy", title="64 held-out Sudokus", ylim=(0, 1))
plt.show()

# %% [markdown]
# ## Exponents along the training
#
# Each of these models is measured on the same puzzles.

# %%
puzzles = rrjax.puzzles.read("data/sudoku4")[:32]
table = []
for folder in folders:
    model = rrjax.load_model(folder)
    result = rrjax.experiments.spectrum(
        model, puzzles, num_exponents=1, num_segments=6, progress=False
    )
    table.append((result.exponents[:, 0], result.solved))

figure, axes = plt.subplots(figsize=(6, 3.5))
for step, (lambda1, solved) in zip(steps, table, strict=True):
    spread = np.linspace(-15, 15, len(lambda1))
    axes.plot((step + spread)[~solved], lambda1[~solved], "x", color="C1")
    axes.plot((step + spread)[solved], lambda1[solved], "o", color="C0", markersize=4)
axes.plot([], [], "x", color="C1", label="failed")
axes.plot([], [], "o", color="C0", label="solved")
axes.axhline(0, color="gray", linewidth=0.8)
axes.set(xlabel="training step", ylabel="λ₁, nats per update", xticks=steps)
axes.set_title("λ₁ of 32 held-out Sudokus along the training")
axes.legend()
plt.show()

# %%
for step, (lambda1, solved) in zip(steps, table, strict=True):
    share = rrjax.analysis.fraction_interval(int(solved.sum()), len(solved))
    print(
        f"step {step}: solved {share.value:.2f} ({share.low:.2f} to {share.high:.2f}), "
        f"median λ₁ {np.median(lambda1):+.3f}"
    )

# %% [markdown]
# Training makes this small TRM contract. What you may conclude is little: one seed, one size, 32
# puzzles. With another `--seed` a mean moves, and three seeds show differences of some 0.1 in
# accuracy. `rrjax runs FOLDER` averages over seeds, with Student's interval.
#
# Next: `--floss.every 50 --floss.episode 5` pushes on λ₁ while you train
# ([flossing](flossing.py)), and `--track tensorboard` follows the run. On a card take `--config
# fast_sudoku`.
#
# ## Exercise
#
# How many evaluations of its network does this model make in one segment, and how many did 200
# steps of 32 slots take, forwards? (A training step runs one segment of every slot.)

# %% tags=["hide-cell"]
# Solution
dynamics = rrjax.load_model("runs/sudoku4").bind(puzzles.inputs[0])
updates_per_segment = len(result.log_growth[0]) // 6
answer = 500 * 32 * updates_per_segment
print(dynamics)
assert (updates_per_segment, answer) == (6, 96_000)
print(answer)
