"""What probes are fitted on: the cells of two halves of the puzzles, after each segment."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np

from rrjax.checks import refuse
from rrjax.experiments.controlled import TRAINED
from rrjax.experiments.experiment import Job
from rrjax.experiments.recording import Recording, recordings
from rrjax.experiments.recording import states as record_states
from rrjax.inside.probes import Whitening, control_values, shuffled_within, whitening
from rrjax.jobs.sweep import IDENTITY
from rrjax.puzzles.meanings import Meaning, meanings
from rrjax.results.results import Results, read_results
from rrjax.store.claims import check_holds

if TYPE_CHECKING:
    from rrjax.choices import Outcome


class Halves(NamedTuple):
    """Which puzzles fit probes, and which score them: numbers in ascending order."""

    train: np.ndarray
    held_out: np.ndarray


def split(num_puzzles: int, seed: int) -> Halves:
    """Returns a random half of the puzzles, and the other half."""
    drawn = np.random.default_rng((seed, 0)).permutation(num_puzzles)
    half = num_puzzles // 2
    return Halves(np.sort(drawn[:half]), np.sort(drawn[half:]))


def recorded(job: Job, folder: str | Path | None) -> tuple[Recording, int]:
    """Returns recorded states of a job's model and puzzles, and the number of token values.

    Args:
      job: The model, the puzzles, and the segments that are needed.
      folder: Where they were recorded; None records them, in FOLDER-states beside the job's folder,
        which is still free for the job's own sweep then, or in memory without one.

    Raises:
      ValueError: They are of another model, of other puzzles, or of fewer segments, or the job's
        folder holds something else.
    """
    if job.folder is not None:
        check_holds(Path(job.folder), IDENTITY)  # before states are recorded for it
    if folder is None:
        own = None if job.folder is None else Path(f"{job.folder}-states")
        results = record_states(
            job.model,
            job.puzzles,
            num_segments=job.num_segments,
            untrained=False,
            outcome=cast("Outcome", job.outcome),
            folder=own,
            progress=job.progress,
        )
    else:
        results = read_results(folder)
    both = recordings(results)
    for what, described, other in (
        ("model", job.described_model, "another model"),
        ("puzzles", job.described_puzzles, "other puzzles"),
    ):
        if results.record[what]["sha256"] != described["sha256"]:
            raise ValueError(f"states: {folder} holds states of {other}; record them again")
    if both[TRAINED].solved.shape[1] != job.num_segments:
        refuse("states", f"be of {job.num_segments} segments", both[TRAINED].solved.shape[1])
    first = both[TRAINED]
    return first, vocab_size_of(results, first)


def meaning_named(recording: Recording, vocab_size: int, name: str) -> Meaning:
    """Returns one of the things that states may say; refuses an unknown name."""
    every = {m.name: m for m in meanings_of(recording, vocab_size)}
    if name not in every:
        refuse("target", f"be among {', '.join(every)}", name)
    return every[name]


def vocab_size_of(results: Results, recording: Recording) -> int:
    """Returns the number of token values of recorded puzzles."""
    return results.record["puzzles"].get("vocab_size") or int(recording.labels.max()) + 1


class Cells(NamedTuple):
    """The cells of one half of the puzzles that a meaning asks for, one after another.

    Attributes:
      states: (n, channels) whitened.
      values: (n,)
      control: (n,) the values of the control task; None without one.
      puzzles: (n,) place of each cell's puzzle in the half.
      num_puzzles: Puzzles of the half.
    """

    states: np.ndarray
    values: np.ndarray
    control: np.ndarray | None
    puzzles: np.ndarray
    num_puzzles: int


class Plan(NamedTuple):
    """What is read from which recorded states, with the control task of each meaning."""

    recording: Recording
    meanings: list[Meaning]
    controls: list[np.ndarray | None]
    halves: Halves
    seed: int
    ranks: tuple[int, ...] = ()
    num_permutations: int = 0

    @staticmethod
    def of(
        recording: Recording, vocab_size: int, names: Sequence[str], halves: Halves, seed: int
    ) -> "Plan":
        chosen = [m for m in meanings_of(recording, vocab_size) if m.name in names]
        types = _types(recording.inputs, vocab_size)
        controls = [
            None if m.of_puzzle else _control(np.random.default_rng((seed, 1, i)), m, types)
            for i, m in enumerate(chosen)
        ]
        return Plan(recording, chosen, controls, halves, seed)

    @property
    def num_classes(self) -> int:
        """The number of classes of the meaning that has most."""
        return max((m.num_classes for m in self.meanings), default=0)


def meanings_of(recording: Recording, vocab_size: int) -> list[Meaning]:
    """Returns everything that states of these puzzles may say."""
    inputs, labels, answers = (
        np.asarray(tokens, np.int64)
        for tokens in (recording.inputs, recording.labels, recording.answers)
    )
    return meanings(inputs, labels, answers, vocab_size)


def _types(inputs: np.ndarray, vocab_size: int) -> np.ndarray:
    """Returns (N, cells) the type of each cell: which cell it is, and its input token."""
    return np.arange(inputs.shape[1]) * vocab_size + inputs


def _control(rng: np.random.Generator, meaning: Meaning, types: np.ndarray) -> np.ndarray:
    """Returns (N, cells) the values of the control task, one for each type."""
    counts = np.broadcast_to(meaning.counts, meaning.values.shape)
    if not counts.any():
        return np.zeros_like(types)
    values = control_values(rng, meaning.values[counts], types.ravel())
    return values.reshape(types.shape)


def why_not_probed(meaning: Meaning, recording: Recording, halves: Halves) -> str:
    """Returns why a meaning cannot be probed; nothing where it can be."""
    counts = np.broadcast_to(meaning.counts, meaning.values.shape)
    train = meaning.values[halves.train][counts[halves.train]]
    if len(np.unique(train)) < 2:
        return "it has one value only in the puzzles that fit the probes"
    channels = max(rows.shape[-1] for rows in recording.fields.values())
    number = len(halves.train) if meaning.of_puzzle else int(counts[halves.train, 0].sum())
    if number <= channels:
        what = "puzzles" if meaning.of_puzzle else "cells"
        return f"{number} {what} fit the probes, and more than {channels} channels are needed"
    return ""


@dataclass
class StateCells:
    """Everything that is read from one field after one segment."""

    plan: Plan
    states: np.ndarray  # (N, cells, channels)
    segment: int

    def __post_init__(self):
        self.pooled = self.states.mean(1, keepdims=True)
        self.whitened: dict[bytes, tuple[Whitening, np.ndarray, np.ndarray]] = {}

    def cells(self, place: int) -> tuple[Whitening, Cells, Cells]:
        """Returns the cells of both halves that a meaning asks for, and how they were whitened."""
        meaning, control = self.plan.meanings[place], self.plan.controls[place]
        at = min(self.segment, meaning.values.shape[1] - 1)
        values = meaning.values[:, at]
        counts = np.broadcast_to(meaning.counts[:, 0], values.shape)
        key = counts.tobytes()
        states = self.pooled if meaning.of_puzzle else self.states
        if key not in self.whitened:
            halves = [states[half][counts[half]] for half in self.plan.halves]
            whiten: Whitening = whitening(halves[0])
            self.whitened[key] = whiten, whiten(halves[0]), whiten(halves[1])
        both = [
            Cells(
                whitened,
                values[half][counts[half]],
                None if control is None else control[half][counts[half]],
                np.nonzero(counts[half])[0],
                len(half),
            )
            for whitened, half in zip(self.whitened[key][1:], self.plan.halves, strict=True)
        ]
        return self.whitened[key][0], both[0], both[1]


def shuffled(rng: np.random.Generator, cells: Cells) -> Cells:
    """Returns the cells with their values permuted within puzzles; puzzles' own among puzzles."""
    groups = 0 * cells.puzzles if cells.control is None else cells.puzzles
    return cells._replace(values=shuffled_within(rng, cells.values, groups))
