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
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from statistics import median

from benchmarks.machine import forget_peak, peak_memory
from benchmarks.work import Work

PAUSE = 0.1  # seconds between turns


@dataclass(frozen=True)
class Result:
    """What a turn gave: its seconds, its numbers, and the process's peak memory so far in MB."""

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
    """

    def __init__(self, module: str, work: Work) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, module, work), daemon=True)
        self.process.start()
        theirs.close()  # so that the end of the process is the end of the pipe
        self.results: list[Result] = []
        self._receive()

    def turn(self) -> Result:
        """Let it work once."""
        time.sleep(PAUSE)
        self.connection.send(True)
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
def workers(modules: list[str], work: Work) -> Iterator[list[Worker]]:
    """Workers that are ended whatever happens."""
    started: list[Worker] = []
    try:
        for module in modules:
            started.append(Worker(module, work))
        yield started
    finally:
        for worker in started:
            worker.close()


def _serve(connection: Connection, module: str, work: Work) -> None:
    """The worker's side."""
    try:
        turn = importlib.import_module(module).prepare(work)
        forget_peak()  # building, and handing weights from one model to another, is not the work
        connection.send("ready")
        while connection.recv():
            start = time.perf_counter()
            numbers = turn()
            connection.send(Result(time.perf_counter() - start, numbers, peak_memory()))
    except EOFError:
        pass  # the parent is gone
    except Exception as error:
        connection.send(RuntimeError(f"{module}, {work.name}: {type(error).__name__}: {error}"))
