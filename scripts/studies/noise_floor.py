"""Measures how float32, shortened products and a bfloat16 forward change the exponents.

The judge is a float64 run from the same frame. Where a trajectory is chaotic the float32 state
leaves the float64 one, and the difference is that of two runs of the same system, not an error of
the method; shortened tangents (tf32, bf16) are therefore also compared with those of split
products, whose states are the same to the bit.

Usage: python -m scripts.studies.noise_floor [--model trm-sudoku9] [--out noise_floor.json]
(some ten minutes for 16 puzzles on 2 cores)
"""

from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from rrjax.contract import Context, Drive, Dynamics, Repeat, Schedule, State, Update
from rrjax.dynamics.spectrum import spectrum
from rrjax.frames import random_frame
from rrjax.jobs.progress import progress
from rrjax.models import Model, load_model
from rrjax.store import describe_run, write_json
from scripts.studies.markdown import print_markdown


@dataclass(frozen=True)
class Options:
    """Settings of the study.

    Attributes:
      model: A bundled name or a model folder with held-out puzzles.
      num_puzzles: The number of puzzles, from the first on.
      num_exponents: The number of exponents k.
      num_segments: The number of segments of each puzzle.
      seed: The seed of the frames.
      out: The JSON file for the result.
    """

    model: str = "trm-sudoku9"
    num_puzzles: int = 16
    num_exponents: int = 8
    num_segments: int = 16
    seed: int = 0
    out: Path = Path("noise_floor.json")


@dataclass(frozen=True)
class Update16:
    """An update in bfloat16 whose derivative is that of the float32 update at the same state."""

    wide: Update
    short: Update

    def __call__(self, contexts: tuple[Context, Context], z: State, drive: Drive) -> State:
        """The state after the bfloat16 update, in float32; contexts are (float32, bfloat16)."""

        @jax.custom_jvp
        def step(z: State) -> State:
            return cast(self.short(contexts[1], cast(z, jnp.bfloat16), drive), jnp.float32)

        @step.defjvp
        def tangent(primals: tuple, tangents: tuple) -> tuple[State, State]:
            moved = jax.jvp(lambda z: self.wide(contexts[0], z, drive), primals, tangents)[1]
            return step(*primals), moved

        return step(z)


def cast(tree: Any, dtype: Any) -> Any:
    """Returns every array of a pytree in another dtype."""
    return jax.tree.map(lambda leaf: leaf.astype(dtype), tree)


def forward_in_bfloat16(wide: Dynamics, short: Dynamics) -> Dynamics:
    """Returns dynamics with the trajectory of a bfloat16 forward and float32 Jacobians along it."""

    def pair(first: Schedule, second: Schedule) -> Schedule:
        return tuple(
            Repeat(a.times, pair(a.body, b.body))
            if isinstance(a, Repeat) and isinstance(b, Repeat)
            else Update(a.name, Update16(a, b))  # type: ignore[arg-type]
            for a, b in zip(first, second, strict=True)
        )

    return replace(
        wide,
        initial=cast(short.initial, jnp.float32),
        schedule=pair(wide.schedule, short.schedule),
        readout=lambda contexts, z: wide.readout(contexts[0], z),
        context=(wide.context, short.context),
    )


@partial(jax.jit, static_argnums=(2, 3))
def measure(dynamics: Dynamics, frame: Any, num_segments: int, precision: str) -> tuple:
    """Returns the exponents and the final answer of one puzzle."""
    result = spectrum(dynamics, num_segments=num_segments, frame=frame, precision=precision)
    answer = dynamics.readout(dynamics.context, result.state).logits.argmax(-1)
    return result.exponents, answer


def variants(models: dict[str, Model], tokens: np.ndarray) -> dict[str, tuple[Dynamics, str]]:
    """Returns by name the dynamics of a puzzle and the precision of its spectrum."""
    bound = {dtype: model.bind(tokens) for dtype, model in models.items()}
    wide = bound["float32"]
    return {
        "float64": (bound["float64"], "exact"),
        "float32": (wide, "exact"),
        "float32, split": (wide, "split"),
        "float32, tf32 tangents": (wide, "tf32"),
        "float32, bf16 tangents": (wide, "bf16"),
        "bf16 forward, float32 tangents": (
            forward_in_bfloat16(wide, bound["bfloat16"]),
            "exact",
        ),
    }


def measure_all(options: Options) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Returns per variant the exponents (puzzles, k) and the answers (puzzles, seq)."""
    models = {
        "float64": load_model(options.model, "float64"),
        "float32": load_model(options.model, "float32"),
        "bfloat16": load_model(options.model, "bfloat16"),
    }
    puzzles = models["float32"].test_puzzles()[: options.num_puzzles]
    found: dict[str, list] = {}
    with progress("noise floor", len(puzzles)) as bar:
        for index, tokens in enumerate(puzzles.inputs):
            key = jax.random.fold_in(jax.random.key(options.seed), index)
            for name, (dynamics, precision) in variants(models, tokens).items():
                judge = models["float64"].bind(tokens).initial
                frame = random_frame(key, judge, options.num_exponents)
                kind = jax.tree.leaves(dynamics.initial)[0].dtype
                result = measure(dynamics, cast(frame, kind), options.num_segments, precision)
                found.setdefault(name, []).append(jax.device_get(result))
            bar.report(index + 1, {})
    return {
        name: (np.stack([r[0] for r in rows]), np.stack([r[1] for r in rows]))
        for name, rows in found.items()
    }


def compare(found: dict[str, tuple[np.ndarray, np.ndarray]]) -> list[dict[str, Any]]:
    """Compares exponents, in nats per update, with those of float64 and of split products."""
    pairs = [(name, "float64") for name in found if name != "float64"]
    pairs += [(f"float32, {name} tangents", "float32, split") for name in ("tf32", "bf16")]
    rows = []
    for name, judge in pairs:
        difference = np.abs(found[name][0].astype(np.float64) - found[judge][0])
        changed = (found[name][1] != found[judge][1]).any(axis=1)
        rows.append(
            {
                "variant": name,
                "against": judge,
                "median |Δλ₁|": float(np.median(difference[:, 0])),
                "max |Δλ₁|": float(difference[:, 0].max()),
                "median |Δλi|": float(np.median(difference)),
                "max |Δλi|": float(difference.max()),
                "other answers": int(changed.sum()),
            }
        )
    return rows


def print_table(rows: list[dict[str, Any]]) -> None:
    """Prints the rows as Markdown, for the README."""
    cells = ([f"{v:.1e}" if isinstance(v, float) else v for v in row.values()] for row in rows)
    print_markdown(list(rows[0]), cells)


def main(options: Options) -> None:
    """Measures, prints the table and writes the JSON file."""
    jax.config.update("jax_enable_x64", True)
    found = measure_all(options)
    rows = compare(found)
    print_table(rows)
    exponents = {name: values[0].tolist() for name, values in found.items()}
    settings = {**asdict(options), "out": options.out.name}
    record = {"options": settings, "run": describe_run(), "rows": rows, "exponents": exponents}
    write_json(options.out, record)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
