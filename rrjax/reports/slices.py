"""A slice in words: who settles where, and how mixed the basins are."""

import numpy as np

from rrjax.analysis.basins import LN_2
from rrjax.analysis.format import bracketed
from rrjax.analysis.intervals import Estimate
from rrjax.analysis.slices import Mixing, SliceSummary
from rrjax.analysis.table import Table


def tables(summary: SliceSummary, title: str) -> list[Table]:
    """The tables in words: who settles, and the basins.

    Args:
      summary: of a slice.
      title: what was run.
    """
    return [_settling_table(summary, title), _basin_table(summary)]


def _settling_table(summary: SliceSummary, title: str) -> Table:
    number, share = summary.num_points, _share(summary.num_points)
    settled = number - summary.num_moving
    rows = [
        ("settled", *share(settled)),
        ("still moving", *share(summary.num_moving)),
        ("at rest", *share(summary.num_at_rest)),
    ]
    if summary.num_solved is not None:
        rows.append(("solved", *share(summary.num_solved)))
    rows.append(("distinct answers", str(summary.num_answers), ""))
    rows += [
        (_answer_name(summary, place), *share(count)) for place, count in enumerate(summary.largest)
    ]
    return Table(title, ("", "starts", "share"), rows, _settling_notes(summary))


def _answer_name(summary: SliceSummary, place: int) -> str:
    is_right = summary.largest_solved is not None and summary.largest_solved[place]
    return f"answer {place + 1}{' (right)' if is_right else ''}"


def _settling_notes(summary: SliceSummary) -> list[str]:
    notes = []
    if summary.num_not_finite:
        notes.append(f"{summary.num_not_finite} runs were not finite; they count as still moving")
    if summary.num_solved is None:
        notes.append("the puzzle's answer is not known: nothing is said of solved")
    if np.isnan(summary.median_settling):
        notes.append("fewer than half of the starts settled")
    else:
        notes.append(f"half of the starts have settled at segment {summary.median_settling:g}")
    rest = summary.rest_segments
    legend = (
        f"settled: the same answer over the last {rest} steps of {summary.num_segments} segments; "
        f"at rest: relative residual below {summary.threshold:g} as long; solved: after the last "
        "segment"
    )
    return [*notes, legend]


def _basin_table(summary: SliceSummary) -> Table:
    colourings = [("final answer", summary.answers)]
    if summary.outcome is not None:
        colourings.append(("solved or not", summary.outcome))
    mixings = [mixing for _, mixing in colourings]
    rows = [
        ("basins", *(str(m.num_classes) for m in mixings)),
        ("basin entropy S_b", *(_number(m.entropy) for m in mixings)),
        ("of the boundary S_bb", *(_number(m.boundary_entropy) for m in mixings)),
        ("boundary boxes", *(f"{m.num_boundary} of {m.num_boxes}" for m in mixings)),
        ("uncertainty exponent α", *(_number(m.exponent) for m in mixings)),
        ("its standard error", *(_plain(m.standard_error) for m in mixings)),
        ("box dimension D = 2 − α", *(_number(m.dimension) for m in mixings)),
        ("fitted to ε in grid steps", *(_range(m) for m in mixings)),
    ]
    headers = ("[95 % interval]", *(name for name, _ in colourings))
    box = summary.answers.box_size
    headline = f"Basins, in boxes of {box} × {box} starts"
    return Table(headline, headers, rows, _basin_notes(colourings))


def _basin_notes(colourings: list[tuple[str, Mixing]]) -> list[str]:
    notes = [f"α by {name}: {mixing.remark}" for name, mixing in colourings if mixing.remark]
    notes += [
        f"by {name} S_bb > ln 2 = {LN_2:.3f}: the boundary is fractal at this resolution"
        for name, mixing in colourings
        if mixing.exceeds_ln_2
    ]
    legend = (
        "starts that still move are one basin of final answers; S in nats, bootstrap over boxes; "
        "S_bb > ln 2 suffices for a fractal boundary and is not necessary; α: f(ε) ~ ε^α, 1 for a "
        "smooth boundary, interval of the regression"
    )
    return [*notes, legend]


def _range(mixing: Mixing) -> str:
    used = np.array(mixing.distances)[mixing.used].tolist()
    return f"{used[0]}..{used[-1]} ({len(used)})" if used else "none"


def _share(total: int):
    return lambda count: (str(count), f"{100 * count / total:.1f} %")


def _number(estimate: Estimate) -> str:
    return bracketed(estimate.value, estimate.low, estimate.high, ".3f")


def _plain(value: float) -> str:
    return "undefined" if np.isnan(value) else f"{value:.3f}"
