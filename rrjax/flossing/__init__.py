"""Flossing: Lyapunov exponents that training pushes on.

Names are loaded when they are first used, because the optax pieces and the engine are slow to load.
"""

import importlib
from typing import Any

_HOMES = {
    "differentiable": ("EVERYTHING", "FRAMES", "Exponents", "exponents"),
    "losses": (
        *("answer_kl", "mean_over", "one_sided", "one_sided_leading", "one_sided_volume"),
        "two_sided",
    ),
    "schedule": ("FlossingSchedule",),
    "steps": (
        "check_steps",
        "flossing_step",
        "masked",
        "matching",
        "num_skipped",
        "skip_nonfinite",
    ),
    "transforms": ("clip_exponent", "log_exponents", "penalized", "penalized_loss"),
}
_MODULES = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(_MODULES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
