"""A batch in shares: the same loss and gradients, the same bits for any number of threads."""

import sys
import threading
from types import FrameType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numpygpt import GPT, GPTConfig, blas, parallel
from numpygpt.layers.parameter import Array
from numpygpt.training import data_parallel
from numpygpt.training.data_parallel import DataParallel, number_of_shares

CONFIG = GPTConfig(vocab_size=13, context_length=6, n_embd=12, n_head=3, n_layer=2)


def batch(B: int, T: int) -> tuple[Array, Array]:
    ids = np.random.default_rng(3).integers(13, size=(B, T + 1))
    return ids[:, :-1], ids[:, 1:]


def in_shares(model: GPT, B: int, T: int, n: int) -> DataParallel:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data_parallel, "number_of_shares", lambda model, B, T: n)
        return DataParallel(model, B, T)


@settings(deadline=None, max_examples=25)
@given(B=st.integers(1, 7), T=st.integers(1, 6), data=st.data())
def test_shares_add_up_to_the_batch(B: int, T: int, data: st.DataObject) -> None:
    n = data.draw(st.integers(1, B))
    whole, model = GPT(CONFIG, 0, np.float64), GPT(CONFIG, 0, np.float64)
    ids, targets = batch(B, T)
    expected = whole.loss(ids, targets, weight=0.5)
    whole.backward()
    parallel = in_shares(model, B, T, n)
    for passes in (1, 2):  # the second adds to the first
        assert parallel.loss_and_gradients(ids, targets, 0.5) == pytest.approx(expected, rel=1e-12)
        np.testing.assert_allclose(model.flat.grad, passes * whole.flat.grad, rtol=1e-9, atol=1e-15)
    assert expected == pytest.approx(0.5 * whole.loss(ids, targets), rel=1e-12)


def test_the_number_of_threads_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    gradients = []
    for threads in "1", "2", "5":
        monkeypatch.setenv("NUMPYGPT_NUM_THREADS", threads)
        model = GPT(GPTConfig(13, 6, 12, 3, 2, dropout=0.2), 0)
        parallel = in_shares(model, 7, 6, 4)
        for _ in range(3):
            parallel.loss_and_gradients(*batch(7, 6))
        gradients.append(model.flat.grad.copy())
    np.testing.assert_array_equal(gradients[0], gradients[1])
    np.testing.assert_array_equal(gradients[0], gradients[2])


def test_each_share_drops_other_numbers() -> None:
    model = GPT(GPTConfig(13, 6, 12, 3, 1, dropout=0.5), 0)
    parallel = in_shares(model, 2, 6, 2)
    ids, targets = (np.repeat(x[:1], 2, axis=0) for x in batch(1, 6))  # the same sequence twice
    losses: list[float] = []
    loss = GPT.loss

    def noted(self: GPT, *args: Any) -> float:
        losses.append(loss(self, *args))
        return losses[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GPT, "loss", noted)
        parallel.loss_and_gradients(ids, targets)
    assert losses[0] != losses[1]


def test_how_many_shares() -> None:
    small, large = GPT(CONFIG, None), GPT(GPTConfig(), None)
    sizes = [(1, 1), (1, 10_000), (16, 128), (16, 16), (3, 1000), (12, 64)]
    assert [number_of_shares(small, *size) for size in sizes] == [1, 1, 4, 1, 2, 2]
    assert number_of_shares(large, 64, 1024) == 1  # its gradients are half a gigabyte


def test_an_error_in_a_share_is_heard_and_leaves_nothing_behind() -> None:
    model, again = GPT(CONFIG, 0), GPT(CONFIG, 0)
    parallel = in_shares(model, 4, 6, 4)
    ids, targets = batch(4, 6)
    wrong = targets.copy()
    wrong[3, 2] = 13
    for _, p in model.named_parameters():
        p.grad += 1  # a replica must not begin with these
    with pytest.raises(IndexError, match="13"):
        parallel.loss_and_gradients(ids, wrong)
    model.zero_grad()
    parallel.loss_and_gradients(ids, targets)
    in_shares(again, 4, 6, 4).loss_and_gradients(ids, targets)
    np.testing.assert_array_equal(model.flat.grad, again.flat.grad)


def test_a_product_is_one_threads_while_others_work() -> None:
    openblas = blas._openblas()
    if openblas is None:
        pytest.skip("NumPy has another BLAS here")
    set_threads, get_threads = openblas
    before = get_threads()
    set_threads(2)
    try:
        inside, leave = threading.Event(), threading.Event()

        def stay() -> None:
            with blas.one_blas_thread() as granted:
                assert granted
                inside.set()
                leave.wait(10)

        other = threading.Thread(target=stay)
        other.start()
        inside.wait(10)
        with blas.one_blas_thread():
            assert get_threads() == 1
            blas.set_blas_threads(3)
        assert get_threads() == 1  # the other one is still there
        leave.set()
        other.join()
        assert get_threads() == 3
    finally:
        set_threads(before)


def test_ctrl_c_on_the_way_in_leaves_blas_its_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [4]
    fake = lambda n: now.__setitem__(0, n), lambda: now[0]
    monkeypatch.setattr(blas, "_openblas", lambda: fake)

    def interrupted_at(step: int) -> bool:
        """Ctrl-C before a line of `one_blas_thread`, or inside the block; whether it has come."""
        lines = set[int]()

        def at_line(frame: FrameType, event: str, _: object) -> Any:
            if event == "call" and frame.f_code.co_name != "one_blas_thread":
                return None
            if event == "line" and frame.f_lineno not in lines:  # `with` comes again, at its end
                lines.add(frame.f_lineno)
                if len(lines) == step:
                    raise KeyboardInterrupt
            return at_line

        before = sys.gettrace()
        sys.settrace(at_line)
        try:
            with blas.one_blas_thread():
                sys.settrace(before)
                assert now == [1]
        except KeyboardInterrupt:
            return True
        finally:
            sys.settrace(before)
        return False

    steps = 0
    while interrupted_at(steps + 1):
        steps += 1
        assert (now, blas._users) == ([4], 0)
    assert steps > 8
    assert (now, blas._users) == ([4], 0)


def test_without_a_say_in_blas_threads_one_thread_makes_all_products(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(blas, "_openblas", lambda: None)
    monkeypatch.setenv("NUMPYGPT_NUM_THREADS", "4")
    threads: set[int] = set()
    tasks = [lambda: threads.add(threading.get_ident())] * 20
    parallel.run_all(tasks, products=True)
    assert threads == {threading.get_ident()}


def test_a_task_has_its_thread_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMPYGPT_NUM_THREADS", "3")
    seen: list[int] = []
    parallel.run_all([lambda: seen.append(parallel.num_threads())] * 9)
    assert seen == [1] * 9 and parallel.num_threads() == 3


def test_a_callers_floating_point_setting_holds_on_every_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NUMPYGPT_NUM_THREADS", "3")
    both = threading.Barrier(3, timeout=10)

    def overflow() -> None:
        both.wait()
        np.float32(1e38) * np.full(2, 10, np.float32)

    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        parallel.run_all([overflow] * 3)
    with np.errstate(over="ignore"):
        parallel.run_all([overflow] * 3)  # a warning would be an error here


def test_parameters_that_were_moved_are_noticed() -> None:
    model = GPT(CONFIG, 0)
    parallel = in_shares(model, 4, 6, 2)
    parallel.loss_and_gradients(*batch(4, 6))
    model.allocate()
    with pytest.raises(RuntimeError, match="moved"):
        parallel.loss_and_gradients(*batch(4, 6))


@pytest.mark.parametrize("sequences", [(1, 1), (4, 3), (3, 4)])
def test_a_batch_that_cannot_be_shared(sequences: tuple[int, int]) -> None:
    parallel = in_shares(GPT(CONFIG, 0), 4, 6, 2)
    ids, targets = batch(4, 6)
    with pytest.raises(ValueError, match=r"expected at least 2 sequences.*got \d and \d"):
        parallel.loss_and_gradients(ids[: sequences[0]], targets[: sequences[1]])
