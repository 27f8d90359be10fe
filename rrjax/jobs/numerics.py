"""Settings outside of rrjax that change the last bits of results."""

import os
import platform
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import jax

_WITHOUT_EFFECT = re.compile(
    r"--xla_(dump_|force_host_platform_device_count|gpu_per_fusion_autotune_cache_dir)"
)
"""Flags of XLA that change no number."""

_OPTIONS = ("jax_enable_x64", "jax_disable_most_optimizations", "jax_optimization_level")
_VARIABLES = ("LIBTPU_INIT_ARGS", "NVIDIA_TF32_OVERRIDE")
_VECTORS = ("avx512f", "avx2", "avx", "sse4_2")


def numeric_settings() -> dict[str, Any]:
    """Returns the settings on which the bits of a result depend, as JSON can hold them.

    They are JAX's options for types and optimization, XLA's flags without those that change no
    number, two environment variables of the drivers, and on a processor its vector instructions.
    A generator, a seed's offset and a precision of products are not among them, because rrjax sets
    these itself.
    """
    flags = os.environ.get("XLA_FLAGS", "").split()
    settings: dict[str, Any] = {name: str(getattr(jax.config, name, None)) for name in _OPTIONS}
    settings |= {name: os.environ[name] for name in _VARIABLES if name in os.environ}
    settings["xla_flags"] = sorted(flag for flag in flags if not _WITHOUT_EFFECT.match(flag))
    if jax.default_backend() == "cpu":
        settings["instructions"] = _instructions()
    return settings


def _instructions() -> str:
    """Returns the name of the processor's widest vector instructions, or of its architecture."""
    flags: set[str] = set()
    with suppress(OSError):  # other systems have no such file
        flags.update(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    return next((name for name in _VECTORS if name in flags), platform.machine())
