"""Chapter 3: self-attention in five steps, each class adding one idea to the one before.

=====================  ==========================================  ==============================
class                  adds                                        in layers/attention.py
=====================  ==========================================  ==============================
PlainAttention         a token becomes a weighted mean of tokens   weights @ v
SelfAttentionV1        three learned views of a token: q, k, v     W_q, W_k, W_v, scale 1/sqrt(D)
SelfAttentionV2        a start that suits the number of inputs     (N(0, 0.02), as in GPT-2)
CausalAttention        no looking ahead; dropout of weights        the mask, the dropout
SideBySideHeads        several small attentions, concatenated      (a loop: slow)
MultiHeadAttention     the same as one array with a head axis      all of it
=====================  ==========================================  ==============================

The layer that GPT uses differs from the last class in two ways: its W_q, W_k and W_v are views of
one (C, 3C) array, so that one matrix product makes q, k and v; and it has a backward pass.

Shapes: x (..., T, C) with any leading axes, T tokens, C numbers in, H heads, D numbers out a head.
Everything is float32, drawn from ``TorchRandom`` in the book's order.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from numpygpt.book.torch_init import linear_bias, linear_weight
from numpygpt.book.torch_random import TorchRandom

Float32 = npt.NDArray[np.float32]


def softmax(scores: Float32) -> Float32:
    """Turn each row into positive numbers that sum to 1."""
    # Without the maximum taken off, exp would overflow from a score of 89 on.
    exp = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(exp / exp.sum(axis=-1, keepdims=True))


def dropout(x: Float32, p: float, rng: TorchRandom) -> Float32:
    """Set numbers to 0 with probability p, and divide the others by 1 - p."""
    keep = rng.random(x.shape) < 1 - p
    return x * keep / np.float32(1 - p)


class PlainAttention:
    """Section 3.3: tokens attend to tokens like themselves; nothing is learned."""

    def scores(self, x: Float32) -> Float32:
        """(T, C) -> (T, T): every token's dot product with every token."""
        return x @ x.T

    def weights(self, x: Float32) -> Float32:
        """(T, C) -> (T, T), each row summing to 1."""
        return softmax(self.scores(x))

    def forward(self, x: Float32) -> Float32:
        """(T, C) -> (T, C): row t is the mean of all tokens under the weights of token t."""
        return self.weights(x) @ x


class SelfAttentionV1:
    """Section 3.4: a token asks with q, is found by k, and hands over v."""

    def __init__(self, rng: TorchRandom, n_in: int, n_out: int) -> None:
        self.W_q, self.W_k, self.W_v = (rng.uniform((n_in, n_out)) for _ in "qkv")

    def qkv(self, x: Float32) -> tuple[Float32, Float32, Float32]:
        """(..., T, C) -> three of (..., T, D)."""
        return x @ self.W_q, x @ self.W_k, x @ self.W_v

    def scores(self, q: Float32, k: Float32) -> Float32:
        """Two of (..., T, D) -> (..., T, T): row t holds what token t thinks of each token."""
        return q @ k.swapaxes(-1, -2)

    def weights(self, q: Float32, k: Float32) -> Float32:
        """Two of (..., T, D) -> (..., T, T), each row summing to 1."""
        # A dot product of D terms spreads like sqrt(D); undone, or softmax would saturate.
        return softmax(self.scores(q, k) / np.float32(np.sqrt(q.shape[-1])))

    def forward(self, x: Float32) -> Float32:
        """(..., T, C) -> (..., T, D)."""
        q, k, v = self.qkv(x)
        return self.weights(q, k) @ v


class SelfAttentionV2(SelfAttentionV1):
    """Section 3.4.2: the same with torch's Linear layers, which start smaller and around 0."""

    def __init__(self, rng: TorchRandom, n_in: int, n_out: int) -> None:
        self.W_q, self.W_k, self.W_v = (linear_weight(rng, n_in, n_out) for _ in "qkv")


class CausalAttention(SelfAttentionV2):
    """Section 3.5: token t sees tokens 0 to t only; while training, some weights are dropped."""

    def __init__(self, rng: TorchRandom, n_in: int, n_out: int, p_drop: float = 0.0) -> None:
        super().__init__(rng, n_in, n_out)
        self.rng, self.p_drop = rng, p_drop

    def scores(self, q: Float32, k: Float32) -> Float32:
        """As before, with -inf where a token would look ahead: softmax makes it a weight of 0."""
        T = q.shape[-2]
        is_future = np.triu(np.ones((T, T), np.bool_), k=1)
        return np.where(is_future, np.float32(-np.inf), super().scores(q, k))

    def weights(self, q: Float32, k: Float32) -> Float32:
        """As before, then dropout; a row then sums to 1 only on average."""
        weights = super().weights(q, k)
        return dropout(weights, self.p_drop, self.rng) if self.p_drop else weights


class SideBySideHeads:
    """Section 3.6.1: H causal attentions, each with an output of its own, in adjacent columns."""

    def __init__(self, rng: TorchRandom, n_in: int, n_out: int, n_head: int) -> None:
        self.heads = [CausalAttention(rng, n_in, n_out) for _ in range(n_head)]

    def forward(self, x: Float32) -> Float32:
        """(..., T, C) -> (..., T, H*D)."""
        return np.concatenate([head.forward(x) for head in self.heads], axis=-1)


class MultiHeadAttention(CausalAttention):
    """Section 3.6.2: all heads in one product, then a Linear layer that mixes what they found."""

    def __init__(self, rng: TorchRandom, n_in: int, n_out: int, n_head: int) -> None:
        if n_out % n_head:
            raise ValueError(
                f"MultiHeadAttention: n_out must be a multiple of n_head, got {n_out} and {n_head}"
            )
        super().__init__(rng, n_in, n_out)
        self.n_head = n_head
        self.W_o, self.b_o = linear_weight(rng, n_out, n_out), linear_bias(rng, n_out, n_out)

    def qkv(self, x: Float32) -> tuple[Float32, Float32, Float32]:
        """(..., T, C) -> three of (..., H, T, D): the columns of W_q, W_k, W_v, cut into heads."""
        q, k, v = (
            y.reshape(*y.shape[:-1], self.n_head, -1).swapaxes(-2, -3) for y in super().qkv(x)
        )
        return q, k, v

    def forward(self, x: Float32) -> Float32:
        """(..., T, C) -> (..., T, H*D)."""
        heads = super().forward(x).swapaxes(-2, -3)  # (..., T, H, D)
        return heads.reshape(*heads.shape[:-2], -1) @ self.W_o + self.b_o


def example_tokens() -> Float32:
    """Return the chapter's six tokens of three numbers, (T, C) = (6, 3)."""
    rows = [[0.43, 0.15, 0.89], [0.55, 0.87, 0.66], [0.57, 0.85, 0.64]]
    rows += [[0.22, 0.58, 0.33], [0.77, 0.25, 0.10], [0.05, 0.80, 0.55]]
    return np.array(rows, np.float32)


def computed() -> Iterator[tuple[str, Float32]]:
    """Yield (name, numbers) for every figure of chapter 3."""
    x = example_tokens()
    plain = PlainAttention()
    yield "ch03.weights", plain.weights(x)[1]
    yield "ch03.scores", plain.scores(x)[0]
    yield "ch03.contexts", plain.forward(x)
    yield "ch03.v1", SelfAttentionV1(TorchRandom(123), 3, 2).forward(x)
    v2 = SelfAttentionV2(TorchRandom(789), 3, 2)
    yield "ch03.v2", v2.forward(x)
    q, k, _ = v2.qkv(x)
    yield "ch03.v2-weights", v2.weights(q, k)[0]
    yield "ch03.dropout", dropout(np.ones((6, 6), np.float32), 0.5, TorchRandom(123))
    yield "ch03.causal", CausalAttention(TorchRandom(123), 3, 2).forward(x)
    yield "ch03.side-by-side", SideBySideHeads(TorchRandom(123), 3, 2, n_head=2).forward(x)
    yield "ch03.multi-head", MultiHeadAttention(TorchRandom(123), 3, 2, n_head=2).forward(x)
