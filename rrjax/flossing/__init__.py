"""Flossing: Lyapunov exponents that training pushes on.

Names are loaded when they are first used, because the optax pieces and the engine are slow to load.
"""

from rrjax.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(  # pyright: ignore[reportUnsupportedDunderAll]
    __name__,
    {
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
    },
)
