"""The main findings in sentences: every number is planted, and so is every way to have none."""

import numpy as np
import pytest

from rrjax.analysis import format as words
from rrjax.analysis.controls import auc_given
from rrjax.analysis.intervals import fraction_interval
from rrjax.analysis.separation import auc_interval
from rrjax.experiments.basins import BASIN
from rrjax.experiments.experiment import Experiment
from rrjax.experiments.rollouts import ROLLOUT
from rrjax.experiments.spectra import SPECTRUM
from rrjax.results.results import Results
from tests.tools.made_up import BOARDS
from tests.tools.reported import SIGMA, restarts

NUMBER, SEGMENTS = 20, 6
MOVING, REST = 0.1, 1e-7
OPTIONS = {"num_puzzles": NUMBER, "num_segments": SEGMENTS, "attribution": False}
RECORD = {
    "answer": "z_H",
    "model": {"name": "m", "sha256": "ab" * 32, "provenance": {}},
    "puzzles": {"sha256": "cd" * 32, "vocab_size": 6},
    "options": OPTIONS | {"dtype": "float32"},
    "dimension": 256,
    "updates_per_segment": 2,
}
TOKENS = np.where(BOARDS[:NUMBER] > 0, BOARDS[:NUMBER] + 1, 1).reshape(NUMBER, 16).astype(np.uint8)


def results(kind: Experiment, arrays: dict, **facts) -> Results:
    return kind.results(arrays, RECORD | facts)


def percent(count: int, total: int) -> str:
    return words.percent_in_words(fraction_interval(count, total))


def spectrum_arrays(number: int = NUMBER, num_solved: int = 8) -> dict[str, np.ndarray]:
    """Of 12 failures 9 are chaotic and 3 at rest; one solved puzzle is chaotic."""
    place = np.arange(number)
    solved = place < num_solved
    lambda1 = np.where(solved, -0.2, 0.1) + 0.001 * place
    lambda1[0] = 0.3
    lambda1[place >= 17] = -0.5
    growth = np.repeat(lambda1[:, None, None], 12, axis=1).astype(np.float32)
    residual = np.where((place >= 17)[:, None], REST, np.full((number, SEGMENTS), MOVING))
    return {
        "exponents": growth.mean(1),
        "log_growth": growth,
        "drift_z_H": 50 * residual,
        "residual": residual,
        "solved": solved,
        "finite": np.ones(number, bool),
        "q_halt": np.zeros(number, np.float32),
        "inputs": TOKENS[:number],
        "labels": np.full((number, 16), 2, np.int16),
    }


def told(kind: Experiment, arrays: dict, **facts) -> list[str]:
    return results(kind, arrays, **facts).summary().findings()


def test_a_spectrum_in_five_sentences():
    arrays = spectrum_arrays()
    solved, lambda1, _, later, positive = sentences = told(SPECTRUM, arrays)
    assert solved == f"The model solved 8 of 20 puzzles after 6 segments, {percent(8, 20)}."
    scores = -arrays["exponents"][:, 0].astype(float), arrays["solved"]
    clues = (TOKENS > 1).sum(axis=1)
    plain, given = (
        words.interval_in_words(auc) for auc in (auc_interval(*scores), auc_given(*scores, clues))
    )
    assert f"the AUC of −λ₁ for solved is {plain}, and {given} between puzzles with" in lambda1
    assert sentences[2] == (
        f"3 of 12 failures are at rest at a wrong answer after segment 6, {percent(3, 12)}; "
        "further segments change nothing in a run at rest."
    )
    assert "is not measured by a spectrum: rrjax rollout and rrjax basin tell." in later
    assert positive == f"λ₁ is positive in 9 of 12 failures, {percent(9, 12)}."


def test_what_is_not_known_of_a_spectrum_is_said():
    arrays = spectrum_arrays()
    arrays["exponents"][[9, 10], 0] = np.nan
    arrays["finite"][11] = False
    arrays["labels"][18] = -100
    del arrays["residual"]
    solved, _, rest, _, positive = told(SPECTRUM, arrays)
    remarks = "; 1 puzzle has no label and counts as failed; 1 run was not finite."
    assert solved.endswith(f"{percent(8, 20)}{remarks}")
    assert rest == "This result holds no residuals, so it is not known which runs are at rest."
    expected = f"λ₁ is positive in 6 of 9 failures, {percent(6, 9)}; of 3 more it is not known."
    assert positive == expected


def test_a_spectrum_of_no_exponents():
    arrays = spectrum_arrays()
    arrays["exponents"][:] = np.nan
    sentences = told(SPECTRUM, arrays)
    assert sentences[1] == "λ₁ is not known of any run."
    assert sentences[-1] == "λ₁ is not known of any of 12 failures."
    assert "nan" not in " ".join(sentences).lower()


def test_without_failures_there_is_nothing_to_say_of_them():
    sentences = told(SPECTRUM, spectrum_arrays(num_solved=NUMBER))
    assert sentences[0] == f"The model solved 20 of 20 puzzles after 6 segments, {percent(20, 20)}."
    assert sentences[1].startswith("Too few puzzles were solved, or too few failed")
    assert sentences[2:] == ["There are no failures in this run."]


@pytest.mark.parametrize(("num_solved", "last"), [(1, "There are no failures"), (0, "λ₁ is pos")])
def test_a_single_puzzle_has_no_percentage(num_solved, last):
    sentences = told(SPECTRUM, spectrum_arrays(number=1, num_solved=num_solved))
    assert sentences[0] == f"The model solved {num_solved} of 1 puzzle after 6 segments."
    assert sentences[-1].startswith(last)
    assert "%" not in " ".join(sentences)


def test_without_labels_the_sentences_are_about_all_runs():
    arrays = spectrum_arrays(num_solved=0)
    arrays["labels"][:] = -100
    unknown, rest, positive = told(SPECTRUM, arrays)
    assert unknown == "No puzzle of this run has a label, so it is not known what the model solved."
    assert rest.startswith(f"3 of 20 runs are at rest after segment 6, {percent(3, 20)}")
    assert positive == f"λ₁ is positive in 17 of 20 runs, {percent(17, 20)}."
    judged = told(SPECTRUM, arrays, outcome="obeys_rules")  # which needs no label
    assert judged[0].startswith("The model solved 0 of 20 puzzles")


def test_puzzles_of_unknown_difficulty():
    arrays = spectrum_arrays() | {"inputs": np.zeros((NUMBER, 7), np.uint8)}
    arrays["labels"] = arrays["labels"][:, :7]
    assert told(SPECTRUM, arrays)[1].endswith("; how hard these puzzles are is not known.")


def rollout_arrays() -> dict[str, np.ndarray]:
    """Of 20 puzzles 5 are solved from the start; 4 escape, one of which loses the answer again."""
    solved = np.arange(NUMBER)[:, None] < np.array([5, 5, 5, 7, 9, 9])
    solved[8, -1] = False
    solved[0, -1] = False
    residual = np.full(solved.shape, MOVING)
    residual[13:, 4:] = REST
    same = {"token_accuracy": solved / 1.0, "residual": residual, "q_halt": residual}
    return {"solved": solved, **same, "labels": np.full((NUMBER, 16), 2, np.int16)}


def rollout_findings(arrays: dict, readout: int = 3) -> list[str]:
    return results(ROLLOUT, arrays).summary(readout_segment=readout).findings()


def test_a_rollout_in_five_sentences():
    solved, some, rest, escaped, exponents = rollout_findings(rollout_arrays())
    assert solved == (
        f"The model solved 5 of 20 puzzles after 3 segments, {percent(5, 20)}, and 7 of 20 puzzles "
        f"after 6 segments, {percent(7, 20)}."
    )
    assert some == (
        f"9 of 20 puzzles were right after some segment, {percent(9, 20)}; 1 lost the answer of "
        "segment 3 by the end."
    )
    assert rest.startswith("7 of 15 failures are at rest at a wrong answer after segment 6, ")
    assert escaped == (
        f"4 of 15 failures at segment 3 escaped in the 3 segments after it, {percent(4, 15)}; 3 of "
        "these kept the answer to the end."
    )
    assert exponents.startswith("A rollout measures no exponents: rrjax spectrum tells")


def test_rollouts_that_tell_less():
    arrays = rollout_arrays()
    _, some, _, escaped, _ = rollout_findings(arrays, readout=6)
    assert some == f"9 of 20 puzzles were right after some segment, {percent(9, 20)}."
    assert escaped == "There is no segment after 6, so it is not known how many failures escape."
    everything = arrays | {"solved": np.ones_like(arrays["solved"])}
    assert rollout_findings(everything)[2] == "There are no failures in this run."
    arrays["labels"][:] = -100
    unknown, rest, _ = rollout_findings(arrays)
    assert unknown.startswith("No puzzle of this run has a label")
    assert rest.startswith("7 of 20 runs are at rest after segment 6")


def basin_findings(arrays: dict, **facts) -> list[str]:
    options = {"num_segments": 5, "dtype": "float32", "num_puzzles": len(arrays["solved"])}
    made = results(BASIN, arrays, options=options, **facts)
    return made.summary(readout_segment=3).findings()


def test_a_basin_in_five_sentences():
    """One puzzle is always solved; later, never, lost and by chance are the four others."""
    arrays = restarts()
    arrays["residual"][2, 0] = REST
    solved, exponents, rest, freed, decides = basin_findings(arrays)
    assert solved == f"The model solved 1 of 5 puzzles after 3 segments, {percent(1, 5)}."
    assert exponents.startswith("No exponents were measured: --num-exponents 1")
    assert rest.startswith("1 of 4 failures is at rest at a wrong answer after segment 5, ")
    assert freed == (
        "2 of 4 failures at segment 3 were solved from one or more of 4 restarts after some "
        f"segment, {percent(2, 4)}."
    )
    assert decides.startswith(f"The start decides about 2 of 5 puzzles, {percent(2, 5)}: ")


def test_a_basin_with_exponents_has_those_of_the_first_start():
    many = {
        name: np.concatenate(4 * [array]) for name, array in restarts().items() if name != "sigma"
    }
    answers = np.repeat(many["answers"], 16, axis=2)
    arrays = many | {"sigma": SIGMA, "inputs": TOKENS, "answers": answers}
    at_end = arrays["solved"][:, 0, -1]
    exponents = np.full((NUMBER, 5, 1), -1.0)
    exponents[:, 0, 0] = np.where(at_end, -0.1, 0.1) + 0.001 * np.arange(NUMBER)
    arrays["exponents"] = exponents
    sentences = basin_findings(arrays)
    assert "the AUC of −λ₁ for solved is 1.000" in sentences[1]
    assert "between puzzles with equal clues" in sentences[1]
    # those that are solved after the readout are failures there, and stable at the end
    assert sentences[4] == f"λ₁ is positive in 12 of 16 failures, {percent(12, 16)}."
    arrays["exponents"] = np.full_like(exponents, np.nan)
    unknown = basin_findings(arrays)
    assert unknown[1] == "λ₁ is not known of any run."
    assert unknown[4] == "λ₁ is not known of any of 16 failures."
