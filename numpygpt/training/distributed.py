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
who is early sleeps (`wait`); and in an exchange each looks only now and then (`finish`). Who fails,
ends all: see `joined`.

Reference: Rajbhandari et al. 2020 (ZeRO: steps 2, 4 and 5 are its stage 1).
"""

import math
import pickle
import socket
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, NoReturn, TypeVar

import numpy as np

from numpygpt.launcher import Launched, launched
from numpygpt.layers.parameter import Array
from numpygpt.parallel import num_threads

T = TypeVar("T")
SPIN, NAP = 2e-4, 5e-5  # seconds: looking for what comes, and leaving the core to others
PATIENCE = 3.0  # seconds that one who failed waits for the others to say the same


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
        """Step 2: this process's part of the sum of everybody's (n,)."""
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
        self.comm, self.last = comm.Dup(), comm.Dup()  # `last` has the words said at the end
        self.rank, self.size = self.comm.Get_rank(), self.comm.Get_size()
        self.hosts = Counter(self.everyone(socket.gethostname()))

    def describe(self) -> str:
        text = ", ".join(f"{n} on {host}" for host, n in sorted(self.hosts.items()))
        return f"\nMPI    {self.size} processes ({text}) of {num_threads()} threads each"

    def everyone(self, word: T) -> list[T]:
        return self._words(self.comm, word)

    def sum_part(self, grad: Array) -> Array:
        own = np.empty_like(grad[self.own(len(grad))])
        self._meet(self.comm)
        finish(self.comm.Ireduce_scatter(grad, own, self._counts(len(grad))))
        return own

    def share_parts(self, flat: Array) -> None:
        own = flat[self.own(len(flat))].copy()
        self._meet(self.comm)
        finish(self.comm.Iallgatherv(own, [flat, self._counts(len(flat))]))

    def collect(self, own: Array, n: int) -> Array:
        whole = np.empty(n if self.rank == 0 else 0, own.dtype)
        self._meet(self.comm)
        finish(self.comm.Igatherv(own, [whole, self._counts(n)] if self.rank == 0 else None))
        return whole

    def first(self, do: Callable[[], T]) -> T:
        outcome: tuple[Any, Exception | None] = None, None
        if self.rank == 0:
            try:
                outcome = do(), None
            except Exception as error:
                outcome = None, error
        told = self.everyone(outcome)[0]
        result, failed = told if self.rank else outcome
        if failed is not None:
            raise failed
        answer: T = result
        return answer

    def _counts(self, n: int) -> list[int]:
        """How many of n numbers each process owns."""
        parts = (part(n, rank, self.size) for rank in range(self.size))
        return [own.stop - own.start for own in parts]

    def _words(self, comm: Any, word: T) -> list[T]:
        """What each says, pickled; who is early waits here."""
        said = np.frombuffer(pickle.dumps(word), np.uint8)
        lengths = np.empty(self.size, np.int64)
        wait(comm.Iallgather(np.array([len(said)]), lengths))
        whole = np.empty(lengths.sum(), np.uint8)
        finish(comm.Iallgatherv(said, [whole, lengths.tolist()]))
        words = np.split(whole, np.cumsum(lengths)[:-1])
        return [pickle.loads(text.tobytes()) for text in words]

    def _meet(self, comm: Any, seconds: float = math.inf) -> bool:
        """Wait until all are here; False if they are not after so many seconds."""
        return wait(comm.Ibarrier(), seconds)

    def part_ways(self, failed: BaseException | None) -> None:
        """The last meeting: raise what failed here or elsewhere; without one who failed, wait."""
        if not self._meet(self.last, math.inf if failed is None else PATIENCE):
            self._end_all(failed)  # some are amid their work, and wait for this process
        words = self._words(self.last, None if failed is None else told(failed))
        if failed is not None:
            raise failed
        for rank, word in enumerate(words):
            if word is not None:
                raise ValueError(f"process {rank} of {self.size}: {word}")

    def _end_all(self, failed: BaseException | None) -> NoReturn:
        """End the other processes too, wherever they are; only this one can say why."""
        stderr = sys.__stderr__
        if not isinstance(failed, (ValueError, OSError, ArithmeticError, KeyboardInterrupt)):
            traceback.print_exception(failed, file=stderr)
        where = f"process {self.rank} of {self.size}, on {socket.gethostname()}"
        print(f"numpygpt: {where}: {told(failed)}", file=stderr, flush=True)
        self.comm.Abort(130 if isinstance(failed, KeyboardInterrupt) else 2)
        raise AssertionError("MPI's Abort came back")


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


def told(error: BaseException | None) -> str:
    """An error in words."""
    return str(error) or ("interrupted" if isinstance(error, KeyboardInterrupt) else repr(error))


@contextmanager
def joined() -> Iterator[Alone]:
    """For a `with` block: all processes that a launcher started together, until all are done.

    If one fails and the others come to the block's end as well (they failed alike, or are done),
    all end in order. Where others do not come, for they wait for the one who failed, it says what
    happened and ends them.
    """
    started = launched()
    if started.size == 1:
        yield ALONE
        return
    group = Processes(_world(started))
    failed: BaseException | None = None
    try:
        yield group
    except BaseException as error:
        failed = error
    group.part_ways(failed)


def _world(started: Launched) -> Any:
    """MPI's communicator of all processes that were started together."""
    who = f"this is one of {started.size} processes that {started.by} started to train together"
    try:
        import mpi4py

        mpi4py.rc.thread_level = "funneled"  # one thread speaks with the others
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:  # RuntimeError: there is no MPI's library
        remedy = "which needs mpi4py and an MPI: pip install 'numpygpt[mpi]'"
        raise ImportError(f"{who}, {remedy} ({told(error).splitlines()[0]})") from None
    if MPI.COMM_WORLD.Get_size() != started.size:
        library = MPI.Get_library_version().splitlines()[0].strip("\0 ")
        raise ImportError(
            f"{who}, but mpi4py's own MPI ({library}) sees {MPI.COMM_WORLD.Get_size()}: start them "
            "with that MPI's mpiexec, or have mpi4py use this one (see its MPI4PY_LIBMPI)"
        )
    return MPI.COMM_WORLD
