"""One forward pass, kept: its parts sum to what the model made; patterns and the kinds of heads."""

import math
from typing import Any

import numpy as np
import pytest

from numpygpt.config import GPTConfig
from numpygpt.gpt import GPT
from numpygpt.gradcheck.oracles import draw_parameters
from numpygpt.inside import patterns, score_heads, score_patterns, split_score, trace
from numpygpt.inside.traces import biases
from numpygpt.layers.base import Array

V, T, C, H, L = 13, 7, 15, 3, 2
D = C // H
IDS = np.array([1, 5, 12, 0, 5, 3])


def make(dtype: Any = np.float64, **changes: Any) -> GPT:
    """A model with weights, biases and gains of order 1."""
    model = GPT(GPTConfig(**{**_SHAPE, **changes}), 0, dtype)
    draw_parameters(model, np.random.default_rng(4))
    return model.eval()


_SHAPE: dict[str, Any] = {"vocab_size": V, "context_length": T, "n_embd": C, "n_head": H}
_SHAPE |= {"n_layer": L}


@pytest.mark.parametrize("tie", [True, False])
@pytest.mark.parametrize("qkv_bias", [True, False])
def test_everything_added_is_the_stream_and_its_end_the_logits(tie: bool, qkv_bias: bool) -> None:
    model = make(tie_weights=tie, qkv_bias=qkv_bias)
    seen = trace(model, IDS)
    np.testing.assert_array_equal(seen.logits, model.forward(IDS[None])[0])
    x = model.token_embedding.W.data[IDS] + model.position_embedding.W.data[: len(IDS)]
    for l, block in enumerate(model.blocks):
        np.testing.assert_allclose(seen.blocks[l], x, atol=1e-12)
        added = block.attention.forward(block.norm1.forward(x[None]))[0]
        np.testing.assert_allclose(seen.attention[l], added, atol=1e-12)
        np.testing.assert_allclose(seen.stream[2 * l + 1], x + added, atol=1e-12)
        heads = seen.heads(l)
        assert heads.shape == (H, len(IDS), C)
        np.testing.assert_allclose(heads.sum(0) + biases(block.attention.proj), added, atol=1e-12)
        x = block.forward(x[None])[0]
    np.testing.assert_allclose(seen.blocks[L], x, atol=1e-12)


def test_the_model_is_left_as_it_was_and_dropout_draws_nothing() -> None:
    model = make(dropout=0.5).train()
    model.loss(IDS[None, :-1], IDS[None, 1:])
    model.backward()
    before = model.flat.grad.copy()
    state = model.dropout.rng.bit_generator.state
    seen = trace(model, IDS)
    np.testing.assert_array_equal(seen.logits, model.view().forward(IDS[None])[0])
    np.testing.assert_array_equal(model.flat.grad, before)
    assert model.dropout.rng.bit_generator.state == state
    assert model.training


def naive_pattern(x: Array, W_q: Array, b_q: Array, W_k: Array, b_k: Array) -> Array:
    """One head's P for what its norm gave, (T, C), row by row."""
    P = np.zeros((len(x), len(x)))
    for t in range(len(x)):
        scores = [(x[t] @ W_q + b_q) @ (x[s] @ W_k + b_k) / math.sqrt(D) for s in range(t + 1)]
        P[t, : t + 1] = np.exp(scores) / np.exp(scores).sum()
    return P


def test_patterns_are_the_softmax_of_the_scores() -> None:
    seen, l = trace(make(), IDS), 1
    P, block = patterns(seen), seen.model.blocks[1]
    assert P.shape == (L, H, len(IDS), len(IDS))
    x = block.norm1.view().forward(seen.blocks[l])
    b = biases(block.attention.qkv)
    for h in range(H):
        d = slice(h * D, (h + 1) * D)
        W_q, W_k = block.attention.W_q[:, d], block.attention.W_k[:, d]
        naive = naive_pattern(x, W_q, b[:C][d], W_k, b[C : 2 * C][d])
        np.testing.assert_allclose(P[l, h], naive, atol=1e-12)
        np.testing.assert_allclose(naive @ seen.qkv(l)[2, h], seen.mixed(l)[h], atol=1e-12)


BY_HAND = [[1, 0, 0, 0], [0.5, 0.5, 0, 0], [0.2, 0.3, 0.5, 0], [0.1, 0.15, 0.5, 0.25]]


def test_scores_of_a_pattern_by_hand() -> None:
    scores = score_patterns(np.array(BY_HAND), np.array([7, 8, 7, 8]))
    assert scores.previous == pytest.approx((0.5 + 0.3 + 0.5) / 4)
    assert scores.previous == pytest.approx(0.325)
    assert scores.first == pytest.approx((1 + 0.5 + 0.2 + 0.1) / 4)
    assert scores.duplicate == pytest.approx((0.2 + 0.15) / 2)  # rows 2 and 3 have a twin
    assert scores.induction == pytest.approx((0.3 + 0.5) / 2)  # behind these twins
    lone = score_patterns(np.array(BY_HAND), np.arange(4))
    assert np.isnan(lone.duplicate)
    assert np.isnan(lone.induction)
    with pytest.raises(ValueError, match=r"expected patterns of shape \(\.\.\., 3, 3\)"):
        score_patterns(np.array(BY_HAND), np.arange(3))


def test_heads_built_for_their_kind_are_found() -> None:
    """Positions alone make a previous-token head; tokens alone, one that looks at twins."""
    n = 12
    config = GPTConfig(n, 2 * n + 2, 4 * n + 8, 2, 1, qkv_bias=True)  # C: 12 tokens, 26 positions
    model = GPT(config, 0, np.float64)
    model.flat.data[...] = 0
    token, place = np.eye(n, 4 * n + 8), np.eye(2 * n + 2, 4 * n + 8, k=n)
    model.token_embedding.W.data[...] = token
    model.position_embedding.W.data[...] = place
    block = model.blocks[0]
    block.norm1.gain.data[...] = 1
    D = config.n_embd // 2
    strong = 30.0
    block.attention.W_q[:, :n][:n] = strong * np.eye(n)  # head 0: the same token's key
    block.attention.W_k[:, :n][:n] = strong * np.eye(n)
    block.attention.W_q[:, D : D + 26][n : n + 26] = strong * np.eye(26)  # head 1: place - 1
    block.attention.W_k[:, D : D + 26][n : n + 26] = strong * np.eye(26, k=1)
    scores = score_heads(model, length=n, texts=2)
    assert scores.previous[0, 1] > 0.9
    assert scores.previous[0, 0] < 0.1
    assert 0.45 < scores.duplicate[0, 0] < 0.55  # it shares itself with the token's own key
    assert scores.duplicate[0, 1] < 0.1
    assert scores.strongest("previous", 1)[0][:2] == (0, 1)
    assert scores.strongest("duplicate", 1)[0][:2] == (0, 0)
    with pytest.raises(ValueError, match="expected one of previous, first, duplicate, induction"):
        scores.strongest("next")
    with pytest.raises(ValueError, match="expected at least 1 head, got -1"):
        scores.strongest("previous", -1)


def test_a_score_is_the_sum_over_pairs_of_parts() -> None:
    for qkv_bias in (True, False):
        seen = trace(make(qkv_bias=qkv_bias), IDS)
        for l in range(L):
            for h in range(H):
                split = split_score(seen, l, h, 4, 2)
                q, k, _ = seen.qkv(l)[:, h]
                assert split.score == pytest.approx(q[4] @ k[2] / math.sqrt(D), abs=1e-12)
                assert split.table.sum() == pytest.approx(split.score, abs=1e-9)
                assert abs(split.remainder) < 1e-9
        assert split.names == ["token", "position", "attention 0", "feedforward 0", "bias"]


def test_the_tokens_part_of_a_score_is_what_the_tokens_alone_would_give() -> None:
    seen, h, t, s = trace(make(), IDS), 1, 5, 3
    split = split_score(seen, 0, h, t, s)
    assert split.names == ["token", "position", "bias"]
    block, d = seen.model.blocks[0], slice(h * D, (h + 1) * D)
    x = seen.blocks[0]
    rstd = 1 / np.sqrt(x.var(-1) + 1e-5)
    token = (
        (seen.token - seen.token.mean(-1, keepdims=True)) * rstd[:, None] * block.norm1.gain.data
    )
    q, k = token @ block.attention.W_q[:, d], token @ block.attention.W_k[:, d]
    assert split.table[0, 0] == pytest.approx(q[t] @ k[s] / math.sqrt(D), abs=1e-12)
    b_q, b_k, _ = biases(block.attention.qkv).reshape(3, C)
    fixed = block.norm1.bias.data
    bias_q, bias_k = fixed @ block.attention.W_q[:, d], fixed @ block.attention.W_k[:, d]
    found = (bias_q + b_q[d]) @ (bias_k + b_k[d]) / math.sqrt(D)
    assert split.table[2, 2] == pytest.approx(found, abs=1e-12)
    assert split.table[0, 2] == pytest.approx(q[t] @ (bias_k + b_k[d]) / math.sqrt(D), abs=1e-12)


def test_what_is_not_there_is_refused() -> None:
    model = make()
    with pytest.raises(ValueError, match="at least one token to look at, got an empty text"):
        trace(model, [])
    with pytest.raises(ValueError, match="ids of one text"):
        trace(model, IDS[None])
    with pytest.raises(ValueError, match=f"at most {T} tokens, the context length, got 8"):
        trace(model, np.zeros(8, int))
    with pytest.raises(IndexError, match=f"ids from 0 to {V - 1}, got {V}"):
        trace(model, [V])
    seen = trace(model, IDS)
    with pytest.raises(IndexError, match=r"no head 1.3 \(block.head\): blocks are 0 to 1"):
        split_score(seen, 1, 3, 2, 1)
    with pytest.raises(IndexError, match=r"no head 2.0"):
        split_score(seen, 2, 0, 2, 1)
    with pytest.raises(IndexError, match="token 1 does not see token 2"):
        split_score(seen, 0, 0, 1, 2)
    with pytest.raises(IndexError, match="no position 6: the text's tokens are 0 to 5"):
        split_score(seen, 0, 0, 6, 2)
    with pytest.raises(ValueError, match="room for 2 tokens and the same again"):
        score_heads(make(context_length=3), begin=0)
