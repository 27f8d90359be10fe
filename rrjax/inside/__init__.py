"""What happens inside a model: why a failure fails.

Each name is imported when it is first used.
"""

from rrjax.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(  # pyright: ignore[reportUnsupportedDunderAll]
    __name__, {}
)
