"""The sections of `card`: each measures one subject on the default device with rrjax."""

import functools
import math
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rrjax.cells import Config, bind, init_params
from rrjax.dynamics.certificate import certify
from rrjax.dynamics.precision import PRECISIONS
from rrjax.dynamics.rollout import rollout
from rrjax.models import load_model
from rrjax.puzzles.batch import Batch
from rrjax.training.settings import Recipe
from rrjax.training.state import init_train_state
from rrjax.training.step import train_step
from scripts.benchmarks.card_rows import Recorder
from scripts.benchmarks.kernel_profile import profile
from scripts.benchmarks.sizes import official_mlp
from scripts.benchmarks.spectrum import make_tokens, tangents

ROOT = Path(__file__).parents[2]
MS_EACH = "ms per puzzle and segment"


@dataclass(frozen=True)
class Scale:
    """How large everything is.

    Attributes:
      matrix: The rows of the square matrices whose product is timed.
      width: The width of the official network.
      cycles: The `H_cycles` and `L_cycles` of the official networks.
      precisions: The precisions of spectra, rollouts and certificates.
      num_exponents: The number of exponents k.
      puzzles: The number of puzzles whose spectra run together at official size.
      bundled: The name of the bundled model.
      chunks: The numbers of puzzles of the bundled model whose spectra run together, and at which
        precisions.
      rollouts: The number of puzzles that a rollout runs together.
      trainings: The width and batch size of each training step.
      deterministic: The width and batch size at which the price of deterministic operations is
        measured.
      certified: The number of puzzles of the bundled model that are certified, and their segments.
      seconds: How long each program is run, at least twice.
      command: The options of `rrjax spectrum`.
    """

    matrix: int = 8192
    width: int = 512
    cycles: tuple[int, int] = (3, 6)
    precisions: tuple[str, ...] = PRECISIONS
    num_exponents: int = 8
    puzzles: int = 64
    bundled: str = "trm-sudoku9"
    chunks: tuple[tuple[int, tuple[str, ...]], ...] = ((64, ("exact",)), (512, PRECISIONS))
    rollouts: int = 512
    trainings: tuple[tuple[int, int], ...] = ((512, 768), (256, 256), (256, 1024), (128, 768))
    deterministic: tuple[int, int] = (256, 256)
    certified: tuple[int, int] = (8, 16)
    seconds: float = 0.5
    command: tuple[str, ...] = ("trm-sudoku9", "--num-puzzles", "64")


TINY = Scale(
    matrix=64,
    width=16,
    cycles=(1, 1),
    precisions=("bf16",),
    num_exponents=2,
    puzzles=2,
    bundled="trm-sudoku6",
    chunks=((2, ("bf16",)),),
    rollouts=2,
    trainings=((16, 4),),
    deterministic=(16, 4),
    certified=(1, 1),
    seconds=0.0,
    command=("trm-sudoku6", "--num-puzzles", "2", "--num-segments", "1", "--num-exponents", "1"),
)
"""The rehearsal, which a processor does in seconds."""


def network(scale: Scale, width: int, dtype: str = "float32") -> Config:
    """Returns the official TRM-MLP of a width."""
    config = official_mlp(width)
    H_cycles, L_cycles = scale.cycles
    arch = replace(config.arch, H_cycles=H_cycles, L_cycles=L_cycles, forward_dtype=dtype)
    return replace(config, arch=arch)


def time_calls(run: Callable[[], Any], wait: Callable[[Any], Any], seconds: float) -> float:
    """Returns the mean seconds of a call, over as many calls as fill the time, after two others.

    Args:
      run: Starts the program and returns its result.
      wait: Returns when the result is there.
      seconds: The time to be filled.
    """
    wait(run())
    start = time.perf_counter()
    wait(run())
    number = max(2, math.ceil(seconds / (time.perf_counter() - start)))
    start = time.perf_counter()
    for _ in range(number):
        result = run()
    wait(result)
    return (time.perf_counter() - start) / number


def measure_products(recorder: Recorder, scale: Scale) -> None:
    """Measures the rate of a large matrix product in bfloat16, TF32 and float32."""
    kinds = {
        "bf16": ("bfloat16", None),
        "TF32": ("float32", jax.lax.DotAlgorithmPreset.TF32_TF32_F32),
        "float32": ("float32", jax.lax.Precision.HIGHEST),
    }
    for name, (dtype, precision) in kinds.items():
        with recorder.attempt(product_title(name)):
            if name == "TF32" and jax.default_backend() == "cpu":
                raise ValueError("a processor has no TF32 products")
            key = jax.random.key(0)
            square = jax.random.normal(key, (scale.matrix, scale.matrix), jnp.dtype(dtype))
            product = jax.jit(functools.partial(jnp.matmul, precision=precision))
            seconds = time_calls(
                functools.partial(product, square, square), jax.block_until_ready, scale.seconds
            )
            recorder.add(product_title(name), "TFLOP/s", 2e-12 * scale.matrix**3 / seconds)


def product_title(kind: str) -> str:
    """Returns what a matrix product is called in the table."""
    return f"matrix product, {kind}"


def measure_spectra(recorder: Recorder, scale: Scale) -> None:
    """Measures spectra at each precision: the official size, then the bundled model."""
    config = network(scale, scale.width)
    params, tokens = init_params(jax.random.key(0), config), make_tokens(scale.puzzles)
    goals = {"exact": "≤ 6.0", "split": "≤ 3.3", "bf16": "≤ 1.2"}
    for precision in scale.precisions:
        title = spectrum_title("official", scale.puzzles, precision)
        _measure_spectrum(recorder, scale, title, config, params, tokens, precision, goals)
    model = load_model(scale.bundled)
    for number, precisions in scale.chunks:
        tokens = model.test_puzzles().inputs[:number].astype(np.int32)
        for precision in precisions:
            title = spectrum_title(scale.bundled, number, precision)
            _measure_spectrum(recorder, scale, title, model.config, model.params, tokens, precision)


def spectrum_title(size: str, puzzles: int, precision: str) -> str:
    """Returns what a spectrum is called in the table."""
    return f"spectrum, {size}, {puzzles} puzzles, {precision}"


def _measure_spectrum(
    recorder: Recorder,
    scale: Scale,
    title: str,
    config: Config,
    params: Any,
    tokens: np.ndarray,
    precision: str,
    goals: dict[str, str] | None = None,
) -> None:
    with recorder.attempt(title):
        compute = functools.partial(tangents, config, 1, scale.num_exponents, precision)
        program = Compiled(compute, params, jnp.asarray(tokens))
        milliseconds = 1e3 * program.seconds(scale.seconds) / len(tokens)
        goal = (goals or {}).get(precision, "")
        recorder.add(title, MS_EACH, milliseconds, goal=goal)
        goal = "≤ 10" if goals else ""
        recorder.add(title, "s to compile", program.compile_seconds, goal=goal)
        recorder.add(title, "GB of the program", program.gigabytes)


def measure_certificates(recorder: Recorder, scale: Scale) -> None:
    """Measures the tangents' error against float64: of the bundled model, then of official size."""
    model, config = load_model(scale.bundled), network(scale, scale.width)
    number, num_segments = scale.certified
    tokens = model.test_puzzles().inputs[:number].astype(np.int32)
    params, k = init_params(jax.random.key(0), config), scale.num_exponents
    sizes = {
        scale.bundled: (model.config, model.params, tokens, num_segments, k),
        "official": (config, params, make_tokens(2), 1, k),
    }
    for size, arguments in sizes.items():
        for precision in reversed(scale.precisions):
            title = f"certificate, {size}, {precision}"
            with recorder.attempt(title):
                error = tangents_error(precision, *arguments)
                recorder.add(title, "largest error of λ, nats per update", error)


def tangents_error(
    precision: str,
    config: Config,
    params: Any,
    tokens: np.ndarray,
    num_segments: int,
    num_exponents: int,
) -> float:
    """Returns the largest error that the rounding of tangents makes, of all exponents."""

    def one(tokens: jax.Array) -> jax.Array:
        key, dynamics = jax.random.key(0), bind(params, config, tokens)
        return certify(dynamics, num_exponents, num_segments, key=key, precision=precision).error

    return float(np.nanmax(np.asarray(jax.vmap(one)(jnp.asarray(tokens)))))


class Compiled:
    """A program compiled for its arguments, which it is then called with."""

    def __init__(self, compute: Callable, *arguments: Any):
        lowered = jax.jit(compute).lower(*arguments)
        start = time.perf_counter()
        self.program = lowered.compile()
        self.compile_seconds = time.perf_counter() - start
        self.run = functools.partial(self.program, *jax.device_put(arguments))

    def seconds(self, fill: float) -> float:
        """Returns the seconds of a call."""
        return time_calls(self.run, jax.block_until_ready, fill)

    @property
    def gigabytes(self) -> float:
        """The memory that the program needs."""
        return gigabytes(self.program)


def gigabytes(program: Any) -> float:
    """Returns the memory of a compiled program with its arguments and results, in 10⁹ bytes."""
    memory = program.memory_analysis()
    size = memory.argument_size_in_bytes + memory.output_size_in_bytes
    return (size + memory.temp_size_in_bytes - memory.alias_size_in_bytes) / 1e9


def measure_rollouts(recorder: Recorder, scale: Scale) -> None:
    """Measures rollouts of many puzzles at each precision, of official size and bundled."""
    config, model = network(scale, scale.width), load_model(scale.bundled)
    params = init_params(jax.random.key(0), config)
    tokens = model.test_puzzles().inputs[: scale.rollouts].astype(np.int32)
    sizes = {
        "official": (config, params, make_tokens(scale.rollouts)),
        scale.bundled: (model.config, model.params, tokens),
    }
    for size, (config, params, tokens) in sizes.items():
        for precision in scale.precisions:
            title = rollout_title(size, scale.rollouts, precision)
            with recorder.attempt(title):
                compute = functools.partial(answers, config, precision)
                program = Compiled(compute, params, jnp.asarray(tokens))
                milliseconds = 1e3 * program.seconds(scale.seconds) / len(tokens)
                recorder.add(title, MS_EACH, milliseconds)


def answers(config: Config, precision: str, params: Any, tokens: jax.Array) -> jax.Array:
    """Returns the answers of some puzzles after one segment."""

    def one(tokens: jax.Array) -> jax.Array:
        return rollout(bind(params, config, tokens), 1, precision=precision).answers

    return jax.vmap(one)(tokens)


def rollout_title(size: str, puzzles: int, precision: str) -> str:
    """Returns what a rollout is called in the table."""
    return f"rollout, {size}, {puzzles} puzzles, {precision}"


def measure_training(recorder: Recorder, scale: Scale) -> None:
    """Measures training steps in bfloat16, and what operations that repeat their bits cost."""
    for width, batch_size in scale.trainings:
        title = training_title(width, batch_size)
        with recorder.attempt(title):
            _measure_training_step(recorder, scale, title, width, batch_size, {})
    width, batch_size = scale.deterministic
    title = f"{training_title(width, batch_size)}, deterministic operations"
    with recorder.attempt(title):
        options = {"xla_gpu_deterministic_ops": True}
        _measure_training_step(recorder, scale, title, width, batch_size, options)
    memory = jax.devices()[0].memory_stats()
    if memory is None:
        recorder.add("peak of all training steps", "GB", None, note="a processor tells no peak")
    else:
        peak = memory["peak_bytes_in_use"] / 1e9
        recorder.add("peak of all training steps", "GB", peak)


def training_title(width: int, batch_size: int) -> str:
    """Returns what a training step is called in the table."""
    return f"training step, width {width}, batch {batch_size}, bf16"


TRAINING_GOALS = {
    (512, 768): {"puzzles/s": "≥ 6,970 and 1.2 × torch.compile", "GB of the program": "≤ 35"},
    (256, 256): {"puzzles/s": "≥ 12,000 at the best batch"},
}
"""By width and batch size."""


def _measure_training_step(
    recorder: Recorder,
    scale: Scale,
    title: str,
    width: int,
    batch_size: int,
    compiler_options: dict[str, Any],
) -> None:
    config, recipe = network(scale, width, "bfloat16"), Recipe(global_batch_size=batch_size)
    start = time.perf_counter()
    step = TrainingStep(config, recipe, compiler_options)
    compile_seconds = time.perf_counter() - start
    goals = TRAINING_GOALS.get((width, batch_size), {})
    seconds = time_calls(step, jax.block_until_ready, scale.seconds)
    units = {
        "s": seconds,
        "puzzles/s": batch_size / seconds,
        "s to compile": compile_seconds,
        "GB of the program": gigabytes(step.program),
    }
    for unit, value in units.items():
        recorder.add(title, unit, value, goal=goals.get(unit, ""))
    same = _bits_after(config, recipe, step.program) == _bits_after(config, recipe, step.program)
    recorder.add(title, "1 if two runs of 3 steps have the same bits", float(same))


class TrainingStep:
    """A compiled training step with its state, which each call moves on by one step."""

    def __init__(self, config: Config, recipe: Recipe, compiler_options: dict[str, Any]):
        step = jax.jit(train_step, static_argnums=(0, 1), donate_argnums=2)
        self.state = init_train_state(config, recipe)
        self.batch = training_batch(recipe.global_batch_size)
        lowered = step.lower(config, recipe, self.state, self.batch)
        self.program = lowered.compile(compiler_options=compiler_options)

    def __call__(self) -> Any:
        """Runs a step and returns its metrics."""
        self.state, metrics = self.program(self.state, self.batch)
        return metrics


def training_batch(batch_size: int) -> Batch:
    """Returns random puzzles; the labels are the tokens."""
    tokens = make_tokens(batch_size)
    return jax.device_put(Batch(tokens, tokens, np.zeros(batch_size, np.int32)))


def _bits_after(config: Config, recipe: Recipe, program: Any, steps: int = 3) -> list[bytes]:
    """Returns the bytes of the weights after some steps from the first state."""
    state = init_train_state(config, recipe)
    for _ in range(steps):
        state, _ = program(state, training_batch(recipe.global_batch_size))
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(state.trained)]


def measure_profiles(recorder: Recorder, scale: Scale) -> None:
    """Profiles the two hot programs: the official training step and the exact spectrum."""
    width, batch_size = scale.trainings[0]
    config, recipe = network(scale, width, "bfloat16"), Recipe(global_batch_size=batch_size)
    with recorder.attempt("profile of the training step"):
        step = TrainingStep(config, recipe, {})
        jax.block_until_ready(step())
        _record_profile(recorder, training_title(width, batch_size), step)
        del step
    config = network(scale, scale.width)
    params, tokens = init_params(jax.random.key(0), config), make_tokens(scale.puzzles)
    with recorder.attempt("profile of the spectrum"):
        compute = functools.partial(tangents, config, 1, scale.num_exponents, "exact")
        program = Compiled(compute, params, jnp.asarray(tokens))
        jax.block_until_ready(program.run())
        _record_profile(recorder, spectrum_title("official", scale.puzzles, "exact"), program.run)


def _record_profile(recorder: Recorder, title: str, run: Callable[[], Any]) -> None:
    measured = profile(run)
    recorder.add(title, "ms of a call", 1e3 * measured.seconds)
    recorder.add(title, "share of the time in kernels", measured.busy)
    for name, (seconds, number) in list(measured.kernels.items())[:12]:
        recorder.add(f"kernel {name[:90]}", "ms", 1e3 * seconds, note=f"{number:g} runs")


def measure_command(recorder: Recorder, scale: Scale) -> None:
    """Measures `rrjax spectrum` twice: the first run fills the cache of compiled programs."""
    words = [sys.executable, "-m", "rrjax.cli", "spectrum", *scale.command]
    title = f"rrjax spectrum {' '.join(scale.command[:3])}"
    for cache, goal in {"as it was found": "", "warm": "≤ 15"}.items():
        folder = recorder.path.with_name(f"run-{cache.replace(' ', '-')}-{os.getpid()}")
        with recorder.attempt(title):
            first, whole = _times_of_command([*words, "--out", str(folder)])
            recorder.add(f"{title}, cache {cache}", "s to the first progress", first, goal=goal)
            recorder.add(f"{title}, cache {cache}", "s in all", whole)


def _times_of_command(words: list[str]) -> tuple[float, float]:
    """Returns the seconds until a command's first progress, and until its end."""
    start, first, lines = time.perf_counter(), None, []
    with subprocess.Popen(
        words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        for line in process.stderr or ():
            lines.append(line)
            if first is None and re.search(r": [1-9]\d*/\d+", line):
                first = time.perf_counter() - start
    if process.returncode or first is None:
        raise RuntimeError(f"exit code {process.returncode}: {' '.join(lines[-1:])}")
    return first, time.perf_counter() - start


def run_tests(recorder: Recorder, scale: Scale) -> None:
    """Runs the tests that are marked `gpu`; without a card they are skipped."""
    words = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:xdist", "tests/gpu"]
    finished = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    summary = (finished.stdout.strip().splitlines() or [finished.stderr])[-1]
    for outcome in ("passed", "failed", "skipped"):
        number = re.search(rf"(\d+) {outcome}", summary)
        recorder.add("tests marked gpu", outcome, float(number[1]) if number else 0.0)
    for line in finished.stdout.splitlines():
        if line.startswith(("FAILED", "ERROR")):
            recorder.add("tests marked gpu", "", None, note=line)
