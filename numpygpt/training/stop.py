"""How a training is asked to stop: by Ctrl-C, by SIGTERM, by its terminal being closed."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from numpygpt.training.progress import say

STOPPING = "stopping: the step is being finished and saved; a second Ctrl-C ends at once"


@contextmanager
def stop_requested() -> Iterator[list[int]]:
    """Inside, Ctrl-C, SIGTERM and SIGHUP only ask: the list that is yielded gets their number.

    The second Ctrl-C is not waited for: it raises KeyboardInterrupt as ever. A signal that is
    ignored (nohup, a shell's background job) stays so, and only a main thread can be asked.
    """
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if received and number == signal.SIGINT:
            raise KeyboardInterrupt
        received.append(number)
        if len(received) == 1:
            say(STOPPING)

    previous: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        numbers = (getattr(signal, name, None) for name in ("SIGINT", "SIGTERM", "SIGHUP"))
        previous = {number: signal.getsignal(number) for number in numbers if number is not None}
    previous = {s: h for s, h in previous.items() if h not in (signal.SIG_IGN, None)}
    try:
        for number in previous:
            signal.signal(number, note)
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
