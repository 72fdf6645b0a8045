"""Chapter 3's printed numbers, and what they cannot show: batches, dropout, several sizes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from numpygpt.book import chapter3
from numpygpt.book.chapter3 import (
    CausalAttention,
    MultiHeadAttention,
    PlainAttention,
    SelfAttentionV1,
    SelfAttentionV2,
    SideBySideHeads,
    example_tokens,
    softmax,
)
from numpygpt.book.figures import CHAPTER3, compare_all
from numpygpt.book.torch_random import TorchRandom

MakeAttention = Callable[[TorchRandom], Any]

LEARNED: list[MakeAttention] = [
    lambda rng: SelfAttentionV1(rng, 3, 2),
    lambda rng: SelfAttentionV2(rng, 3, 2),
    lambda rng: CausalAttention(rng, 3, 2),
    lambda rng: SideBySideHeads(rng, 3, 5, n_head=2),
    lambda rng: MultiHeadAttention(rng, 3, 6, n_head=2),
]
CAUSAL = LEARNED[2:]


@pytest.mark.parametrize("figure", CHAPTER3, ids=lambda figure: figure.name)
def test_every_printed_number(figure: Any) -> None:
    comparison = {c.printed.name: c for c in compare_all(chapter3.computed())}[figure.name]
    assert comparison.agrees, comparison


def test_every_figure_is_computed() -> None:
    assert {name for name, _ in chapter3.computed()} == {figure.name for figure in CHAPTER3}


@pytest.mark.parametrize("make", LEARNED)
def test_a_batch_is_its_samples(make: MakeAttention) -> None:
    attention = make(TorchRandom(4))
    batch = TorchRandom(5).normal((2, 7, 3))
    together = attention.forward(batch)
    assert together.dtype == np.float32
    for x, y in zip(batch, together, strict=True):
        np.testing.assert_allclose(attention.forward(x), y, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make", CAUSAL)
def test_no_token_sees_a_later_one(make: MakeAttention) -> None:
    attention = make(TorchRandom(4))
    x = example_tokens()
    changed = x.copy()
    changed[3] += 1
    before, after = attention.forward(x), attention.forward(changed)
    np.testing.assert_array_equal(before[:3], after[:3])
    assert np.all(np.abs(before[3:] - after[3:]).max(axis=-1) > 1e-3)


def test_rows_of_weights_sum_to_one() -> None:
    x = example_tokens()
    for attention in (SelfAttentionV1(TorchRandom(1), 3, 2), CausalAttention(TorchRandom(1), 3, 2)):
        q, k, _ = attention.qkv(x)
        weights = attention.weights(q, k)
        np.testing.assert_allclose(weights.sum(axis=-1), np.ones(6), rtol=1e-6)
    np.testing.assert_allclose(PlainAttention().weights(x).sum(axis=-1), np.ones(6), rtol=1e-6)
    assert np.count_nonzero(weights) == 21  # the causal one's lower triangle


def test_softmax_survives_large_scores() -> None:
    p = softmax(np.array([1000.0, 999.0, -1000.0], np.float32))
    np.testing.assert_allclose(p, [0.7310586, 0.2689414, 0.0], rtol=1e-6)


def test_dropout_of_weights_is_torchs() -> None:
    """One column of torch's output for two samples, p = 0.5, drawn after the weights."""
    attention = CausalAttention(TorchRandom(123), 3, 2, p_drop=0.5)
    x = np.stack([example_tokens(), example_tokens() + np.float32(0.5)])
    frozen = [0.0, -2.23289156, -1.45973945, -1.72524977, -1.44483852, -1.36742365]
    np.testing.assert_allclose(attention.forward(x)[1, :, 0], frozen, rtol=1e-5)


def test_multi_head_is_torchs() -> None:
    """The last row of torch's output for B=2 T=5 C=4 H=2 D=3: no two sizes that could swap."""
    rng = TorchRandom(9)
    x = rng.normal((2, 5, 4))
    y = MultiHeadAttention(rng, 4, 6, n_head=2).forward(x)
    frozen = [-0.0396388955, 0.0210716464, 0.0685487092, 0.349075675, 0.144652531, 0.134048641]
    assert y.shape == (2, 5, 6)
    np.testing.assert_allclose(y[1, 4], frozen, rtol=1e-5)


def test_multi_head_wants_heads_of_one_size() -> None:
    with pytest.raises(ValueError, match="multiple of n_head, got 5 and 2"):
        MultiHeadAttention(TorchRandom(0), 3, 5, n_head=2)
