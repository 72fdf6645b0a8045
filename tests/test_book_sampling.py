"""Section 5.3: temperature, top-k, and the counts of 1,000 draws."""

import numpy as np
import pytest

from numpygpt.book import sampling
from numpygpt.book.chapter3 import softmax
from numpygpt.book.figures import compare_all
from numpygpt.book.sampling import count_draws, example_logits, top_k
from numpygpt.book.torch_random import TorchRandom


def test_printed_counts_and_probabilities() -> None:
    comparisons = list(compare_all(sampling.computed()))
    assert len(comparisons) == 4
    for comparison in comparisons:
        assert comparison.agrees, comparison


def test_draws_in_one_call_are_draws_one_by_one() -> None:
    """The book calls torch.multinomial a thousand times; here one call draws a thousand rows."""
    logits, rng = example_logits(), TorchRandom(2)
    tokens = [int(rng.choose(softmax(logits / np.float32(5)))) for _ in range(40)]
    counts = count_draws(logits, 5, 40, TorchRandom(2))
    np.testing.assert_array_equal(counts, np.bincount(tokens, minlength=9))


def test_top_k_keeps_the_k_largest_of_each_row() -> None:
    logits = np.array([[3, 1, 2, 0], [-1, -2, -4, -3]], np.float32)
    kept = np.isfinite(top_k(logits, 2))
    assert kept.tolist() == [[True, False, True, False], [True, True, False, False]]
    np.testing.assert_array_equal(top_k(logits, 4), logits)


@pytest.mark.parametrize("k", [0, 10])
def test_top_k_names_its_range(k: int) -> None:
    with pytest.raises(ValueError, match=f"from 1 to V = 9, got {k}"):
        top_k(example_logits(), k)


def test_temperature_is_above_zero() -> None:
    with pytest.raises(ValueError, match="temperature above 0, got 0"):
        count_draws(example_logits(), 0, 10, TorchRandom(0))
