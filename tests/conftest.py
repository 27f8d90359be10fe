"""Settings of every test run: a compilation cache that outlives it, and no clock on examples."""

import os
from pathlib import Path

# JAX reads these when it is first imported
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / ".jax_cache"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

from hypothesis import settings

settings.register_profile("rrjax", deadline=None)
settings.load_profile("rrjax")
