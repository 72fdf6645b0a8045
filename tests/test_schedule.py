"""Warm-up and cosine, by value."""

import math
from itertools import pairwise

import pytest

from numpygpt.training.schedule import warmup_cosine


def test_the_rate_rises_straight_then_falls_along_a_cosine() -> None:
    rates = [warmup_cosine(step, 100, 10, 1.0, 0.1) for step in range(100)]
    assert rates[:10] == pytest.approx([(i + 1) / 11 for i in range(10)])
    assert rates[10] == 1.0
    assert rates[55] == pytest.approx(0.55)  # half way down
    assert rates[33] == pytest.approx(0.1 + 0.9 * (1 + math.cos(math.pi * 23 / 90)) / 2)
    assert 0.1 < rates[99] < 0.1005
    assert all(a > b for a, b in pairwise(rates[10:]))


@pytest.mark.parametrize("warmup", [5, 9])
def test_a_warmup_longer_than_the_training_only_rises(warmup: int) -> None:
    rates = [warmup_cosine(step, 5, warmup, 1.0, 0.0) for step in range(5)]
    assert rates == pytest.approx([(i + 1) / (warmup + 1) for i in range(5)])


def test_without_warmup_it_begins_at_the_peak() -> None:
    assert warmup_cosine(0, 4, 0, 2.0, 1.0) == 2.0
    assert warmup_cosine(4, 4, 0, 2.0, 1.0) == pytest.approx(1.0)  # past the end, the minimum
    assert warmup_cosine(9, 4, 0, 2.0, 1.0) == pytest.approx(1.0)
