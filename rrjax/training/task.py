"""The task of a training run: a cell, its recipe, and the puzzles to train and to test on."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from rrjax.cells import Arch, Config, bind, config_to_dict, flatten, init_params
from rrjax.cells.params import INITIAL_VECTORS, check_arrays, param_shapes
from rrjax.checks import check_memory, refuse
from rrjax.contract import count_updates
from rrjax.keys import make_key
from rrjax.models import load_model
from rrjax.puzzles.dataset import PuzzleSet
from rrjax.puzzles.folders import read_folder
from rrjax.store.records import digest_arrays
from rrjax.training.augment import perturbed_fields
from rrjax.training.settings import Recipe
from rrjax.training.state import partition


@dataclass(frozen=True)
class TrainingTask:
    """A cell, its hyperparameters, and the sets that it is trained and tested on.

    `start` holds the flat weights before the first step; None: they are drawn by the seed.
    """

    config: Config
    recipe: Recipe
    train: PuzzleSet
    test: PuzzleSet
    augment: bool
    start: dict[str, np.ndarray] | None = None

    def __post_init__(self):
        augmentation, name = self.recipe.augmentation, self.config.arch.name
        perturbed_fields(augmentation, INITIAL_VECTORS[name])
        if augmentation.objective == "winner_takes_all" and len(INITIAL_VECTORS[name]) == 1:
            rule = f"have latents beside the answer to differ in, which {name} has not"
            refuse("augmentation.objective", rule, augmentation.objective)
        if self.recipe.optimizer == "muon" and self.config.arch.name == "srm":
            raise ValueError(
                "optimizer: muon steps along the matrices of linear layers, and srm has none (its "
                "layers are Cayley transforms of X and Y); train it with adam_atan2"
            )

    def identity(self) -> dict[str, Any]:
        """Returns what two runs share if they are the same run, in types that JSON can hold."""
        start = {} if self.start is None else {"start": digest_weights(self.start)}
        return {
            **start,
            "config": config_to_dict(self.config),
            "recipe": asdict(self.recipe),
            "augment": self.augment,
            "train_set": self.train.digest(),
            "test_set": self.test.digest(),
        }

    def num_weights(self) -> dict[str, int]:
        """Returns the number of weights that are trained by the main optimizer, and of the others.

        The others are the initial states and the puzzle embeddings.
        """
        parts = jax.eval_shape(lambda: partition(init_params(make_key(0), self.config)))
        counts = (sum(math.prod(leaf.shape) for leaf in part.values()) for part in parts)
        return dict(zip(("trained", "fixed"), counts, strict=True))

    def updates_per_step(self) -> int:
        """Returns the number of module evaluations of one slot in one optimizer step."""
        config, count = self.config, 0

        def segment(tokens: jax.Array) -> None:
            nonlocal count
            params = init_params(make_key(0), config)
            count = count_updates(bind(params, config, tokens).schedule)

        jax.eval_shape(segment, jax.ShapeDtypeStruct((config.seq_len,), np.int32))
        is_segment = self.recipe.augmentation.rollout == "serial_act"
        return count * (1 if is_segment else config.arch.halt_max_steps)


def digest_weights(flat: dict[str, np.ndarray]) -> str:
    """Returns a digest of flat weights, which does not depend on the order of their names."""
    return digest_arrays(*(flat[name] for name in sorted(flat)))


def read_task(
    data: Path, arch: Arch, recipe: Recipe, augment: bool, start: str | None = None
) -> TrainingTask:
    """Returns the task of training a cell on a data-set folder.

    Args:
      data: folder with `train/` and `test/`.
      arch: the cell.
      recipe: hyperparameters.
      augment: move every training Sudoku by a random symmetry.
      start: the model with whose weights the run begins, as `load_model` takes it; None: they are
        drawn by the recipe's seed.

    Raises:
      ValueError: if the folder is not such a data set, its splits do not fit each other or have no
        labels, a setting has no effect, or the weights of `start` do not fit the cell.
    """
    if (data / "dataset.json").is_file():
        raise ValueError(f"{data} is one split; pass the folder that holds train/ and test/")
    sets = {split: read_folder(data, split) for split in ("train", "test")}
    meta, other = sets["train"].metadata, sets["test"].metadata
    for key in ("seq_len", "vocab_size", "num_puzzle_identifiers", "ignore_label_id"):
        if getattr(meta, key) != getattr(other, key):
            raise ValueError(
                f"{data}: {key} of train is {getattr(meta, key)}, of test {getattr(other, key)}"
            )
    for split, puzzles in sets.items():
        if not _has_labels(puzzles):
            raise ValueError(
                f"{data / split}: expected labels, found none in {len(puzzles)} puzzles"
            )
    recipe.refuse_idle()
    config = Config(arch, meta.seq_len, meta.vocab_size, meta.num_puzzle_identifiers)
    _check_memory(config, recipe)
    flat = None if start is None else _weights(start, config)
    return TrainingTask(config, recipe, sets["train"], sets["test"], augment, flat)


def _weights(source: str, config: Config) -> dict[str, np.ndarray]:
    """Returns the flat weights of a model whose shapes are those of the cell, in float32."""
    model = load_model(source)
    # without attention no position is rotary, and learned ones are told by their weights
    for key in ("swiglu", "pos_encodings") if config.arch.attends else ("swiglu",):
        theirs, ours = (getattr(each.arch, key) for each in (model.config, config))
        if theirs != ours:
            raise ValueError(
                f"{source} was trained with arch.{key} {theirs}, and this run has {ours}: its "
                "weights would mean something else"
            )
    flat = flatten(model.params)
    check_arrays(flat, config, source)
    return flat


def _check_memory(config: Config, recipe: Recipe) -> None:
    """Refuses sizes whose weights or states alone need more memory than the machine has."""
    arch, floss = config.arch, recipe.floss
    number = sum(math.prod(shape) for shape in param_shapes(config).values())
    check_memory(
        f"arch: {number:,} weights with their gradients, two moments and an average",
        20 * number,
        "train a smaller cell (arch.hidden_size, arch.expansion, layers, puzzle_emb_ndim)",
    )
    state = 4 * config.num_tokens * arch.hidden_size
    slots = recipe.global_batch_size * recipe.augmentation.trajectories
    check_memory(
        f"the states of {slots:,} slots (global_batch_size, augmentation.num_trajectories)",
        2 * slots * state,
        "train with a smaller batch",
    )
    if floss.active:
        vectors = floss.puzzles * floss.num_exponents
        check_memory(
            f"{vectors:,} tangent vectors (floss.puzzles, floss.num_exponents)",
            2 * vectors * state,
            "floss with fewer puzzles or exponents",
        )


def _has_labels(puzzles: PuzzleSet) -> bool:
    """Returns whether a split has any label; the first puzzles of a large set usually decide."""
    ignored, size = puzzles.metadata.ignore_label_id, 1000
    starts = range(0, len(puzzles), size)
    return any(np.any(puzzles.labels[start : start + size] != ignored) for start in starts)
