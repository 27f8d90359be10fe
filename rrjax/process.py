"""The process of the `rrjax` command: whenever it is interrupted, it ends at once and in one line.

Files are whole or absent whatever happens, so that a process may end at any moment. It imports
nothing but the standard library before it waits for signals: most of a command's first second are
imports.
"""

import os
import signal
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    import socket
    from types import FrameType

GIVEN_AGAIN = "given again, sweeps and training go on"

_WORDS = {"SIGINT": "interrupted", "SIGTERM": "terminated", "SIGHUP": "hung up"}

_UNWINDING_SECONDS = 1.0
"""Time in which an interrupted command may remove its temporary files and locks. A compiler or a
device that does not return by then does not hold up the end."""


class Interruption:
    """Ends the process after the first signal that asks for it, with exit code 128 + its number.

    Python runs the handler of a signal in the main thread, which raises KeyboardInterrupt there. A
    compiler may keep the main thread for minutes, so another thread waits for signals too.

    Attributes:
      number: the number of the signal that came first; None before.
      unwinds: whether the main thread is at a command, which KeyboardInterrupt can end.
    """

    def __init__(self):
        self.number: int | None = None
        self.unwinds = False
        self._stderr = 2
        self._is_ending = False
        self._words: dict[int, str] = {}

    def install(self) -> None:
        """Waits for signals from now on, but for those that the process was told to ignore."""
        for name, word in _WORDS.items():
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if number is not None and signal.getsignal(number) != signal.SIG_IGN:
                self._words[number] = word
                signal.signal(number, self._handle)
        self._start_watching()

    def _start_watching(self) -> None:
        # their imports take longer than all that was before
        import socket
        import threading

        receiver, sender = socket.socketpair()
        sender.setblocking(False)
        signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
        arguments = (receiver, sender)  # which stay open as long as the thread runs
        threading.Thread(target=self._watch, args=arguments, daemon=True).start()

    def end(self) -> NoReturn:
        """Ends the process with its one line; nothing that waits for a device is called."""
        assert self.number is not None
        if self._is_ending:
            time.sleep(60)  # the other thread is at it
        self._is_ending = True
        cursor = "\x1b[?25h\n" if os.isatty(self._stderr) else ""  # which a progress bar hides
        line = f"{cursor}rrjax: {self._words[self.number]}; {GIVEN_AGAIN}\n"
        with suppress(OSError):
            os.write(self._stderr, line.encode())
        os._exit(128 + self.number)

    def _handle(self, number: int, frame: "FrameType | None") -> None:
        if self.number is not None:
            return
        self.number = number
        self._silence()
        # extension modules do not survive an exception while they are imported
        if not self.unwinds or _is_importing(frame):
            self.end()
        raise KeyboardInterrupt

    def _watch(self, receiver: "socket.socket", sender: "socket.socket") -> None:
        while (number := receiver.recv(1)[0]) not in self._words:
            pass
        time.sleep(_UNWINDING_SECONDS)
        self.number = self.number or number
        self.end()

    def _silence(self) -> None:
        """Keeps what libraries say about their end from standard error."""
        with suppress(OSError):
            self._stderr = os.dup(2)
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 2)


def _is_importing(frame: "FrameType | None") -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def run() -> NoReturn:
    """Runs the command of this process's arguments, and ends the process."""
    interruption = Interruption()
    interruption.install()
    from rrjax.cli import main

    try:
        interruption.unwinds = True
        code = main()
    except BaseException:
        interruption.unwinds = False
        if interruption.number is None:
            raise
        code = 0
    interruption.unwinds = False
    if interruption.number is not None:
        interruption.end()
    sys.exit(code)
