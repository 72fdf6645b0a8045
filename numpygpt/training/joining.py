"""How processes that a launcher started become one training, and how they end: all, or none.

If one fails and the others come to their end as well (they failed alike, or are done), all end in
order. Where others do not come, for they wait for the one who failed, it says what happened and
ends them: nobody waits for ever. Who was killed says nothing; then the launcher ends the others.
"""

import math
import socket
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from numpygpt.launcher import Launched, launched
from numpygpt.training.distributed import ALONE, Alone, Processes, wait

PATIENCE = 3.0  # seconds that one who failed waits for the others to say the same
EXPECTED = (ValueError, OSError, ArithmeticError, MemoryError, ImportError, KeyboardInterrupt)


@contextmanager
def joined() -> Iterator[Alone]:
    """For a `with` block: all processes that a launcher started together, until all are done."""
    started = launched()
    if started.size == 1:
        yield ALONE
        return
    comm = _world(started)
    group, last = Processes(comm), Processes(comm)  # the second for the words said at the end
    failed: BaseException | None = None
    try:
        yield group
    except BaseException as error:
        failed = error
    _part(last, failed)


def _part(last: Processes, failed: BaseException | None) -> None:
    """The last meeting: raise what failed here or elsewhere; who did not fail, waits for all."""
    if not wait(last.comm.Ibarrier(), math.inf if failed is None else PATIENCE):
        _end_all(last, failed)
    words = last.everyone(None if failed is None else _told(failed))
    if failed is not None:
        raise failed
    for rank, word in enumerate(words):
        if word is not None:
            raise ValueError(f"process {rank} of {last.size}: {word}")


def _end_all(last: Processes, failed: BaseException | None) -> NoReturn:
    """End the other processes too, wherever they are; only this one can say why."""
    stderr = sys.__stderr__
    if not isinstance(failed, EXPECTED):
        traceback.print_exception(failed, file=stderr)
    where = f"process {last.rank} of {last.size}, on {socket.gethostname()}"
    print(f"numpygpt: {where}: {_told(failed)}", file=stderr, flush=True)
    time.sleep(0.5)  # so that the launcher passes this on before it ends all
    last.comm.Abort(130 if isinstance(failed, KeyboardInterrupt) else 2)
    raise AssertionError("MPI's Abort came back")


def _told(error: BaseException | None) -> str:
    """An error in words."""
    return str(error) or ("interrupted" if isinstance(error, KeyboardInterrupt) else repr(error))


def _world(started: Launched) -> Any:
    """MPI's communicator of all processes that were started together."""
    who = f"this is one of {started.size} processes that {started.by} started to train together"
    try:
        import mpi4py

        mpi4py.rc.thread_level = "funneled"  # one thread speaks with the others
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:  # RuntimeError: there is no MPI's library
        remedy = "which needs mpi4py and an MPI: pip install 'numpygpt[mpi]'"
        raise ImportError(f"{who}, {remedy} ({_told(error).splitlines()[0]})") from None
    if MPI.COMM_WORLD.Get_size() != started.size:
        library = MPI.Get_library_version().splitlines()[0].strip("\0 ")
        raise ImportError(
            f"{who}, but mpi4py's own MPI ({library}) sees {MPI.COMM_WORLD.Get_size()}: start them "
            "with that MPI's mpiexec, or have mpi4py use this one (see its MPI4PY_LIBMPI)"
        )
    return MPI.COMM_WORLD
