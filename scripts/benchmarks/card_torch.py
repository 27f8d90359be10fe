"""PyTorch's side of `card`: the same products, forwards, spectra and training steps."""

import importlib
from collections.abc import Callable
from typing import Any

import jax

from rrjax.cells import init_params
from rrjax.training.settings import Recipe
from scripts.benchmarks import torch_reference
from scripts.benchmarks.card_rows import Recorder
from scripts.benchmarks.card_sections import (
    MS_EACH,
    Scale,
    network,
    product_title,
    rollout_title,
    spectrum_title,
    time_calls,
    training_batch,
    training_title,
)
from scripts.benchmarks.spectrum import make_tokens


def measure_torch(recorder: Recorder, scale: Scale) -> None:
    """Measures PyTorch on the card, or on the processor where it sees none."""
    # JAX holds the weights and puzzles, which would take the card's memory from PyTorch
    jax.config.update("jax_platforms", "cpu")
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        recorder.add("PyTorch", "", None, "PyTorch", "it is not installed: nothing to compare with")
        return
    recorder.add("PyTorch", "", None, "PyTorch", f"version {torch.__version__}")
    torch.set_default_device("cuda" if torch.cuda.is_available() else "cpu")
    measure = Measure(torch, recorder, scale)
    measure.products()
    for width, batch_size in scale.trainings:
        measure.training(width, batch_size, "torch.compile", measure.compiled)
    measure.spectra()
    measure.rollouts()
    measure.training(*scale.trainings[0], "eager", torch_reference.as_is)


class Measure:
    """Measures PyTorch's programs, each in an attempt of its own."""

    def __init__(self, torch: Any, recorder: Recorder, scale: Scale):
        self.torch, self.recorder, self.scale = torch, recorder, scale
        self.precisions = {"float32": "highest", "TF32": "high"}
        self.beside = {"float32": "exact", "TF32": "tf32"}

    def compiled(self, function: Callable) -> Callable:
        """Returns a function compiled for the shapes that it meets, and forgets those before."""
        self.torch.compiler.reset()
        return self.torch.compile(function, dynamic=False)

    def products(self) -> None:
        """Measures the rate of a large matrix product."""
        size = self.scale.matrix
        for name in ("bf16", "TF32", "float32"):
            title = product_title(name)
            with self.recorder.attempt(title, "PyTorch"):
                self.torch.set_float32_matmul_precision(self.precisions.get(name, "highest"))
                dtype = "bfloat16" if name == "bf16" else "float32"
                seconds = self._seconds(torch_reference.product(self.torch, size, dtype))
                self.recorder.add(title, "TFLOP/s", 2e-12 * size**3 / seconds, "PyTorch")

    def rollouts(self) -> None:
        """Measures the forward of many puzzles, with compiled blocks and without a readout."""
        config, tokens = network(self.scale, self.scale.width), make_tokens(self.scale.rollouts)
        params = init_params(jax.random.key(0), config)
        for name, ours in self.beside.items():
            title = rollout_title("official", self.scale.rollouts, ours)
            with self.recorder.attempt(title, "PyTorch"):
                self.torch.set_float32_matmul_precision(self.precisions[name])
                run = torch_reference.forward(self.torch, config, 1, params, tokens, self.compiled)
                self._add(title, MS_EACH, 1e3 / len(tokens), run)

    def spectra(self) -> None:
        """Measures spectra by Cholesky-QR2 beside those of rrjax with as short products."""
        config, tokens = network(self.scale, self.scale.width), make_tokens(self.scale.puzzles)
        params = init_params(jax.random.key(0), config)
        for name, ours in self.beside.items():
            title = spectrum_title("official", self.scale.puzzles, ours)
            with self.recorder.attempt(title, "PyTorch"):
                self.torch.set_float32_matmul_precision(self.precisions[name])
                run = torch_reference.spectrum(
                    *(self.torch, config, 1, self.scale.num_exponents, params, tokens),
                    qr=torch_reference.cholesky_qr2,
                )
                self._add(title, MS_EACH, 1e3 / len(tokens), run)

    def training(self, width: int, batch_size: int, kind: str, wrap: Callable) -> None:
        """Measures a training step, whose blocks are passed through `wrap`."""
        config, recipe = (
            network(self.scale, width, "bfloat16"),
            Recipe(global_batch_size=batch_size),
        )
        title = training_title(width, batch_size)
        with self.recorder.attempt(f"{title} ({kind})", "PyTorch"):
            params = init_params(jax.random.key(0), config)
            batch = training_batch(batch_size)
            if self.torch.cuda.is_available():
                self.torch.cuda.reset_peak_memory_stats()
            run = torch_reference.training_step(self.torch, config, recipe, params, batch, wrap)
            seconds = self._seconds(run)
            title = title if kind == "torch.compile" else f"{title} ({kind})"
            self.recorder.add(title, "s", seconds, "PyTorch", f"PyTorch: {kind}")
            self.recorder.add(title, "puzzles/s", batch_size / seconds, "PyTorch")
            if self.torch.cuda.is_available():
                peak = self.torch.cuda.max_memory_allocated() / 1e9
                self.recorder.add(title, "GB of the program", peak, "PyTorch")

    def _add(self, title: str, unit: str, factor: float, run: Callable[[], Any]) -> None:
        self.recorder.add(title, unit, factor * self._seconds(run), "PyTorch")

    def _seconds(self, run: Callable[[], Any]) -> float:
        return time_calls(run, self._wait, self.scale.seconds)

    def _wait(self, result: Any) -> None:
        if self.torch.cuda.is_available():
            self.torch.cuda.synchronize()
