"""A live line on a terminal, plain lines elsewhere; outputs of all kinds."""

import errno
import fcntl
import io
import os
import pty
import struct
import subprocess
import sys
import termios

import pytest

from numpygpt.training.progress import LiveLine, Progress, duration

LINE = "step    58/300  loss 2.840  36,013 tokens/s  1m14s left"
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


@pytest.mark.parametrize("columns", [1, 10, 20, 31, 40, 41, 57, 58, 59, 80, 0])
def test_the_line_fits_the_terminal_in_whole_parts(columns: int) -> None:
    terminal, other = pty.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with open(other, "w") as stream:
        line = LiveLine(stream)
        line._shown = 0.0
        line.show(LINE)
        shown = os.read(terminal, 1000).decode().removeprefix("\r").removesuffix("\033[K")
    os.close(terminal)
    assert len(shown) < (columns or 80)
    assert LINE.startswith(shown)
    if columns >= 20:
        assert shown == LINE or LINE[len(shown) :].startswith("  ")
    assert (shown == LINE) == (columns == 0 or columns > len(LINE))


class Plain:
    """A stream with nothing but a write method."""

    def __init__(self, error: OSError | None = None) -> None:
        self.text, self.error = "", error

    def write(self, text: str) -> None:
        if self.error:
            raise self.error
        self.text += text


def test_streams_that_lack_something() -> None:
    simple, closed = Plain(), io.StringIO()
    closed.close()
    for stream in (simple, closed, None):
        line = LiveLine(stream)
        assert not line.live and not line.lost
        line.print("text")
    assert simple.text == "text\n"


def test_what_an_encoding_lacks_can_still_be_told() -> None:
    data = io.BytesIO()
    stream = io.TextIOWrapper(data, "cp1252", errors="replace", newline="\n")
    LiveLine(stream).print("été 中\udcff")
    assert data.getvalue() == "été \\u4e2d\\udcff\n".encode("cp1252")


def test_an_output_that_fails_is_noted_and_no_error() -> None:
    error = OSError(errno.ENOSPC, "No space left on device")
    line = LiveLine(Plain(error))
    line.print("text")
    assert line.lost is error


def test_a_pipe_gets_a_sign_of_life_after_a_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    stream = Plain()
    line = LiveLine(stream)
    count = line.counter("tokens")
    for now in range(1, 101):
        count(now * 1000, 200_000)
        if now == 50:
            line.print("a line of its own")
    lines = ["31,000 of 200,000 tokens", "a line of its own", "81,000 of 200,000 tokens"]
    assert stream.text == "".join(line + "\n" for line in lines)


def test_steps_are_such_a_sign_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = Progress(100, 500)
    for seconds in (29, 31):
        monkeypatch.setattr("time.monotonic", lambda s=progress._shown + seconds: s)
        progress.update(4.0, 0.5)
    assert capsys.readouterr().out == "step     2/100  loss 4.000  1,000 tokens/s  49s left\n"
