"""The table of cells: the maps, the state and the answer of each."""

from types import ModuleType
from typing import Any, NamedTuple

from rrjax.cells import hrm, lstm, srm, transformer, trm


class Kind(NamedTuple):
    """The parts that tell one cell from another.

    Attributes:
      module: has `schedule(config)` and `gradient_updates(config)`.
      state: the named tuple of a state.
      answer: the field of the state from which the answer is read.
      levels: the parts of the parameters that hold layers.
    """

    module: ModuleType
    state: Any
    answer: str
    levels: tuple[str, ...]


KINDS: dict[str, Kind] = {
    "trm": Kind(trm, trm.TwoStates, "z_H", ("L_level",)),
    "trm_singlez": Kind(trm, trm.OneState, "z_L", ("L_level",)),
    "trm_hier6": Kind(trm, trm.SixLatents, "z_H", ("L_level",)),
    "hrm": Kind(hrm, trm.TwoStates, "z_H", ("H_level", "L_level")),
    "transformer": Kind(transformer, transformer.AnswerState, "z_H", ("H_level",)),
    "srm": Kind(srm, trm.TwoStates, "z_H", ("L_level",)),
    "lstm": Kind(lstm, transformer.AnswerState, "z_H", ("H_level",)),
    "mixer": Kind(transformer, transformer.AnswerState, "z_H", ("H_level",)),
}
"""Each cell by the name that it has in a config."""
