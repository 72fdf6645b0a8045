"""What a training shows while it runs: one live line on a terminal, plain lines elsewhere.

The output may be missing, closed by its reader, full, narrow, or unable to hold the text; none of
that may cost a step. So nothing here raises an error of the output: it is kept in `lost`.
"""

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

SILENCE = 30.0  # seconds after which a plain line says that the work goes on


def duration(seconds: float) -> str:
    """Seconds as 47s, 3m05s or 2h10m."""
    s = round(seconds)
    if s < 60:
        return f"{s}s"
    return f"{s // 60}m{s % 60:02}s" if s < 3600 else f"{s // 3600}h{s % 3600 // 60:02}m"


def is_terminal(stream: Any) -> bool:
    """Whether a line of it can be redrawn; no stream, a closed one or a simple one has none."""
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):
        return False


def put(stream: Any, text: str) -> None:
    r"""Write at once; what the encoding lacks comes as \u4e2d, and no stream takes nothing."""
    if stream is None or getattr(stream, "closed", False):
        return
    encoding = getattr(stream, "encoding", None) or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
    if hasattr(stream, "flush"):
        stream.flush()


def say(text: str) -> None:
    """A line on stderr, in a live line's place, if anything can be said there."""
    with suppress(OSError, ValueError, RuntimeError):  # RuntimeError: amid another line's writing
        put(sys.stderr, "\r\033[K" * is_terminal(sys.stderr) + text + "\n")


class LiveLine:
    """A line that tells how far a work is: redrawn on a terminal, elsewhere printed now and then.

    Parameters
    ----------
    stream : file or None
        Where; sys.stdout or sys.stderr.

    Attributes
    ----------
    lost : OSError or None
        Why something could not be written.
    """

    def __init__(self, stream: Any) -> None:
        self.stream, self.live = stream, is_terminal(stream)
        self.lost: OSError | None = None
        self._shown = time.monotonic()

    def show(self, line: str) -> None:
        """Show the line, up to ten times a second on a terminal, else after 30 seconds' silence."""
        if time.monotonic() - self._shown > (0.1 if self.live else SILENCE):
            self._write(f"\r{self._fit(line)}\033[K" if self.live else f"{line}\n")

    def counter(self, what: str) -> Callable[[int, int], None]:
        """What a long work may call with how much is done and how much there is."""
        return lambda done, of: self.show(f"{done:,} of {of:,} {what}")

    def print(self, text: str) -> None:
        """Print lines of their own, in the live line's place."""
        self._write("\r\033[K" * self.live + text + "\n")

    def clear(self) -> None:
        """Take a live line away."""
        if self.live:
            self._write("\r\033[K")

    def _write(self, text: str) -> None:
        self._shown = time.monotonic()
        try:
            put(self.stream, text)
        except OSError as error:
            self.lost = error

    def _fit(self, line: str) -> str:
        """As many of the line's parts, two spaces apart, as a narrow terminal has room for."""
        try:
            columns = os.get_terminal_size(self.stream.fileno()).columns or 80
        except (OSError, ValueError, AttributeError):
            columns = 80
        # The last column stays free: writing there moves some terminals to the next line.
        if len(line) >= columns:
            line = (line[:columns].rpartition("  ")[0] or line)[: columns - 1]
        return line


class Progress(LiveLine):
    """Step, loss, tokens a second and time left, on stdout.

    Parameters
    ----------
    steps : int
        Steps in all.
    tokens_per_step : int
        For the speed.
    done : int
        Steps that an earlier process did.
    """

    def __init__(self, steps: int, tokens_per_step: int, done: int = 0) -> None:
        super().__init__(sys.stdout)
        self.steps, self.tokens_per_step = steps, tokens_per_step
        self.seconds = 0.0  # spent in steps, without the measurements between them
        self.loss = float("nan")
        self.first, self.done = done, done

    def update(self, loss: float, seconds: float) -> None:
        """Note a step, and show it."""
        self.done += 1
        self.seconds += seconds
        self.loss = loss if self.done == self.first + 1 else 0.9 * self.loss + 0.1 * loss
        self.show(self.line())

    def end(self) -> None:
        """Leave the last line standing, if a step was done."""
        if self.done > self.first:
            self.print(self.line())

    def line(self) -> str:
        """The line: loss is the last ten steps' or so, smoothed."""
        done = self.done - self.first
        speed = done * self.tokens_per_step / max(self.seconds, 1e-9)
        left = (self.steps - self.done) * self.seconds / max(done, 1)
        return (
            f"step {self.done:>5}/{self.steps}  loss {self.loss:.3f}  {speed:,.0f} tokens/s  "
            f"{duration(left)} left"
        )
