"""What a training shows while it runs: one live line on a terminal, plain lines elsewhere."""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


def duration(seconds: float) -> str:
    """Seconds as 47s, 3m05s or 2h10m."""
    s = round(seconds)
    if s < 60:
        return f"{s}s"
    return f"{s // 60}m{s % 60:02}s" if s < 3600 else f"{s // 3600}h{s % 3600 // 60:02}m"


class Progress:
    """Step, loss, tokens a second and time left.

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
        self.steps, self.tokens_per_step = steps, tokens_per_step
        self.live = sys.stdout.isatty()
        self.seconds = 0.0  # spent in steps, without the measurements between them
        self.loss = float("nan")
        self.first, self.done = done, done
        self._shown = 0.0

    def update(self, loss: float, seconds: float) -> None:
        """Note a step; on a terminal, redraw the line up to ten times a second."""
        self.done += 1
        self.seconds += seconds
        self.loss = loss if self.done == self.first + 1 else 0.9 * self.loss + 0.1 * loss
        if self.live and time.monotonic() - self._shown > 0.1:
            self._shown = time.monotonic()
            print(f"\r{self.line()}\033[K", end="", flush=True)

    def line(self) -> str:
        """The line: loss is the last ten steps' or so, smoothed."""
        done = self.done - self.first
        speed = done * self.tokens_per_step / max(self.seconds, 1e-9)
        left = (self.steps - self.done) * self.seconds / max(done, 1)
        return (
            f"step {self.done:>5}/{self.steps}  loss {self.loss:.3f}  {speed:,.0f} tokens/s  "
            f"{duration(left)} left"
        )

    def print(self, text: str) -> None:
        """Print lines of their own, in the live line's place."""
        if self.live:
            print("\r\033[K", end="")
        print(text, flush=True)


@contextmanager
def stop_requested() -> Iterator[list[int]]:
    """Inside, Ctrl-C and SIGTERM do not interrupt: the list that is yielded gets their number.

    The second Ctrl-C is not waited for: it raises KeyboardInterrupt as ever.
    """
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if received and number == signal.SIGINT:
            raise KeyboardInterrupt
        received.append(number)

    previous = {s: signal.signal(s, note) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
