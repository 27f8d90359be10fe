"""Reads YAML files that anybody may have written."""

import itertools
import math
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from rrjax.store.reading import DEEPEST, read_text, too_deep

LARGEST_YAML = 2**15
"""Bytes of the largest YAML file that is read: settings have one or two thousand."""

LARGEST_VALUE = 2**13
"""The largest number of values in a YAML file whose aliases are written out. Nine aliases of nine
aliases, and so on, would fill any memory as soon as a message shows them."""


def read_yaml(path: str | Path) -> Any:
    """Returns what a YAML file holds; nothing in it can run code.

    Raises:
      OSError: If it cannot be read.
      ValueError: If it is no YAML, no regular file, too large, nested too deep, or has aliases that
        contain themselves or stand for too many values.
    """
    text = read_text(path, LARGEST_YAML)
    if _open_brackets(text) > DEEPEST:  # of which PyYAML takes seconds
        raise too_deep(path)
    try:
        node = yaml.compose(text, yaml.SafeLoader)
        size, depth = (0, 0) if node is None else _measure(node, {})
    except RecursionError:
        raise too_deep(path) from None
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not YAML: {error}") from None
    if depth > DEEPEST:
        raise too_deep(path)
    if size > LARGEST_VALUE:
        raise ValueError(
            f"{path} holds more than {LARGEST_VALUE:,} values, if its aliases are written out"
        )
    return None if node is None else _construct(path, node)


def _open_brackets(text: str) -> int:
    """Returns how many brackets are open at once, wherever they stand."""
    steps = ((char in "[{") - (char in "]}") for char in text)
    return max(itertools.accumulate(steps), default=0)


class _Size(NamedTuple):
    """The number of values in a node, its aliases written out, and how deep they are nested."""

    number: float
    depth: float


def _measure(node: yaml.Node, known: dict[int, _Size]) -> _Size:
    if id(node) not in known:
        known[id(node)] = _Size(math.inf, 0)  # for an alias inside of what it stands for
        children = node.value if isinstance(node, yaml.CollectionNode) else []
        pairs = [child if isinstance(child, tuple) else (child,) for child in children]
        sizes = [_measure(child, known) for pair in pairs for child in pair]
        number = 1 + sum(size.number for size in sizes)
        depth = max((1 + size.depth for size in sizes), default=0)
        known[id(node)] = _Size(number, depth)
    return known[id(node)]


def _construct(path: str | Path, node: yaml.Node) -> Any:
    try:
        return yaml.constructor.SafeConstructor().construct_document(node)
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not YAML: {error}") from None
    # how PyYAML says that a value is not of its type, such as 2001-99-99 and `!!bool perhaps`
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise ValueError(f"{path} holds a value that is not of its type: {error!r}") from None
