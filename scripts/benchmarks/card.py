"""Measures rrjax on an accelerator, beside PyTorch on the same one, in at most eight minutes.

Matrix products, spectra at each precision, training steps, PyTorch's side of them, rollouts, the
first progress of `rrjax spectrum`, the spectra's certificates, kernel profiles of the two hot
programs, and the tests that are marked `gpu`. Every section runs in a process of its own for as
long as its budget allows. Each number is written when it is there: a section that fails or is
stopped leaves what it measured, and the next one begins. FOLDER gets `card.json`, `card.md` (the
table that is printed), a log and a file of numbers of each section, and the cache of compiled
programs, which a second run finds warm.

A bare machine needs Python 3.11 or newer and a driver for CUDA 13. In a clone, one command installs
and measures:

  pip install -e '.[dev,cuda13,torch]' && python -m scripts.benchmarks.card --out card

Without a network the wheels come along: `pip download -d wheels '.[dev,cuda13,torch]' setuptools`
where there is one, and the same command with `--no-index --find-links wheels` on the machine.
PyTorch may be left out, and so may the packages of the tests: their rows then say so. Beside JAX
rrjax needs flax, optax, orbax-checkpoint, scipy, safetensors, huggingface_hub, pyyaml, jaxtyping,
tyro and rich; the tests need pytest, pytest-timeout, hypothesis, beartype and chex.

The rehearsal on a processor: python -m scripts.benchmarks.card --tiny --out rehearsal
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from rrjax.jobs.compile_cache import use_compile_cache
from rrjax.store import describe_run, write_json
from rrjax.store.files import write_bytes_atomically
from scripts.benchmarks.card_rows import Recorder, first_line, table


@dataclass(frozen=True)
class Options:
    """Settings of the measurement.

    Attributes:
      out: The folder for the results.
      seconds: The time in all; sections for which none is left are not run.
      sections: The sections that are run; without it all of them.
      tiny: Rehearses everything at a tiny size.
      only: Runs this section in this process, as the script does with each of them.
    """

    out: Path
    seconds: float = 480.0
    sections: tuple[str, ...] = ()
    tiny: bool = False
    only: str | None = None


BUDGETS = {
    "products": 20.0,
    "spectra": 110.0,
    "training": 95.0,
    "torch": 75.0,
    "command": 35.0,
    "rollouts": 25.0,
    "certificates": 50.0,
    "profiles": 30.0,
    "tests": 40.0,
}
"""The seconds that each section may take, in the order in which they run."""


def measure(name: str, options: Options) -> None:
    """Runs one section in this process."""
    use_compile_cache()  # before JAX is imported
    from scripts.benchmarks import card_sections, card_torch

    functions = {
        "products": card_sections.measure_products,
        "spectra": card_sections.measure_spectra,
        "training": card_sections.measure_training,
        "torch": card_torch.measure_torch,
        "rollouts": card_sections.measure_rollouts,
        "command": card_sections.measure_command,
        "certificates": card_sections.measure_certificates,
        "profiles": card_sections.measure_profiles,
        "tests": card_sections.run_tests,
    }
    scale = card_sections.TINY if options.tiny else card_sections.Scale()
    functions[name](Recorder(options.out / f"{name}.json"), scale)


def run_section(name: str, options: Options, seconds: float) -> dict[str, Any]:
    """Runs one section in a process of its own and returns its rows, and how it ended."""
    path = options.out / f"{name}.json"
    path.unlink(missing_ok=True)
    environment = {"XDG_CACHE_HOME": str((options.out / "cache").absolute())} | os.environ
    start = time.monotonic()
    with (
        (options.out / f"{name}.log").open("w+") as log,
        subprocess.Popen(
            section_command(name, options),
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        ) as process,
    ):
        try:
            code = process.wait(timeout=seconds)
            status = "done" if code == 0 else f"failed: {_last_line(log.name)}"
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # what it started too
            status = f"stopped after {seconds:.0f} s, its budget"
    rows = json.loads(path.read_text())["rows"] if path.is_file() else []
    return {"status": status, "seconds": time.monotonic() - start, "rows": rows}


def section_command(name: str, options: Options) -> list[str]:
    """Returns the command line that runs one section."""
    words = [sys.executable, "-m", "scripts.benchmarks.card", "--out", str(options.out)]
    return [*words, "--only", name, *(["--tiny"] if options.tiny else [])]


def _last_line(path: str) -> str:
    lines = Path(path).read_text(errors="replace").strip().splitlines()
    return first_line(lines[-1]) if lines else "it printed nothing"


def device() -> str:
    """Returns the name of the default device, asked in another process, which then frees it."""
    words = [sys.executable, "-c", "import jax; print(jax.devices()[0].device_kind)"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


def write(options: Options, record: Mapping[str, Any]) -> None:
    """Writes the record and its table."""
    write_json(options.out / "card.json", record)
    write_bytes_atomically(options.out / "card.md", table(record).encode())


def main(options: Options) -> None:
    """Runs the sections one after another, and writes all of them after each."""
    unknown = {*options.sections, *([options.only] if options.only else [])} - {*BUDGETS}
    if unknown:
        choices = ", ".join(BUDGETS)
        print(f"unknown sections: {', '.join(unknown)}; there are {choices}", file=sys.stderr)
        raise SystemExit(2)
    options.out.mkdir(parents=True, exist_ok=True)
    if options.only:
        measure(options.only, options)
        return
    end = time.monotonic() + options.seconds
    cache = "warm" if (options.out / "cache").is_dir() else "empty"
    sections: dict[str, Any] = {}
    record = {
        "device": device(),
        "summary": f"The cache of compiled programs was {cache} at the start.",
        "run": describe_run(),
        "tiny": options.tiny,
        "sections": sections,
    }
    for name in options.sections or BUDGETS:
        # a processor rehearses at its own pace
        budget = options.seconds if options.tiny else BUDGETS[name]
        seconds = min(budget, end - time.monotonic())
        if seconds > 0:
            sections[name] = run_section(name, options, seconds)
        else:
            sections[name] = {"status": "not run, no time was left", "seconds": 0.0, "rows": []}
        write(options, record)
        print(f"{name}: {sections[name]['status']}", file=sys.stderr, flush=True)
    print(table(record), end="")


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
