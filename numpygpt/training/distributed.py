"""Data-parallel training by many processes: one step, its work dealt out, its sum made together.

The loss of a batch is the mean over its B sequences. If process r of P has b_r of them,

    loss = sum_r (b_r / B) loss_r           so          g = dloss/dW = sum_r (b_r / B) dloss_r/dW

and the sum of the gradients, once a step, is all that processes have to tell each other. With n
parameters in one flat array, of which process r owns a P-th, [n]_r, a step is

    1.  g_r      = (b_r / B) dloss_r/dW     (n,)    each on its own sequences, with the whole model
    2.  [g]_r    = [sum_s g_s]_r            (n/P,)  Reduce_scatter: everybody gets its part's sum
    3.  |g|^2    = sum_r |[g]_r|^2                  one number from each: for clipping
    4.  [p]_r    = AdamW([p]_r, [g]_r)      (n/P,)  with m and v of this part alone
    5.  p        = ([p]_0, .., [p]_{P-1})   (n,)    Allgather: all have the same weights again

2 and 5 send (P - 1)/P n numbers each from every process: together what one Allreduce of the
gradients sends. But each number's m and v exist once in all, and each is updated once.

`Processes` is this, on MPI; `Alone` is the same for one process, where every sum is of one term.
A training asks its group, and does not know which of the two it is.

Waiting: MPI waits by spinning, on a core that others may need, the awaited process among them: on
a busy machine exchanges take a hundred times as long. So processes meet before each exchange, and
who is early sleeps (`wait`); and in an exchange each looks only now and then (`finish`).

joining.py has how processes find each other, and what happens if one fails.

Reference: Rajbhandari et al. 2020 (ZeRO: steps 2, 4 and 5 are its stage 1).
"""

import math
import pickle
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, TypeVar

import numpy as np

from numpygpt.layers.parameter import Array
from numpygpt.parallel import num_threads

T = TypeVar("T")
PIECE = (
    1 << 18
)  # numbers of each part that are summed at a time: MPI takes memory for twice as many
SPIN, NAP = 2e-4, 5e-5  # seconds: looking for what comes, and leaving the core to others


def part(n: int, i: int, parts: int) -> slice:
    """The i-th of so many parts of n things, in order; the first ones have one more (array_split).

    part(7, 0, 3), part(7, 1, 3), part(7, 2, 3) are 0:3, 3:5, 5:7.
    """
    each, more = divmod(n, parts)
    start = i * each + min(i, more)
    return slice(start, start + each + (i < more))


class Alone:
    """A group of one process: nothing is sent, all is its own."""

    rank, size = 0, 1

    def describe(self) -> str:
        """How the work is dealt out, as another line for whoever starts it."""
        return ""

    def own(self, n: int) -> slice:
        """Which of n things are this process's."""
        return part(n, self.rank, self.size)

    def check_batch(self, B: int) -> None:
        """Raise unless B sequences are enough to go round."""
        if self.size > B:
            raise ValueError(
                f"batch_size: expected at least one sequence for each of {self.size} processes, "
                f"got {B}: start at most {B} processes, or give a batch of {self.size}, "
                f"{2 * self.size}, {3 * self.size}, ..."
            )

    def everyone(self, word: T) -> list[T]:
        """What each process says here, in order: for small things."""
        return [word]

    def sum_part(self, grad: Array) -> Array:
        """Step 2: this process's part of (n,) becomes the sum of everybody's; the rest is undone.

        Returns the part.
        """
        return grad

    def share_parts(self, flat: Array) -> None:
        """Step 5: fill (n,), of which each process has its own part, with everybody's."""

    def collect(self, own: Array, n: int) -> Array:
        """All parts (n,), in the first process; elsewhere anything."""
        return own

    def first(self, do: Callable[[], T]) -> T:
        """Have the first process do something while the others wait; its result, or its error."""
        return do()

    def any(self, flag: object) -> bool:
        """Whether it is so in any process."""
        return any(self.everyone(bool(flag)))

    @contextmanager
    def first_in(self, context: AbstractContextManager[T]) -> Iterator[T]:
        """A `with` block that only the first process enters; all get what it gets."""
        with ExitStack() as stack:
            yield self.first(lambda: stack.enter_context(context))


ALONE = Alone()


class Processes(Alone):
    """The processes of an MPI communicator.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
        It is duplicated: what else is sent there does not disturb, nor is disturbed.
    """

    def __init__(self, comm: Any) -> None:
        self.comm = comm.Dup()
        self.rank, self.size = comm.Get_rank(), comm.Get_size()
        self.hosts = Counter(self.everyone(socket.gethostname()))

    def describe(self) -> str:
        text = ", ".join(f"{n} on {host}" for host, n in sorted(self.hosts.items()))
        return f"\nMPI    {self.size} processes ({text}) of {num_threads()} threads each"

    def everyone(self, word: T) -> list[T]:
        said = np.frombuffer(pickle.dumps(word), np.uint8)
        lengths = np.empty(self.size, np.int64)
        wait(self.comm.Iallgather(np.array([len(said)], np.int64), lengths))
        whole = np.empty(lengths.sum(), np.uint8)
        finish(self.comm.Iallgatherv(said, [whole, lengths.tolist()]))
        words = np.split(whole, np.cumsum(lengths)[:-1])
        return [pickle.loads(text.tobytes()) for text in words]

    def sum_part(self, grad: Array) -> Array:
        parts = [grad[part(len(grad), rank, self.size)] for rank in range(self.size)]
        self._meet()
        for start in range(0, len(parts[0]), PIECE):  # the first is the longest
            pieces = [p[start : start + PIECE] for p in parts]
            given = np.zeros((self.size, len(pieces[0])), grad.dtype)
            for row, piece in zip(given, pieces, strict=True):
                row[: len(piece)] = piece
            summed = np.empty_like(given[0])
            finish(self.comm.Ireduce_scatter_block(given, summed))
            pieces[self.rank][...] = summed[: len(pieces[self.rank])]
        return parts[self.rank]

    def share_parts(self, flat: Array) -> None:
        from mpi4py.MPI import IN_PLACE

        self._meet()
        finish(self.comm.Iallgatherv(IN_PLACE, [flat, self._counts(len(flat))]))

    def collect(self, own: Array, n: int) -> Array:
        whole = np.empty(n if self.rank == 0 else 0, own.dtype)
        self._meet()
        finish(self.comm.Igatherv(own, [whole, self._counts(n)] if self.rank == 0 else None))
        return whole

    def first(self, do: Callable[[], T]) -> T:
        outcome: tuple[Any, Exception | None] = None, None
        if self.rank == 0:
            try:
                outcome = do(), None
            except Exception as error:
                outcome = None, error
        word = self.everyone(outcome)[0]
        result, failed = word if self.rank else outcome  # the error itself, where it was raised
        if failed is not None:
            raise failed
        answer: T = result
        return answer

    def _counts(self, n: int) -> list[int]:
        """How many of n numbers each process owns."""
        parts = (part(n, rank, self.size) for rank in range(self.size))
        return [own.stop - own.start for own in parts]

    def _meet(self) -> None:
        """Wait until all are here."""
        wait(self.comm.Ibarrier())


def wait(request: Any, seconds: float = math.inf) -> bool:
    """Sleep until the others have come, if that is before so many seconds; whether they have."""
    start = time.perf_counter()
    while not request.Test():
        waited = time.perf_counter() - start
        if waited > seconds:
            return False
        time.sleep(min(0.01, waited / 20))
    return True


def finish(request: Any) -> None:
    """Do this process's part of an exchange to which all have come: it moves while one looks."""
    while True:
        end = time.perf_counter() + SPIN
        while time.perf_counter() < end:
            if request.Test():
                return
        time.sleep(NAP)
