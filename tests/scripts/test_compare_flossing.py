"""The comparison of flossing and of the stable cell: arms, spectra, and that it goes on."""

import json

import jax
import numpy as np
import pytest

from rrjax.cells import flatten, init_params, is_trained
from scripts.studies import compare_flossing as script
from scripts.studies import comparison
from tests.tools.comparing import TINY


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    return script.Options(
        tmp_path_factory.mktemp("flossing"),
        arms=("trm_baseline", "trm_volume"),
        eval_sigmas=(),
        **TINY,
        every=1,
        episode=1,
        num_exponents=2,
        puzzles=2,
        spectra=4,
    )


@pytest.mark.slow
def test_a_tiny_comparison_is_written_and_goes_on_from_its_runs(options, capsys):
    script.main(options)
    printed = capsys.readouterr().out
    record = json.loads((options.out / "comparison.json").read_text())["results"]["trm_baseline"]
    seen = record["lambda1"]["arms"]
    # the same drawn weights, other trained ones
    assert seen["trm_volume"]["initial"] == seen["trm_baseline"]["initial"]
    assert seen["trm_volume"]["final"] != seen["trm_baseline"]["final"]
    assert [row["step"] for row in seen["trm_volume"]["flossing"][0]] == [2]
    assert seen["trm_baseline"]["flossing"] == [[]]
    assert "| lambda1 | trm_volume | final |" in printed
    for name in ("trm_accuracy.png", "trm_lambda1.png"):
        assert (options.out / name).stat().st_size > 10_000
    log = options.out / "trm_volume_seed0" / "metrics.csv"
    before = log.read_bytes()
    script.main(options)
    assert capsys.readouterr().out == printed
    assert log.read_bytes() == before


def test_every_arm_is_a_task_of_its_own(options):
    plain = comparison.plain_task(options, 3, comparison.make_sets(options))
    arms = (*script.TRM, *script.OTHERS, *script.HRM)
    tasks = [script.changed(arm, options, plain) for arm in arms]
    made = [(task.config.arch, task.recipe.floss, task.recipe.augmentation) for task in tasks]
    assert len(set(made)) == len(arms)
    assert {task.recipe.steps for task in tasks} == {2}
    assert {task.recipe.seed for task in tasks} == {3}
    losses = {arm: script.changed(arm, options, plain).recipe.floss for arm in script.TRM}
    assert [f.loss for f in losses.values() if f.active] == [
        "two_sided",
        "two_sided",
        "one_sided_leading",
        "one_sided",
        "one_sided_volume",
    ]
    assert (losses["trm_pre"].pre, losses["trm_pre"].every) == (options.pre, None)
    assert (losses["trm_inter"].pre, losses["trm_inter"].every) == (0, options.every)


def test_the_stable_cell_has_about_the_weights_of_the_trm(tmp_path):
    options = script.Options(tmp_path)
    plain = comparison.plain_task(options, 0, comparison.make_sets(options))
    tasks = [script.changed(arm, options, plain) for arm in ("trm_baseline", "srm", "srm_learned")]
    trm, srm, learned = (num_weights(task.config) for task in tasks)
    assert srm == pytest.approx(trm, rel=0.06)
    assert learned == pytest.approx(trm, rel=0.06)


def num_weights(config) -> int:
    params = jax.eval_shape(lambda key: init_params(key, config), jax.random.key(0))
    flat = flatten(params)
    return sum(int(np.prod(leaf.shape)) for name, leaf in flat.items() if is_trained(name))


@pytest.mark.parametrize(
    ("arms", "message"),
    [
        (("trm_baseline", "trm_post"), "arms must be of trm_baseline"),
        (("trm_pre",), "arms must have trm_baseline"),
        (("hrm_inter", "trm_baseline"), "arms must have hrm_baseline"),
    ],
)
def test_wrong_arms_are_refused(tmp_path, arms, message):
    with pytest.raises(ValueError, match=message):
        script.Options(tmp_path, arms=arms)
