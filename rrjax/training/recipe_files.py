"""Finds the recipes that come with rrjax."""

from difflib import get_close_matches
from pathlib import Path

_PACKAGE = Path(__file__).parents[1]


def find_recipe(name: str) -> Path:
    """Returns the path of a config file, given as a path or by the name of a bundled recipe.

    Args:
      name: a path, or a name such as `cpu_sudoku4`.

    Raises:
      ValueError: if there is neither such a file nor such a recipe.
    """
    if Path(name).is_file():
        return Path(name)
    recipes = _recipes()
    if name in recipes:
        return recipes[name]
    close = get_close_matches(name, recipes, n=1)
    raise ValueError(
        f"no config file {name!r}: it is neither a file nor a recipe of rrjax "
        f"({f'did you mean {close[0]!r}?' if close else ', '.join(sorted(recipes))})"
    )


def _recipes() -> dict[str, Path]:
    """Returns the recipes by name: `rrjax/recipes` if installed, `recipes` in a checkout."""
    folders = (_PACKAGE / "recipes", _PACKAGE.parent / "recipes")
    return {path.stem: path for folder in folders for path in folder.glob("*.yaml")}
