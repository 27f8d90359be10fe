"""A platform that is not there: one message, no traceback."""

import logging
import sys

import pytest

from rrjax.jobs.platforms import platform_complaint, quiet_plugins
from tests.tools.processes import begin

_START = """
import sys
from rrjax.cli import run_command
def start(arguments):
    import jax.numpy
    jax.numpy.zeros(1)
sys.exit(run_command(start, []))
"""


@pytest.mark.parametrize(
    ("platform", "words"),
    [
        ("moon", "JAX_PLATFORMS=moon: Unable to initialize backend 'moon': "),
        ("cuda", "JAX_PLATFORMS=cuda: JAX "),
    ],
)
def test_a_platform_that_is_not_there_is_one_message(platform, words):
    process = begin([sys.executable, "-c", _START], JAX_PLATFORMS=platform)
    err = process.communicate(timeout=100)[1]
    assert process.returncode == 2
    assert err.startswith(f"rrjax: {words}")
    assert "unset JAX_PLATFORMS" in err
    assert err.count("\n") == 1


def test_a_platform_that_is_there_has_no_complaint():
    assert platform_complaint() is None


@pytest.mark.parametrize(("asked", "num_lines"), [("", 1), ("cuda", 0)])
def test_a_plugin_that_fails_is_logged_in_a_line(asked, num_lines, monkeypatch, caplog):
    monkeypatch.setenv("JAX_PLATFORMS", asked)
    logger = logging.getLogger("jax._src.xla_bridge")
    monkeypatch.setattr(logger, "filters", [])
    quiet_plugins()
    try:
        raise RuntimeError("no card")
    except RuntimeError:
        logger.exception("cannot start %s", "a plugin")
    logger.warning("another matter")
    lines = caplog.text.splitlines()
    assert len(lines) == num_lines + 1
    assert num_lines == 0 or lines[0].endswith("cannot start a plugin: no card")
