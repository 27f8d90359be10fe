# %% [markdown]
# # Recursive reasoners fail where their dynamics is least stable
#
# A recursive reasoner iterates a small network on a latent state until the state holds the answer.
# This script follows a TRM and an HRM along that iteration, in the steps of the notebook that
# rrjax grew from: a toy of transient chaos, two trained models, solved against failed runs, far
# longer runs, escape of the failures, and restarts from other starts. At the end it says which
# claims of that notebook hold for the models that were run here.
#
# Every step is a command of `rrjax`; killed, the script goes on where it stopped. Cells are marked
# for Jupytext and for editors that run them one by one.
#
# `python -m scripts.studies.story --folder runs/story` takes some 40 minutes on two cores with the
# bundled models. With a network it takes the official models from the Hub instead, which are
# several times as large; `--no-hub` keeps to the bundled ones.

# %%
import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

from scripts.studies.claims import Evidence, print_claims
from scripts.studies.hub import model_and_puzzles
from scripts.studies.runs import run


@dataclass(frozen=True)
class Options:
    """How much of the story is run.

    Attributes:
      folder: The folder for runs, figures and converted models.
      hub: Try the official models on the Hugging Face Hub first.
      num_puzzles: The number of puzzles of each model.
      num_segments: The number of segments of the extended rollouts.
      num_failures: The largest number of failures of each model that are restarted.
      num_restarts: The number K of restarts for each size of noise.
      restart_segments: The number of segments of each restarted run.
      num_toy_runs: The number of runs of the toy.
    """

    folder: Path = Path("runs/story")
    hub: bool = True
    num_puzzles: int = 512
    num_segments: int = 256
    num_failures: int = 128
    num_restarts: int = 4
    restart_segments: int = 48
    num_toy_runs: int = 20_000


options = tyro.cli(Options, args=[] if "ipykernel" in sys.modules else None)

# %% [markdown]
# ## 1. A toy of transient chaos
#
# A run searches an interval chaotically (logistic map, λ = ln 2) until it comes near its solution,
# and contracts from there on (λ = −ln 2). Read out at a fixed time, captured runs are the successes
# and those that still search the failures: failures are chaotic because they are not over yet. The
# notebook says that the separation vanishes as the readout time grows. It does not: the AUC rises
# to 1, and it is the failures that vanish.

# %%
toy = run(options.folder / "toy", "toy", "--num-runs", options.num_toy_runs)

# %% [markdown]
# ## 2. Two trained models
#
# The official checkpoints, converted without PyTorch, where the Hub can be reached; else the
# bundled 9×9 TRM and the bundled 6×6 HRM, with the puzzles that were held out of their training.

# %%
models = {
    name: model_and_puzzles(name, options.folder, options.num_puzzles, options.hub)
    for name in ("trm", "hrm")
}

# %% [markdown]
# ## 3. Separation: are failures the chaotic runs?
#
# Eight Lyapunov exponents along the 16 segments of an evaluation.

# %%
spectra = {
    name: run(
        options.folder / f"spectrum-{model.name}",
        *("spectrum", *model.words, "--num-puzzles", options.num_puzzles),
    )
    for name, model in models.items()
}

# %% [markdown]
# ## 4. Extended rollout, and escape
#
# The failures of the spectra far beyond the 16 segments that models are trained for: how many they
# need, and how fast they escape to the right answer, per segment and per module evaluation (a
# segment of the official TRM evaluates 21 modules, one of the HRM 6). A model without failures has
# nothing to tell here.

# %%
num_failures = {name: int((~spectrum["solved"]).sum()) for name, spectrum in spectra.items()}
failing = {name: model for name, model in models.items() if num_failures[name]}
rollouts = {
    name: run(
        options.folder / f"rollout-{model.name}",
        *("rollout", *model.words, "--num-puzzles", num_failures[name]),
        *("--failures-of", options.folder / f"spectrum-{model.name}"),
        *("--num-segments", options.num_segments),
    )
    for name, model in failing.items()
}

# %% [markdown]
# ## 5. Basin accessibility
#
# The puzzle is seen at every update, so that another start z0 changes nothing but the start. If a
# small kick frees a failure its outcome was decided by the start, if no start does it was decided
# by the puzzle.

# %%
basins = {
    name: run(
        options.folder / f"basin-{model.name}",
        *("basin", *model.words, "--num-puzzles", min(num_failures[name], options.num_failures)),
        *("--failures-of", options.folder / f"spectrum-{model.name}"),
        *("--num-restarts", options.num_restarts),
        *("--num-segments", options.restart_segments),
    )
    for name, model in failing.items()
}

# %% [markdown]
# ## 6. What holds here
#
# The claims of the notebook, with what was measured above. They were made of the official models on
# Sudoku-Extreme; the bundled ones are small, and solve fewer puzzles or easier ones.

# %%
print_claims(Evidence(toy, spectra, rollouts, basins), options.folder / "claims.json")
