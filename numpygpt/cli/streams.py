"""Where a command's words go, whatever standard output and standard error are.

They can be closed or None (`>&-`), full, a pipe that nobody reads any more, in an encoding that
lacks a character, or an object with nothing but a write method. All of that is met here, so that
the commands can print as if none of it existed.
"""

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import Any


class Output(io.TextIOBase):
    """Standard output: what it cannot take is an error; a closed one takes everything.

    A character that its encoding lacks is written as an escape, so that nothing is lost and the
    work goes on; `lacks` then holds the first of these escapes.
    """

    encoding: str = "utf-8"
    name = "standard output"

    def __init__(self, target: Any) -> None:
        self.target = target
        self.encoding = getattr(target, "encoding", None) or "utf-8"
        self.lacks = ""
        self.failed: OSError | None = None
        self._line_begun = False

    @property
    def open(self) -> bool:
        """Whether somebody is there."""
        return self.target is not None and not getattr(self.target, "closed", False)

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self.open and hasattr(self.target, "isatty") and bool(self.target.isatty())

    def fileno(self) -> int:
        """The number that the system knows it by."""
        if not (self.open and hasattr(self.target, "fileno")):
            raise io.UnsupportedOperation(f"{self.name} is no file")
        return int(self.target.fileno())

    def write(self, text: str) -> int:
        """Write the text, or escapes for what the encoding lacks."""
        if self.open and text:
            self._line_begun = not text.endswith("\n")
            self._send(self.target.write, self._encodable(text))
        return len(text)

    def flush(self) -> None:
        """Send on what was written; an error that argparse ignored is raised again."""
        if self.failed:
            raise self.failed
        if self.open and hasattr(self.target, "flush"):
            self._send(self.target.flush)

    def end_line(self) -> None:
        """On a terminal, begin a new line unless one has begun."""
        if self._line_begun and self.isatty():
            self.write("\n")

    def end(self) -> None:
        """Send on what is left, or drop it: Python would try again at its own end, and complain."""
        try:
            Output.flush(self)
        except OSError:
            with suppress(OSError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self.fileno())
                os.close(nowhere)
                self.target.flush()
        self.target = self.failed = None  # when it is collected, Python flushes it once more

    @property
    def warning(self) -> str:
        """What a user has to know of what was written; empty if it is what was meant."""
        return self.lacks and (
            f"{self.encoding}, the output's encoding, lacks characters: they were written as "
            f"{self.lacks} and the like; PYTHONIOENCODING=utf-8 has them all"
        )

    def _encodable(self, text: str) -> str:
        try:
            text.encode(self.encoding, getattr(self.target, "errors", None) or "strict")
        except UnicodeEncodeError as error:
            self.lacks = self.lacks or ascii(text[error.start])[1:-1]
            return text.encode(self.encoding, "backslashreplace").decode(self.encoding)
        return text

    def _send(self, send: Callable[..., object], *args: str) -> None:
        try:
            send(*args)
        except OSError as error:
            self.failed = OSError(error.errno, error.strerror, self.name)  # of the error's own kind
            raise self.failed from None


class ErrorOutput(Output):
    """Standard error: what it cannot take is dropped, for nobody could be told."""

    name = "standard error"

    def write(self, text: str) -> int:
        """Write the text, if that can be."""
        with suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        """Send on what was written, if that can be."""
        with suppress(OSError):
            super().flush()


@contextmanager
def standard_streams() -> Iterator[Output]:
    """Inside, sys.stdout and sys.stderr are such outputs; the first is yielded."""
    out, err = Output(sys.stdout), ErrorOutput(sys.stderr)
    with redirect_stdout(out), redirect_stderr(err):
        try:
            yield out
        finally:
            out.end()
            err.end()
