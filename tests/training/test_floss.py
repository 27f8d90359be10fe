"""Flossing within a training run: what it measures, moves, logs, and that a run resumes exactly."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rrjax.cells import bind, flatten, init_params, is_trained
from rrjax.dynamics.rollout import rollout
from rrjax.dynamics.spectrum import spectrum
from rrjax.flossing.schedule import FlossingSchedule
from rrjax.frames import random_frame
from rrjax.puzzles.batch import Batch
from rrjax.training import loop
from rrjax.training.data import Sampler
from rrjax.training.floss import batch_loss, counted, floss_before
from rrjax.training.logs import FLOSS, METRICS, read_table
from rrjax.training.loop import train
from rrjax.training.placement import Placement, training_devices
from rrjax.training.settings import Floss, LoopSettings
from rrjax.training.state import init_train_state
from tests.tools import tiny_training as tiny

ARCH = dataclasses.replace(tiny.ARCH, hidden_size=8, puzzle_emb_ndim=8, halt_max_steps=2)
CONFIG = dataclasses.replace(tiny.CONFIG, arch=ARCH)
FLOSS_ALL = Floss(pre=2, every=2, episode=1, num_exponents=2, puzzles=3, kl=0.5, params=("L_*",))
RECIPE = dataclasses.replace(tiny.RECIPE, steps=4, lr_warmup_steps=0, floss=FLOSS_ALL)
TASK = dataclasses.replace(tiny.task(), config=CONFIG, recipe=RECIPE)
LOOP = LoopSettings(log_every=1, eval_every=4, checkpoint_every=1)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that nothing interrupts."""
    out = tmp_path_factory.mktemp("floss") / "run"
    train(TASK, LOOP, out, lambda step, numbers: None)
    return out


def table(folder, name=FLOSS):
    return {k: v for k, v in read_table(folder / name).items() if "second" not in k}


@pytest.mark.slow
def test_flossing_steps_come_when_they_are_due_and_are_logged(run):
    rows = table(run)
    np.testing.assert_array_equal(rows["step"], [1, 1, 3])
    np.testing.assert_array_equal(rows["floss_step"], [1, 2, 3])
    assert (rows["loss"] > 0).all()
    assert (rows["skipped"] == 0).all()
    np.testing.assert_array_equal(rows["kl"] > 0, [False, True, False])  # 0 where it is their own
    assert (table(run, METRICS)["step"] == [1, 2, 3, 4]).all()


@pytest.mark.slow
def test_a_run_that_was_cut_short_goes_on_to_the_same_bits(run, tmp_path, monkeypatch):
    def cut_short(step, *arguments):
        after = floss_before(step, *arguments)
        if step == 3:
            raise KeyboardInterrupt
        return after

    monkeypatch.setattr(loop, "floss_before", cut_short)
    with pytest.raises(KeyboardInterrupt):
        train(TASK, LOOP, tmp_path / "run", lambda step, numbers: None)
    monkeypatch.undo()
    assert len(table(tmp_path / "run")["step"]) == 3  # the episode before step 3 was done already
    train(TASK, LOOP, tmp_path / "run", lambda step, numbers: None)
    chex.assert_trees_all_equal(table(tmp_path / "run"), table(run))
    chex.assert_trees_all_equal(table(tmp_path / "run", METRICS), table(run, METRICS))
    name = "models/step_000004/model.safetensors"
    assert (tmp_path / "run" / name).read_bytes() == (run / name).read_bytes()


@pytest.mark.slow
def test_an_episode_moves_the_chosen_weights_and_its_own_state_alone():
    placement = Placement(training_devices(), RECIPE.global_batch_size)
    before = init_train_state(CONFIG, RECIPE)
    kept = jax.tree.map(np.asarray, before)
    rows = []
    run = loop._floss_program(TASK, placement)
    after = floss_before(3, before, FLOSS_ALL, run, rows.append)
    assert [row["step"] for row in rows] == [3]
    for name, leaf in after.trained.items():
        assert np.array_equal(leaf, kept.trained[name]) != name.startswith("L_")
    assert after.floss is not None
    assert int(after.floss.count) == 1
    after = after._replace(trained=kept.trained, floss=kept.floss)
    chex.assert_trees_all_equal(after, kept)
    assert floss_before(2, after, FLOSS_ALL, run, rows.append) is after
    assert len(rows) == 1


def test_preflossing_sets_the_average_to_what_it_made():
    def moved(state, reference):
        trained = {name: leaf + 1 for name, leaf in state.trained.items()}
        chex.assert_trees_all_equal(reference, START)
        count = state.floss._replace(count=state.floss.count + 1)
        return state._replace(trained=trained, floss=count), {"loss": jnp.zeros([])}

    state = init_train_state(CONFIG, RECIPE)
    START = jax.tree.map(np.asarray, state.trained)
    rows = []
    after = floss_before(1, state, FLOSS_ALL, moved, rows.append)
    assert [row["floss_step"] for row in rows] == [1, 2]
    expected = {name: leaf + 2 for name, leaf in START.items()}
    chex.assert_trees_all_close(after.trained, expected, atol=1e-6)
    chex.assert_trees_all_equal(after.average, after.trained)


def test_so_many_skipped_steps_in_a_row_stop_the_run(monkeypatch, tmp_path):
    def skipped(state, reference):
        floss = state.floss
        worse = floss.optimizer._replace(notfinite_count=floss.optimizer.notfinite_count + 1)
        return state._replace(floss=floss._replace(optimizer=worse)), {"loss": jnp.asarray(jnp.nan)}

    monkeypatch.setattr(loop, "_floss_program", lambda task, placement: skipped)
    recipe = dataclasses.replace(RECIPE, floss=Floss(pre=3, limit=3))
    with pytest.raises(FloatingPointError, match=r"the last 3 flossing steps .* there is none yet"):
        train(dataclasses.replace(TASK, recipe=recipe), LOOP, tmp_path, lambda *_: None)
    assert len(table(tmp_path)["step"]) == 2


@pytest.fixture(scope="module")
def batch() -> Batch:
    return Sampler(TASK.train, 5, seed=4).batch(0)


PARAMS = flatten(init_params(jax.random.key(3), CONFIG))
TRAINED = {name: leaf for name, leaf in PARAMS.items() if is_trained(name)}
FIXED = {name: leaf for name, leaf in PARAMS.items() if name not in TRAINED}
KEY = jax.random.key(5)


MEASURED = Floss(pre=1, num_exponents=2, target=-0.1, segments_per_qr=None, which="failing")


@jax.jit
def seen(batch: Batch):
    return batch_loss(TRAINED, FIXED, CONFIG, MEASURED, batch, KEY, TRAINED)


@pytest.fixture(scope="module")
def answers(batch):
    """Exponents (2,) and answer of every puzzle, by the spectrum and the rollout."""
    params = init_params(jax.random.key(3), CONFIG)

    @jax.jit
    @jax.vmap
    def measured(tokens, puzzle_id, key):
        dynamics = bind(params, CONFIG, tokens, puzzle_id)
        frame = random_frame(key, dynamics.initial, 2)
        found = spectrum(dynamics, num_segments=2, frame=frame)
        return found.exponents, rollout(dynamics, 2).logits[-1].argmax(-1)

    keys = jax.random.split(KEY, 5)
    return [np.asarray(x) for x in measured(batch.inputs, batch.puzzle_ids, keys)]


@pytest.mark.slow
@pytest.mark.parametrize("number", [0, 2, 5])
def test_the_loss_is_that_of_the_spectra_of_the_failing_puzzles(batch, answers, number):
    exponents, answer = answers
    labels = (answer + 1) % CONFIG.vocab_size
    labels[:number] = answer[:number]  # what it says of the first ones is right
    loss, found = seen(batch._replace(labels=jnp.asarray(labels)))
    assert (int(found["chosen"]), int(found["unresolved"])) == (5 - number, 0)
    failing = exponents[number:]
    if not len(failing):
        assert float(loss) == 0
        return
    np.testing.assert_allclose(found["lambda1"], failing[:, 0].mean(), rtol=1e-4)
    np.testing.assert_allclose(found["lambda_mean"], failing.mean(), rtol=1e-4)
    np.testing.assert_allclose(loss, ((failing + 0.1) ** 2).mean(), rtol=1e-4)


@pytest.mark.parametrize(("which", "expected"), [("all", 4), ("failing", 3), ("correct", 1)])
def test_which_puzzles_count(which, expected):
    solved = jnp.array([False, True, False, False])
    assert int(counted(which, solved).sum()) == expected


def test_the_window_is_what_training_runs_or_what_is_said():
    assert Floss().window(6) == range(6)
    assert Floss(segments=(2, 6), stride=2).window(16) == range(2, 6, 2)


def test_flossing_is_off_as_it_stands():
    assert not Floss().active
    assert Floss(pre=1).active
    assert Floss(every=3, episode=1).active
    assert isinstance(Floss(), FlossingSchedule)
    assert init_train_state(CONFIG, tiny.RECIPE).floss is None


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"num_exponents": 0}, "floss.num_exponents must be at least 1"),
        ({"limit": 0}, "floss.limit must be at least 1"),
        ({"kl": -1.0}, "floss.kl must be finite and at least 0"),
        ({"lr": float("inf")}, "floss.lr must be finite"),
        ({"target": float("nan")}, "floss.target must be finite"),
        ({"every": 5}, "floss.episode must be at least 1 where floss.every is given"),
        ({"every": 0, "episode": 1}, "every must be at least 1"),
        ({"pre": -1}, "pre must be at least 0"),
        ({"segments": (2, 2)}, "floss.segments must be two counts, the first below the second"),
    ],
)
def test_wrong_settings_are_refused_by_name(wrong, message):
    with pytest.raises(ValueError, match=message):
        Floss(**wrong)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_exponents": 1000}, "num_exponents must lie in 1"),
        ({"segments": (0, 50)}, "floss.segments must end within the"),
        ({"params": ("H_level*",)}, "pattern 'H_level\\*' matches no parameter"),
    ],
)
def test_what_a_cell_cannot_do_is_refused_before_anything_is_written(changes, message, tmp_path):
    recipe = dataclasses.replace(RECIPE, floss=Floss(pre=1, **changes))
    with pytest.raises(ValueError, match=message):
        train(dataclasses.replace(TASK, recipe=recipe), LOOP, tmp_path / "run", print)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("settings", "field"),
    [({"lr": 0.5}, "lr"), ({"episode": 5}, "episode"), ({"pre": 2, "at_most": 3}, "at_most")],
)
def test_settings_without_flossing_are_refused(settings, field):
    with pytest.raises(ValueError, match=rf"floss\.{field} must stay at .* without floss"):
        Floss(**settings).refuse_idle()
    Floss(pre=2, lr=0.5).refuse_idle()
    Floss(every=2, episode=1, at_most=3).refuse_idle()


def test_flossing_needs_single_precision(tmp_path):
    config = dataclasses.replace(CONFIG, arch=dataclasses.replace(ARCH, forward_dtype="bfloat16"))
    with pytest.raises(ValueError, match=r"--arch\.forward-dtype float32; got bfloat16"):
        train(dataclasses.replace(TASK, config=config), LOOP, tmp_path / "run", print)
    assert not (tmp_path / "run").exists()


def test_devices_must_share_flossings_puzzles_equally():
    placement = Placement(training_devices(), RECIPE.global_batch_size)
    placement._number = 2
    with pytest.raises(ValueError, match=r"floss\.puzzles must be a multiple .* 2; got 3"):
        loop._floss_program(TASK, placement)
