"""The comparison of TRM with the baselines: equal data, steps and about equal weights."""

import json
import math

import pytest

from rrjax.cells import param_shapes
from scripts.studies import compare_baselines as script
from scripts.studies import comparison
from tests.tools.comparing import TINY


def test_the_arms_differ_by_their_cell_alone_and_have_about_as_many_weights(tmp_path):
    options = script.Options(tmp_path)
    plain = comparison.plain_task(options, 3, comparison.make_sets(options))
    tasks = {arm: script.changed(arm, plain) for arm in options.arms}
    assert [task.config.arch.name for task in tasks.values()] == [*tasks]
    assert all(task.recipe == plain.recipe for task in tasks.values())
    sizes = {arm: weights(task) for arm, task in tasks.items()}
    assert sizes["trm"] == 37_378
    assert max(abs(size / sizes["trm"] - 1) for size in sizes.values()) < 0.05


def weights(task) -> int:
    return sum(math.prod(shape) for shape in param_shapes(task.config).values())


@pytest.mark.slow
def test_a_tiny_comparison_is_written(tmp_path, capsys):
    arms = ("trm", "lstm")
    script.main(script.Options(tmp_path / "out", arms=arms, eval_sigmas=(), **TINY))
    assert "| exact_accuracy | lstm | final |" in capsys.readouterr().out
    record = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert set(record["results"]["exact_accuracy"]["arms"]) == set(arms)
    assert (tmp_path / "out" / "comparison.png").is_file()
