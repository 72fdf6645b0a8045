"""Section 4.4: gradients through five layers, with and without shortcuts."""

import numpy as np
import pytest

from numpygpt.book import chapter4
from numpygpt.book.chapter4 import FiveLayers, mean_weight_gradients
from numpygpt.book.figures import compare_all
from numpygpt.book.torch_random import TorchRandom


def test_printed_gradients() -> None:
    """The book prints up to 17 digits; FLOAT32_TOLERANCE leaves six of them."""
    comparisons = list(compare_all(chapter4.computed()))
    assert [c.printed.name for c in comparisons] == [
        "ch04.gradients-plain",
        "ch04.gradients-shortcuts",
    ]
    for comparison in comparisons:
        assert comparison.agrees, list(comparison.rows())


@pytest.mark.parametrize("shortcuts", [False, True])
def test_the_inputs_gradient_is_the_slope(shortcuts: bool) -> None:
    """float64 central differences of a random weighting of the outputs of several rows."""
    model = FiveLayers(TorchRandom(6), shortcuts).astype(np.float64)
    draw = np.random.default_rng(0)
    x, dy = draw.normal(size=(4, 3)), draw.normal(size=(4, 1))
    model.forward(x)
    dx = model.backward(dy)
    h = 1e-5
    numeric = np.empty_like(x)
    for at in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[at] += h
        down[at] -= h
        numeric[at] = np.sum((model.forward(up) - model.forward(down)) * dy) / (2 * h)
    assert np.abs(dx - numeric).max() <= 1e-7 * np.abs(numeric).max()


def test_shortcuts_keep_the_first_layers_gradient_alive() -> None:
    plain, shortcuts = mean_weight_gradients(False), mean_weight_gradients(True)
    assert plain[0] < plain[-1] / 20
    assert shortcuts[0] > shortcuts[-1] / 10
