"""A slice in words: who settles where, and how mixed the basins are."""

import math

from rrjax.analysis import format as words
from rrjax.analysis.basins import LN_2
from rrjax.analysis.slices import Mixing, SliceSummary
from rrjax.analysis.table import Table


def tables(summary: SliceSummary) -> list[Table]:
    """Returns who settles, and how mixed the basins are."""
    return [_settling_table(summary), _basin_table(summary)]


def _settling_table(summary: SliceSummary) -> Table:
    number = summary.num_points
    size = math.isqrt(number)
    counts = {"settled": number - summary.num_moving, "still moving": summary.num_moving}
    if summary.num_solved is not None:
        counts["solved"] = summary.num_solved
    rows = [(name, str(count), words.percent(count / number)) for name, count in counts.items()]
    notes = words.not_finite(summary.num_not_finite, number, "counted as still moving")
    if summary.num_solved is None:
        notes.append("The puzzle's answer is not known, so none is counted as solved.")
    if math.isnan(summary.median_settling):
        notes.append("Fewer than half of the starts settled.")
    else:
        notes.append(f"Half of the starts have settled at segment {summary.median_settling:g}.")
    notes.append(
        f"Settled: the same answer over the last {summary.rest_segments} of "
        f"{words.count(summary.num_segments, 'segment')}; the settled starts give "
        f"{words.count(summary.num_answers, 'answer')}."
    )
    return Table(f"One puzzle, {size} × {size} starts", ("", "starts", "share"), rows, notes)


def _basin_table(summary: SliceSummary) -> Table:
    mixings = {"final answer": summary.answers}
    if summary.outcome is not None:
        mixings["solved or not"] = summary.outcome
    shown = mixings.values()
    rows = [
        ("basins", *(str(m.num_classes) for m in shown)),
        ("basin entropy S_b", *(words.number(m.entropy, ".3f") for m in shown)),
        ("of the boundary, S_bb", *(words.number(m.boundary_entropy, ".3f") for m in shown)),
        ("uncertainty exponent α", *(words.number(m.exponent, ".3f") for m in shown)),
        ("box dimension 2 − α", *(words.number(m.dimension, ".3f") for m in shown)),
    ]
    notes = [f"α by {name}: {mixing.remark}." for name, mixing in mixings.items() if mixing.remark]
    for name, mixing in mixings.items():
        notes += _verdict(name, mixing)
    notes += [
        "Entropies are in nats; α = 1 for a smooth boundary, but comes out lower where basins are "
        "few grid steps wide.",
        "No number has an interval: neighbouring boxes are alike, and the grid biases α.",
    ]
    box = summary.answers.box_size
    headline = f"Basins, in boxes of {box} × {box} starts"
    return Table(headline, ("", *mixings), rows, notes)


def _verdict(name: str, mixing: Mixing) -> list[str]:
    """Returns what S_bb > ln 2 shows; nothing where it is smaller."""
    if not mixing.boundary_entropy > LN_2:
        return []
    fine, coarse = (words.percent(share, 0) for share in mixing.shared[:2])
    shares = f"three basins or more share {fine} of the boundary squares, at double step {coarse}"
    if mixing.fractal:
        return [
            f"By {name}, S_bb > ln 2 = {LN_2:.3f} and {shares}: the boundary is fractal at this "
            "resolution."
        ]
    return [
        f"By {name}, S_bb > ln 2 = {LN_2:.3f} shows no fractal boundary: {shares}, as with "
        "straight boundaries or a grid that is too coarse."
    ]
