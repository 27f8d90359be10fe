"""Statistics of finished results, on NumPy arrays; each name is imported when it is first used.

- `compare`: what changes between two results of the same puzzles.
- `auc`, `auc_interval`: how well a score tells solved from failed puzzles.
- `fraction_interval`, `mean_interval`, `median_interval`, `rate_interval`: an `Interval` each;
  `clustered_fraction` and `jackknife_interval` where cells of one puzzle depend on each other.
- `balanced_accuracy`, `explained_share`: a `Score` of cells, with an interval over puzzles;
  `permutation_p` says how often permuted labels score as much.
- `rate_ratio_interval`: two rates compared by the exact conditional test.
- `kaplan_yorke`, `entropy_rate`: what follows from a spectrum.
- `block_standard_error`: how uncertain one exponent is along time.
- `kaplan_meier`: how long failures last.
- `unbiased_cka`, `rsa`: how alike representations are, the latter by `dissimilarities` and
  Spearman's correlation or `kendall_tau_a`.
- `participation_ratio`, `two_nn`, `mle_dimension`: the dimension of a cloud of states, the last two
  from the distances of `nearest` neighbours.
- `held_out_information`, `channel_scores`: what cells and single channels hold; `random_rotation`
  gives another basis, and `turns` says how far channels turn between two segments.
- `graph_correlation`, `edge_ratio`: strengths between tokens against a graph of peers.
- `basin_entropy`, `uncertainty_exponent`: how mixed basins are.
"""

from typing import TYPE_CHECKING

from rrjax.lazy import lazy_names

if TYPE_CHECKING:
    from rrjax.analysis.basins import basin_entropy as basin_entropy
    from rrjax.analysis.basins import uncertainty_exponent as uncertainty_exponent
    from rrjax.analysis.derived import entropy_rate as entropy_rate
    from rrjax.analysis.derived import kaplan_yorke as kaplan_yorke
    from rrjax.analysis.dimension import mle_dimension as mle_dimension
    from rrjax.analysis.dimension import nearest as nearest
    from rrjax.analysis.dimension import participation_ratio as participation_ratio
    from rrjax.analysis.dimension import two_nn as two_nn
    from rrjax.analysis.errorbars import block_standard_error as block_standard_error
    from rrjax.analysis.information import held_out_information as held_out_information
    from rrjax.analysis.intervals import Interval as Interval
    from rrjax.analysis.intervals import clustered_fraction as clustered_fraction
    from rrjax.analysis.intervals import fraction_interval as fraction_interval
    from rrjax.analysis.intervals import mean_interval as mean_interval
    from rrjax.analysis.intervals import median_interval as median_interval
    from rrjax.analysis.intervals import rate_interval as rate_interval
    from rrjax.analysis.intervals import rate_ratio_interval as rate_ratio_interval
    from rrjax.analysis.jackknife import jackknife_interval as jackknife_interval
    from rrjax.analysis.mixing import edge_ratio as edge_ratio
    from rrjax.analysis.mixing import graph_correlation as graph_correlation
    from rrjax.analysis.neurons import channel_scores as channel_scores
    from rrjax.analysis.neurons import random_rotation as random_rotation
    from rrjax.analysis.neurons import turns as turns
    from rrjax.analysis.paired import Comparison as Comparison
    from rrjax.analysis.paired import compare as compare
    from rrjax.analysis.scores import Score as Score
    from rrjax.analysis.scores import balanced_accuracy as balanced_accuracy
    from rrjax.analysis.scores import explained_share as explained_share
    from rrjax.analysis.scores import permutation_p as permutation_p
    from rrjax.analysis.separation import auc as auc
    from rrjax.analysis.separation import auc_interval as auc_interval
    from rrjax.analysis.similarity import dissimilarities as dissimilarities
    from rrjax.analysis.similarity import kendall_tau_a as kendall_tau_a
    from rrjax.analysis.similarity import rsa as rsa
    from rrjax.analysis.similarity import unbiased_cka as unbiased_cka
    from rrjax.analysis.survival import kaplan_meier as kaplan_meier

__getattr__, __dir__, __all__ = lazy_names(  # pyright: ignore[reportUnsupportedDunderAll]
    __name__,
    {
        "basins": ("basin_entropy", "uncertainty_exponent"),
        "derived": ("entropy_rate", "kaplan_yorke"),
        "errorbars": ("block_standard_error",),
        "intervals": (
            "Interval",
            "clustered_fraction",
            "fraction_interval",
            "mean_interval",
            "median_interval",
            "rate_interval",
            "rate_ratio_interval",
        ),
        "mixing": ("edge_ratio", "graph_correlation"),
        "paired": ("Comparison", "compare"),
        "scores": ("Score", "balanced_accuracy", "explained_share", "permutation_p"),
        "separation": ("auc", "auc_interval"),
        "dimension": (
            "mle_dimension",
            "nearest",
            "participation_ratio",
            "two_nn",
        ),
        "information": ("held_out_information",),
        "jackknife": ("jackknife_interval",),
        "neurons": (
            "channel_scores",
            "random_rotation",
            "turns",
        ),
        "similarity": (
            "dissimilarities",
            "kendall_tau_a",
            "rsa",
            "unbiased_cka",
        ),
        "survival": ("kaplan_meier",),
    },
)
