"""The threads of NumPy's matrix products: how many, set while the program runs (OpenBLAS only).

OpenBLAS splits each product among threads of its own, which meet at its end. Where many small
products can be made side by side instead, each is better made by one thread: the one that calls.
"""

import ctypes
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import numpy as np


@cache
def _openblas() -> tuple[Callable[[int], None], Callable[[], int]] | None:
    """What sets and what gets the number of OpenBLAS's threads; None if NumPy has another BLAS."""
    # A name is looked for in what the extension was linked with, too; but on Windows in itself
    # only, so there the library that was installed beside NumPy is asked.
    installed = (Path(np.__file__).parents[1] / "numpy.libs").glob("*openblas*")
    for file in (np.linalg._umath_linalg.__file__, *map(str, installed)):
        for name in ("scipy_openblas_{}64_", "openblas_{}64_", "scipy_openblas_{}", "openblas_{}"):
            with suppress(OSError, AttributeError):
                library = ctypes.CDLL(file)
                return (
                    getattr(library, name.format("set_num_threads")),
                    getattr(library, name.format("get_num_threads")),
                )
    return None


_lock = threading.Lock()
_users = 0  # how many are in `one_blas_thread` now
_outside = 1  # how many threads a product has when nobody is


@contextmanager
def one_blas_thread() -> Iterator[bool]:
    """Inside, a matrix product is its caller's alone, and so can be made on any thread.

    False where that cannot be had: then products belong to one thread at a time.
    """
    global _users, _outside
    openblas = _openblas()
    if openblas is None:
        yield False
        return
    set_threads, get_threads = openblas
    counted = False  # is set with _users in one statement, between whose parts no Ctrl-C comes
    try:
        with _lock:
            if not _users:
                _outside = get_threads()
            _users, counted = _users + 1, True
            if _users == 1:
                set_threads(1)
        yield True
    finally:
        with _lock:
            _users -= counted
            if counted and not _users:
                set_threads(_outside)


def set_blas_threads(n: int) -> None:
    """Have products made by n threads; where somebody wants one thread now, afterwards."""
    global _outside
    openblas = _openblas()
    if openblas is None:
        return
    with _lock:
        _outside = n
        if not _users:
            openblas[0](n)
