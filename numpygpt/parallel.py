"""Cache-sized blocks, worker threads and kept memory: the only module that knows the machine.

A layer writes its elementwise formula once, as a kernel over a block of rows, and `over_rows` runs
it. Two things make that faster than the same NumPy calls on whole arrays:

- **Blocks that fit the cache.** GELU is eight NumPy calls on the same arrays. On a whole 12 MB
  activation each call streams it from memory again; on a block of it, only the first one does.
- **Threads.** NumPy's elementwise functions release the GIL, so two blocks run at the same time.

Every thread takes the next block as soon as it is done with its last one, and the calling thread
works too. A task that no thread has begun by then is cancelled, not waited for: on a busy machine,
or in a process pinned to one core, the caller simply does all the blocks.

Two rules for kernels:

- A kernel computes each row from that row alone. So results are equal bit for bit, whatever the
  block size and the thread count, on one kind of processor (another has other instructions, and
  so other roundings). Sums over rows are taken outside, by one BLAS product.
- A kernel never calls BLAS: no `@`, no `dot`. (`einsum`, unless asked to optimize, is a loop of
  NumPy's own.) Concurrent BLAS calls wait for each other at best, and with some builds of OpenBLAS
  return wrong numbers (numpy issue 29391). Matrix products belong to the calling thread, and BLAS
  threads them itself.

The two kinds of threads also compete. OpenBLAS's threads wait for their next
product by spinning, for some 20 ms, and so hold the very cores that elementwise work could have: a
step takes up to 8% longer. If they sleep too soon, waking them for each small product slows a
generated token by as much. `OPENBLAS_THREAD_TIMEOUT` sets how long they spin (2^n clock ticks)
and is read when NumPy is loaded, so this module, the package's first, sets it before that, unless
the environment has it already. A program that imports NumPy before numpygpt goes without.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import cache, lru_cache
from typing import Any

os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "19")  # 0.2 ms, about the gap between two products

import numpy as np
import numpy.typing as npt

# Of all arrays of a kernel together: 2 MB of float32, about an L2 cache. Smaller blocks fit it
# better, but then the threads wait for the GIL, which every NumPy call holds for a moment, and a
# hand-over to a thread (0.1 ms) costs more than it saves.
BLOCK_ELEMENTS = 1 << 19


def num_threads() -> int:
    """Threads for elementwise work: NUMPYGPT_NUM_THREADS, else the cores this process may use."""
    text = os.environ.get("NUMPYGPT_NUM_THREADS", "")
    if not text:
        cores = getattr(os, "sched_getaffinity", None)
        return len(cores(0)) if cores else os.cpu_count() or 1
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"NUMPYGPT_NUM_THREADS: expected a whole number from 1, got {text!r}")
    return int(text)


@lru_cache(maxsize=1)
def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, thread_name_prefix="numpygpt")


def over_rows(kernel: Callable[..., object], *arrays: npt.NDArray[Any]) -> None:
    """Run `kernel(*blocks)` for every block of rows of `arrays`, which share their first axis.

    The kernel writes its results into some of the blocks it is given (they are views).
    """
    keep_freed_memory()  # at the first call in a process
    n_rows = len(arrays[0])
    n_blocks = min(n_rows, -(-sum(a.size for a in arrays) // BLOCK_ELEMENTS))
    if n_blocks <= 1:
        with np.errstate(under="ignore"):  # exp of a large negative number is to be 0
            kernel(*arrays)
        return
    available = num_threads()
    threads = min(available, n_blocks)
    n_blocks += -n_blocks % threads  # about as many for each thread
    step = -(-n_rows // n_blocks)
    starts = iter(range(0, n_rows, step))  # shared by the threads: next() is atomic
    begun: list[int] = []
    ended: list[int] = []

    def work() -> None:
        begun.append(1)
        try:
            with np.errstate(under="ignore"):
                for start in starts:
                    kernel(*[a[start : start + step] for a in arrays])
        finally:
            ended.append(1)

    tasks: list[Future[None]] = []
    try:
        # A process that is ending starts no threads any more, and one may be forbidden to have
        # more: then the caller does what is left.
        with suppress(RuntimeError):
            for _ in range(threads - 1):
                tasks.append(_pool(available - 1).submit(work))
        work()
    finally:
        for _ in starts:  # after an error, nobody begins another block
            pass
        for task in tasks:
            if not task.cancel():
                task.result()
        # A task that submit queued before it raised is not in `tasks`, and may be running.
        while len(ended) < len(begun):
            time.sleep(1e-4)


@cache
def keep_freed_memory() -> None:
    """Ask the C allocator to keep freed arrays for the next ones (glibc; elsewhere, nothing).

    A training step frees all its activations and the next one makes the same again; so does a
    forward pass, layer by layer. By default glibc hands them back to the operating system in
    between, and every page of them is then fetched, and zeroed, anew: up to a third of a small
    model's time. (glibc does not keep single arrays of more than 32 MB.)
    """
    trim_threshold, mmap_threshold = -1, -3  # their numbers in malloc.h
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(mmap_threshold, 1 << 25)  # 32 MB, the most that glibc takes
            mallopt(trim_threshold, 1 << 30)
