"""Blocks of rows: every row once, errors heard, and no wait for a worker that never comes."""

import os
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numpygpt import parallel
from numpygpt.layers.parameter import Array
from numpygpt.parallel import num_threads, over_rows


@pytest.fixture
def two_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One row a block, two threads for any size, and a pool of this test's own."""
    monkeypatch.setattr(parallel, "BLOCK_ELEMENTS", 1)
    monkeypatch.setenv("NUMPYGPT_NUM_THREADS", "2")
    parallel._pool.cache_clear()
    yield
    parallel._pool(1).shutdown(cancel_futures=True)
    parallel._pool.cache_clear()


def add_one(x: Array, count: Array) -> None:
    x += 1
    count += 1


@settings(deadline=None, max_examples=40)
@given(rows=st.integers(0, 40), width=st.integers(1, 5), block=st.integers(1, 60),
       threads=st.integers(1, 4))  # fmt: skip
def test_every_row_is_done_once(rows: int, width: int, block: int, threads: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parallel, "BLOCK_ELEMENTS", block)
        patch.setenv("NUMPYGPT_NUM_THREADS", str(threads))
        x, count = np.zeros((rows, width)), np.zeros(rows)
        sizes: list[int] = []

        def kernel(x: Array, count: Array) -> None:
            sizes.append(x.size + count.size)
            add_one(x, count)

        over_rows(kernel, x, count)
    assert (x == 1).all() and (count == 1).all() and sum(sizes) == x.size + rows
    assert all(size < block + width + 1 for size in sizes)  # less than a row too many


@pytest.mark.usefixtures("two_threads")
def test_both_threads_work() -> None:
    both = threading.Barrier(2, timeout=10)  # broken, unless two blocks run at the same time
    names: set[str] = set()

    def kernel(row: Array) -> None:
        if len(names) < 2:
            both.wait()
        names.add(threading.current_thread().name)

    over_rows(kernel, np.zeros(2))
    assert len(names) == 2 and any(name.startswith("numpygpt") for name in names)


def test_little_work_stays_on_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMPYGPT_NUM_THREADS", "8")

    def no_pool(workers: int) -> None:
        raise AssertionError("a pool was asked for")

    monkeypatch.setattr(parallel, "_pool", no_pool)
    x = np.zeros(parallel.BLOCK_ELEMENTS // 2, np.float32)
    over_rows(add_one, x, np.zeros(len(x), np.float32))
    assert (x == 1).all()


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("fails", ["the caller", "the worker"])
def test_an_error_in_either_thread_is_heard(fails: str) -> None:
    both = threading.Barrier(2, timeout=10)
    main = threading.current_thread()

    def kernel(row: Array) -> None:
        both.wait()
        if (threading.current_thread() is main) == (fails == "the caller"):
            raise ZeroDivisionError(fails)

    with pytest.raises(ZeroDivisionError, match=fails):
        over_rows(kernel, np.zeros(2))
    x = np.zeros(4)
    over_rows(add_one, x, np.zeros(4))  # and the pool is as good as new
    assert (x == 1).all()


@pytest.mark.parametrize("fails", ["the caller", "a worker"])
def test_after_an_error_no_task_is_begun_and_those_that_were_have_ended(
    fails: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMPYGPT_NUM_THREADS", "3")
    all_three, once = threading.Barrier(3, timeout=10), threading.Lock()
    main = threading.current_thread()
    done: list[str] = []

    def first() -> None:
        all_three.wait()
        is_main = threading.current_thread() is main
        if is_main == (fails == "the caller") and once.acquire(blocking=False):
            done.append("failed")
            raise ZeroDivisionError
        time.sleep(0.2)
        done.append("slow")

    def later() -> None:
        done.append("later")

    with pytest.raises(ZeroDivisionError):
        parallel.run_all([first] * 3 + [later] * 50)
    assert done == ["failed", "slow", "slow"]


@pytest.mark.usefixtures("two_threads")
def test_a_worker_that_never_starts_is_not_waited_for() -> None:
    release = threading.Event()
    busy = parallel._pool(1).submit(release.wait, 10)  # the only worker is occupied
    x = np.zeros(50)
    start = time.perf_counter()
    over_rows(add_one, x, np.zeros(50))
    assert (x == 1).all() and time.perf_counter() - start < 5 and not busy.done()
    release.set()


@pytest.mark.usefixtures("two_threads")
def test_where_no_thread_can_be_had_the_caller_does_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    x = np.zeros(50)
    over_rows(add_one, x, np.zeros(50))
    assert (x == 1).all()
    monkeypatch.undo()
    over_rows(add_one, x, np.zeros(50))  # what was queued for that thread must not be done now
    assert (x == 2).all()


@pytest.mark.usefixtures("two_threads")
def test_an_interrupt_while_work_is_handed_out_leaves_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool = parallel._pool(1)
    submit = pool.submit

    def interrupted(*args: Any) -> None:
        submit(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(pool, "submit", interrupted)
    x = np.zeros(50)
    with pytest.raises(KeyboardInterrupt):
        over_rows(add_one, x, np.zeros(50))
    start = time.perf_counter()
    pool.shutdown()  # as at the program's end: it waits for the helper
    assert time.perf_counter() - start < 5 and set(x) <= {0, 1}


def test_a_thread_that_works_on_while_the_program_ends() -> None:
    program = """
import threading, time
import numpy as np
from numpygpt import parallel
parallel.BLOCK_ELEMENTS = 4
def add_one(x): x += 1
def work():
    time.sleep(0.3)  # the main thread is at its end
    x = np.zeros(100)
    for _ in range(50):
        parallel.over_rows(add_one, x)
    print("done" if (x == 50).all() else x)
threading.Thread(target=work).start()
"""
    environment = os.environ | {"NUMPYGPT_NUM_THREADS": "3"}
    ran = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True
    )
    assert (ran.stdout, ran.stderr, ran.returncode) == ("done\n", "", 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.usefixtures("two_threads")
def test_a_forked_process_has_no_workers_and_does_not_hang() -> None:
    x = np.zeros(50)
    over_rows(add_one, x, np.zeros(50))  # the pool's thread exists here, and not in the child
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads: the point
        child = os.fork()
    if child == 0:
        over_rows(add_one, x, np.zeros(50))
        os._exit(0 if (x == 2).all() else 1)
    deadline = time.perf_counter() + 10
    done, status = os.waitpid(child, os.WNOHANG)
    while not done and time.perf_counter() < deadline:
        time.sleep(0.01)
        done, status = os.waitpid(child, os.WNOHANG)
    if not done:
        os.kill(child, 9)
        os.waitpid(child, 0)
    assert done and status == 0


def test_threads_are_the_cores_or_what_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for empty in (None, ""):
        if empty is None:
            monkeypatch.delenv("NUMPYGPT_NUM_THREADS", raising=False)
        else:
            monkeypatch.setenv("NUMPYGPT_NUM_THREADS", empty)
        assert 1 <= num_threads() <= (os.cpu_count() or 1)
    monkeypatch.setenv("NUMPYGPT_NUM_THREADS", "5")
    assert num_threads() == 5


@pytest.mark.parametrize("wrong", ["0", "-1", "two", "1.5", " "])
def test_a_bad_number_of_threads(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMPYGPT_NUM_THREADS", wrong)
    with pytest.raises(ValueError, match=f"expected a whole number from 1, got '{wrong}'"):
        num_threads()


def test_threads_on_the_command_line() -> None:
    program = """
from numpygpt import blas, parallel
from numpygpt.cli.entry import main
openblas = blas._openblas()
for words in ["--threads", "3"], ["--threads=0"], ["--threads", "x"]:
    code = main(["info", *words])
    print("threads", code, parallel.num_threads(), openblas[1]() if openblas else 3)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    said = [line for line in ran.stdout.splitlines() if line.startswith("threads")]
    assert said == ["threads 0 3 3", "threads 2 3 3", "threads 2 3 3"]
    assert "threads: expected at least 1, got 0" in ran.stderr
    assert "expected a whole number below 2^63, got 'x'" in ran.stderr
