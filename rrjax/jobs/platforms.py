"""What to say where JAX finds no device."""

import logging
import os
from importlib.util import find_spec

_PLUGINS = ("jax_cuda12_plugin", "jax_cuda13_plugin")


def platform_complaint() -> str | None:
    """Returns why JAX has no device to run on, and what to do; None if it has one."""
    import jax

    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:  # the latter for a platform without its wheels
        asked = jax.config.jax_platforms or ""  # pyright: ignore[reportAttributeAccessIssue]
        return f"JAX_PLATFORMS={asked}: {_reason(asked, str(error))}"
    return None


def _reason(asked: str, words: str) -> str:
    if "cuda" not in asked and "gpu" not in asked:
        sentence = words.partition(" (set JAX_PLATFORMS")[0].rstrip(".")
        return f"{sentence or 'JAX has no such platform'}; unset JAX_PLATFORMS, or set it to cpu"
    if not any(map(find_spec, _PLUGINS)):
        return "JAX is installed without CUDA; pip install 'jax[cuda13]', or unset JAX_PLATFORMS"
    return (
        "JAX found no NVIDIA card that it can use; see whether nvidia-smi lists one, or unset "
        "JAX_PLATFORMS to run on the processor"
    )


def quiet_plugins() -> None:
    """Makes JAX log a plugin that finds no card in one line, without a traceback.

    Where `JAX_PLATFORMS` asks for the card JAX does not start, and `platform_complaint` says why.
    """
    logging.getLogger("jax._src.xla_bridge").addFilter(_in_one_line)


def _in_one_line(record: logging.LogRecord) -> bool:
    if record.exc_info is None:
        return True
    record.msg, record.args = f"{record.getMessage()}: {record.exc_info[1]}", ()
    record.exc_info = None
    return not os.environ.get("JAX_PLATFORMS")
