"""A model with fresh weights: the control that tells what training has made."""

from dataclasses import replace

import jax
import numpy as np

from rrjax.cells.params import flatten, init_params, unflatten
from rrjax.checks import check_seed
from rrjax.keys import make_key
from rrjax.models import Model


def untrained(model: Model, seed: int = 0) -> Model:
    """Returns the same cell with weights as they are drawn before training.

    Initial vectors are drawn anew too. Puzzle embeddings are zero, as at the start of training.

    Args:
      model: the cell and its sizes; its weights play no part.
      seed: draws the weights.

    Example:
      >>> rrjax.inside.untrained(rrjax.load_model("models/tiny"))
      Model(name tiny-untrained, cell trm, tokens 16, width 8, parameters 18,562, dtype float32)
    """
    check_seed("seed", seed)
    with jax.ensure_compile_time_eval():
        drawn = flatten(init_params(make_key(seed), model.config))
    types = {name: leaf.dtype for name, leaf in flatten(model.params).items()}
    return replace(
        model,
        params=unflatten({name: np.asarray(leaf, types[name]) for name, leaf in drawn.items()}),
        provenance={"untrained": {"seed": seed, "cell of": model.name}},
        name=f"{model.name}-untrained",
        digest=f"fresh weights of seed {seed} in the shapes of {model.digest}",
    )
