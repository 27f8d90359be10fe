"""What happens inside a model: why a failure fails, which parts make the growth, what frees it.

Each name is imported when it is first used.

- `growth_by_part`: the growth of the leading vectors by sub-layer, field, update and token.
- `untrained`: the same cell with fresh weights, the control of what training has made.
- `patch`, `kick`, `erase`: interventions, as dynamics that everything else takes.
- `discriminant`, `regression`: linear probes, after `whitening`; `leace` erases what they read.
- `control_values`, `shuffled_within`: labels of a control task, and permuted ones.
- `overlap`: how much of a tangent vector lies along the directions of probes.
- `mixing_matrix`, `mixing_at`: how strongly each token acts on each other one.
- `stage_terms`, `channel_terms`, `saliency`: what a logit is made of, and what it depends on.
"""

from typing import TYPE_CHECKING

from rrjax.lazy import lazy_names

if TYPE_CHECKING:
    from rrjax.inside.erasing import Eraser as Eraser
    from rrjax.inside.erasing import leace as leace
    from rrjax.inside.erasing import random_eraser as random_eraser
    from rrjax.inside.fresh import untrained as untrained
    from rrjax.inside.growth import GrowthByPart as GrowthByPart
    from rrjax.inside.growth import growth_by_part as growth_by_part
    from rrjax.inside.growth import stage_names as stage_names
    from rrjax.inside.interventions import erase as erase
    from rrjax.inside.interventions import insert as insert
    from rrjax.inside.interventions import kick as kick
    from rrjax.inside.interventions import patch as patch
    from rrjax.inside.interventions import state_at as state_at
    from rrjax.inside.logits import Saliency as Saliency
    from rrjax.inside.logits import StageTerms as StageTerms
    from rrjax.inside.logits import channel_terms as channel_terms
    from rrjax.inside.logits import saliency as saliency
    from rrjax.inside.logits import stage_terms as stage_terms
    from rrjax.inside.mixing import Mixing as Mixing
    from rrjax.inside.mixing import mixing_at as mixing_at
    from rrjax.inside.mixing import mixing_matrix as mixing_matrix
    from rrjax.inside.overlaps import orthonormal as orthonormal
    from rrjax.inside.overlaps import overlap as overlap
    from rrjax.inside.probes import Discriminant as Discriminant
    from rrjax.inside.probes import Regression as Regression
    from rrjax.inside.probes import Whitening as Whitening
    from rrjax.inside.probes import control_values as control_values
    from rrjax.inside.probes import discriminant as discriminant
    from rrjax.inside.probes import regression as regression
    from rrjax.inside.probes import shuffled_within as shuffled_within
    from rrjax.inside.probes import whitening as whitening

__getattr__, __dir__, __all__ = lazy_names(  # pyright: ignore[reportUnsupportedDunderAll]
    __name__,
    {
        "erasing": ("Eraser", "leace", "random_eraser"),
        "fresh": ("untrained",),
        "growth": ("GrowthByPart", "growth_by_part", "stage_names"),
        "interventions": ("erase", "insert", "kick", "patch", "state_at"),
        "logits": ("Saliency", "StageTerms", "channel_terms", "saliency", "stage_terms"),
        "mixing": ("Mixing", "mixing_at", "mixing_matrix"),
        "overlaps": ("orthonormal", "overlap"),
        "probes": (
            *("Discriminant", "Regression", "Whitening", "control_values", "discriminant"),
            *("regression", "shuffled_within", "whitening"),
        ),
    },
)
