"""Threads, cache-sized blocks and kept memory: what layers need not know of the machine.

Work that can be cut into tasks which do not depend on each other is given to `run_all`: every
thread takes the next task as soon as it is done with its last one, and the calling thread works
too. A worker that has not begun when all tasks are taken is cancelled, not waited for: on a busy
machine, or in a process pinned to one core, the caller simply does all the tasks. There are three
kinds of tasks:

- **Blocks of rows** (`over_rows`). A layer writes its elementwise formula once, as a kernel over a
  block of rows. GELU is eight NumPy calls on the same arrays: on a whole 12 MB activation each call
  streams it from memory again; on a block that fits the cache, only the first one does.
- **Heads** of attention (`over_heads`), which are many small matrices.
- **Shares of a batch** (training/data_parallel.py), each through the whole model.

Every meeting of threads costs something, and much on a machine that does other things, where one
thread may wait milliseconds for its turn while the others wait for it. So larger tasks are better,
and a task never shares out its own work again.

Matrix products are OpenBLAS's, which has threads of its own. The rules:

- Outside `run_all`, a product belongs to the calling thread, and OpenBLAS threads it. Where two
  threads do this at once, they wait for each other at best; some builds return wrong numbers (numpy
  issue 29391).
- In tasks that make products (`products=True`), OpenBLAS has one thread for as long as they run
  (blas.py). Then each thread may call it.
- A task computes its results from its own rows, heads or sequences alone, and sums over tasks are
  taken outside, in a fixed order. So what tasks compute is equal bit for bit, whatever the block
  size and the number of workers, on one kind of processor (another has other instructions, and so
  other roundings). A product outside tasks may round otherwise with more threads of OpenBLAS's.

These workers and OpenBLAS's threads also compete. The latter wait for their next product by
spinning, for some 20 ms, and so hold the very cores that other work could have: a step of a large
model takes up to 8% longer. If they sleep too soon, waking them for each small product slows a
generated token by as much. `OPENBLAS_THREAD_TIMEOUT` sets how long they spin (2^n clock ticks) and
is read when NumPy is loaded, so this module, the package's first, sets it before that, unless the
environment has it already. A program that imports NumPy before numpygpt goes without.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import nullcontext, suppress
from functools import cache, lru_cache, partial
from typing import TYPE_CHECKING, Any

from numpygpt.launcher import cores, thread_variables

os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "19")  # 0.2 ms, about the gap between two products
os.environ.update(thread_variables(os.environ, cores()))  # one of many processes has its part

import numpy as np

from numpygpt.blas import one_blas_thread, set_blas_threads

if TYPE_CHECKING:
    from numpygpt.layers.parameter import Array

# A block's numbers, in all arrays of a kernel together: 2 MB of float32, about an L2 cache. Smaller
# ones fit it better, but then the threads wait for the GIL, which every NumPy call holds for a
# moment, and a hand-over to a thread (0.1 ms) costs more than it saves.
BLOCK_ELEMENTS = 1 << 19

_here = threading.local()  # .in_task: whether this thread does a task of `run_all`


def _in_task() -> bool:
    return getattr(_here, "in_task", False)


def num_threads() -> int:
    """Threads for this thread's work: NUMPYGPT_NUM_THREADS, else the cores this process may use.

    A launcher's processes have each their part of these: see launcher.py.

    1 within a task: there, the other threads have tasks of their own.
    """
    if _in_task():
        return 1
    text = os.environ.get("NUMPYGPT_NUM_THREADS", "")
    if not text:
        return cores()
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"NUMPYGPT_NUM_THREADS: expected a whole number from 1, got {text!r}")
    return int(text)


def use_threads(n: int) -> None:
    """Have this process work on n threads; matrix products too, if they are OpenBLAS's."""
    if n < 1:
        raise ValueError(f"threads: expected at least 1, got {n}")
    os.environ["NUMPYGPT_NUM_THREADS"] = str(n)
    set_blas_threads(n)


@lru_cache(maxsize=1)
def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, thread_name_prefix="numpygpt")


def over_rows(kernel: Callable[..., object], *arrays: Array) -> None:
    """Run `kernel(*blocks)` for every block of rows of `arrays`, which share their first axis.

    The kernel writes its results into some of the blocks it is given (they are views).
    """
    n_rows = len(arrays[0])
    n_blocks = _n_blocks(n_rows, sum(a.size for a in arrays))
    if n_blocks == 1:  # a token, say: a task would take longer than the work
        kernel(*arrays)
        return
    step = -(-n_rows // n_blocks)

    def run(start: int) -> None:
        kernel(*[a[start : start + step] for a in arrays])

    run_all([partial(run, start) for start in range(0, n_rows, step)])


def over_heads(kernel: Callable[..., object], *arrays: Array | None, scratch: int) -> None:
    """As `over_rows`, for blocks of heads: each array is (..., B, H, any, any), or None.

    The kernel gets (..., heads, any, any), or (..., sequences, heads, any, any); it may make matrix
    products, and uses `scratch` more numbers for each head.
    """
    given = [a for a in arrays if a is not None]
    B, H = given[0].shape[-4:-2]
    n_blocks = _n_blocks(B * H, sum(a.size for a in given) + B * H * scratch)
    heads = -(-B * H // n_blocks)
    if heads < H:
        blocks: list[Any] = [
            np.s_[..., b, h : h + heads, :, :] for b in range(B) for h in range(0, H, heads)
        ]
    else:
        sequences = -(-B // n_blocks)
        blocks = [np.s_[..., b : b + sequences, :, :, :] for b in range(0, B, sequences)]

    def run(block: Any) -> None:
        kernel(*[None if a is None else a[block] for a in arrays])

    run_all([partial(run, block) for block in blocks], products=True)


def _n_blocks(n_rows: int, n_elements: int) -> int:
    """How many blocks, each to fit the cache; if no fewer than the threads, a multiple of them."""
    n_blocks = max(1, min(n_rows, -(-n_elements // BLOCK_ELEMENTS)))
    return 1 if n_blocks == 1 else n_blocks + -n_blocks % min(num_threads(), n_blocks)


def run_all(tasks: Sequence[Callable[[], object]], products: bool = False) -> None:
    """Run every task once, on this thread and the workers: whoever is done takes the next.

    After an error no other task is begun; it is raised when those under way have ended.

    Parameters
    ----------
    tasks : sequence of callables
        None depends on another.
    products : bool
        Whether they make matrix products: each of these is then one thread's.
    """
    keep_freed_memory()  # at the first call in a process
    alone = one_blas_thread() if products else nullcontext(True)
    with alone as granted:
        # Where BLAS cannot be held to one thread, tasks with products stay on this one.
        available = num_threads() if granted and len(tasks) > 1 else 1
        if available > 1:
            _share_out(tasks, available)
        else:
            for task in tasks:
                task()


def _share_out(tasks: Sequence[Callable[[], object]], available: int) -> None:
    left = iter(tasks)  # shared by the threads: under the GIL, next() is atomic
    errors = np.geterr()  # the caller's: a worker begins with NumPy's
    begun: list[int] = []  # counted by append, which is atomic; += 1 is not
    ended: list[int] = []
    failed: list[BaseException] = []

    def work() -> None:
        begun.append(1)
        _here.in_task = True
        try:
            with np.errstate(**errors):
                for task in left:
                    task()
        except BaseException as error:
            failed.append(error)
        finally:
            _take_all(left)
            _here.in_task = False
            ended.append(1)

    helpers: list[Future[None]] = []
    try:
        # A process that is ending starts no threads any more, and one may be forbidden to have
        # more: then the caller does what is left.
        with suppress(RuntimeError):
            for _ in range(min(available, len(tasks)) - 1):
                helpers.append(_pool(available - 1).submit(work))
        work()
    finally:
        _take_all(left)
        wait([helper for helper in helpers if not helper.cancel()])
        # One that submit queued before it raised is not in `helpers`, and may be running.
        while len(ended) < len(begun):
            time.sleep(1e-4)
    if failed:
        raise failed.pop(0)


def _take_all(left: Iterator[object]) -> None:
    """Leave no task for anybody to begin."""
    for _ in left:
        pass


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
