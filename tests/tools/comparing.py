"""Sizes at which a comparison of trainings takes seconds."""

TINY = {
    "num_seeds": 1,
    "steps": 2,
    "eval_every": 1,
    "num_train": 8,
    "num_test": 8,
    "batch_size": 2,
    "hidden_size": 8,
    "segments": 2,
}
