"""Judges the claims of the notebook that rrjax grew from by what was measured."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rrjax import Results
from rrjax.analysis import rate_ratio_interval
from rrjax.analysis.table import Table
from rrjax.reports.terminal import print_table
from rrjax.store import describe_run, write_json

FEW = 10
"""Claims about smaller groups stay open, though the intervals of `rrjax.analysis` hold for them: a
claim is of a model, and fewer than ten of its puzzles are no fair sample of those that it fails."""


class Evidence(NamedTuple):
    """The runs behind the claims, with spectra, rollouts and basins by `trm` and `hrm`.

    A model without failures has spectra alone.
    """

    toy: Results
    spectra: dict[str, Results]
    rollouts: dict[str, Results]
    basins: dict[str, Results]


class Claim(NamedTuple):
    """A claim about a model, what was found, and whether the two agree.

    Attributes:
      holds: None where the runs cannot decide.
    """

    model: str
    claim: str
    found: str
    holds: bool | None


def print_claims(evidence: Evidence, path: Path) -> None:
    """Prints the table and writes it as JSON."""
    found = claims(evidence)
    print_table(_table(found))
    rows = [claim._asdict() for claim in found]
    write_json(path, {"claims": rows, "made_by": describe_run()})


def claims(evidence: Evidence) -> list[Claim]:
    """Returns all claims in the order of the story."""
    found = [_toy(evidence.toy)]
    for name in evidence.spectra:
        found += _separation(name, evidence.spectra[name])
        if name in evidence.rollouts:
            found += [_wrong_points(name, evidence.rollouts[name])]
            found += _escape(name, evidence.rollouts[name])
            found += _basin(name, evidence.basins[name])
    return [*found, *_rates(evidence.rollouts)]


def _toy(toy: Results) -> Claim:
    auc = toy["auc"][np.isfinite(toy["auc"])]
    found = f"AUC of −λ₁ from {auc[0]:.3f} to {auc[-1]:.3f} as the readout time grows"
    return Claim("toy", "the separation vanishes as T → ∞", found, bool(auc[-1] < auc[0]))


def _separation(name: str, spectrum: Results) -> list[Claim]:
    summary = spectrum.record["summary"]
    solved, failed = (_value(summary[f"{group}_exponents"][0]) for group in ("solved", "failed"))
    separation = summary["exponent_auc"][0]
    auc = f"AUC of −λ₁ for solved: {_interval(separation)}"
    medians = f"median λ₁ of solved {solved:+.3f}, of failed {failed:+.3f} nats per update"
    chaotic = _decide(summary["failed_exponents"][0], 0)
    number = min(summary["num_solved"], summary["num_failed"])
    return [
        _judge(name, "failures have the larger λ₁", auc, _decide(separation, 0.5), number),
        _judge(name, "failures are chaotic: λ₁ > 0", medians, chaotic, number),
    ]


def _wrong_points(name: str, rollout: Results) -> Claim:
    """Judges by the whole rollout: a run that stands still at segment 16 may move on later."""
    escape = rollout.record["summary"]["escape"]
    at_rest, number = escape["num_at_rest"], escape["num_failures"]
    last = rollout.record["options"]["num_segments"]
    found = f"{at_rest} of {number} failures are at rest by segment {last} (residual at round-off)"
    return _judge(name, "no failure settles at a wrong answer", found, at_rest == 0, number)


def _escape(name: str, rollout: Results) -> list[Claim]:
    escape = rollout.record["summary"]["escape"]
    left = escape["still_failing"]
    found = (
        f"{escape['num_escaped']} of {escape['num_failures']} failures escape within "
        f"{escape['segments_watched']} segments; still failing: {_interval(left)}"
    )
    many, number = _decide(left, 0.5), escape["num_failures"]
    if name == "hrm":
        return [_judge(name, "most failures stay trapped", found, many, number)]
    few = None if many is None else not many
    return [_judge(name, "most failures escape", found, few, number)]


def _basin(name: str, basin: Results) -> list[Claim]:
    summary = basin.record["summary"]
    failures = summary["failures"]
    if name == "hrm":
        core = sorted(set(failures) & set(summary["never_solved"]))
        found = f"{len(core)} of {len(failures)} failures are solved from no start"
        return [_judge(name, "a hard core is freed by no start", found, bool(core), len(failures))]
    row = max((row for row in summary["by_sigma"] if row["sigma"] <= 0.3), key=_sigma)
    freed = row["failures"]["some_run"]
    found = (
        f"at σ = {row['sigma']:g} some of {row['num_runs']} restarts frees "
        f"{_interval(freed)} of the failures"
    )
    holds = _decide(freed, 0.5)
    return [_judge(name, "a small kick frees most failures", found, holds, len(failures))]


def _sigma(row: dict[str, Any]) -> float:
    return row["sigma"]


def _rates(rollouts: dict[str, Results]) -> list[Claim]:
    """Compares the escape of TRM and HRM per segment and per module evaluation."""
    if set(rollouts) != {"trm", "hrm"}:
        return []
    escapes = [rollouts[name].record["summary"]["escape"] for name in ("trm", "hrm")]
    updates = [rollouts[name].record["updates_per_segment"] for name in ("trm", "hrm")]
    found = []
    for unit, times, sizes in (("segment", 5, (1, 1)), ("module evaluation", 1.6, updates)):
        waited = [e["segments_moving"] * size for e, size in zip(escapes, sizes, strict=True)]
        counts = [e["num_escaped"] for e in escapes]
        ratio = rate_ratio_interval(counts[0], waited[0], counts[1], waited[1])
        claim = f"TRM escapes {times:g} times as fast per {unit}"
        words = (
            f"TRM {counts[0]} in {waited[0]}, HRM {counts[1]} in {waited[1]}: ratio "
            f"{ratio.value:.2g} [{ratio.low:.2g}, {ratio.high:.2g}]"
        )
        faster = True if ratio.low > 1 and ratio.high > times else None
        refuted = ratio.high < times
        found.append(Claim("both", claim, words, False if refuted else faster))
    return found


def _judge(model: str, claim: str, found: str, holds: bool | None, number: int) -> Claim:
    """Returns a claim about a group of so many puzzles; it stays open where they are few."""
    return Claim(model, claim, found, holds if number >= FEW else None)


def _decide(estimate: dict[str, Any], bound: float) -> bool | None:
    """Returns whether the 95 % interval lies above a bound, or None where it contains the bound."""
    if _low(estimate) > bound:
        return True
    return False if _high(estimate) < bound else None


def _value(estimate: dict[str, Any]) -> float:
    return _number(estimate["value"])


def _low(estimate: dict[str, Any]) -> float:
    return _number(estimate["low"])


def _high(estimate: dict[str, Any]) -> float:
    return _number(estimate["high"])


def _number(value: Any) -> float:
    """Reads a number from JSON, which has null for NaN and words for infinities."""
    return float("nan") if value is None else float(value)


def _interval(estimate: dict[str, Any], digits: int = 2) -> str:
    value, low, high = _value(estimate), _low(estimate), _high(estimate)
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def _table(found: list[Claim]) -> Table:
    rows = [(c.model, c.claim, c.found, _verdict(c.holds)) for c in found]
    notes = [
        "holds: the 95 % interval lies on the side of the claim; open: it has both sides, or a "
        f"group has fewer than {FEW} puzzles"
    ]
    number = sum(claim.holds is True for claim in found)
    headline = f"{number} of {len(found)} claims hold for the models that were run"
    return Table(headline, ("model", "claim", "found here", "verdict"), rows, notes)


def _verdict(holds: bool | None) -> str:
    return {True: "holds", False: "does not hold", None: "open"}[holds]
