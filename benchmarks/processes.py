"""Training by many processes on one machine, beside one process with as many threads.

Each contestant is a number of processes, each with its part of the threads, that train together as
`mpiexec -n P numpygpt train` does. They take turns: between its turns all processes of a contestant
sleep.

The unit is one process with one thread: on n threads, however they are dealt out to processes, the
work could be done n times as fast, and efficiency is what becomes of that.
"""

import importlib.util
import json
import os
import pickle
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from statistics import median

from benchmarks.machine import THREAD_VARIABLES, forget_peak, peak_memory, threads
from benchmarks.report import Table, Value
from benchmarks.work import DEFAULT, NANO, TINY, TRAINING, Tell, Work, chosen, prepare
from numpygpt.cli.scaling import Scaling

COUNTS = (1, 2, 4)
ROOT = Path(__file__).parents[1]


def mpiexec() -> str:
    """What starts many processes; the one of this Python's own environment first."""
    found = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}")
    if found is None or importlib.util.find_spec("mpi4py") is None:
        raise ValueError("processes needs mpi4py and an MPI: pip install -e '.[mpi]'")
    return found


class Contestant:
    """P processes of so many threads each, with the same work; seen from the parent."""

    def __init__(self, work: Work, P: int, threads: int) -> None:
        self.work, self.P, self.threads = work, P, threads
        command = [sys.executable, "-m", "benchmarks.processes", pickle.dumps(work).hex()]
        if P > 1:
            command = [mpiexec(), "-n", str(P), *command]
        environment = os.environ | dict.fromkeys(THREAD_VARIABLES, str(threads))
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environment, text=True, stdin=-1, stdout=-1
        )
        self.seconds: list[float] = []
        self.peak = 0.0

    def turn(self) -> None:
        """Let them work once."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.P} processes ended with exit code {self.process.wait()}")
        seconds, self.peak = json.loads(line)
        self.seconds.append(seconds / self.work.steps)

    def close(self) -> None:
        """End them."""
        assert self.process.stdin
        self.process.stdin.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.terminate()
        self.process.__exit__(None, None, None)


def serve(work: Work) -> None:
    """The side of the processes: a turn for each line that the first one reads."""
    from numpygpt.training.joining import joined

    with joined() as group:
        turn = prepare(work, group)
        forget_peak()
        while group.first(sys.stdin.readline):
            start = time.perf_counter()
            turn()
            seconds = time.perf_counter() - start
            peak = max(group.everyone(peak_memory()))
            if group.rank == 0:
                print(json.dumps([seconds, peak]), flush=True)


def measure(works: list[Work], name: str, counts: list[int], rounds: int) -> list[dict[str, Value]]:
    """Rows: one process with one thread, then P processes (each work is theirs)."""
    n = threads()
    with ExitStack() as stack:
        contestants = [
            stack.enter_context(closing(Contestant(work, P, max(1, n // P))))
            for work, P in zip(works, counts, strict=True)
        ]
        if n > 1:
            one = stack.enter_context(closing(Contestant(works[0], 1, 1)))
            contestants.insert(0, one)
        for _ in range(rounds + 1):
            for contestant in contestants:
                contestant.turn()
        return [row(name, contestant, contestants[0]) for contestant in contestants]


def row(name: str, contestant: Contestant, one: Contestant) -> dict[str, Value]:
    """One line; speeds are medians of the rounds' ratios, the first round left out."""
    work, P = contestant.work, contestant.P
    seconds = contestant.seconds[1:]
    more = work.batch / one.work.batch  # work that is done in a step
    speed = median(more * a / b for a, b in zip(one.seconds[1:], seconds, strict=True))
    busy = min(P * contestant.threads, threads())
    sent = Scaling(work.num_parameters(), 1.0, work.batch, P, 1.0, 1.0, 0.0).sent
    return {
        "what": f"{name}, {P} x {contestant.threads} threads",
        "batch": work.batch,
        "ms": median(seconds) * 1e3,
        "tokens/s": work.batch * work.tokens / median(seconds),
        "speed": speed,
        "efficiency": speed / busy,
        "sent MB": sent / 1e6,
        "peak MB": contestant.peak,
    }


def run(quick: bool, rounds: int, wanted: str, tell: Tell) -> Table:
    """The small models, or what `wanted` names: the batch dealt out, and a batch for each."""
    mpiexec()
    works = [w for w in TRAINING if w.config in (NANO, DEFAULT, TINY) or wanted]
    counts = [1, 2] if quick else list(COUNTS)
    rows: list[dict[str, Value]] = []
    for work in chosen(works, quick, wanted, tell):
        each = replace(work, batch=max(work.batch, max(counts)))
        rounds = 1 if quick else rounds
        rows += measure([each] * len(counts), work.name, counts, rounds)
        weak = [replace(each, batch=each.batch * P) for P in counts]
        rows += measure(weak, f"{work.name} for each", counts, rounds)
    return Table(
        "processes",
        "training steps by P processes x their threads, in turns, medians; speed: work done a "
        "second, over one process with one thread; efficiency: speed over threads; sent: by each "
        "process a step.",
        rows,
    )


if __name__ == "__main__":
    serve(pickle.loads(bytes.fromhex(sys.argv[1])))
