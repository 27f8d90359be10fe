"""`rrjax search`: Optuna over fields of a training, by its accuracy on held-out puzzles."""

from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import jax
import numpy as np
import tyro

from rrjax.cells import Arch
from rrjax.checks import check_count
from rrjax.commands import train as train_command
from rrjax.commands.errors import is_out_of_memory
from rrjax.commands.search_report import (
    BEST,
    STOPPED,
    TRIALS,
    as_text,
    best_trial,
    table,
    write_best,
    write_trials,
)
from rrjax.commands.search_space import Choices, Domain, Space, read_space, with_values
from rrjax.jobs.progress import progress
from rrjax.reports.terminal import print_table
from rrjax.store import claim_folder, describe_run, hold_lock, write_bytes_atomically
from rrjax.training.logs import EVALUATED
from rrjax.training.loop import Report, Rhythm, Task, identity, train
from rrjax.training.recipe import Recipe

if TYPE_CHECKING:
    import optuna

ACCURACY = f"{EVALUATED}exact_accuracy"


@dataclass(frozen=True)
class Options:
    """Search hyperparameters. A killed search goes on when the command is given again.

    Every trial is a run of `rrjax train` in `out`/trials/NUMBER, with the options given here but
    for the fields of the space. A trial that was killed is continued, from its last checkpoint and
    with its values; what a trial draws depends on `search_seed`, its number and the trials before
    it alone, so that a search draws the same whether or not it was interrupted.

    A trial is worth its exact accuracy on the test split: the accuracy of the best one is higher
    than what new puzzles would show. A run that stops because its loss is not finite or jumps is
    worth the best it had reached (`final`: 0); values that no cell or device can have are a failed
    trial, which counts.

    Attributes:
      data: data-set folder with `train/` and `test/`.
      out: folder of the search: trials.csv, best.yaml (for `rrjax train --config`), study.log,
        trials/.
      space: a YAML file of fields and what is tried, such as
        `recipe.lr: {low: 1e-5, high: 1e-2, log: true}`, `arch.hidden_size: {choices: [64, 128]}`,
        `augmentation.p_clean: {low: 0, high: 1}`; bounds are included.
      num_trials: trials in all, those of earlier calls among them.
      num_random: trials drawn at random before the sampler (TPE) learns from them.
      objective: a run's best evaluation or its last one.
      prune: stop a run whose evaluation is below the median of the earlier runs' at that step,
        from the sixth trial on.
      search_seed: of the sampler; `seed` is that of the trainings.
      augment: as of `rrjax train`.
      config: as of `rrjax train`.
    """

    data: Path
    out: Path
    space: Path
    num_trials: int = 20
    num_random: int = 10
    objective: Literal["best", "final"] = "best"
    prune: bool = False
    search_seed: int = 0
    augment: bool = False
    config: Path | None = None
    arch: Arch = field(default_factory=Arch)
    recipe: Annotated[Recipe, tyro.conf.arg(name="")] = field(default_factory=Recipe)
    rhythm: Annotated[Rhythm, tyro.conf.arg(name="")] = field(default_factory=Rhythm)

    def __post_init__(self):
        for name in ("num_trials", "num_random"):
            check_count(name, getattr(self, name), least=1)
        if self.search_seed < 0:
            raise ValueError(f"search_seed must not be negative, got {self.search_seed}")


def main(arguments: list[str]) -> None:
    """Parse, run the trials that are missing, print the table."""
    options = train_command.parse(Options, arguments, "rrjax search")
    _check_optuna()
    space = read_space(options.space)
    base = _base(options)
    job = {
        **identity(base),
        "space": {name: asdict(domain) for name, domain in space.items()},
        "rhythm": asdict(options.rhythm),
        **{k: getattr(options, k) for k in ("objective", "prune", "num_random", "search_seed")},
    }
    claim_folder(options.out, "config.json", job, {"made_by": describe_run()})
    with hold_lock(options.out / "lock") as is_alone:
        if not is_alone:  # this one would continue the trial that the other is at
            raise ValueError(f"{options.out} is being searched by another process; let it end")
        study = _study(options)
        while trial := _next_trial(study, options):
            _run(study, trial, options, space, base)
            _write(study, options, space, base)
            jax.clear_caches()  # the programs of a trial are no other trial's
        print_table(table(_trials(study), space, options.objective, options.out))


def _check_optuna() -> None:
    try:
        import optuna
    except ImportError:
        raise ValueError("rrjax search needs Optuna: pip install 'rrjax[search]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def _base(options: Options) -> Task:
    """The training that the trials vary."""
    given = {f.name: getattr(options, f.name) for f in fields(options)}
    shared = {f.name for f in fields(train_command.Options)} & given.keys()
    return train_command.make_task(train_command.Options(**{name: given[name] for name in shared}))


def _study(options: Options) -> "optuna.Study":
    import optuna
    from optuna.storages.journal import JournalFileBackend

    path = options.out / "study.log"
    _drop_torn_line(path)
    # unlike SQLite it also works on the shared disk of a cluster
    backend = JournalFileBackend(str(path))
    prunes = optuna.pruners.MedianPruner(n_startup_trials=5)
    return optuna.create_study(
        storage=optuna.storages.JournalStorage(backend),
        study_name="rrjax",
        direction="maximize",
        load_if_exists=True,
        pruner=prunes if options.prune else optuna.pruners.NopPruner(),
    )


def _drop_torn_line(path: Path) -> None:
    """Drop what a full disk or a power cut left of the last entry: Optuna would read no further."""
    if path.exists():
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            write_bytes_atomically(path, whole)


def _next_trial(study: "optuna.Study", options: Options) -> "optuna.Trial | None":
    """The trial that was killed, or a new one; None where all are done."""
    import optuna

    trials = _trials(study)
    left = [trial for trial in trials if not trial.state.is_finished()]
    if not left and len(trials) >= options.num_trials:
        return None
    number = left[0].number if left else len(trials)
    seed = np.random.SeedSequence((options.search_seed, number)).generate_state(1)[0]
    study.sampler = optuna.samplers.TPESampler(seed=int(seed), n_startup_trials=options.num_random)
    return optuna.Trial(study, left[0]._trial_id) if left else study.ask()


def _run(
    study: "optuna.Study", trial: "optuna.Trial", options: Options, space: Space, base: Task
) -> None:
    """One trial, from drawing its values to telling what they are worth."""
    import optuna

    values = {name: _draw(trial, name, domain) for name, domain in space.items()}
    listed = ", ".join(f"{name} {as_text(value)}" for name, value in values.items())
    print(f"trial {trial.number}: {listed}")
    folder = options.out / "trials" / f"{trial.number:04d}"
    reached = dict(study.trials[trial.number].intermediate_values)
    try:
        task = with_values(base, values)
        with progress(f"trial {trial.number}", task.recipe.steps) as bar:
            train(task, options.rhythm, folder, _reporter(trial, reached, bar.report))
    except optuna.TrialPruned:
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        return
    except FloatingPointError as error:
        trial.set_user_attr(STOPPED, str(error))
        reached[max(reached, default=0) + 1] = 0.0  # from there on it solves nothing
    except (ValueError, MemoryError, RuntimeError) as error:
        if not (isinstance(error, ValueError) or is_out_of_memory(error)):
            raise
        trial.set_user_attr(STOPPED, str(error).partition("\n")[0])
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
        return
    study.tell(
        trial, max(reached.values()) if options.objective == "best" else reached[max(reached)]
    )


def _draw(trial: "optuna.Trial", name: str, domain: Domain) -> Any:
    """A value of a field; of a trial that is continued the one it has."""
    if isinstance(domain, Choices):
        return trial.suggest_categorical(name, domain.choices)
    if isinstance(domain.low, int) and isinstance(domain.high, int):
        return trial.suggest_int(name, domain.low, domain.high, log=domain.log)
    return trial.suggest_float(name, domain.low, domain.high, log=domain.log)


def _reporter(trial: "optuna.Trial", reached: dict[int, float], show: Report) -> Report:
    """Keeps each evaluation in `reached` and in the study, and stops a run that is pruned."""
    import optuna

    def report(step: int, numbers: dict[str, float]) -> None:
        show(step, numbers)
        if ACCURACY not in numbers:
            return
        if step not in reached:  # a run that is continued repeats what its checkpoint precedes
            trial.report(numbers[ACCURACY], step)
        reached[step] = numbers[ACCURACY]
        if trial.should_prune():
            raise optuna.TrialPruned

    return report


def _trials(study: "optuna.Study") -> "list[optuna.trial.FrozenTrial]":
    return study.get_trials(deepcopy=False)


def _write(study: "optuna.Study", options: Options, space: Space, base: Task) -> None:
    """All trials so far, and the best of them as a file for `rrjax train`."""
    trials = _trials(study)
    write_trials(trials, space, options.out / TRIALS)
    best = best_trial(trials)
    if best is None:
        return
    task, path = with_values(base, best.params), options.out / BEST
    header = (
        f"Trial {best.number} of a search: {options.objective} exact accuracy {best.value:.4f}, on "
        "the test split it was chosen on."
    )
    command = ["rrjax", "train", "--config", str(path), "--data", str(options.data)]
    command += ["--out", "FOLDER", *(["--augment"] if options.augment else [])]
    write_best(task.config.arch, task.recipe, header, command, path)
