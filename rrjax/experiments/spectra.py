"""Lyapunov spectra of a model on many puzzles: are the puzzles that it fails chaotic?"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from rrjax.analysis import outcome
from rrjax.analysis.attribution import Attribution
from rrjax.analysis.table import Table
from rrjax.checks import check_count, refuse
from rrjax.choices import AskedChunkSize, DefaultPrecision, Outcome
from rrjax.contract import Dynamics, State, named_fields
from rrjax.dynamics.rollout import whole_norm
from rrjax.dynamics.spectrum import spectrum as measure_spectrum
from rrjax.experiments import attribution as vectors
from rrjax.experiments import certificates, paths, votes
from rrjax.experiments.experiment import Experiment, Job, precision_notes
from rrjax.experiments.judging import outcome_arrays
from rrjax.experiments.reasoner import Puzzles, Reasoner, bind, read_answer
from rrjax.experiments.votes import make_copies, vote_arrays, vote_notes
from rrjax.frames import Frame, dimension, norms
from rrjax.plots.board import unstable_cells
from rrjax.plots.canvas import Draw
from rrjax.plots.outcome import lambda1_histogram, spectrum_by_outcome
from rrjax.puzzles.batch import Batch
from rrjax.puzzles.difficulty import CLUES, difficulty
from rrjax.reports import outcome as outcome_report
from rrjax.reports.attribution import attribution_notes
from rrjax.reports.findings import spectrum_findings
from rrjax.results.axes import ArraySpec
from rrjax.results.results import Results

ARRAYS = (
    {
        "exponents": ArraySpec(("puzzle", "exponent"), "nats per update"),
        "log_growth": ArraySpec(("puzzle", "update", "exponent"), "nats"),
        "drift_": ArraySpec(("puzzle", "segment"), "norm of the change of a state over a segment"),
        "answers": ArraySpec(("puzzle", "cell"), "token", "i"),
        "q_halt": ArraySpec(("puzzle",), "logit of 'the answer is right'"),
        "finite": ArraySpec(("puzzle",), "whether no number of the run was NaN or infinite", "b"),
        "failed_at": ArraySpec(
            ("puzzle",), "update, from 0, at which the run was not finite; -1: none", "i"
        ),
        "solved": ArraySpec(("puzzle",), "whether the last answer is right", "b"),
        "solved_by_segment": ArraySpec(
            ("puzzle", "segment"), "whether the answer after it is right", "b"
        ),
        "q_halt_by_segment": ArraySpec(
            ("puzzle", "segment"), "logit of 'the answer is right', after the segment"
        ),
        "residual": ArraySpec(
            ("puzzle", "segment"),
            "norm of the change over a segment / norm of the state after it",
        ),
        "least_sine": ArraySpec(
            ("puzzle",), "sine of the least angle between a tangent vector and those before it"
        ),
    }
    | outcome_arrays("puzzle", "segment")
    | paths.path_arrays("puzzle")
    | vectors.ARRAYS
    | certificates.ARRAYS
    | votes.ARRAYS
)

BY_SEGMENT = {"log_growth": ArraySpec(("puzzle", "segment", "exponent"), "nats")}
"""The arrays that have other axes where a QR is done after every segment."""


def spectrum(
    model: Reasoner,
    puzzles: Puzzles,
    *,
    num_exponents: int = 8,
    num_segments: int = 16,
    seed: int = 0,
    precision: DefaultPrecision = "auto",
    segments_per_qr: int | None = None,
    attribution: bool = False,
    num_certified: int | None = None,
    symmetries: int = 1,
    outcome: Outcome = "auto",
    folder: str | Path | None = None,
    chunk_size: AskedChunkSize = "auto",
    shard: str | None = None,
    progress: bool = True,
) -> Results:
    """Measures Lyapunov spectra of a model on many puzzles, and compares solved with failed ones.

    If it is cut off, the same request with the same folder goes on where it stopped.

    Args:
      model: A model, or any `Reasoner`.
      puzzles: The puzzles, N of them.
      num_exponents: The number k of leading exponents of each puzzle.
      num_segments: Number of segments of each run.
      seed: Seed of all random numbers: initial tangent vectors, noise and random directions.
      precision: How matrix products are computed. On an NVIDIA card split is faster than exact,
        tf32 faster than split, and f16 and bf16 are the fastest. States along which exponents are
        measured are computed in split at least. For spectra the default auto stands for exact on a
        processor, and on an accelerator for the fastest that is accurate enough. Other experiments
        have the default exact.
      segments_per_qr: With 1, the tangent vectors get a QR after every segment instead of every
        update, which saves some 6 % of the time of a spectrum in f16 on an accelerator. Growth is
        then known for each segment only, and the certificate includes what this changes. No other
        number is accepted, because results are kept for each segment.
      attribution: Also keep where the leading vectors lie, by field of the state, token and
        segment.
      num_certified: Number of puzzles, half of them solved and half failed where possible, whose
        exponents are compared with float64 along the same states. Without it there are 4, or none
        where products are exact and each update has its QR.
      symmetries: The number K of symmetric copies of each Sudoku or maze that vote for an answer
        after the last segment. The puzzle itself is the first of them. The copies take K more runs
        of each puzzle without tangents; 1 means no votes.
      outcome: Which answers count as right: the labelled one (exact_match), any valid_path or
        shortest_path through a maze, or any board that obeys_rules of Sudoku. With auto a maze
        needs a shortest path, Sudokus of which some have no label need to obey the rules, and all
        other puzzles need the labelled answer. Results of mazes hold all three, so that another
        choice computes nothing again.
      folder: Folder for chunks and results; without it all is kept in memory.
      chunk_size: Number of runs that are computed together, at most all of them. With auto a folder
        keeps the number it began with. New results take as many as fit the cache of a processor, or
        as many as keep an accelerator busy and fit its memory. Another number changes the results
        by round-off, which chaos magnifies.
      shard: Which share of the work this job computes: i/n for the i-th (from 0) of n jobs that
        share the folder, or slurm for the share of this task of a Slurm array. Without it the job
        computes all.
      progress: Whether a progress bar is shown.

    Returns:
      `exponents` (N, k) in nats per update, `log_growth` (N, updates, k) in nats; `drift_z_H` and
      so on, `residual`, `q_halt_by_segment` and `solved_by_segment` (N, segments); `solved`,
      `finite`, `failed_at` and `q_halt` (N,); `inputs`, `labels` and `answers` (N, seq) tokens, and
      the path of each run (`rrjax.experiments.paths`): `answers_by_segment`, `projection` and
      `distance_to_end` after the segments `snapshot`. Mazes and Sudokus without labels also have
      the outcomes by name, (N, segments) booleans. With symmetries also `vote_solved` booleans and
      `vote_share` (N,). With attribution also `participation_z_H` and so on
      (N, segments, k, tokens). With a certificate also `certified` (c,) puzzles,
      their `tangent_error` (c, k), `lambda1_of_exact_states` and `lambda1_of_states` (c,). With
      `segments_per_qr` the growth is (N, segments, k), and `least_sine` (N,) tells how close the
      tangent vectors came to each other.

    Raises:
      ValueError: The puzzles or sizes do not fit the model, or the folder holds another run.

    Example:
      >>> model = rrjax.load_model("models/tiny")  # or "trm-sudoku6"
      >>> puzzles = rrjax.puzzles.read("data/tiny", max_puzzles=2)
      >>> run = rrjax.experiments.spectrum(
      ...     model, puzzles, num_exponents=1, num_segments=1, progress=False
      ... )
      >>> run.exponents.shape, run.solved.shape
      ((2, 1), (2,))
    """
    check_count("num_exponents", num_exponents, least=1)
    if segments_per_qr not in (None, 1):
        refuse("segments_per_qr", "be 1 or None: results are kept by segment", segments_per_qr)
    kind = SPECTRUM if segments_per_qr is None else replace(SPECTRUM, arrays=ARRAYS | BY_SEGMENT)
    place = folder, chunk_size, shard
    job = Job(kind, model, puzzles, num_segments, seed, precision, *place, progress, outcome)
    copies = make_copies(job, symmetries)
    num_to_certify = certificates.number_to_certify(job, segments_per_qr, num_certified)
    kept = kept_segments(num_segments, attribution)
    compute = partial(_measure, job, num_exponents, segments_per_qr, attribution, kept)
    shared = getattr(model, "params", ()), paths.matrix_of(job.dynamics)
    options = {
        "num_exponents": num_exponents,
        "segments_per_qr": segments_per_qr,
        "attribution": attribution,
    }
    number = len(puzzles.inputs)
    identity = {"puzzles": job.described_puzzles["sha256"], **options, **paths.IDENTITY}
    arrays = job.sweep(compute, job.with_keys, number, num_exponents, identity, shared)
    arrays = job.judge.with_solved(arrays, "solved_by_segment")
    arrays |= {"solved": arrays["solved_by_segment"][:, -1]} | paths.puzzle_arrays(puzzles)
    arrays = paths.with_projection(arrays, job, kept)
    chosen = certificates.choose_puzzles(arrays["solved"], arrays["finite"], num_to_certify)
    arrays |= certificates.certificate(job, num_exponents, segments_per_qr, chosen)
    arrays |= vote_arrays(job, copies)
    clock = "update" if segments_per_qr is None else "segment"
    facts = {"clock": clock, "unit": "nats per update", "symmetries": symmetries}
    return job.results(arrays, options, **facts, dimension=dimension(job.dynamics.initial))


def kept_segments(num_segments: int, attribution: bool) -> np.ndarray:
    """Returns the segments whose answers are kept: with attribution, whose boards show all, all."""
    return np.arange(1, num_segments + 1) if attribution else paths.snapshots(num_segments)


def _measure(
    job: Job,
    num_exponents: int,
    segments_per_qr: int | None,
    attributed: bool,
    kept: np.ndarray,
    shared: tuple[Any, jax.Array],
    chunk: tuple[Batch, jax.Array],
) -> dict[str, jax.Array]:
    params, matrix = shared

    def one(puzzle: Batch, key: jax.Array) -> dict[str, jax.Array]:
        dynamics = bind(job.model, params, puzzle)
        result = measure_spectrum(
            dynamics,
            num_exponents,
            job.num_segments,
            key=key,
            precision=job.precision,
            segments_per_qr=segments_per_qr,
            observe=Partial(_observe_vectors if attributed else _observe, matrix),
        )
        last = read_answer(dynamics, result.state)
        observed = dict(result.observed)
        snapshot = {name: observed.pop(name)[kept - 1] for name in paths.TAKEN}
        answers = result.observed["answers_by_segment"]
        residual = whole_norm(result.drift) / observed.pop("size")
        arrays = {
            **job.judge(puzzle, job.judge.path_length(puzzle), answers),
            "exponents": result.exponents,
            "log_growth": result.log_growth,
            "answers": last.logits.argmax(-1),
            "q_halt": last.q_halt,
            "residual": residual.astype(jnp.float32),
            "finite": result.finite,
            "failed_at": result.failed_at,
        }
        if result.least_sine is not None:
            arrays["least_sine"] = result.least_sine
        drift = {f"drift_{name}": norm for name, norm in named_fields(result.drift).items()}
        return arrays | drift | observed | snapshot

    return jax.vmap(one)(*chunk)


def _observe(
    matrix: jax.Array, dynamics: Dynamics, before: State, after: State, frame: Frame
) -> dict[str, jax.Array]:
    q_halt = read_answer(dynamics, after).q_halt.astype(jnp.float32)
    numbers = {"q_halt_by_segment": q_halt, "size": whole_norm(norms(after))}
    return numbers | paths.take_snapshot(matrix, dynamics, after)


def _observe_vectors(
    matrix: jax.Array, dynamics: Dynamics, before: State, after: State, frame: Frame
) -> dict[str, jax.Array]:
    return vectors.shares_of(frame) | _observe(matrix, dynamics, before, after, frame)


@dataclass(frozen=True)
class AttributedSummary(outcome.Summary):
    """The summary of a spectrum with attribution.

    Attributes:
      attribution: Where the first vector lies after the last segment.
      num_segments: Number of segments.
    """

    attribution: Attribution
    num_segments: int


def check(options: Mapping[str, Any], board: int | None = None) -> None:
    """Refuses the board of a puzzle that is not there, or whose vectors were not kept."""
    if board is None:
        return
    if not options["attribution"]:
        raise ValueError("board is drawn with attribution only: add --attribution")
    if not 0 <= board < options["num_puzzles"]:
        raise ValueError(f"board must lie in 0..{options['num_puzzles'] - 1}, got {board}")


def numbers(results: Results) -> outcome.Summary:
    """Returns the solved puzzles against the failed ones; medians, AUC, and λ₁'s rivals."""
    summary = outcome.summarize(
        results["exponents"],
        results["solved"],
        results[results.answer_drift],
        results["finite"],
        log_growth=results["log_growth"] / updates_per_row(results),
        dimension=results.record["dimension"],
        **_scores(results),
    )
    if not results.record["options"]["attribution"]:
        return summary
    attribution = vectors.summarize_attribution(results)
    number = results.record["options"]["num_segments"]
    return AttributedSummary(**vars(summary), attribution=attribution, num_segments=number)


def updates_per_row(results: Results) -> int:
    """Returns how many updates a row of `log_growth` sums over: those from one QR to the next."""
    by_segment = results.record.get("clock") == "segment"
    return results.record["updates_per_segment"] if by_segment else 1


def _scores(results: Results) -> dict[str, Any]:
    """Returns what else may tell solved from failed puzzles, difficulty and q_halt, with notes."""
    measured = difficulty(results["inputs"], results.record["puzzles"].get("vocab_size", 0))
    scores = {
        name if name == CLUES else f"−{name}": values if name == CLUES else -values
        for name, values in measured.numbers.items()
    }
    scores["q_halt"] = np.asarray(results["q_halt"], np.float64)
    harder = {name: values for name, values in measured.numbers.items() if name != CLUES}
    return {"scores": scores, "score_notes": measured.notes, "difficulty": harder}


def tables(summary: outcome.Summary) -> list[Table]:
    """Returns the tables of a spectrum, with where the vectors lie below the first."""
    table, *others = outcome_report.tables(summary)
    if isinstance(summary, AttributedSummary):
        notes = attribution_notes(summary.attribution, summary.num_segments)
        table = table._replace(notes=[*table.notes, *notes])
    return [table, *others]


def figures(results: Results, board: int | None = None) -> Mapping[str, Draw]:
    """Returns the figures of a spectrum.

    Args:
      results: The spectrum.
      board: The puzzle whose board is drawn, counted from 0, instead of those of the first failed
        and the first solved puzzle. It needs attribution.
    """
    drift = results[results.answer_drift]
    keep = outcome.usable_runs(results["exponents"], drift, results["finite"])
    groups = results["exponents"][keep], results["solved"][keep]
    draws: dict[str, Draw] = {
        "lambda1_by_outcome": partial(lambda1_histogram, *groups),
        "spectrum_by_outcome": partial(spectrum_by_outcome, *groups),
    }
    attributed = results.record["options"]["attribution"]
    if attributed and (boards := vectors.choose_boards(results, board)):
        draws["unstable_cells"] = partial(unstable_cells, boards, vectors.state_names(results))
    return draws


def notes(results: Results) -> list[str]:
    """Returns what votes solve, and how exactly a spectrum was computed."""
    return [
        *vote_notes(results),
        *precision_notes(results),
        *_cadence_notes(results),
        *certificates.certificate_notes(results),
    ]


def _cadence_notes(results: Results) -> list[str]:
    """Returns how close the vectors came between two QRs; nothing where each update has its QR."""
    if "least_sine" not in results:
        return []
    finite = results["finite"]
    sines, unresolved = results["least_sine"][finite], np.isnan(results["exponents"][finite])
    least = f"{sines.min():.2g}" if len(sines) else "undefined"
    return [
        "Tangent vectors had a QR after every segment. The least sine of an angle between them was "
        f"{least}; in {unresolved.any(axis=1).sum()} of {len(sines)} finite puzzles they came too "
        "close for some exponent, which is NaN."
    ]


def closing(numbers: outcome.Summary, folder: Path) -> list[str]:
    """Returns what was seen, and the command that says more."""
    finding = outcome_report.conclusion(numbers.exponent_auc[0])
    if not min(numbers.num_solved, numbers.num_failed):
        return [
            finding,
            "To compare, measure more puzzles (--num-puzzles or --puzzles, and --out).",
        ]
    command = f"rrjax analyse {shlex.quote(str(folder))}"
    return [finding, f"To see who settled, and what difficulty explains, run {command}"]


SPECTRUM = Experiment(
    "spectrum", ARRAYS, numbers, tables, figures, check, notes, closing, spectrum_findings
)
