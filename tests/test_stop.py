"""Signals that ask a training to stop: noted, answered at once, and left as they were."""

import os
import signal
import threading
from typing import Any

import pytest

from numpygpt.training.stop import STOPPING, stop_requested

ASKS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def test_signals_are_noted_and_then_as_before(capsys: pytest.CaptureFixture[str]) -> None:
    before = [signal.getsignal(s) for s in ASKS]
    with stop_requested() as stop:
        assert not stop
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop == [signal.SIGTERM]
        assert capsys.readouterr().err == STOPPING + "\n"
        os.kill(os.getpid(), signal.SIGHUP)  # patience: only Ctrl-C insists
        assert stop == [signal.SIGTERM, signal.SIGHUP]
        assert capsys.readouterr().err == ""  # it is said once
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert [signal.getsignal(s) for s in ASKS] == before


@pytest.mark.parametrize("number", ASKS)
def test_what_is_ignored_stays_ignored(number: signal.Signals) -> None:
    before = signal.signal(number, signal.SIG_IGN)  # as nohup, or a shell in the background, does
    try:
        with stop_requested() as stop:
            os.kill(os.getpid(), number)
            assert not stop and signal.getsignal(number) is signal.SIG_IGN
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)


def test_a_handler_that_python_does_not_know_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signal, "getsignal", lambda number: None)  # a C library's
    set_by: list[Any] = []
    monkeypatch.setattr(signal, "signal", lambda *args: set_by.append(args))
    with stop_requested():
        pass
    assert not set_by


def test_another_thread_than_the_main_one_is_not_asked() -> None:
    found: list[Any] = []

    def work() -> None:
        with stop_requested() as stop:
            found.append(list(stop))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [[]]


@pytest.mark.parametrize("error", [RuntimeError, BrokenPipeError, ValueError])
def test_nobody_to_answer_to(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    class Stream:
        def write(self, text: str) -> None:
            raise error("reentrant call, closed pipe, closed file")

    for stream in (Stream(), None):
        monkeypatch.setattr("sys.stderr", stream)
        with stop_requested() as stop:
            os.kill(os.getpid(), signal.SIGINT)
        assert stop == [signal.SIGINT]
