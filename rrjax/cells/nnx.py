"""Cells as NNX modules, for NNX training loops and tools.

A module holds the parameters and nothing else: it computes by the pure functions of `rrjax.cells`,
so both give the same bits.
"""

from collections.abc import Mapping
from typing import Any

from flax import nnx
from jaxtyping import Array, Int

from rrjax.cells.binding import Readout, bind
from rrjax.cells.config import Config
from rrjax.cells.params import check_arrays, flatten, init_params, is_trained, unflatten
from rrjax.contract import Dynamics, State, run_segment


class Fixed(nnx.Variable):
    """A parameter that the main optimizer leaves alone: initial vectors, puzzle embeddings."""


class Cell(nnx.Module):
    """A cell with its parameters as variables.

    Attribute paths are the PyTorch names: `L_level.layers.0.mlp.down_proj.weight` is
    `cell.L_level.layers[0].mlp.down_proj.weight`. Trained parameters are `nnx.Param`, the others
    `Fixed`. The parts hold parameters only; calling one is not possible.

    Attributes:
      config: The cell and its sizes (static).
    """

    def __init__(self, config: Config, params: Mapping[str, Any]):
        """Holds given parameters.

        Args:
          config: The cell.
          params: Nested or flat, as `load_model`, `init_params` and `flatten` give them.

        Raises:
          ValueError: Lists every parameter that is missing, unknown or of another shape.
        """
        flat = flatten(params)
        check_arrays(flat, config, "params")
        self.config = config
        for name, part in unflatten(flat).items():
            setattr(self, name, _hold(name, part))

    @classmethod
    def create(cls, config: Config, rngs: nnx.Rngs) -> "Cell":
        """Returns a cell with the parameters that `init_params` draws from the stream `params`."""
        return cls(config, init_params(rngs.params(), config))

    def params(self) -> dict[str, Any]:
        """Returns the parameters as nested dicts, which the pure functions take."""
        variables = nnx.to_flat_state(nnx.state(self, (nnx.Param, Fixed)))
        return unflatten({".".join(map(str, path)): leaf[...] for path, leaf in variables})

    def bind(self, tokens: Int[Array, " seq"], puzzle_id: Any = 0) -> Dynamics:
        """Returns `rrjax.cells.bind` of one puzzle with the parameters of this module."""
        return bind(self.params(), self.config, tokens, puzzle_id)

    def __call__(
        self, tokens: Int[Array, " seq"], state: State | None = None, puzzle_id: Any = 0
    ) -> tuple[State, Readout]:
        """Runs one segment on one puzzle and reads the state after it.

        The whole segment is differentiable. The official recipe differentiates its last
        `Dynamics.gradient_updates` updates only, as `rrjax.training` does.

        Args:
          tokens: (seq_len,) integers in 0..vocab_size−1.
          state: The state before the segment; None means the initial state.
          puzzle_id: Row of the puzzle-embedding table.

        Returns:
          The state after the segment, and its `Readout`.

        Raises:
          ValueError: The state has another structure or other shapes.
        """
        dynamics = self.bind(tokens, puzzle_id)
        state = run_segment(dynamics, dynamics.start(state))
        return state, dynamics.readout(dynamics.context, state)


def _hold(name: str, part: Any) -> Any:
    """Returns nested dicts as NNX containers with a variable at every leaf."""
    if not isinstance(part, Mapping):
        return nnx.Param(part) if is_trained(name) else Fixed(part)
    children = {key: _hold(f"{name}.{key}", child) for key, child in part.items()}
    if name.endswith(".layers"):
        return nnx.List([children[str(index)] for index in range(len(children))])
    return nnx.Dict(children)
