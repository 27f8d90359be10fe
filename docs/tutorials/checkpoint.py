# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # An official PyTorch checkpoint, to the spectrum and back
#
# The official code of TRM and HRM writes PyTorch checkpoints. rrjax reads them without PyTorch and
# runs nothing that they ask for: a checkpoint is a pickle, and a pickle can hold code. This
# tutorial goes from the folder of a checkpoint to a spectrum, and writes the weights back as
# PyTorch has them.
#
# ## The folder
#
# A checkpoint on the Hugging Face Hub is a folder with a configuration, `all_config.yaml`, and a
# file of weights, which may have any name. If you have one on the Hub, its address is all you
# need:
#
# ```python
# rrjax.convert("user/repository/folder", "models/mine")
# ```
#
# These pages are built without a network, so that the next cell makes **a stand-in**: the weights
# of the bundled `trm-sudoku6`, written as `torch.save` writes them and laid out as the official
# code does. With a checkpoint of your own, skip it.

# %%
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np
import yaml

import rrjax
from rrjax.cli import main

bundled = rrjax.load_model("trm-sudoku6")
download = Path("downloads/trm-sudoku6")
download.mkdir(parents=True, exist_ok=True)

main(["convert", "--to-torch", "trm-sudoku6", str(download / "step_900")])

official_keys = (
    *("hidden_size", "num_heads", "expansion", "H_cycles", "L_cycles", "H_layers", "L_layers"),
    *("pos_encodings", "mlp_t", "puzzle_emb_ndim", "puzzle_emb_len", "no_ACT_continue"),
    *("halt_max_steps", "halt_exploration_prob", "forward_dtype"),
)
arch = {key: getattr(bundled.config.arch, key) for key in official_keys}
arch["name"] = "recursive_reasoning.trm@TinyRecursiveReasoningModel_ACTV1"
arch["loss"] = {"name": "losses@ACTLossHead", "loss_type": "stablemax_cross_entropy"}
(download / "all_config.yaml").write_text(yaml.safe_dump({"arch": arch}))
sorted(path.name for path in download.iterdir())

# %% [markdown]
# ## Convert
#
# The shell command is `rrjax convert downloads/trm-sudoku6 models/trm-sudoku6`. The function
# returns what it wrote: a line for each tensor, with its name in rrjax, its shape and its name in
# the checkpoint.

# %%
conversion = rrjax.convert(download, "models/trm-sudoku6")
print(conversion)

# %% [markdown]
# Every tensor keeps its bits and its type. If a name, a shape or a setting does not fit the cell
# that the configuration states, nothing is written, and the message names what is missing or left
# over. Checkpoints of forks may hold several sets of weights; `entry="ema.shadow"` picks one.
#
# ## Measure
#
# A converted model is a model folder, and all commands take it: `rrjax spectrum models/trm-sudoku6
# --puzzles FILE`. It comes without puzzles, so that you give it some. Here they are the bundled
# ones.

# %%
model = rrjax.load_model("models/trm-sudoku6")
puzzles = bundled.test_puzzles()[:16]
run = rrjax.experiments.spectrum(model, puzzles, num_exponents=4, progress=False)
run.summary()

# %%
figure, axes = plt.subplots(figsize=(6, 3))
for solved, label in ((True, "solved"), (False, "failed")):
    group = np.sort(run.exponents[run.solved == solved], axis=1)[:, ::-1]
    axes.plot(range(1, 5), group.T, "o-", color="C0" if solved else "C1", alpha=0.5)
    axes.plot([], [], "o-", color="C0" if solved else "C1", label=f"{len(group)} {label}")
axes.set(xlabel="i", ylabel="λᵢ, nats per update", xticks=range(1, 5))
axes.set_title("Four exponents of each puzzle")
axes.legend()
plt.show()

# %% [markdown]
# Does the converted model compute what the official code computes? That is tested for ten
# architectures against numbers from the official code, gradients included
# ([verification](../verification.md)). Here it is enough that the model that went through
# PyTorch's format is the bundled one, to the last bit.

# %%
before = rrjax.spectrum(bundled.bind(puzzles.inputs[0]), 2, 4, key=jax.random.key(0))
after = rrjax.spectrum(model.bind(puzzles.inputs[0]), 2, 4, key=jax.random.key(0))
assert np.array_equal(before.exponents, after.exponents)

# %% [markdown]
# ## And back
#
# `rrjax convert MODEL FILE --to-torch` takes a model folder, a training run or a bundled name and
# writes a state dict under the official names, which `torch.load` reads with `weights_only=True`.
# Converting that file again gives the same tensors.

# %%
main(["convert", "--to-torch", "models/trm-sudoku6", "back.pt"])
again = rrjax.convert("back.pt", "models/again", config=download / "all_config.yaml")
for name, array in conversion.params.items():
    assert array.dtype == again.params[name].dtype
    assert np.array_equal(array, again.params[name])
print(len(again.params), "tensors came back bit for bit")

# %% [markdown]
# ## Exercise
#
# How many parameters does one evaluation of the recursive block use? They are those whose names
# begin with `L_level.` in `conversion.params`.

# %% tags=["hide-cell"]
# Solution
in_block = [array.size for name, array in conversion.params.items() if name.startswith("L_level.")]
answer = sum(in_block)
assert answer == 448_512
print(answer, "of", sum(array.size for array in conversion.params.values()))
