"""The comparison of augmented with plain training: runs, resumes, and does its sums right."""

import json

import numpy as np
import pytest

from scripts.studies import compare_augmentation as script
from scripts.studies import comparison
from tests.tools.comparing import TINY


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    return script.Options(
        tmp_path_factory.mktemp("compare"),
        eval_sigmas=(0.3,),
        **TINY,
    )


@pytest.mark.slow
def test_a_tiny_comparison_is_written_and_goes_on_from_its_runs(options, capsys):
    script.main(options)
    printed = capsys.readouterr().out
    record = json.loads((options.out / "comparison.json").read_text())
    assert set(record["results"]) == {"exact_accuracy", "exact_accuracy@sigma=0.3"}
    for part in record["results"].values():
        assert set(part["arms"]) == {"baseline", "multi4"}
        assert len(part["minus_baseline"]["multi4"]["final"]["each"]) == 1
    assert "| exact_accuracy@sigma=0.3 | multi4 | final |" in printed
    assert (options.out / "comparison.png").stat().st_size > 10_000
    config = json.loads((options.out / "multi4_seed0" / "config.json").read_text())
    augmentation = config["identity"]["recipe"]["augmentation"]
    assert augmentation["objective"] == "multi_perturbed_ce"
    assert augmentation["sigma"] == [3e-5, 3e-3]
    log = options.out / "multi4_seed0" / "metrics.csv"
    before = log.read_bytes()
    script.main(options)
    assert capsys.readouterr().out == printed
    assert log.read_bytes() == before


def run_of(*accuracies: float) -> list[dict[str, float]]:
    return [{"step": 10 * i, "test/exact_accuracy": a} for i, a in enumerate(accuracies, 1)]


def test_best_and_final_are_paired_by_seed(options):
    found = {
        "baseline": [run_of(0.1, 0.5, 0.4), run_of(0.2, 0.3, 0.3)],
        "multi4": [run_of(0.1, 0.4, 0.6), run_of(0.4, 0.1, 0.2)],
    }
    changed = script.replace(options, num_seeds=2, eval_sigmas=())
    record = comparison.compare(changed, found)["exact_accuracy"]
    assert record["arms"]["baseline"] == {
        "best": [0.5, 0.3],
        "final": [0.4, 0.3],
        "best_step": [20, 20],
    }
    best = record["minus_baseline"]["multi4"]["best"]
    assert best["each"] == pytest.approx([0.1, 0.1])
    assert (best["low"], best["high"]) == pytest.approx((0.1, 0.1))
    final = record["minus_baseline"]["multi4"]["final"]
    # 0.2 and -0.1: mean 0.05, standard error 0.15, Student's 12.706 for one degree of freedom
    assert final["mean"] == pytest.approx(0.05)
    assert final["high"] == pytest.approx(0.05 + 12.7062 * 0.15, rel=1e-4)


def test_a_single_seed_has_no_interval():
    assert np.isnan(comparison.paired_interval([0.25])["low"])


def test_arms_have_equal_steps_and_the_third_equal_compute(options):
    plain = comparison.plain_task(options, 3, comparison.make_sets(options))
    arms = ("baseline", "multi4", "batch4")
    tasks = {arm: script.changed(arm, options, plain) for arm in arms}
    assert {task.recipe.steps for task in tasks.values()} == {2}
    assert {task.recipe.seed for task in tasks.values()} == {3}
    rows = {
        a: t.recipe.global_batch_size * t.recipe.augmentation.trajectories for a, t in tasks.items()
    }
    assert rows == {"baseline": 2, "multi4": 8, "batch4": 8}
    assert {t.recipe.augmentation.rollout for t in tasks.values()} == {"parallel_fixed"}


def test_one_arm_is_no_comparison(options):
    with pytest.raises(ValueError, match="two arms or more"):
        script.replace(options, arms=("multi4", "multi4"))
