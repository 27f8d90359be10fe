"""What the settings of a run refuse alike."""

from collections.abc import Collection
from dataclasses import fields
from typing import Any, NoReturn, get_args

LARGEST = 2**31 - 1
"""Of what is counted: steps, segments and the like are 32-bit integers on every device."""


def refuse(name: str, rule: str, found: object) -> NoReturn:
    """A setting that does not obey its rule.

    Raises:
      ValueError: always.
    """
    raise ValueError(f"{name} must {rule}; got {found}")


def check_choice(name: str, value: object, kind: Any) -> None:
    """Refuse what is none of a Literal's values.

    Raises:
      ValueError: with the values there are.
    """
    choices = get_args(kind)
    if value not in choices:
        refuse(name, f"be one of {', '.join(choices)}", repr(value))


def check_count(name: str, value: int, least: int = 0) -> None:
    """Refuse what is no number of steps or the like.

    Raises:
      ValueError: naming it.
    """
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")
    if value > LARGEST:
        raise ValueError(f"{name} must be at most {LARGEST}, got {value}")


def refuse_idle(name: str, settings: Any, idle: Collection[str], needed: str) -> None:
    """Refuse settings that nothing reads: whoever gave them expects that they do something.

    Args:
      name: of the block.
      settings: a dataclass whose fields have defaults.
      idle: the fields that nothing reads.
      needed: what would have them read.

    Raises:
      ValueError: for the first of them that is not at its default.
    """
    for field in fields(settings):
        value = getattr(settings, field.name)
        if field.name in idle and value != field.default:
            refuse(f"{name}.{field.name}", f"stay at {field.default} without {needed}", value)
