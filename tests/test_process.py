"""A signal ends the command at once, in one line, with exit code 128 + its number."""

import signal
import sys
from pathlib import Path

import pytest

from tests.tools.processes import begin

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

SIGNALS = {"SIGINT": "interrupted", "SIGTERM": "terminated", "SIGHUP": "hung up"}

_SEND = "os.kill(os.getpid(), getattr(signal, sys.argv[1]))"
_RUN = "import rrjax.cli\nrrjax.cli.main = command\nfrom rrjax.process import run\nrun()\n"

AT_WORK = f"""
import os, pathlib, signal, sys, time
from rrjax.store import new_folder
def command():
    try:
        with new_folder(pathlib.Path(sys.argv[2]) / "data") as temporary:
            (temporary / "file").touch()
            {_SEND}
            time.sleep(60)
    finally:
        print("a bar", file=sys.stderr)
        os.write(2, b"a library")
        raise ValueError("the interruption broke something")
{_RUN}"""

WHILE_IMPORTING = f"""
import os, signal, sys
class Finder:
    def find_spec(self, name, *_):
        if name == "numpy":
            {_SEND}
sys.meta_path.insert(0, Finder())
def command():
    try:
        import numpy
    except BaseException:
        sys.exit("an extension module was torn")
{_RUN}"""

BEFORE_ANYTHING = f"""
import os, signal, sys
class Finder:
    def find_spec(self, name, *_):
        if name == "rrjax.cli":
            {_SEND}
sys.meta_path.insert(0, Finder())
from rrjax.process import run
run()
"""

WHILE_NOTHING_ANSWERS = f"""
import os, signal, sys, time
def command():
    while True:
        try:
            {_SEND}
            time.sleep(60)
        except KeyboardInterrupt:
            pass
{_RUN}"""

AT_THE_END = f"""
import atexit, os, signal, sys, time
def at_end():
    {_SEND}
    time.sleep(60)
atexit.register(at_end)
def command():
    return 0
{_RUN}"""

MOMENTS = (AT_WORK, WHILE_IMPORTING, BEFORE_ANYTHING, WHILE_NOTHING_ANSWERS, AT_THE_END)
NAMES = ("at work", "while importing", "before anything", "while nothing answers", "at the end")


@pytest.mark.parametrize("name", SIGNALS)
@pytest.mark.parametrize("moment", MOMENTS, ids=NAMES)
def test_a_signal_is_one_line_and_leaves_nothing(moment, name, tmp_path: Path):
    process = begin([sys.executable, "-c", moment, name, str(tmp_path)])
    out, err = process.communicate(timeout=30)
    assert process.returncode == 128 + getattr(signal, name), err
    assert out == ""
    assert err == f"rrjax: {SIGNALS[name]}; given again, sweeps and training go on\n"
    assert list(tmp_path.iterdir()) == []


def test_a_signal_that_is_ignored_stays_ignored():
    ignored = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    sent = f"import os, sys\ndef command():\n    {_SEND}\n    print('done')\n    return 3\n{_RUN}"
    process = begin([sys.executable, "-c", ignored + sent, "SIGHUP"])
    assert process.communicate(timeout=30) == ("done\n", "")
    assert process.returncode == 3
