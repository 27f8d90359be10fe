"""The main findings of a run in at most five sentences, each with its numbers and intervals."""

import math
from collections.abc import Mapping

import numpy as np

from rrjax.analysis import format as words
from rrjax.analysis.findings import Share, at_rest, freed, lambda1_of_runs, positive_lambda1, share
from rrjax.analysis.intervals import Interval
from rrjax.analysis.outcome import Summary
from rrjax.analysis.restarts import BasinSummary
from rrjax.analysis.rivals import Rival
from rrjax.analysis.rollouts import RolloutSummary
from rrjax.analysis.survival import rest_tolerance
from rrjax.reports.outcome import conclusion
from rrjax.results.results import Results

_NOT_DIFFICULTIES = ("q_halt", "−late drift")
"""Rivals of λ₁ that are measured along the run."""

_NO_FAILURES = "There are no failures in this run."
_NO_LAMBDA1 = "λ₁ is not known of any run."
_NO_EXPONENTS = {
    "rollout": "A rollout measures no exponents: rrjax spectrum tells what λ₁ says of the outcome.",
    "basin": "No exponents were measured: --num-exponents 1 measures λ₁ from every start.",
}


def spectrum_findings(results: Results, summary: Summary) -> list[str]:
    """Returns what is solved, what λ₁ tells of it, and what becomes of the failures.

    Args:
      results: The spectrum.
      summary: Its numbers.
    """
    last = results.record["options"]["num_segments"]
    exponents, solved, finite = (results[name] for name in ("exponents", "solved", "finite"))
    if _num_unlabelled(results) == len(solved):
        return _without_labels(results, results.get("residual"), last, exponents, finite)
    sentences = [_solved(results, {last: share(solved)}, int(np.sum(~finite)))]
    if summary.num_solved + summary.num_failed:
        sentences.append(_lambda1(summary.exponent_auc[0], summary.rivals))
    else:
        sentences.append(_NO_LAMBDA1)
    failed = ~solved
    if not failed.any():
        return [*sentences, _NO_FAILURES]
    return [
        *sentences,
        _at_rest(results, results.get("residual"), last, failed, "failure"),
        "How many failures escape later, or from another start, is not measured by a spectrum: "
        "rrjax rollout and rrjax basin tell.",
        _positive(positive_lambda1(exponents, finite, failed), "failure"),
    ]


def rollout_findings(results: Results, summary: RolloutSummary) -> list[str]:
    """Returns what is solved at the readout, at the end and at some segment, and who escapes.

    Args:
      results: The rollouts.
      summary: Their numbers.
    """
    solved, residual = results["solved"], results["residual"]
    readout, last = summary.at_readout.segment, summary.at_end.segment
    if _num_unlabelled(results) == len(solved):
        return [*_without_labels(results, residual, last), _NO_EXPONENTS["rollout"]]
    at = {segment: share(solved[:, segment - 1]) for segment in (readout, last)}
    sentences = [
        _solved(results, at, summary.num_not_finite),
        _solved_at_some(share(np.asarray(solved.any(axis=1))), summary),
    ]
    failed = ~solved[:, readout - 1]
    if not failed.any():
        return [*sentences, _NO_FAILURES, _NO_EXPONENTS["rollout"]]
    rest = Share(summary.escape.num_at_rest, summary.escape.num_failures)
    return [
        *sentences,
        _rest_sentence(rest, last, "failure"),
        _escape(summary),
        _NO_EXPONENTS["rollout"],
    ]


def basin_findings(
    results: Results, summary: BasinSummary, difficulty: Mapping[str, np.ndarray]
) -> list[str]:
    """Returns what is solved from z0, what λ₁ tells of it, and which failures restarts free.

    Args:
      results: The runs of all starts.
      summary: Their numbers.
      difficulty: Integers (N,) by name that tell how hard each puzzle is.
    """
    readout, last = summary.readout_segment, summary.num_segments
    z0 = results["sigma"] == 0
    solved, residual = results["solved"][:, z0][:, 0], results["residual"][:, z0]
    finite = np.isfinite(residual[:, 0])
    exponents = results["exponents"][:, z0][:, 0] if "exponents" in results else None
    if _num_unlabelled(results) == len(solved):
        return _without_labels(results, residual, last, exponents, finite)
    sentences = [_solved(results, {readout: share(solved[:, readout - 1])}, int(np.sum(~finite)))]
    if exponents is None:
        sentences.append(_NO_EXPONENTS["basin"])
    elif np.isnan(exponents[:, 0]).all():
        sentences.append(_NO_LAMBDA1)
    else:
        sentences.append(_lambda1(*lambda1_of_runs(exponents, solved[:, -1], difficulty)))
    failed = ~solved[:, readout - 1]
    if not failed.any():
        return [*sentences, _NO_FAILURES]
    sentences += [
        _at_rest(results, residual, last, failed, "failure"),
        _freed(freed(results["solved"], results["sigma"], failed), summary),
    ]
    if exponents is None:
        return [*sentences, _start_decides(summary)]
    return [*sentences, _positive(positive_lambda1(exponents, finite, failed), "failure")]


def _without_labels(
    results: Results,
    residual: np.ndarray | None,
    last_segment: int,
    exponents: np.ndarray | None = None,
    finite: np.ndarray | None = None,
) -> list[str]:
    """Returns what is known of all runs where it is not known which of them are failures."""
    everyone = np.ones(len(results["labels"]), bool)
    sentences = [
        "No puzzle of this run has a label, so it is not known what the model solved.",
        _at_rest(results, residual, last_segment, everyone, "run"),
    ]
    if exponents is None or finite is None:
        return sentences
    return [*sentences, _positive(positive_lambda1(exponents, finite, everyone), "run")]


def _num_unlabelled(results: Results) -> int:
    """Returns how many puzzles have no known label, where answers are judged by these."""
    if results.record.get("outcome", "exact_match") != "exact_match" or "labels" not in results:
        return 0
    return int(np.sum((results["labels"] < 0).all(axis=1)))


def _solved(results: Results, by_segment: Mapping[int, Share], num_broken: int) -> str:
    parts = [
        f"{_of(each, 'puzzle')} after {words.count(segment, 'segment')}{_percent(each)}"
        for segment, each in by_segment.items()
    ]
    remarks = ""
    if unlabelled := _num_unlabelled(results):
        verbs = ("has", "counts") if unlabelled == 1 else ("have", "count")
        puzzles = words.count(unlabelled, "puzzle")
        remarks += f"; {puzzles} {verbs[0]} no label and {verbs[1]} as failed"
    if num_broken:
        verb = "was" if num_broken == 1 else "were"
        remarks += f"; {words.count(num_broken, 'run')} {verb} not finite"
    return f"The model solved {', and '.join(parts)}{remarks}."


def _solved_at_some(share: Share, summary: RolloutSummary) -> str:
    verb, readout = "was" if share.count == 1 else "were", summary.at_readout.segment
    lost = ""
    if readout < summary.at_end.segment:
        lost = f"; {summary.num_lost} lost the answer of segment {readout} by the end"
    return f"{_of(share, 'puzzle')} {verb} right after some segment{_percent(share)}{lost}."


def _lambda1(auc: Interval, rivals: list[Rival]) -> str:
    """Returns what λ₁ tells of the outcome, and what it tells where the difficulty is equal."""
    sentence = conclusion(auc)
    if math.isnan(auc.low):
        return sentence
    rival = next((each for each in rivals if each.name not in _NOT_DIFFICULTIES), None)
    if rival is None:
        return sentence.removesuffix(".") + "; how hard these puzzles are is not known."
    name, given = rival.name.removeprefix("−"), rival.lambda1_given
    sentence = sentence.removesuffix(".")
    if math.isnan(given.value):
        return f"{sentence}; no solved and failed puzzle have equal {name}."
    if given.excludes(0.5):
        verdict = f"so that λ₁ tells more than {name} alone"
    else:
        verdict = f"which does not show that λ₁ tells more than {name} alone"
    measured = words.interval_in_words(given)
    return f"{sentence}, and {measured} between puzzles with equal {name}, {verdict}."


def _at_rest(
    results: Results, residual: np.ndarray | None, last_segment: int, group: np.ndarray, noun: str
) -> str:
    if residual is None:
        return "This result holds no residuals, so it is not known which runs are at rest."
    tolerance = rest_tolerance(results.record["options"]["dtype"])
    return _rest_sentence(at_rest(residual, tolerance, group), last_segment, noun)


def _rest_sentence(rest: Share, last_segment: int, noun: str) -> str:
    verb = "is" if 1 in (rest.count, rest.total) else "are"
    where = "" if noun == "run" else " at a wrong answer"
    return (
        f"{_of(rest, noun)} {verb} at rest{where} after segment {last_segment}{_percent(rest)}; "
        "further segments change nothing in a run at rest."
    )


def _escape(summary: RolloutSummary) -> str:
    escape, readout = summary.escape, summary.at_readout.segment
    if not escape.segments_watched:
        return f"There is no segment after {readout}, so it is not known how many failures escape."
    escaped = Share(escape.num_escaped, escape.num_failures)
    later = words.count(escape.segments_watched, "segment")
    kept = f"; {escape.num_kept} of these kept the answer to the end" if escape.num_escaped else ""
    return (
        f"{_of(escaped, 'failure')} at segment {readout} escaped in the {later} after it"
        f"{_percent(escaped)}{kept}."
    )


def _freed(share: Share, summary: BasinSummary) -> str:
    number = summary.num_runs - 1
    starts = "the restart" if number == 1 else f"one or more of {number} restarts"
    verb = "was" if 1 in (share.count, share.total) else "were"
    return (
        f"{_of(share, 'failure')} at segment {summary.readout_segment} {verb} solved from {starts}"
        f" after some segment{_percent(share)}."
    )


def _start_decides(summary: BasinSummary) -> str:
    decided = Share(len(summary.start_determined), summary.num_puzzles)
    return (
        f"The start decides about {_of(decided, 'puzzle')}{_percent(decided)}: some starts solve "
        "them and others do not."
    )


def _positive(share: Share, noun: str) -> str:
    if not share.total:
        return f"λ₁ is not known of any of {words.count(share.num_unknown, noun)}."
    rest = f"; of {share.num_unknown} more it is not known" if share.num_unknown else ""
    return f"λ₁ is positive in {_of(share, noun)}{_percent(share)}{rest}."


def _of(share: Share, noun: str) -> str:
    return f"{share.count} of {words.count(share.total, noun)}"


def _percent(share: Share) -> str:
    """Returns the fraction with its interval as a sentence has it; of one puzzle there is none."""
    if share.total < 2:
        return ""
    return ", " + words.percent_in_words(share.fraction)
