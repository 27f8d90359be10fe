"""The type checker of the tests: beartype, which compiles the checks of an inner function once."""

import inspect
from collections.abc import Callable
from typing import Any

from beartype import beartype

_CHECKED: dict[tuple[str, str, str], Callable[..., Any]] = {}


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns the function with checks of its arguments and its result.

    jaxtyping passes an empty function that has the annotations of the one to be checked. That of an
    inner function comes again with every call of the outer one, and compiling its checks takes a
    thousand times as long as running them, so they are compiled once.
    """
    if "<locals>" not in function.__qualname__:
        return beartype(function)
    name = (function.__module__, function.__qualname__, str(inspect.signature(function)))
    if name not in _CHECKED:
        _CHECKED[name] = beartype(function)
    return _CHECKED[name]
