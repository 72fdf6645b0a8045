"""Appendix D's schedule and clipping: the book's formulas, and numpygpt's beside them."""

import math
from itertools import pairwise

import pytest

from numpygpt.book.appendix_d import learning_rate
from numpygpt.training.optim import clip_scale
from numpygpt.training.schedule import warmup_cosine

STEPS, WARMUP, INITIAL, PEAK, MINIMUM = 45, 9, 3e-5, 1e-3, 1e-6


def test_warm_up_is_a_straight_line_from_the_initial_rate_to_the_peak() -> None:
    rates = [learning_rate(s, STEPS, WARMUP, INITIAL, PEAK, MINIMUM) for s in range(WARMUP + 1)]
    assert rates[0] == INITIAL
    assert rates[WARMUP] == PEAK
    for before, after in pairwise(rates):
        assert after - before == pytest.approx((PEAK - INITIAL) / WARMUP, rel=1e-9)


def test_cosine_falls_from_the_peak_to_the_minimum() -> None:
    for step in range(WARMUP, STEPS + 1):
        progress = (step - WARMUP) / (STEPS - WARMUP)
        expected = MINIMUM + (PEAK - MINIMUM) * 0.5 * (1 + math.cos(math.pi * progress))
        assert learning_rate(step, STEPS, WARMUP, INITIAL, PEAK, MINIMUM) == pytest.approx(
            expected, rel=1e-12
        )
    assert learning_rate(STEPS, STEPS, WARMUP, INITIAL, PEAK, MINIMUM) == MINIMUM


def test_numpygpts_own_schedule_is_the_books_with_one_number_less() -> None:
    for step in range(STEPS):
        books = learning_rate(step, STEPS, WARMUP, PEAK / (WARMUP + 1), PEAK, MINIMUM)
        ours = warmup_cosine(step, STEPS, WARMUP, PEAK, MINIMUM)
        assert ours == pytest.approx(books, rel=1e-12)


def test_no_warm_up() -> None:
    assert learning_rate(0, STEPS, 0, INITIAL, PEAK, MINIMUM) == PEAK


def test_clipping_divides_by_the_norm() -> None:
    """The book's example: a matrix (1 2 / 2 4) of norm 5, clipped to norm 1."""
    assert clip_scale(5.0, 1.0) == pytest.approx(1 / 5, rel=1e-6)
    assert clip_scale(0.5, 1.0) == 1
