"""Measures the speed of flossing on this machine, as ratios within one run.

The benchmark compares the step of Engelken's experiment (80 neurons, 75 exponents, horizon 55) with
the same step in eager PyTorch, and a flossing step of a small TRM with its forward. The cases take
turns, and the results are medians of ratios. LAPACK gets one thread, because at this size several
threads only wait for each other.

Usage: OPENBLAS_NUM_THREADS=1 python -m scripts.benchmarks.flossing [--out benchmark_flossing.json]
(a minute; PyTorch is optional)
"""

import importlib
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from rrjax.cells import bind, init_params
from rrjax.contract import run_segment
from rrjax.flossing.differentiable import EVERYTHING, FRAMES, exponents
from rrjax.flossing.losses import one_sided_leading, two_sided
from rrjax.flossing.steps import flossing_step
from rrjax.flossing.transforms import log_exponents, penalized_loss
from rrjax.frames import orthonormalize_dense, random_frame
from rrjax.store import describe_run, write_json
from scripts.benchmarks.counting import flops
from scripts.benchmarks.sizes import bundled
from scripts.benchmarks.timing import matrix_product, measure, product_rate
from scripts.studies import engelken_runs, memory_task


@dataclass(frozen=True)
class Options:
    """Settings of the benchmark.

    Attributes:
      out: The JSON file for the result.
      repeats: The number of rounds in which the cases take turns.
      model: The bundled name of the TRM.
      k: The number of exponents of the TRM.
      size: The number of neurons of the toy network.
      num_exponents: The number of exponents of the toy network.
    """

    out: Path = Path("benchmark_flossing.json")
    repeats: int = 15
    model: str = "trm-sudoku6"
    k: int = 8
    size: int = 80
    num_exponents: int = 75


Cases = dict[str, Callable[[], Any]]


def toy_cases(options: Options) -> Cases:
    """Returns flossing steps of the toy with QR after every step, and after every second one."""
    setting = engelken_runs.Setting(size=options.size, num_exponents=options.num_exponents)
    key = jax.random.key(0)
    params = memory_task.init_params(key, setting.size, 1)
    frame = random_frame(key, params["initial"][0], setting.num_exponents)
    bits = memory_task.draw_bits(key, setting.horizon)
    optimizer = engelken_runs.optimizers(setting, params)[1]
    state = optimizer.init(params)
    found: Cases = {}
    for every in (None, 2):

        def loss(params: Any, bits: Any, frame: Any, every: int | None = every) -> Any:
            dynamics = memory_task.bind(params, params["initial"][0], bits)
            measured = exponents(
                dynamics,
                num_segments=setting.horizon - setting.uncounted,
                frame=frame,
                frame_transient=setting.uncounted,
                segments_per_qr=every,
                policy=EVERYTHING,
            )
            return two_sided(measured)

        step = jax.jit(partial(flossing_step, loss, optimizer))
        found[f"toy, QR every {every or 1}"] = partial(step, params, state, bits, frame)
    found["toy, its QR alone"] = partial(jax.jit(repeated_qr, static_argnums=1), frame, setting)
    found["product"] = matrix_product()
    host = {name: np.asarray(leaf) for name, leaf in params.items()}
    torch_case = torch_step(setting, host, np.asarray(bits), np.asarray(frame))
    return found | ({"toy, PyTorch": torch_case} if torch_case else {})


def repeated_qr(frame: Any, setting: engelken_runs.Setting) -> Any:
    """Runs as many QRs as a flossing step has updates, of matrices that are not orthonormal."""

    def step(frame: Any, _: None) -> tuple[Any, None]:
        return orthonormalize_dense(frame + 0.1)[0], None

    return jax.lax.scan(step, frame, length=setting.horizon)[0]


def torch_step(
    setting: engelken_runs.Setting, params: dict[str, np.ndarray], bits: Any, frame: Any
) -> Callable[[], Any] | None:
    """Returns the same step in eager PyTorch on one thread, or None without PyTorch."""
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        return None
    torch.set_num_threads(1)
    J, w, b = (torch.tensor(params[name], requires_grad=True) for name in ("J", "w", "b"))
    start, inputs = torch.tensor(params["initial"][0]), torch.tensor(bits)
    columns = torch.tensor(frame).T.contiguous()
    adam = torch.optim.AdamW([J, w, b], lr=setting.learning_rate, weight_decay=0.0)

    def run() -> Any:
        x, Q, growth = start, columns, torch.zeros(setting.num_exponents)
        for time_step in range(setting.horizon):
            rate = torch.tanh(x)
            Q, R = torch.linalg.qr(J @ ((1 - rate**2)[:, None] * Q))
            x = J @ rate + b + w @ inputs[time_step]
            if time_step >= setting.uncounted:
                growth = growth + torch.diagonal(R).abs().log()
        loss = (growth / (setting.horizon - setting.uncounted)).square().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        return loss.detach()

    return run


def trm_cases(options: Options) -> Cases:
    """Returns a TRM's forward over one segment of a puzzle, its exponents and their gradients."""
    config = bundled(options.model)
    params = init_params(jax.random.key(0), config)
    tokens = jnp.ones(config.seq_len, jnp.int32)
    dynamics = bind(params, config, tokens)
    frame = random_frame(jax.random.key(1), dynamics.initial, options.k)

    def floss(params: Any, frame: Any, **chosen: Any) -> Any:
        dynamics = bind(params, config, tokens)
        return two_sided(exponents(dynamics, num_segments=1, frame=frame, **chosen))

    forward = jax.jit(lambda params: run_segment(bind(params, config, tokens), dynamics.initial))
    found: Cases = {
        "TRM forward": partial(forward, params),
        "TRM exponents": partial(jax.jit(floss), params, frame),
    }
    choices = {
        "frames stored": {"policy": FRAMES},
        "everything stored": {"policy": EVERYTHING},
        "everything stored, one QR": {"policy": EVERYTHING, "segments_per_qr": 1},
    }
    for name, chosen in choices.items():
        step = jax.jit(jax.grad(partial(floss, **chosen)))
        found[f"TRM flossing, {name}"] = partial(step, params, frame)
    return found


def training_cases(options: Options) -> Cases:
    """Returns steps on a batch of 16 puzzles: plain, with λ₁ logged, and with λ₁ penalised."""
    config = bundled(options.model)
    params = init_params(jax.random.key(0), config)
    tokens = jnp.ones((16, config.seq_len), jnp.int32)
    frame = random_frame(jax.random.key(1), bind(params, config, tokens[0]).initial, 1)

    def loss(params: Any, tokens: Any) -> Any:
        def one(tokens: Any) -> Any:
            dynamics = bind(params, config, tokens)
            return dynamics.readout(
                dynamics.context, run_segment(dynamics, dynamics.initial)
            ).logits

        return jnp.mean(jnp.square(jax.vmap(one)(tokens)))

    def measure(params: Any, tokens: Any) -> Any:
        return exponents(bind(params, config, tokens[0]), num_segments=1, frame=frame)

    penalty = penalized_loss(loss, measure, one_sided_leading, weight=1.0, every=10)
    logger = log_exponents(measure, 1, every=10)

    def logged(params: Any, state: Any, tokens: Any) -> Any:
        return logger.update(jax.grad(loss)(params, tokens), state, params, batch=tokens)

    plain, adding = jax.jit(jax.grad(loss)), jax.jit(jax.grad(penalty, has_aux=True))
    logging = jax.jit(logged)
    state: Any = logger.init(params)
    off = state._replace(step=jnp.asarray(1))
    return {
        "training": partial(plain, params, tokens),
        "training, λ₁ penalised": partial(adding, params, tokens, 0),
        "training, penalty not due": partial(adding, params, tokens, 1),
        "training, λ₁ logged": partial(logging, params, state, tokens),
        "training, log not due": partial(logging, params, off, tokens),
    }


def summarize(options: Options, seconds: dict[str, np.ndarray]) -> dict[str, float]:
    """Returns medians over the rounds of times and of their ratios."""
    rows = {f"{name}, ms": 1e3 * values for name, values in seconds.items()}
    for name, values in seconds.items():
        if name.startswith("toy, QR") and "toy, PyTorch" in seconds:
            rows[f"PyTorch / rrjax, {name}"] = seconds["toy, PyTorch"] / values
        if name.startswith(("TRM flossing", "TRM exponents")):
            rows[f"{name} / forward / (1 + k)"] = values / seconds["TRM forward"] / (1 + options.k)
        if name.startswith("training,"):
            rows[f"{name} / training"] = values / seconds["training"]
    return {name: float(np.median(values)) for name, values in rows.items()}


def toy_limit(step: Callable[[], Any], seconds: dict[str, np.ndarray]) -> dict[str, float]:
    """Returns the time of a toy step that did nothing but its products, at this machine's rate."""
    assert isinstance(step, partial)
    work = sum(flops(jax.make_jaxpr(step.func)(*step.args)).values()) / 1e9
    limit = work / product_rate(seconds["product"])
    rows = {"toy, its products at the product rate, ms": 1e3 * limit}
    if "toy, PyTorch" in seconds:
        rows["PyTorch / the products alone"] = seconds["toy, PyTorch"] / limit
    return {name: float(np.median(values)) for name, values in rows.items()}


def main(options: Options) -> None:
    """Measures the cases, prints the rows and writes the JSON file."""
    rows = {}
    for make_cases in (toy_cases, trm_cases, training_cases):
        cases = make_cases(options)
        seconds = measure(cases, options.repeats, time.process_time)
        row = summarize(options, seconds)
        if make_cases is toy_cases:
            row |= toy_limit(cases["toy, QR every 1"], seconds)
        for name, value in row.items():
            print(f"{name:60}{value:10.3g}", flush=True)
        rows |= row
    settings = {**asdict(options), "out": options.out.name}
    write_json(options.out, {"options": settings, "run": describe_run(), "results": rows})


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
