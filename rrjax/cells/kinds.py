"""The table of cells: the maps, the state and the answer of each."""

from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

from rrjax.cells import hrm, lstm, srm, transformer, trm
from rrjax.cells.config import Arch


class Kind(NamedTuple):
    """The parts that tell one cell from another.

    Attributes:
      module: Has `schedule(config)`.
      state: The named tuple of a state.
      answer: The field of the state from which the answer is read.
      levels: The parts of the parameters that hold layers.
      gradient_updates: The number of updates at the end of a segment that training differentiates.
    """

    module: ModuleType
    state: Any
    answer: str
    levels: tuple[str, ...]
    gradient_updates: Callable[[Arch], int]


KINDS: dict[str, Kind] = {
    "trm": Kind(trm, trm.TwoStates, "z_H", ("L_level",), lambda arch: arch.L_cycles + 1),
    "trm_singlez": Kind(trm, trm.OneState, "z_L", ("L_level",), lambda arch: arch.L_cycles + 1),
    "trm_hier6": Kind(trm, trm.SixLatents, "z_H", ("L_level",), lambda arch: arch.L_cycles + 1),
    "hrm": Kind(hrm, trm.TwoStates, "z_H", ("H_level", "L_level"), lambda arch: 2),
    "transformer": Kind(transformer, transformer.AnswerState, "z_H", ("H_level",), lambda arch: 1),
    "srm": Kind(srm, trm.TwoStates, "z_H", ("L_level",), lambda arch: arch.L_cycles),
    "lstm": Kind(lstm, transformer.AnswerState, "z_H", ("H_level",), lambda arch: 1),
    "mixer": Kind(transformer, transformer.AnswerState, "z_H", ("H_level",), lambda arch: 1),
}
"""Each cell by the name that it has in a config."""
