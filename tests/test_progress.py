"""A live line on a terminal, plain lines elsewhere; signals that are noted."""

import os
import pty
import signal
import subprocess
import sys

import pytest

from numpygpt.training.progress import Progress, duration, stop_requested

SCRIPT = """
import time
from numpygpt.training.progress import Progress
p = Progress(40, 1000)
for i in range(20):
    time.sleep(0.02)
    p.update(2.0, 0.01)
p.print("a line of its own")
"""


def test_durations() -> None:
    assert [duration(s) for s in (0.4, 59, 60, 185, 3599, 7800)] == [
        *("0s", "59s", "1m00s", "3m05s", "59m59s", "2h10m")
    ]


def test_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(100, 500)
    for loss in (4.0, 3.0):
        progress.update(loss, 0.5)
    assert progress.line() == "step     2/100  loss 3.900  1,000 tokens/s  49s left"
    progress.print("text")
    assert capsys.readouterr().out == "text\n"  # no live line here


def test_a_resumed_run_measures_its_own_speed() -> None:
    progress = Progress(100, 500, done=90)
    progress.update(4.0, 0.5)
    assert progress.line() == "step    91/100  loss 4.000  1,000 tokens/s  4s left"


def test_the_line_is_redrawn_on_a_terminal() -> None:
    terminal, other = pty.openpty()
    subprocess.run([sys.executable, "-c", SCRIPT], stdout=other, check=True)
    os.close(other)
    shown = os.read(terminal, 100_000).decode()
    os.close(terminal)
    assert 2 <= shown.count("\rstep ") <= 20
    assert shown.count("\n") == 1 and shown.endswith("\r\033[Ka line of its own\r\n")


def test_signals_are_noted_and_then_as_before() -> None:
    before = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]
    with stop_requested() as stop:
        assert not stop
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop == [signal.SIGTERM]
        os.kill(os.getpid(), signal.SIGTERM)  # patience: only Ctrl-C insists
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)] == before
