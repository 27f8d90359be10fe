"""Figures of finished results; drawing needs matplotlib, importing this package does not.

Each name is imported when it is first used; each function returns a matplotlib figure.

- `lambda1_histogram`, `spectrum_by_outcome`: exponents of solved and of failed puzzles.
- `unstable_cells`, `Board`: where the leading vector lies on a puzzle's board.
- `accuracy_against_compute`, `survival_of_failures`: long rollouts.
- `solve_rate_of_failures`: restarts. `q_against_lambda1`: noisy rollouts.
- `settling_map`, `answer_map`: a plane of starts. `toy_panel`: the search-and-capture toy.
- `save_figure`: writes a figure as PNG.
"""

from typing import TYPE_CHECKING

from rrjax.lazy import lazy_names

if TYPE_CHECKING:
    from rrjax.plots.board import Board as Board
    from rrjax.plots.board import unstable_cells as unstable_cells
    from rrjax.plots.canvas import save_figure as save_figure
    from rrjax.plots.noisy import q_against_lambda1 as q_against_lambda1
    from rrjax.plots.outcome import lambda1_histogram as lambda1_histogram
    from rrjax.plots.outcome import spectrum_by_outcome as spectrum_by_outcome
    from rrjax.plots.restarts import solve_rate_of_failures as solve_rate_of_failures
    from rrjax.plots.rollouts import accuracy_against_compute as accuracy_against_compute
    from rrjax.plots.rollouts import survival_of_failures as survival_of_failures
    from rrjax.plots.slices import answer_map as answer_map
    from rrjax.plots.slices import settling_map as settling_map
    from rrjax.plots.toy import toy_panel as toy_panel

__getattr__, __dir__, __all__ = lazy_names(  # pyright: ignore[reportUnsupportedDunderAll]
    __name__,
    {
        "board": ("Board", "unstable_cells"),
        "canvas": ("save_figure",),
        "noisy": ("q_against_lambda1",),
        "outcome": ("lambda1_histogram", "spectrum_by_outcome"),
        "restarts": ("solve_rate_of_failures",),
        "rollouts": ("accuracy_against_compute", "survival_of_failures"),
        "slices": ("answer_map", "settling_map"),
        "toy": ("toy_panel",),
    },
)
