"""The table of a spectrum: are the failed puzzles the chaotic ones?"""

import math

from rrjax.analysis import format as words
from rrjax.analysis.intervals import Interval
from rrjax.analysis.outcome import Derived, Quartile, Summary
from rrjax.analysis.table import Table

SHOWN = {"entropy_rate": ("sum of positive λ", ".4f"), "kaplan_yorke": ("Kaplan–Yorke", ".2f")}
"""The derived quantities that have a row; the record has all."""


def tables(summary: Summary) -> list[Table]:
    """Returns λ₁, what follows from the spectrum and late drift by outcome, and λ₁'s rivals."""
    fraction = words.percent_in_words(summary.solved_fraction)
    headers = (
        summary.unit,
        f"median of\n{summary.num_solved} solved",
        f"median of\n{summary.num_failed} failed",
        "AUC of −value for solved\n(95 % interval)",
    )
    first = (summary.solved_exponents[0], summary.failed_exponents[0], summary.exponent_auc[0])
    rows = [_row("λ₁", first, ".4f")]
    for derived in _shown(summary):
        estimates = (derived.solved, derived.failed, derived.auc)
        if not all(math.isnan(estimate.value) for estimate in estimates):
            label, form = SHOWN[derived.name]
            rows.append(_row(label + (" ≥" if derived.num_bounds else ""), estimates, form))
    drift = (summary.solved_drift, summary.failed_drift, summary.drift_auc)
    rows.append(_row("late drift", drift, "#.2g"))
    headline = f"Solved: {fraction} of {words.count(summary.num_puzzles, 'puzzle')}"
    first_table = Table(headline, headers, rows, _notes(summary))
    both = min(summary.num_solved, summary.num_failed) > 0
    rivals = [_rivals_table(summary)] if both else []
    quartiles = [_quartile_table(*each) for each in summary.quartiles.items() if len(each[1]) > 1]
    return [first_table, *rivals, *quartiles]


def conclusion(auc: Interval) -> str:
    """Returns in a sentence whether λ₁, by its AUC, tells solved puzzles from failed ones."""
    if math.isnan(auc.low):
        return "Too few puzzles were solved, or too few failed, to tell whether λ₁ differs."
    measured = f"the AUC of −λ₁ for solved is {words.interval_in_words(auc)}"
    if auc.low > 0.5:
        return f"The failed puzzles are the less stable ones: {measured}."
    if auc.high < 0.5:
        return f"The failed puzzles are the more stable ones: {measured}."
    return f"λ₁ does not tell failed puzzles from solved ones: {measured}."


def _rivals_table(summary: Summary) -> Table:
    rows = [
        (rival.name, words.interval(rival.auc), words.interval(rival.lambda1_given))
        for rival in summary.rivals
    ]
    headers = ("score", "AUC for solved\n(95 % interval)", "AUC of −λ₁ given it\n(95 % interval)")
    notes = [
        "Given it: over pairs of a solved and a failed puzzle that are equal in a whole number, or "
        "near each other in drift or q; 0.5 where λ₁ adds nothing, undefined without such pairs.",
        *summary.rival_notes,
    ]
    if not math.isnan(summary.largest_frame_spread):
        notes.append(
            "λ₁ depends on the initial frame, by a standard deviation of at most "
            f"{summary.largest_frame_spread:.2g} {summary.unit}. Each puzzle has a frame of its "
            "own, so that the intervals include it."
        )
    return Table("λ₁ and its rivals", headers, rows, notes)


def _quartile_table(name: str, quartiles: list[Quartile]) -> Table:
    rows = [
        (
            f"{each.low}" if each.low == each.high else f"{each.low} to {each.high}",
            str(each.num_puzzles),
            words.percent_interval(each.solved),
        )
        for each in quartiles
    ]
    notes = ["Puzzles of equal difficulty share a quartile, so that quartiles may differ in size."]
    headers = (name, "puzzles", "solved\n(95 % interval)")
    return Table(f"Solved, by quartile of {name}", headers, rows, notes)


def _row(label: str, estimates: tuple[Interval, ...], form: str) -> tuple[str, ...]:
    solved, failed, auc = estimates
    medians = (words.number(median.value, form) for median in (solved, failed))
    return (label, *medians, words.interval(auc))


def _shown(summary: Summary) -> list[Derived]:
    return [derived for derived in summary.derived if derived.name in SHOWN]


def _notes(summary: Summary) -> list[str]:
    grouped = summary.num_solved + summary.num_failed
    notes = words.not_finite(summary.num_excluded, summary.num_puzzles, "in neither group")
    notes += words.few_runs(summary.num_solved, summary.num_failed)
    unresolved = [f"λ{i} in {n}" for i, n in enumerate(summary.num_unresolved, 1) if n]
    if unresolved:
        notes.append(
            f"Exponents below the round-off floor, of {grouped} puzzles: {', '.join(unresolved)}."
        )
    if most := max(derived.num_bounds for derived in _shown(summary)):
        puzzles = words.count(most, "puzzle")
        notes.append(f"≥: a lower bound, since all k exponents are positive in {puzzles}.")
    for derived in _shown(summary):
        notes += [
            f"{SHOWN[derived.name][0]} is undefined in {solved} of {summary.num_solved} solved and "
            f"{failed} of {summary.num_failed} failed puzzles, because {reason}."
            for reason, (solved, failed) in derived.undefined.items()
        ]
    if summary.num_unsorted:
        puzzles = f"{summary.num_unsorted} of {words.count(grouped, 'puzzle')}"
        notes.append(
            f"In {puzzles} a later exponent of the arrays is larger than an earlier one, such as "
            "λ2 > λ₁. The arrays keep the order of the frame's vectors, which only a long run "
            "sorts. Tables and figures show sorted exponents."
        )
    window = summary.drift_window
    segments = f"the last {window} segments" if window > 1 else "the last segment"
    return [
        *notes,
        f"The unit is that of λ₁ and of the sum. Late drift is the mean ‖Δz_H‖ of {segments}. The "
        "results hold all exponents.",
    ]
