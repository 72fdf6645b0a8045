"""TorchRandom against numbers frozen from PyTorch 2.13 on a CPU.

The long lists are what torch printed, with nine digits: enough to name one float32.
"""

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numpygpt.book import torch_random
from numpygpt.book.torch_init import linear_bias, linear_weight
from numpygpt.book.torch_random import TorchRandom


def assert_same(actual: npt.NDArray[np.float32], frozen: list[float]) -> None:
    """Bit for bit."""
    assert actual.dtype == np.float32
    np.testing.assert_array_equal(actual, np.array(frozen, np.float32))


def assert_close(actual: npt.NDArray[np.float32], frozen: list[float], unit: float = 1.0) -> None:
    """Up to float32's log, cos and sin, which torch approximates otherwise than NumPy."""
    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual, frozen, rtol=5e-7, atol=5e-7 * (unit - 1))


def test_a_row_of_mixed_calls_stays_in_step() -> None:
    """One stream, every kind of number; a draw too many or too few would spoil all that follow."""
    rng = TorchRandom(123)
    assert_same(rng.uniform(4), [0.296111941, 0.516562283, 0.251670718, 0.68855679])
    bound = 1 / math.sqrt(768)
    assert_same(rng.uniform(3, -bound, bound), [-0.0307458881, 0.0264514424, -0.0262275878])
    assert_same(rng.normal(3), [0.776180387, -1.65397882, -1.30452001])
    assert_same(rng.normal(2), [0.025791157, 0.312298506])  # the first was left over by the last
    # fmt: off
    assert_close(rng.normal(17), [
        0.917764604, -0.388483077, -0.934345901, -0.499144107, -1.08665264, 0.962421, 0.249208495,
        -0.484502077, -2.09291434, 0.0982837752, -0.0935074314, 0.266214728, -0.585035503,
        -0.343037993, -0.682147384, -0.988689423, -1.70183039,
    ])
    assert_same(rng.normal(2), [1.35397136, 1.07638073])  # so was this, before the 17
    assert_close(rng.normal(16, mean=2, std=3), [
        1.3866657, -4.80558681, -0.739983797, 0.738911867, 5.93315554, 1.34020531, 2.65685749,
        2.61354303, 3.85322809, 1.13726616, 4.46547318, 2.4535327, 2.31091237, -4.59894276,
        1.73452961, 0.31640029,
    ], unit=3)
    # fmt: on
    assert rng.random(2).tolist() == [0.16747081297812672, 0.6610096423164555]
    assert rng.random_int64() == 8193306244291947700
    p = np.array([0.1, 0.2, 0.3, 0.4], np.float32)
    assert [int(rng.choose(p)) for _ in range(12)] == [3, 3, 3, 1, 1, 3, 3, 3, 3, 3, 2, 2]
    assert rng.epoch_order(9).tolist() == [2, 4, 1, 7, 6, 5, 8, 0, 3]
    assert rng.epoch_order(9, shuffle=False).tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8]
    assert rng.epoch_order(9).tolist() == [2, 8, 6, 0, 7, 5, 3, 4, 1]
    assert_same(rng.uniform(1), [0.114205182])


def test_a_large_draw_ends_as_torchs_does() -> None:
    """100,003 is not divisible by 16: the last 16 are drawn again, across the end of a block."""
    rng = TorchRandom(123)
    # fmt: off
    assert_close(rng.normal(100003)[-20:], [
        1.89288926, 0.402109921, 0.291667908, -1.13872457, 0.168361753, -0.152109921, 0.209660247,
        -0.12553443, -0.458089978, 1.40424192, 1.13093758, -0.247276053, -2.36427546, 0.382955313,
        -0.57890135, 0.312337816, 1.32080865, -1.22572947, 0.537348747, 1.42993438,
    ])
    # fmt: on
    assert_same(rng.uniform(1), [0.138945878])


def test_few_normals_are_scaled() -> None:
    """An odd call leaves a spare normal, which the next call scales by its own mean and std."""
    rng = TorchRandom(1)
    rng.normal(5)
    frozen = [1.50160933, -2.56830549, 3.14505172, -1.08282578, 0.31084159]
    assert_same(rng.normal(5, mean=2, std=3), frozen)


def test_uniform_rounds_once() -> None:
    """Multiplying and adding with a rounding each misses torch's numbers by a last bit."""
    # fmt: off
    assert_same(TorchRandom(7).uniform(8, -10, 0.1), [
        -4.59728193, -7.99208784, -3.34196162, -3.36540794, -7.64910793, -5.70687962, -7.90843105,
        -3.6396625,
    ])
    # fmt: on


@pytest.mark.parametrize("seed, first", [(-7, 0.253337622), (2**40 + 5, 0.830251873)])
def test_a_seeds_low_32_bits_count(seed: int, first: float) -> None:
    assert_same(TorchRandom(seed).uniform(1), [first])


def test_choose_draws_rows_in_order() -> None:
    p = np.array([[0.1, 0.2, 0.3, 0.4], [0.25] * 4, [0.7, 0.1, 0.1, 0.1]], np.float32)
    assert TorchRandom(5).choose(p).tolist() == [3, 0, 0]
    row_by_row = TorchRandom(5)
    assert [int(row_by_row.choose(row)) for row in p] == [3, 0, 0]


def test_choose_never_takes_a_class_of_weight_zero() -> None:
    p = np.array([0.0, 1.0, 0.0, 2.0], np.float32)
    drawn = TorchRandom(1).choose(np.broadcast_to(p, (3000, 4)))
    counts = np.bincount(drawn, minlength=4)
    assert counts[0] == counts[2] == 0
    assert abs(counts[3] - 2000) < 5 * math.sqrt(3000 * 2 / 9)  # five standard deviations


def test_choose_compares_in_the_dtype_of_p() -> None:
    """A rare tie in float32, which torch gives to the first class; in float64 the second wins."""
    for dtype, winner in ((np.float32, 0), (np.float64, 1)):
        rng = TorchRandom(183)
        rng.bits(4 * 739643)
        assert int(rng.choose(np.array([0.3, 0.3], dtype))) == winner


def test_linear_is_torchs() -> None:
    rng = TorchRandom(123)
    W, b = linear_weight(rng, 3, 2), linear_bias(rng, 3, 2)
    assert W.shape == (3, 2)
    assert_same(W[:, 0], [-0.235429645, 0.0191244762, -0.286745936])
    assert_same(W[:, 1], [0.217726618, -0.49193421, 0.423223078])
    assert_same(b, [-0.419641405, -0.459017664])
    with pytest.raises(ValueError, match="n_in of at least 1, got 0"):
        linear_weight(rng, 0, 2)


@pytest.mark.parametrize("block", [16, 48, 1 << 20])
def test_the_block_size_does_not_matter(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def numbers() -> list[npt.NDArray[np.generic]]:
        rng = TorchRandom(3)
        shape = (3, 11, 997)  # 32,901 numbers: three blocks, the last one short
        return [rng.uniform(shape, -1, 2), rng.normal(shape, 1, 2), rng.random(shape), rng.bits(1)]

    expected = numbers()
    monkeypatch.setattr(torch_random, "BLOCK", block)
    for actual, array in zip(numbers(), expected, strict=True):
        np.testing.assert_array_equal(actual, array)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), first=st.integers(0, 50), second=st.integers(0, 50))
def test_uniforms_are_one_stream(seed: int, first: int, second: int) -> None:
    """Two calls give what one would; not so for normals, whose groups start anew at each call."""
    rng, whole = TorchRandom(seed), TorchRandom(seed)
    for name in ("bits", "uniform", "random"):
        parts = [getattr(rng, name)(first), getattr(rng, name)(second)]
        np.testing.assert_array_equal(np.concatenate(parts), getattr(whole, name)(first + second))


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), shape=st.tuples(*[st.integers(0, 6)] * 3))
def test_shapes_are_filled_row_by_row(seed: int, shape: tuple[int, int, int]) -> None:
    for name in ("uniform", "normal", "random"):
        array = getattr(TorchRandom(seed), name)(shape)
        assert array.shape == shape
        flat = getattr(TorchRandom(seed), name)(math.prod(shape))
        np.testing.assert_array_equal(array.reshape(-1), flat)


def test_random_decides_in_double_precision_whatever_dtype_is_asked() -> None:
    for dtype in (np.float32, np.float64):
        u = TorchRandom(8).random((50, 40), dtype=dtype)
        assert u.dtype == np.float64
        assert u.min() >= 0 and u.max() < 1
        assert np.any(u != u.astype(np.float32))


def test_normals_are_normal() -> None:
    z = TorchRandom(11).normal(200_000, mean=3, std=0.5).astype(np.float64)
    assert abs(z.mean() - 3) < 5 * 0.5 / math.sqrt(z.size)
    assert abs(z.std() - 0.5) < 5 * 0.5 / math.sqrt(2 * z.size)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_short_epochs(n: int) -> None:
    assert sorted(TorchRandom(0).epoch_order(n).tolist()) == list(range(n))


def test_errors_name_what_came() -> None:
    for seed in (1.5, True, "1", None):
        with pytest.raises(TypeError, match="seed must be an integer, got"):
            TorchRandom(seed)  # type: ignore[arg-type]
    rng = TorchRandom(0)
    with pytest.raises(ValueError, match="low <= high, got 2 and 1"):
        rng.uniform(3, 2, 1)
    with pytest.raises(ValueError, match="std >= 0, got -1"):
        rng.normal(3, std=-1)
