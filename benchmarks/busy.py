"""numpygpt on a machine that does other things.

Beside it run processes that never wait for anything, one a core unless asked otherwise. A fair
machine gives every thread the same: with two threads beside two such processes on two cores all
take twice as long. What takes longer than that waits: each product that BLAS splits over its
threads is done when the last of them has had its turn.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from statistics import median

from benchmarks.compare import OTHERS, TRANSFORMERS
from benchmarks.machine import cores, threads
from benchmarks.report import Table, Value, ratio
from benchmarks.work import DECODE, DEFAULT, TRAINING, Tell, Work, chosen
from benchmarks.worker import OURS, Worker, workers

WORKS = [
    *(replace(work, steps=1) for work in TRAINING if work.config == DEFAULT),
    replace(DECODE, config=DEFAULT),
    DECODE,
]
TURN = 1.0  # seconds at least: many turns of the scheduler
ENOUGH = 60.0  # seconds after which no other round begins: a single step may take ten

LOOP = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the benchmark, which ends this
print(flush=True)
while os.getppid() == int(sys.argv[1]):  # nor does it outlive a benchmark that was killed
    for _ in range(100_000):
        pass
"""


@contextmanager
def busy(n: int) -> Iterator[list["subprocess.Popen[bytes]"]]:
    """`n` processes that compute all the time, and are ended whatever happens."""
    command = [sys.executable, "-c", LOOP, str(os.getpid())]
    with ExitStack() as stack:
        started = []
        for _ in range(n):
            process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE))
            stack.callback(process.kill)
            started.append(process)
        for process in started:
            assert process.stdout
            process.stdout.readline()  # now it runs
        yield started
        ended = [process.returncode for process in started if process.poll() is not None]
        if ended:
            raise RuntimeError(f"a busy process ended too soon, with exit code {ended[0]}")


def fair(threads: int, n: int) -> float:
    """How many times slower it gets where every thread has the same share of the cores."""
    return max(1.0, (threads + n) / max(threads, cores()))


def measure(
    work: Work, modules: dict[str, str], n: int, rounds: int, least: float
) -> list[dict[str, Value]]:
    """A row for each contestant (its name, its module): alone and busy in turns."""
    with workers(list(modules.values()), work) as contestants:
        for worker in contestants:
            worker.turn()
        start = time.perf_counter()
        for _ in range(rounds):
            for worker in contestants:
                worker.turn(least)
            with busy(n):
                for worker in contestants:
                    worker.turn(least)
            if time.perf_counter() - start > ENOUGH:
                break
        return [
            row(work, f"{work.name}{name}", worker, n)
            for name, worker in zip(modules, contestants, strict=True)
        ]


def row(work: Work, what: str, worker: Worker, n: int) -> dict[str, Value]:
    """One line of the table; a step is a training step, or a generated token."""
    steps = work.tokens if work.kind == "generate" else work.steps
    _, *turns = [result.seconds / steps for result in worker.results]
    alone, beside = turns[::2], turns[1::2]
    tokens = work.batch * work.tokens * work.steps / steps
    return {
        "what": what,
        "alone s": median(alone),
        "busy s": median(beside),
        **ratio("slower", beside, alone),
        "fair": fair(threads(), n),
        "busy tokens/s": tokens / median(beside),
    }


def run(quick: bool, n: int, rounds: int, others: bool, wanted: str, tell: Tell) -> Table:
    """The default model in training, it and GPT-2 small generating; or what `wanted` names."""
    rows: list[dict[str, Value]] = []
    for work in chosen(WORKS, quick, wanted, tell):
        modules = {"": OURS}
        if others:
            name, module = OTHERS.get(work.kind, TRANSFORMERS)
            modules[f", {name}"] = module
        rows += measure(work, modules, n, 1 if quick else rounds, 0 if quick else TURN)
    return Table(
        "busy",
        f"beside {n} processes that never wait, in turns with alone, medians; slower: busy over "
        "alone; fair: where every thread has the same share of the cores.",
        rows,
    )
