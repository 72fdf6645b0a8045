"""Positions as waves: their values, and that one matrix makes a step, wherever it begins."""

import math

import numpy as np
import pytest

from numpygpt import GPT, GPTConfig
from numpygpt.positions import waves


def test_values() -> None:
    rows = waves(5, 6, std=1.0) / math.sqrt(2)
    for t in range(5):
        for i in range(3):
            f = 10000 ** (-2 * i / 6)
            assert rows[t, i] == pytest.approx(math.sin(t * f), abs=1e-15)
            assert rows[t, i + 3] == pytest.approx(math.cos(t * f), abs=1e-15)


@pytest.mark.parametrize("k", [1, 2, 7])
def test_a_step_is_one_matrix(k: int) -> None:
    rows = waves(40, 8, std=0.3)
    step, *_ = np.linalg.lstsq(rows[:-k], rows[k:], rcond=None)
    np.testing.assert_allclose(rows[:-k] @ step, rows[k:], atol=1e-9)


def test_odd_widths_and_one_row() -> None:
    assert waves(9, 7, 0.1).shape == (9, 7)
    np.testing.assert_array_equal(waves(1, 3, 1.0), [[0.0, 0.0, math.sqrt(2)]])


def test_a_model_starts_from_them_if_asked_to() -> None:
    config = GPTConfig(30, 50, 24, 3, 2, init_std=0.07, sinusoidal_positions=True)
    model = GPT(config, 0)
    first = model.position_embedding.W.data
    np.testing.assert_array_equal(first, waves(50, 24, 0.07).astype(np.float32))
    assert first.std() == pytest.approx(0.07, rel=0.2)
    other = GPT(GPTConfig(30, 50, 24, 3, 2, init_std=0.07), 0)
    assert not np.allclose(other.position_embedding.W.data, first)
    ids = np.arange(8)[None]
    model.loss(ids, ids)
    model.backward()
    assert np.abs(model.position_embedding.W.grad[:8]).max() > 0  # learned like all others
