"""The certificate of a run's precision: a few of its puzzles held against float64."""

from functools import partial
from pathlib import Path

import jax
import numpy as np

from rrjax.analysis import format as words
from rrjax.checks import check_count
from rrjax.dynamics.certificate import Certificate, certify
from rrjax.experiments import reasoner
from rrjax.experiments.experiment import Job, fold_keys, own_settings
from rrjax.jobs.memory import memory_advice
from rrjax.jobs.progress import progress
from rrjax.jobs.sweep import Sweep, run
from rrjax.keys import make_key
from rrjax.puzzles.batch import Batch
from rrjax.results.axes import ArraySpec
from rrjax.results.results import Results
from rrjax.store import Arrays

_UNIT = "nats per update"
ARRAYS = {
    "certified": ArraySpec(("certified",), "puzzle whose exponents are held against float64", "i"),
    "tangent_error": ArraySpec(
        ("certified", "exponent"), f"{_UNIT}, of exponents against float64 along the same states"
    ),
    "lambda1_of_exact_states": ArraySpec(("certified",), _UNIT),
    "lambda1_of_states": ArraySpec(("certified",), f"{_UNIT}, of states in the run's precision"),
}

DEFAULT_NUMBER = 4
"""Four puzzles cost some 3 % of 512 in tf32, and the compilation of four programs."""


def number_to_certify(job: Job, segments_per_qr: int | None, asked: int | None) -> int:
    """Returns how many puzzles are certified: as asked, else 4 where something may be inexact.

    That is where products are not exact, or in float32 where not every update has its QR.

    Raises:
      ValueError: The number is no count, or a run in float64 is to be held against float64.
    """
    check_count("num_certified", asked, most=len(job.puzzles.inputs))
    if asked and job.dtype != "float32":
        raise ValueError(f"num_certified must be 0 for a run in {job.dtype}, got {asked}")
    coarse = segments_per_qr is not None and job.dtype == "float32"
    default = DEFAULT_NUMBER if coarse or job.precision != "exact" else 0
    return min(default if asked is None else asked, len(job.puzzles.inputs))


def choose_puzzles(solved: np.ndarray, finite: np.ndarray, number: int) -> np.ndarray:
    """Returns the first finite puzzles of both outcomes, half of each as far as there are any."""
    groups = [np.flatnonzero(finite & (solved == outcome)) for outcome in (True, False)]
    half = max(number // 2, number - len(groups[1]))
    first = groups[0][:half]
    return np.sort(np.concatenate([first, groups[1][: number - len(first)]]))


def certificate(
    job: Job, num_exponents: int, segments_per_qr: int | None, puzzles: np.ndarray
) -> Arrays:
    """Returns the arrays of the certificate of some puzzles; nothing where there are none.

    They are kept in the run's folder, below `certificate_N` for N puzzles.
    """
    if not len(puzzles):
        return {}
    folder = None
    if job.folder is not None:
        folder = Path(job.folder) / f"certificate_{len(puzzles)}"
    sizes = num_exponents, segments_per_qr
    names = "puzzles", "num_exponents", "segments_per_qr"
    identity = job.identity(dict(zip(names, (puzzles, *sizes), strict=True)))
    sweep = Sweep(folder, len(puzzles), len(puzzles), identity)
    advice = "--num-certified 0 leaves out the certificate"
    with (
        own_settings(),
        memory_advice(lambda: advice),
        progress("certificate", len(puzzles), job.progress) as bar,
    ):
        arrays = run(sweep, partial(_certify, job, *sizes, puzzles), bar.report)
    return {"certified": puzzles, **arrays}


def _certify(
    job: Job,
    num_exponents: int,
    segments_per_qr: int | None,
    puzzles: np.ndarray,
    chunks: np.ndarray,
) -> dict[str, np.ndarray]:
    (items,) = chunks

    def one(puzzle: Batch, key: jax.Array) -> Certificate:
        dynamics = reasoner.bind(job.model, getattr(job.model, "params", ()), puzzle)
        sizes = num_exponents, job.num_segments
        settings = {"precision": job.precision, "segments_per_qr": segments_per_qr}
        return certify(dynamics, *sizes, key=key, **settings)

    taken = puzzles[items]
    keys = fold_keys(make_key(job.seed), taken)
    certificates = jax.vmap(one)(reasoner.take(job.puzzles, taken), keys)
    named = {
        "tangent_error": certificates.error,
        "lambda1_of_exact_states": certificates.leading_exact,
        "lambda1_of_states": certificates.leading,
    }
    return {name: np.asarray(value)[None] for name, value in named.items()}


def certificate_notes(results: Results) -> list[str]:
    """Returns the certificate of a spectrum in words; nothing where it has none."""
    if "certified" not in results:
        return []
    number, error = len(results["certified"]), np.nanmax(results["tangent_error"])
    cause = "The tangents' rounding"
    if "least_sine" in results:
        cause += ", with its growth between QRs,"
    notes = [
        f"{cause} changes exponents by up to {error:.1g} nats per update (float64 along the same "
        f"states, {words.count(number, 'puzzle')})."
    ]
    if results.record["options"]["precision"] != "exact":
        exact, rounded = results["lambda1_of_exact_states"], results["lambda1_of_states"]
        solved = results["solved"][results["certified"]]
        means = [
            f"{exact[group].mean():.4f} and {rounded[group].mean():.4f} ({group.sum()} {name})"
            for name, group in (("solved", solved), ("failed", ~solved))
            if group.any()
        ]
        notes.append(f"Mean λ₁ of exact and of rounded states: {'; '.join(means)}.")
    return notes
