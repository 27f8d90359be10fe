"""What the settings of a run refuse alike."""

from typing import Any, NoReturn, get_args


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
