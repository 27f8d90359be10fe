"""Searches over fields of a training run with Optuna, by the accuracy on held-out puzzles."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from rrjax import store
from rrjax.jobs.memory import is_out_of_memory
from rrjax.jobs.progress import progress
from rrjax.reports.searches import as_text
from rrjax.training.announce import Announcer, describe
from rrjax.training.config_file import dump_config
from rrjax.training.logs import EVALUATED, METRICS, read_table
from rrjax.training.loop import Report, train
from rrjax.training.placement import training_devices
from rrjax.training.search_space import Choices, Domain, Space, with_values
from rrjax.training.settings import LoopSettings, SearchSettings
from rrjax.training.task import TrainingTask

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

ACCURACY = f"{EVALUATED}exact_accuracy"
BEST, TRIALS = "best.yaml", "trials.csv"
SEARCH_FORMAT = ("search", 1)
"""Kind and version of `config.json` in the folder of a search."""

STOPPED = "stopped"
"""The attribute of a trial that says why it did not run to its end."""


def search(
    task: TrainingTask,
    space: Space,
    settings: SearchSettings,
    loop: LoopSettings,
    folder: Path,
    command: Sequence[str],
) -> "list[FrozenTrial]":
    """Runs the trials that are missing, and returns all of them.

    Each trial trains `task` with some fields changed, in `folder`/trials/NUMBER; a trial that was
    killed is continued. Writes `trials.csv`, `best.yaml` and `study.log`, and prints the values of
    each trial with a progress bar.

    Args:
      task: the training that the trials vary.
      space: the fields and what is tried for each.
      settings: how many trials, and how they are drawn and judged.
      loop: when each training reports, saves and stops.
      folder: new, empty, or that of the same search.
      command: the command that `best.yaml` names for training with it.

    Raises:
      ValueError: if Optuna is missing, or the folder holds another search, one of another version
        of rrjax, or one that another process is at.
    """
    try:
        import optuna
    except ImportError:
        raise ValueError("rrjax search needs Optuna: pip install optuna") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    job = {
        **task.identity(),
        "space": {name: asdict(domain) for name, domain in space.items()},
        "loop": asdict(loop),
        **{name: value for name, value in asdict(settings).items() if name != "num_trials"},
    }
    record = folder / "config.json"
    if record.is_file():
        store.check_format(store.read_json(record), *SEARCH_FORMAT, record)
    description = {**store.format_entry(*SEARCH_FORMAT), "made_by": store.describe_run()}
    store.claim_folder(folder, record.name, job, description)
    with store.hold_folder(folder, "searched"):  # two would continue the same trial
        study = _study(settings, folder)
        while trial := _next_trial(study, settings):
            _run(study, trial, task, space, settings, loop, folder)
            trials = study.get_trials(deepcopy=False)
            _write_trials(trials, space, folder / TRIALS)
            _write_best(trials, task, settings, command, folder / BEST)
            jax.clear_caches()  # no other trial uses the programs of this one
        return study.get_trials(deepcopy=False)


def _study(settings: SearchSettings, folder: Path) -> "optuna.Study":
    import optuna
    from optuna.storages.journal import JournalFileBackend

    path = folder / "study.log"
    if path.exists():
        _cut_torn_entry(path)
    prunes = optuna.pruners.MedianPruner(n_startup_trials=5)
    try:
        return optuna.create_study(
            # unlike SQLite a journal also works on the shared disk of a cluster
            storage=optuna.storages.JournalStorage(JournalFileBackend(str(path))),
            study_name="rrjax",
            direction="maximize",
            load_if_exists=True,
            pruner=prunes if settings.prune else optuna.pruners.NopPruner(),
        )
    except Exception as error:  # Optuna raises many kinds of errors for entries that make no sense
        if isinstance(error, OSError | MemoryError):
            raise
        raise _damaged(path, f"{type(error).__name__}: {error}") from error


def _cut_torn_entry(path: Path) -> None:
    """Removes an entry that a full disk or a power cut has torn, at which Optuna would stop.

    Raises:
      ValueError: a whole line is no entry.
    """
    content = path.read_bytes()
    *lines, torn = content.split(b"\n")
    for number, line in enumerate(lines, 1):
        try:
            is_entry = isinstance(json.loads(line), dict)
        except (ValueError, RecursionError):
            is_entry = False
        if not is_entry:
            raise _damaged(path, f"line {number} is not a JSON object")
    if torn:
        store.write_bytes_atomically(path, content[: len(content) - len(torn)])


def _damaged(path: Path, reason: str) -> ValueError:
    return ValueError(
        f"{path}: expected the journal that Optuna wrote, found a damaged one ({reason}); without "
        "the file the search goes on from the trials in its folder"
    )


def _next_trial(study: "optuna.Study", settings: SearchSettings) -> "optuna.Trial | None":
    """Returns the trial that was killed, or a new one; None where all are done."""
    import optuna

    trials = study.get_trials(deepcopy=False)
    unfinished = [trial for trial in trials if not trial.state.is_finished()]
    if not unfinished and len(trials) >= settings.num_trials:
        return None
    return optuna.Trial(study, unfinished[0]._trial_id) if unfinished else study.ask()


def _run(
    study: "optuna.Study",
    trial: "optuna.Trial",
    base: TrainingTask,
    space: Space,
    settings: SearchSettings,
    loop: LoopSettings,
    folder: Path,
) -> None:
    """Runs one trial, from drawing its values to telling the study what they are worth."""
    import optuna

    values = {}
    for index, (name, domain) in enumerate(space.items()):
        study.sampler = _sampler(settings, trial.number, index)
        values[name] = _draw(trial, name, domain)
    listed = ", ".join(f"{name} {as_text(value)}" for name, value in values.items())
    print(f"trial {trial.number}: {listed}")
    run_folder = folder / "trials" / f"{trial.number:04d}"
    reached = dict(study.trials[trial.number].intermediate_values)
    for step, accuracy in _evaluations(run_folder).items():
        if step not in reached:  # the journal was lost
            trial.report(accuracy, step)
            reached[step] = accuracy
    try:
        task = with_values(base, values)
        with progress(f"trial {trial.number}", task.recipe.steps) as bar:
            devices = training_devices()
            bar.tell(describe(task, devices))
            report, moved = _reporter(trial, reached, bar.report), Announcer(bar, devices[0]).moved
            train(task, loop, run_folder, report, devices, moved)
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
    is_best = settings.objective == "best"
    study.tell(trial, max(reached.values()) if is_best else reached[max(reached)])


def _sampler(settings: SearchSettings, trial: int, index: int) -> "optuna.samplers.BaseSampler":
    """Returns the sampler of one field of a trial.

    Each has a seed of its own: a trial may be killed between two fields, and what the next one gets
    must not depend on it.
    """
    import optuna

    seeds = np.random.SeedSequence((settings.search_seed, trial, index))
    seed = int(seeds.generate_state(1)[0])
    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=settings.num_random)


def _evaluations(folder: Path) -> dict[int, float]:
    """Returns the accuracies by step that a trial's folder holds; nothing before the first."""
    if not (folder / METRICS).is_file():
        return {}
    table = read_table(folder / METRICS)
    pairs = zip(table["step"], table.get(ACCURACY, table["step"] * np.nan), strict=True)
    return {int(step): float(accuracy) for step, accuracy in pairs if not np.isnan(accuracy)}


def _draw(trial: "optuna.Trial", name: str, domain: Domain) -> Any:
    """Returns a value of a field; a trial that is continued keeps the one it has."""
    if isinstance(domain, Choices):
        return trial.suggest_categorical(name, domain.choices)
    whole = isinstance(domain.low, int) and isinstance(domain.high, int)
    suggest: Any = trial.suggest_int if whole else trial.suggest_float
    return suggest(name, domain.low, domain.high, log=domain.log)


def _reporter(trial: "optuna.Trial", reached: dict[int, float], show: Report) -> Report:
    """Returns a report that keeps each evaluation in `reached` and the study, and may prune."""
    import optuna

    def report(step: int, numbers: dict[str, float]) -> None:
        show(step, numbers)
        if ACCURACY not in numbers:
            return
        if step not in reached:  # a run that is continued repeats the steps after its checkpoint
            trial.report(numbers[ACCURACY], step)
        reached[step] = numbers[ACCURACY]
        if trial.should_prune():
            raise optuna.TrialPruned

    return report


def _write_trials(trials: "Sequence[FrozenTrial]", space: Space, path: Path) -> None:
    """Writes a row for each trial, in their order; cells without a value are empty."""
    rows: list[list[object]] = [["trial", "state", "exact_accuracy", *space, STOPPED]]
    for trial in trials:
        value = "" if trial.value is None else trial.value
        drawn = [trial.params.get(name, "") for name in space]
        stopped = trial.user_attrs.get(STOPPED, "")
        rows.append([trial.number, trial.state.name.lower(), value, *drawn, stopped])
    store.write_csv(path, rows)


def _write_best(
    trials: "Sequence[FrozenTrial]",
    base: TrainingTask,
    settings: SearchSettings,
    command: Sequence[str],
    path: Path,
) -> None:
    """Writes the best training for `rrjax train --config`, under a comment that says how.

    The best trial is the completed one of the highest accuracy, of equal ones the first.
    """
    completed = [trial for trial in trials if trial.state.name == "COMPLETE"]
    if not completed:
        return
    best = max(completed, key=lambda trial: (trial.value, -trial.number))
    task = with_values(base, best.params)
    header = (
        f"# Trial {best.number} of a search: {settings.objective} exact accuracy "
        f"{best.value:.4f}, on the test split it was chosen on.\n# {shlex.join(command)}\n"
    )
    block = dump_config(task.config.arch, task.recipe)
    store.write_bytes_atomically(path, (header + block).encode())
