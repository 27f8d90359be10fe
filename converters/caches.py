"""Drops tensors that forks save with the weights although the model computes them."""

import re
from collections.abc import Mapping

import numpy as np

from rrjax.cells import Config
from rrjax.cells.layers import rotary_tables

from .records import CheckpointError

_CACHE = re.compile(
    r"(.*\.)?(inv_freq|cos_cached|sin_cached|local_weights|local_ids|position_ids|n_averaged)"
)
# bfloat16 rounds numbers up to 1 by at most 0.002
_ROUNDING = 0.004


def drop_caches(
    tensors: Mapping[str, np.ndarray],
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Returns the weights and, apart from them, what the model computes from them.

    The latter are rotary tables, the rows of the puzzle embedding of the last batch and counters.
    """
    caches = {key: tensor for key, tensor in tensors.items() if _CACHE.fullmatch(key)}
    return {key: tensor for key, tensor in tensors.items() if key not in caches}, caches


def check_rotary(caches: Mapping[str, np.ndarray], config: Config) -> None:
    """Refuses rotary tables that are not those of the model, because the network differs then.

    The rows of positions 0 and 1 are compared, which show all frequencies.

    Raises:
      CheckpointError: The table has other frequencies, or the model has no rotary positions.
    """
    arch = config.arch
    tables = {key: t for key, t in caches.items() if key.endswith(("cos_cached", "sin_cached"))}
    if not tables or arch.mixes_along_tokens or arch.name == "lstm":
        return
    if arch.pos_encodings != "rope":
        raise CheckpointError(
            f"the network differs: the file has rotary tables ({next(iter(tables))}), and the "
            f"configuration has pos_encodings {arch.pos_encodings}"
        )
    cosines, sines = rotary_tables(config)
    for key, table in tables.items():
        wanted = (cosines if key.endswith("cos_cached") else sines)[:2]
        rows = table.astype(np.float32).reshape(-1, table.shape[-1] if table.ndim else 1)[:2]
        if rows.shape != wanted.shape or not np.allclose(rows, wanted, rtol=0, atol=_ROUNDING):
            raise CheckpointError(
                f"the network differs: {key} {table.shape} does not hold the rotary table of "
                f"rope_theta {arch.rope_theta:g} and heads of width {wanted.shape[1]}"
            )
