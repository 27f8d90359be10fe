"""Official `arch:` blocks: the upstream names of the cells, and the keys that each reads."""

import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, get_args

from rrjax.cells.config import HAVE_H_LEVEL, SRM_KEYS, Arch, CellName
from rrjax.checks import brief, coerce, nearest

_NAMES_UPSTREAM: dict[str, CellName] = {
    "recursive_reasoning.trm@TinyRecursiveReasoningModel_ACTV1": "trm",
    "recursive_reasoning.trm_singlez@TinyRecursiveReasoningModel_ACTV1": "trm_singlez",
    "recursive_reasoning.trm_hier6@TinyRecursiveReasoningModel_ACTV1": "trm_hier6",
    "recursive_reasoning.hrm@HierarchicalReasoningModel_ACTV1": "hrm",
    "hrm.hrm_act_v1@HierarchicalReasoningModel_ACTV1": "hrm",
    "recursive_reasoning.transformers_baseline@Model_ACTV2": "transformer",
}
# Forks keep the file of a network and move it to another package, or shorten the name of its class.
_FILES: dict[str, CellName] = {
    name.partition("@")[0].rpartition(".")[2]: cell for name, cell in _NAMES_UPSTREAM.items()
}
_CLASSES = {
    "trm": r"(TinyRecursi(ve|on)(Reasoning)?Model|TRM(Model)?)(_ACTV1)?",
    "hrm": r"(HierarchicalReasoningModel|HRM(Model)?)(_ACTV1)?",
    "transformer": r"Model_ACTV2",
}
_LOSS_HEAD_UPSTREAM = "losses@ACTLossHead"

_SHARED = {
    *("hidden_size", "num_heads", "expansion", "H_cycles", "H_layers", "pos_encodings"),
    *("puzzle_emb_ndim", "forward_dtype", "halt_max_steps", "halt_exploration_prob"),
    *("rms_norm_eps", "rope_theta", "swiglu", "register_tokens"),
}
_REQUIRED = {"hidden_size", "num_heads", "expansion", "H_cycles", "pos_encodings"}
_REQUIRED |= {"halt_max_steps", "halt_exploration_prob"}
_HRM = _SHARED | {"L_cycles", "L_layers", "mlp_t", "damping"}
_TRM = _HRM | {"puzzle_emb_len", "no_ACT_continue"}
_WITHOUT_HEADS = _TRM - {"damping", "mlp_t", "num_heads", "rope_theta"}
_BASELINE = _WITHOUT_HEADS - {"H_cycles", "L_cycles", "L_layers"}
_KEYS: dict[CellName, set[str]] = {
    **dict.fromkeys(("trm", "trm_singlez", "trm_hier6"), _TRM),
    "hrm": _HRM,
    "transformer": _SHARED,
    "srm": (_WITHOUT_HEADS - {"H_layers", "expansion", "rms_norm_eps", "swiglu"}) | {*SRM_KEYS},
    "lstm": _BASELINE - {"expansion", "swiglu"},
    "mixer": _BASELINE,
}
"""The keys that a block of each cell may have."""

_TYPES = {field.name: field.type for field in fields(Arch)}


def parse_arch(block: Mapping[Any, Any]) -> Arch:
    """Returns the architecture that an official `arch:` block describes.

    Raises:
      ValueError: For an unknown key or value (with the nearest known name), a missing key that
        upstream requires, or a combination that no cell can have.

    Example:
      >>> block = {
      ...     "name": "trm",
      ...     "hidden_size": 64,
      ...     "num_heads": 4,
      ...     "expansion": 4,
      ...     "L_layers": 2,
      ... }
      >>> block |= {"H_cycles": 3, "L_cycles": 6, "pos_encodings": "rope"}
      >>> block |= {"halt_max_steps": 16, "halt_exploration_prob": 0.1}
      >>> rrjax.cells.parse_arch(block).H_cycles
      3
    """
    block = dict(block)
    upstream = block.pop("name", None)
    if upstream is None:
        names = ", ".join(get_args(CellName))
        raise ValueError(f"the arch block has no `name`; expected one of {names}")
    name = _cell_name(str(upstream))
    loss = _parse_loss(block.pop("loss", {}))
    if name == "transformer":
        _drop_act_switches(block)
    allowed = keys_of(name, str(upstream))
    for key in block:
        if key not in allowed:
            raise ValueError(f"arch has no key {brief(key)} for {name}{nearest(key, allowed)}")
    known = {key: coerce(f"arch.{key}", value, _TYPES[key]) for key, value in block.items()}
    _check_complete(name, known)
    return Arch(name=name, **{**_upstream_defaults(name, known), **loss, **known})


def keys_of(name: CellName, upstream: str) -> set[str]:
    """Returns the keys that a block of a cell may have under its upstream name."""
    file = upstream.partition("@")[0].rpartition(".")[2]
    return _KEYS[name] - ({"mlp_t"} if file == "hrm_act_v1" else set())


def _upstream_defaults(name: CellName, known: Mapping[str, Any]) -> dict[str, Any]:
    """Returns upstream's defaults for missing keys, where they differ from ours."""
    defaults: dict[str, Any] = {"forward_dtype": "bfloat16"}
    if name.startswith("trm") and known.get("puzzle_emb_ndim", 0) > 0:
        defaults["puzzle_emb_len"] = 16
    return defaults


def _drop_act_switches(block: dict[str, Any]) -> None:
    """Removes the baseline's switches of adaptive computation, which must have their defaults."""
    for key, default in (("act_enabled", True), ("act_inference", False)):
        if block.pop(key, default) is not default:
            raise ValueError(f"arch.{key} must be {default}: no other way of halting is offered")


def _check_complete(name: CellName, known: Mapping[str, Any]) -> None:
    required = (_REQUIRED | {"L_cycles", "L_layers"}) & _KEYS[name]
    required |= {"H_layers"} if name in HAVE_H_LEVEL else set()
    missing = sorted(required - set(known))
    if missing:
        raise ValueError(f"the arch block of {name} lacks {', '.join(missing)}")


def _parse_loss(block: Any) -> dict[str, Any]:
    if not isinstance(block, Mapping):
        raise ValueError(f"arch.loss must be a mapping, got {brief(block)}")
    for key in block:
        if key not in ("name", "loss_type"):
            raise ValueError(
                f"arch.loss has no key {brief(key)}{nearest(key, ('name', 'loss_type'))}"
            )
    if block.get("name", _LOSS_HEAD_UPSTREAM) != _LOSS_HEAD_UPSTREAM:
        raise ValueError(
            f"arch.loss.name must be {_LOSS_HEAD_UPSTREAM!r}, got {brief(block['name'])}"
        )
    if "loss_type" not in block:
        return {}
    return {"loss_type": coerce("arch.loss.loss_type", block["loss_type"], _TYPES["loss_type"])}


def _cell_name(upstream: str) -> CellName:
    if upstream in get_args(CellName):
        return upstream  # pyright: ignore[reportReturnType]
    path, _, class_name = upstream.partition("@")
    cell = _FILES.get(path.rpartition(".")[2])
    if cell and re.fullmatch(_CLASSES[cell.partition("_")[0]], class_name):
        return cell
    known = [*get_args(CellName), *_NAMES_UPSTREAM]
    raise ValueError(f"arch.name {brief(upstream)} is not a known cell{nearest(upstream, known)}")
