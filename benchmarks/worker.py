"""One contestant, alone in a fresh process, that works only when it is told to.

Two libraries in one process disturb each other: their threads wait for work by spinning, and peak
memory cannot be told apart. So each contestant gets a process of its own, and the parent gives
them turns. Between turns a worker blocks on its pipe.

A library's threads may go on spinning for some 40 ms after their last product; PAUSE lets them fall
asleep. PyTorch's stop at once. OMP_WAIT_POLICY stays as it is, because "passive" slows PyTorch's
small models by a third.
"""

import importlib
import multiprocessing
import os
import pickle
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.machine import SET_BY_NUMPYGPT, forget_peak, peak_memory

if TYPE_CHECKING:  # in a worker, NumPy comes no sooner than it is told to
    from benchmarks.work import Turn, Work

OURS, LIMIT = "benchmarks.work", "benchmarks.limits"  # contestants that need no other library
PAUSE = 0.1  # seconds between turns


@dataclass(frozen=True)
class Result:
    """What a turn gave: its seconds, its numbers, and the process's peak memory so far in MB.

    Of a turn that was repeated: the mean seconds, and the last numbers.
    """

    seconds: float
    numbers: list[float]
    peak: float


class Worker:
    """A contestant's process, seen from the parent.

    Parameters
    ----------
    module : str
        The contestant: a module with `prepare(work)`.
    work : Work
        What it does.
    first : str
        A module that the process imports before any other, as a new program would.
    """

    def __init__(self, module: str, work: "Work", first: str = "") -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        pickled = pickle.dumps(work)  # by itself: to open it imports NumPy
        arguments = (theirs, module, work.name, pickled, first)
        self.process = context.Process(target=_serve, args=arguments, daemon=True)
        self.process.start()
        theirs.close()  # so that the end of the process is the end of the pipe
        self.results: list[Result] = []
        self._receive()

    def turn(self, least: float = 0.0) -> Result:
        """Let it work once; or again and again, until `least` seconds are over."""
        time.sleep(PAUSE)
        self.connection.send(least)
        result = self._receive()
        assert isinstance(result, Result)
        self.results.append(result)
        return result

    def seconds(self) -> float:
        """The median of all turns but the first."""
        return median(result.seconds for result in self.results[1:])

    def peak(self) -> float:
        """Peak memory in MB."""
        return self.results[-1].peak

    def close(self) -> None:
        """End the process."""
        self.process.terminate()
        self.process.join()
        self.connection.close()

    def _receive(self) -> object:
        try:
            answer = self.connection.recv()
        except EOFError:
            self.process.join()
            raise RuntimeError(
                f"a worker ended with exit code {self.process.exitcode} (out of memory?)"
            ) from None
        if isinstance(answer, Exception):
            raise answer
        return answer


@contextmanager
def workers(modules: list[str], work: "Work") -> Iterator[list[Worker]]:
    """Workers that are ended whatever happens."""
    started: list[Worker] = []
    try:
        for module in modules:
            started.append(Worker(module, work))
        yield started
    finally:
        for worker in started:
            worker.close()


def _serve(connection: Connection, module: str, name: str, pickled: bytes, first: str) -> None:
    """The worker's side."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the parent, which ends this
    try:
        if first:
            import_first(first)
        turn = importlib.import_module(module).prepare(pickle.loads(pickled))
        forget_peak()  # building, and handing weights from one model to another, is not the work
        connection.send("ready")
        while True:
            connection.send(_repeat(turn, connection.recv()))
    except EOFError:
        pass  # the parent is gone
    except Exception as error:
        connection.send(RuntimeError(f"{module}, {name}: {type(error).__name__}: {error}"))


def import_first(name: str) -> None:
    """Import NumPy or numpygpt into a process that has neither, nor what numpygpt sets for it."""
    os.environ.pop(SET_BY_NUMPYGPT, None)  # inherited from the parent
    early = {"numpy", "numpygpt"} & set(sys.modules)
    if early:
        raise RuntimeError(f"expected to import {name} first, but {min(early)} is here already")
    importlib.import_module(name)


def _repeat(turn: "Turn", least: float) -> Result:
    start, seconds, times = time.perf_counter(), 0.0, 0
    while not times or seconds < least:
        numbers = turn()
        seconds, times = time.perf_counter() - start, times + 1
    return Result(seconds / times, numbers, peak_memory())
