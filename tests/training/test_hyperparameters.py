"""What a recipe and a loop refuse."""

import pytest

from rrjax.training.settings import LoopSettings, Recipe


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("global_batch_size", 0),
        ("steps", 0),
        ("lr", -1e-9),
        ("lr", float("nan")),
        ("puzzle_emb_lr", float("inf")),
        ("weight_decay", -0.1),
        ("puzzle_emb_weight_decay", -0.1),
        ("beta1", 1.0),
        ("beta2", -0.1),
        ("ema_rate", 1.0),
        ("lr_min_ratio", 1.1),
        ("lr_warmup_steps", -1),
        ("seed", -1),
        ("seed", 2**32),
    ],
)
def test_recipe_refuses(field, value):
    with pytest.raises(ValueError, match=rf"{field} must .*{value}"):
        Recipe(**{field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [("lr", 0.0), ("beta1", 0.0), ("ema_rate", 0.0), ("lr_min_ratio", 0.0), ("seed", 2**32 - 1)],
)
def test_recipe_takes_the_last_value_that_makes_sense(field, value):
    assert getattr(Recipe(**{field: value}), field) == value


@pytest.mark.parametrize("field", ["log_every", "eval_every", "checkpoint_every"])
def test_the_loop_refuses_what_never_happens(field):
    with pytest.raises(ValueError, match=rf"{field} must be at least 1, got 0"):
        LoopSettings(**{field: 0})


@pytest.mark.parametrize("field", ["eval_every", "checkpoint_every"])
def test_the_loop_refuses_events_between_logged_lines(field):
    with pytest.raises(
        ValueError, match=rf"{field} must be a multiple of log_every \(10\).*got 25"
    ):
        LoopSettings(**{field: 25})


def test_the_loop_refuses_negative_numbers_of_puzzles():
    with pytest.raises(ValueError, match="eval_puzzles must be at least 0, got -1"):
        LoopSettings(eval_puzzles=-1)
