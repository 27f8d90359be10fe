"""What does pushing on the spectrum do to TRM and HRM? Flossing, augmentation and a stable cell.

Every arm trains on the same 4x4 Sudokus with the same seeds and optimizer steps; a step is a whole
rollout. Arms of a cell (`trm_` or `hrm_`) differ as follows:

- `baseline`: training alone;
- `pre`: `--pre` flossing steps of `two_sided`, target 0, before training;
- `inter`: an episode of the same every `--every` steps;
- `top1`, `spectrum`, `volume`: episodes of the one-sided losses, likewise, target 0;
- `multi4`: trajectory augmentation instead (see `compare_augmentation.py`; at 4 times the compute);
- `srm`, `srm_learned`: the stable recursion cell of about the TRM's number of weights, κ fixed and
  learned, training alone.

Exponents are those of test puzzles over all segments that training runs, of the drawn weights and
of the trained ones; what preflossing does to those of training puzzles is under `flossing`.

Usage: python -m scripts.studies.compare_flossing OUT [--arms trm_baseline trm_inter]
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import numpy as np
import tyro

from rrjax.cells import Config, bind, unflatten
from rrjax.contract import State
from rrjax.dynamics.spectrum import spectrum
from rrjax.models import read_model
from rrjax.outcomes import is_right
from rrjax.plots.canvas import save_figure
from rrjax.puzzles import PuzzleSet
from rrjax.training.logs import FLOSS, CsvLog
from rrjax.training.settings import Floss
from rrjax.training.state import init_train_state, model_params
from rrjax.training.task import TrainingTask
from scripts.studies import comparison
from scripts.studies.compare_augmentation import multi4
from scripts.studies.comparison import CLEAN, Change, Sizes

TRM = ("trm_baseline", "trm_pre", "trm_inter", "trm_top1", "trm_spectrum", "trm_volume")
HRM = ("hrm_baseline", "hrm_pre", "hrm_inter", "hrm_top1", "hrm_spectrum", "hrm_volume")
OTHERS = ("trm_multi4", "srm", "srm_learned")
LOSSES = {
    "top1": "one_sided_leading",
    "spectrum": "one_sided",
    "volume": "one_sided_volume",
}


@dataclass(frozen=True)
class Options(Sizes):
    """Settings of the comparison.

    Attributes:
      arms: The arms. Those of a cell are compared with that cell's baseline, the others with TRM's.
      pre: The number of flossing steps before training.
      every: The number of training steps between two episodes.
      episode: The number of flossing steps in an episode.
      num_exponents: The number k of exponents of flossing and of the spectra.
      puzzles: The number of puzzles in a flossing step.
      floss_lr: The learning rate of flossing.
      sigma: The σ of `multi4`.
      spectra: The number of test puzzles whose spectra are measured.
    """

    arms: tuple[str, ...] = (*TRM, *OTHERS, *HRM)
    steps: int = 1500
    pre: int = 50
    every: int = 100
    episode: int = 4
    num_exponents: int = 4
    puzzles: int = 4
    floss_lr: float = 1e-3
    sigma: tuple[float, float] = (0.03, 1.0)
    spectra: int = 64

    def __post_init__(self):
        super().__post_init__()
        known = (*TRM, *OTHERS, *HRM)
        if wrong := [arm for arm in self.arms if arm not in known]:
            raise ValueError(f"arms must be of {', '.join(known)}; got {', '.join(wrong)}")
        for baseline, arms in groups(self.arms).items():
            if baseline not in arms:
                raise ValueError(f"arms must have {baseline}, which {', '.join(arms)} need")


def groups(arms: tuple[str, ...]) -> dict[str, list[str]]:
    """Which arms are compared with which baseline."""
    cells = {"hrm_baseline": [a for a in arms if a in HRM]}
    cells["trm_baseline"] = [a for a in arms if a not in HRM]
    return {baseline: found for baseline, found in cells.items() if found}


def changed(arm: str, options: Options, task: TrainingTask) -> TrainingTask:
    """The task of an arm."""
    cell, _, what = arm.partition("_")
    arch, recipe = task.config.arch, task.recipe
    if cell == "srm":
        # 35,574 weights beside the TRM's 37,314
        size = {"name": "srm", "mlp_t": False, "hidden_size": 2 * arch.hidden_size, "L_layers": 3}
        arch = replace(arch, **size, kappa_max=0.99 if what else 0.0)
    if cell == "hrm":  # mixes tokens as the TRM does: with attention it learns 64 puzzles by heart
        arch = replace(arch, name="hrm", H_layers=1)
    if what == "multi4":
        recipe = replace(recipe, augmentation=multi4(options.sigma, task))
    return replace(
        task,
        config=replace(task.config, arch=arch),
        recipe=replace(recipe, floss=flossing(what, options)),
    )


def flossing(what: str, options: Options) -> Floss:
    """When an arm flosses, and by which loss."""
    if what not in ("pre", "inter", *LOSSES):
        return Floss()
    plain = Floss(
        loss=LOSSES.get(what, "two_sided"),  # pyright: ignore[reportArgumentType]
        num_exponents=options.num_exponents,
        puzzles=options.puzzles,
        lr=options.floss_lr,
    )
    if what == "pre":
        return replace(plain, pre=options.pre)
    return replace(plain, every=options.every, episode=options.episode)


def spectra(options: Options, flat: dict[str, Any], config: Config, test: PuzzleSet) -> np.ndarray:
    """λ₁…λ_k of each of the first test puzzles, nats per update, and whether solved.

    Returns:
      (puzzles, k + 1), NaN where an exponent is not resolved; the last column is 0 or 1.
    """
    rows = slice(options.spectra)
    keys = jax.random.split(jax.random.key(0), len(test.inputs[rows]))
    measure = partial(_spectra, config, options.num_exponents)
    return np.asarray(measure(flat, test.inputs[rows], test.labels[rows], keys))


@partial(jax.jit, static_argnums=(0, 1))
def _spectra(config: Config, number: int, flat: Any, inputs: Any, labels: Any, keys: Any) -> Any:
    def one(tokens: jax.Array, labels: jax.Array, key: jax.Array) -> jax.Array:
        dynamics = bind(unflatten(flat), config, tokens)

        def answer(state: State) -> jax.Array:
            logits = dynamics.readout(dynamics.context, state).logits
            return is_right(logits.argmax(-1), labels)

        found = spectrum(dynamics, number, config.arch.halt_max_steps, key=key)
        solved = answer(found.state).astype(found.exponents.dtype)
        return jax.numpy.append(found.exponents, solved)

    return jax.vmap(one)(inputs, labels, keys)


def before_and_after(options: Options, arm: str, seed: int) -> dict[str, np.ndarray]:
    """The spectra of the drawn weights and of the trained ones."""
    sets = comparison.make_sets(options)
    task = changed(arm, options, comparison.plain_task(options, seed, sets))
    state = init_train_state(task.config, task.recipe)
    folder = comparison.run_folder(options, arm, seed) / "models" / f"step_{options.steps:06d}"
    flat, config, _ = read_model(folder)
    before = spectra(options, model_params(state, task.recipe), task.config, task.test)
    return {"initial": before, "final": spectra(options, flat, config, task.test)}


def exponents_part(options: Options, first: str, arms: list[str]) -> dict[str, Any]:
    """λ₁ as the comparison's tables have it, and what it is among solved and failed puzzles."""
    values: dict[str, Any] = {}
    for arm in arms:
        runs = [before_and_after(options, arm, seed) for seed in range(options.num_seeds)]
        values[arm] = {which: [_mean(r[which][:, 0]) for r in runs] for which in runs[0]}
        values[arm]["all final"] = [[_mean(c) for c in r["final"][:, :-1].T] for r in runs]
        for name, flag in (("solved", 1), ("failed", 0)):
            rows = [r["final"][r["final"][:, -1] == flag, 0] for r in runs]
            values[arm][f"final, {name}"] = [_mean(row) for row in rows]
        values[arm]["unresolved"] = [int(np.isnan(r["final"]).sum()) for r in runs]
        values[arm]["flossing"] = [flossing_log(options, arm, s) for s in range(options.num_seeds)]
    which = ("initial", "final")
    gains = comparison.gains_over(first, values, which)
    return {"which": which, "arms": values, f"minus_{first}": gains}


def _mean(values: np.ndarray) -> float:
    found = values[~np.isnan(values)]
    return float(found.mean()) if len(found) else float("nan")


def flossing_log(options: Options, arm: str, seed: int) -> list[dict[str, float]]:
    """λ₁ of the training puzzles at each flossing step of a run."""
    rows = CsvLog(comparison.run_folder(options, arm, seed) / FLOSS).rows()
    return [{name: row[name] for name in ("step", "floss_step", "lambda1")} for row in rows]


def report(options: Options, first: str, found: comparison.Found) -> dict[str, Any]:
    """Tables and figures of the arms of one baseline."""
    record = comparison.compare(options, found)
    record["lambda1"] = exponents_part(options, first, list(found))
    print(f"\n## {first}\n")
    comparison.print_tables(first, record)
    cell = first.partition("_")[0]
    label = comparison.accuracy_label(options)
    accuracy = comparison.paired_figure(record[CLEAN], {"final": "Final accuracy"}, label)
    save_figure(accuracy, options.out / f"{cell}_accuracy.png")
    label = f"mean λ₁ of {options.spectra} test puzzles (nats per update)"
    words = {"final": "λ₁ after training"}
    exponent = comparison.paired_figure(record["lambda1"], words, label)
    save_figure(exponent, options.out / f"{cell}_lambda1.png")
    return record


def main(options: Options) -> None:
    """Run what is missing, print the tables, write comparison.json and the figures."""
    arms: dict[str, Change] = {arm: partial(changed, arm, options) for arm in options.arms}
    found = comparison.run_all(options, arms)
    records = {
        first: report(options, first, {arm: found[arm] for arm in [first, *members]})
        for first, members in groups(options.arms).items()
    }
    comparison.write_record(options, records, found)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
