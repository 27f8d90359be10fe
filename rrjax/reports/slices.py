"""A slice in words: who settles where, and how mixed the basins are."""

import math

from rrjax.analysis import format as words
from rrjax.analysis.basins import LN_2
from rrjax.analysis.slices import SliceSummary
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
    notes = words.not_finite(summary.num_not_finite, number, "they count as still moving")
    if summary.num_solved is None:
        notes.append("The puzzle's answer is not known, so none is counted as solved.")
    if math.isnan(summary.median_settling):
        notes.append("Fewer than half of the starts settled.")
    else:
        notes.append(f"Half of the starts have settled at segment {summary.median_settling:g}.")
    notes.append(
        f"Settled: the same answer over the last {summary.rest_segments} of "
        f"{summary.num_segments} segments; the settled starts give {summary.num_answers} answers."
    )
    return Table(f"One puzzle, {size} × {size} starts", ("", "starts", "share"), rows, notes)


def _basin_table(summary: SliceSummary) -> Table:
    mixings = {"final answer": summary.answers}
    if summary.outcome is not None:
        mixings["solved or not"] = summary.outcome
    shown = mixings.values()
    rows = [
        ("basins", *(str(m.num_classes) for m in shown)),
        ("basin entropy S_b", *(words.interval(m.entropy) for m in shown)),
        ("of the boundary, S_bb", *(words.interval(m.boundary_entropy) for m in shown)),
        ("uncertainty exponent α", *(words.interval(m.exponent) for m in shown)),
        ("box dimension 2 − α", *(words.interval(m.dimension) for m in shown)),
    ]
    notes = [f"α by {name}: {mixing.remark}." for name, mixing in mixings.items() if mixing.remark]
    notes += [
        f"By {name}, S_bb > ln 2 = {LN_2:.3f}: the boundary is fractal at this resolution."
        for name, mixing in mixings.items()
        if mixing.exceeds_ln_2
    ]
    legend = "Entropies are in nats, with 95 % intervals over boxes; α = 1 for a smooth boundary."
    box = summary.answers.box_size
    headline = f"Basins, in boxes of {box} × {box} starts"
    return Table(headline, ("95 % interval", *mixings), rows, [*notes, legend])
