"""Runs `python -m converters SRC DST` in a checkout, where rrjax need not be installed."""

import sys
from functools import partial

from rrjax.cli import run_command

from .command import main

sys.exit(run_command(partial(main, prog="python -m converters"), sys.argv[1:]))
