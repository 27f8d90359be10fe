"""Settings of every test run: what is compiled how, and no clock on examples."""

import gc
import os
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

# JAX reads these when it is first imported; commands that tests start inherit them
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / ".jax_cache"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
# compiling is most of a run's work, and for tiny programs the costly passes do not pay; what is
# marked `optimized` is compiled as users' programs are
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "true")
# without those passes XLA's former code for fused loops compiles in half the time, and a program
# in one piece in less than one in pieces for 32 cores; newer versions have that code no longer, and
# a flag that they do not know would end the process
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
    if version("jaxlib").startswith("0.10.")
    else "",
)
# a GPU's memory is shared with the processes that tests start
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import jax
import pytest
from hypothesis import settings

import tests.tools.checked  # noqa: F401  the type checker that pyproject.toml names

# tracing makes millions of objects that are kept, among which Python would look for garbage
gc.set_threshold(100_000, 50, 100)

settings.register_profile("rrjax", deadline=None)
settings.load_profile("rrjax")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts files with slow tests first: one that came last would leave the other process idle."""
    long = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in long)


def pytest_collection_finish() -> None:
    """Spares modules and tests, which stay to the end, from all searches for garbage."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def compiler_passes(request: pytest.FixtureRequest) -> Iterator[None]:
    """All of the compiler's passes, in modules marked `optimized`."""
    if request.node.get_closest_marker("optimized") is None:
        yield
        return
    before = jax.config.read("jax_disable_most_optimizations")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "false")
        _set_passes(False)
        yield
        _set_passes(before)


def _set_passes(disabled: bool) -> None:
    jax.config.update("jax_disable_most_optimizations", disabled)
    jax.clear_caches()  # a program compiled the other way would do for JAX
