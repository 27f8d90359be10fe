"""Standard output and error to which writing never fails: work must not be lost at the print."""

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

_SIGNS = str.maketrans("−–—‘’“”…", "---''\"\".")
"""What stands for characters whose meaning a question mark would hide."""


class PatientStream:
    """A text stream whose failures are kept instead of raised.

    Attributes:
      failure: the first error of writing; None if there was none.
      missing: the characters that the stream's encoding does not have.
    """

    def __init__(self, stream: Any):
        self._stream = stream
        self.failure: OSError | None = None
        self.missing: set[str] = set()

    def write(self, text: str) -> int:
        """Writes a text, as far as that is possible, at once where it ends a line."""
        try:
            self._stream.write(self._encodable(text))
            if "\n" in text:
                self._stream.flush()
        except OSError as error:
            self.failure = self.failure or error
        return len(text)

    def flush(self) -> None:
        """Flushes the stream, as far as that is possible."""
        try:
            self._stream.flush()
        except OSError as error:
            self.failure = self.failure or error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @property
    def reader_has_gone(self) -> bool:
        """Whether writing failed because nobody reads any more, as after `| head`."""
        return self.failure is not None and self.failure.errno in (errno.EPIPE, errno.EINVAL)

    def _encodable(self, text: str) -> str:
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        try:
            text.encode(encoding, getattr(self._stream, "errors", None) or "strict")
        except UnicodeEncodeError:
            simpler = text.translate(_SIGNS).encode(encoding, "replace").decode(encoding)
            self.missing |= {old for old, new in zip(text, simpler, strict=True) if old != new}
            return simpler
        return text

    def complaint(self) -> str | None:
        """Returns what could not be shown, and what to do; None if all was."""
        if self.reader_has_gone:
            return "the reader of standard output ended early; files are written all the same"
        if self.failure is not None:
            reason = self.failure.strerror or self.failure
            return f"standard output cannot be written ({reason}); files are written all the same"
        if self.missing:
            characters = " ".join(sorted(self.missing))
            return (
                f"standard output ({self._stream.encoding}) cannot show {characters}; set "
                "PYTHONIOENCODING=utf-8 to see them"
            )
        return None


@contextmanager
def patient_streams() -> Iterator[PatientStream | None]:
    """Makes standard output and standard error never fail while the block runs.

    Yields:
      Standard output; None where a program has none.
    """
    out, err = (stream and PatientStream(stream) for stream in (sys.stdout, sys.stderr))
    with redirect_stdout(out), redirect_stderr(err):
        yield out
        for stream in filter(None, (out, err)):
            stream.flush()
