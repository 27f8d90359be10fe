"""Finds the state dict in what a checkpoint holds, which may be a trainer's whole state."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from rrjax.cells import is_trained

from .matching import prefixes_of_models
from .records import CheckpointError

_DEEPEST = 4


class State(NamedTuple):
    """A state dict of a checkpoint.

    Attributes:
      entry: Its place in the file, such as `ema.shadow`; "" for the whole file.
      tensors: What the file holds for each key, tensors or their records.
      filled: Names of the buffers that an average lacks, taken from `donor`.
      donor: The entry of the weights that were averaged.
    """

    entry: str
    tensors: dict[str, Any]
    filled: tuple[str, ...] = ()
    donor: str = ""


def find_state(content: Any, kind: type, entry: str | None = None) -> State:
    """Returns the state dict in a checkpoint's content.

    A trainer's checkpoint holds it under `model`, `state_dict` or the like, and may hold an average
    of it as well. What else it holds is not read.

    Args:
      content: Nested dicts and lists of tensors and plain values.
      kind: The type of the tensors.
      entry: Which to take where there are several; the beginning of the keys will do.

    Raises:
      CheckpointError: There is no state dict, no such entry, or several entries to choose from.
    """
    states = dict(_states(content, kind))
    if not states:
        raise CheckpointError(_without_state(content, kind))
    if entry is None:
        models = [name for name, state in states.items() if _is_model(state)] or list(states)
        if len(models) > 1:
            raise CheckpointError(
                f"it holds several state dicts: {_listed(states, models)}; choose one by "
                "--entry NAME"
            )
        entry = models[0]
    else:
        entry = _resolve(states, entry)
    return _complete(states, entry)


def _states(content: Any, kind: type) -> list[tuple[str, dict[str, Any]]]:
    """Returns the dicts of nothing but tensors by their dotted place, each dict once."""
    states: list[tuple[str, dict[str, Any]]] = []
    visited: set[int] = set()
    level = [("", content)]
    for _ in range(_DEEPEST):
        below = []
        for place, value in level:
            if not isinstance(value, dict | list | tuple) or not value or id(value) in visited:
                continue
            visited.add(id(value))
            is_dict = isinstance(value, dict)
            items = list(value.items()) if is_dict else [(str(i), v) for i, v in enumerate(value)]
            if is_dict and all(isinstance(key, str) and isinstance(v, kind) for key, v in items):
                states.append((place, value))
            else:
                named = [(key, v) for key, v in items if isinstance(key, str)]
                below += [(f"{place}.{key}".lstrip("."), v) for key, v in named]
        level = below
    return states


def _is_model(state: Mapping[str, Any]) -> bool:
    return bool(prefixes_of_models(state))


def _resolve(states: dict[str, dict[str, Any]], entry: str) -> str:
    """Returns the full name of an entry, which is added if it names the beginning of keys."""
    inside = [name for name in states if name == entry or name.startswith(f"{entry}.")]
    if len(inside) == 1:
        return inside[0]
    if "" in states:
        start = f"{entry.removesuffix('.')}."
        part = {k.removeprefix(start): v for k, v in states[""].items() if k.startswith(start)}
        if part:
            states[entry] = part
            return entry
    names = inside or list(states)
    raise CheckpointError(f"it has no single entry {entry!r}; it has {_listed(states, names)}")


def _complete(states: dict[str, dict[str, Any]], entry: str) -> State:
    """Returns a state with the buffers that an average lacks, from the weights averaged."""
    tensors = states[entry]
    # an average is one of parameters, and these are buffers upstream
    own = _untrained(tensors)
    lacking = {
        name: {key: value for key, value in _untrained(state).items() if key not in own}
        for name, state in states.items()
        if name not in ("", entry) and _is_model(state)
    }
    donors = [name for name, buffers in lacking.items() if buffers]
    if not _is_model(tensors) or len(donors) != 1:
        return State(entry, tensors)
    (donor,) = donors
    prefix = prefixes_of_models(tensors)[0]
    added = {prefix + name: value for name, value in lacking[donor].items()}
    return State(entry, {**tensors, **added}, tuple(lacking[donor]), donor)


def _untrained(state: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the buffers of a model's state by their names without the prefix."""
    prefix = next(iter(prefixes_of_models(state)), "")
    named = {key.removeprefix(prefix): value for key, value in state.items()}
    return {name: value for name, value in named.items() if not is_trained(name)}


def _without_state(content: Any, kind: type) -> str:
    if not isinstance(content, dict) or not content:
        return f"expected a state dict, found an object of {type(content).__name__}"
    key, value = next(
        (key, value)
        for key, value in content.items()
        if not (isinstance(key, str) and isinstance(value, kind))
    )
    return (
        f"expected nothing but tensors, found {type(value).__name__} under {key!r}; of a training "
        "checkpoint, save only the model's state_dict()"
    )


def _listed(states: Mapping[str, Mapping[str, Any]], names: list[str]) -> str:
    return ", ".join(f"{name or 'the whole file'} ({len(states[name])} tensors)" for name in names)
