"""`rrjax inside`: why a failure fails; each question is a command of its own."""

from collections.abc import Sequence

from rrjax.checks import brief, nearest
from rrjax.commands.job import Job
from rrjax.commands.options import Options
from rrjax.commands.recorded import RecordedJob

QUESTIONS: dict[str, tuple[Job, str]] = {
    "erase": (
        Job("erase", "erasing", words="inside erase"),
        "what does the model lose with a probe's directions, against random ones?",
    ),
    "fixed-points": (
        Job("fixed_points", "points", words="inside fixed-points"),
        "does a run approach a fixed point or a cycle, how stable, with which answer?",
    ),
    "growth": (
        Job("growth", "growths", words="inside growth"),
        "which sub-layer, field, update and cell makes the growth, by outcome?",
    ),
    "meaning": (
        Job("meaning", "vectors", words="inside meaning"),
        "do leading vectors lie along what probes read, and what is read when growth falls?",
    ),
    "circuits": (
        Job("circuits", "singles", words="inside circuits"),
        "what do naked singles need: rows, columns, channels, or the clues of their peers?",
    ),
    "logits": (
        Job("logits", "logit_terms", words="inside logits"),
        "of which stages, channels and clues is the logit of an answer made?",
    ),
    "mixing": (
        Job("mixing", "mixings", words="inside mixing"),
        "do the weights between tokens follow the graph of a Sudoku's constraints?",
    ),
    "patch": (
        Job("patching", "patches", words="inside patch"),
        "what of another run frees a failure or breaks a solved run?",
    ),
    "kick": (
        Job("kicking", "kicks", words="inside kick"),
        "does a push along a covariant vector, a gradient or a probe's direction free a failure?",
    ),
    "probe": (
        RecordedJob("probe", "probes", words="inside probe"),
        "what does a linear map read from the states: digits, candidates, conflicts, the outcome?",
    ),
    "states": (
        Job("states", "recording", words="inside states"),
        "records the states after every segment, for the questions that read them",
    ),
    "blanks": (
        Job("blanks", "fillings", words="inside blanks"),
        "how many cells can be blank, and how many segments do they take?",
    ),
    "neurons": (
        RecordedJob("neurons", "neuron_scores", words="inside neurons"),
        "what do single channels follow, and what does a mean over puzzles hide?",
    ),
    "information": (
        RecordedJob("information", "information_plane", words="inside information"),
        "how much do blank cells tell of the answer and of the givens around them?",
    ),
    "dimension": (
        RecordedJob("dimension", "dimensions", words="inside dimension"),
        "how many dimensions do the states have, by segment and outcome?",
    ),
    "similarity": (
        RecordedJob("similarity", "similarities", words="inside similarity"),
        "how alike are the states after different segments, and does that tell the outcome?",
    ),
}
"""By the name of each question its command, and what it answers."""


def parse(arguments: Sequence[str]) -> Options:
    """Returns the options on the command line of a question."""
    question, *words = arguments
    return _job(question).parse(words)


def main(arguments: Sequence[str]) -> None:
    """Answers the question that the first word names."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_usage())
        raise SystemExit(0 if arguments else 2)
    question, *words = arguments
    _job(question)(words)


def _job(question: str) -> Job:
    if question not in QUESTIONS:
        closest = nearest(question, QUESTIONS)
        raise ValueError(f"unknown question {brief(question)}{closest} (see rrjax inside --help)")
    return QUESTIONS[question][0]


def _usage() -> str:
    rows = "\n".join(f"  {name:14s} {text}" for name, (_, text) in QUESTIONS.items())
    return f"""usage: rrjax inside QUESTION [MODEL] [OPTIONS]

{rows}

`rrjax inside QUESTION --help` lists the options of a question."""
