"""Lens, attribution and ablation: sums that must equal, and models changed by hand as oracles."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from numpygpt.config import GPTConfig
from numpygpt.gpt import GPT
from numpygpt.gradcheck.oracles import draw_parameters
from numpygpt.inside import (
    Answer,
    ablate,
    attribute,
    logits_without,
    patch,
    patch_stream,
    predictions,
    trace,
)
from numpygpt.layers.base import Array

V, T, C, H, L = 13, 7, 15, 3, 2
D = C // H
IDS = np.array([1, 5, 12, 0, 5, 3])
OTHER = np.array([1, 5, 2, 0, 11, 3])
KINDS = [(True, True), (True, False), (False, True), (False, False)]
ANSWERS = [Answer(4), Answer(4, 9), Answer(0, 12, 2), Answer(7, None, 0)]


def make(tie: bool = True, qkv_bias: bool = True, dtype: Any = np.float64) -> GPT:
    model = GPT(GPTConfig(V, T, C, H, L, qkv_bias=qkv_bias, tie_weights=tie), 0, dtype)
    draw_parameters(model, np.random.default_rng(4))
    return model.eval()


def softmax(z: Array) -> Array:
    p = np.exp(z - z.max(-1, keepdims=True))
    return np.asarray(p / p.sum(-1, keepdims=True))


# -- lens -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("tie", [True, False])
def test_the_lens_reads_each_block_as_a_shorter_model_would_predict(tie: bool) -> None:
    model = make(tie)
    lens = predictions(trace(model, IDS), word=8, k=3)
    words = [*IDS[1:], 8]
    assert lens.words.tolist() == words
    assert lens.remainder < 1e-12
    shorter = model.view()
    for l in range(L, -1, -1):
        shorter.blocks = shorter.blocks[:l]
        p = softmax(shorter.forward(IDS[None])[0])
        for t, word in enumerate(words):
            assert lens.anew.probability[l, t] == pytest.approx(p[t, word], abs=1e-12)
            assert lens.anew.rank[l, t] == sorted(p[t], reverse=True).index(p[t, word]) + 1
            best = sorted(range(V), key=lambda v: -p[t, v])[:3]
            assert lens.anew.top[l, t].tolist() == best
            np.testing.assert_allclose(lens.anew.top_probability[l, t], p[t, best], atol=1e-12)


def test_the_frozen_lens_keeps_the_last_blocks_scale() -> None:
    model = make(False)
    seen = trace(model, IDS)
    lens = predictions(seen, word=8)
    end = seen.blocks[L]
    for l, x in enumerate(seen.blocks):
        x_hat = (x - x.mean(-1, keepdims=True)) / np.sqrt(end.var(-1, keepdims=True) + 1e-5)
        z = (x_hat * model.norm.gain.data + model.norm.bias.data) @ model.head.W.data.T
        p = softmax(z)[np.arange(len(IDS)), lens.words]
        np.testing.assert_allclose(lens.frozen.probability[l], p, atol=1e-12)
    np.testing.assert_array_equal(lens.frozen.rank[L], lens.anew.rank[L])
    assert np.abs(lens.frozen.probability[0] - lens.anew.probability[0]).max() > 1e-3


def test_without_a_word_the_last_position_has_the_models_own() -> None:
    seen = trace(make(), IDS)
    lens = predictions(seen)
    assert lens.words[-1] == seen.logits[-1].argmax()
    assert lens.anew.rank[L, -1] == 1
    for k in (0, V + 1):
        with pytest.raises(ValueError, match=f"expected from 1 to {V} words"):
            predictions(seen, k=k)
    with pytest.raises(IndexError, match=f"no token {V} in the vocabulary"):
        predictions(seen, word=V)


# -- attribution ----------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize(("tie", "qkv_bias"), KINDS)
def test_the_parts_sum_to_the_logit(tie: bool, qkv_bias: bool, answer: Answer) -> None:
    model = make(tie, qkv_bias)
    says = attribute(trace(model, IDS), answer)
    z = model.forward(IDS[None])[0, answer.position]
    logit = z[answer.word] - (0 if answer.other is None else z[answer.other])
    assert says.logit == pytest.approx(logit, abs=1e-12)
    parts = dict(says.parts())
    assert len(parts) == 2 + L * (H + 4) + 1
    assert sum(parts.values()) == pytest.approx(logit, abs=1e-9)
    assert says.remainder == pytest.approx(logit - sum(parts.values()), abs=1e-12)
    assert abs(says.remainder) < 1e-9
    assert (np.abs(says.value_bias).max() > 0) == qkv_bias


def test_each_part_by_its_own_formula() -> None:
    model, answer = make(False), Answer(4, 9, 3)
    seen = trace(model, IDS)
    says = attribute(seen, answer)
    x, W, gain = seen.blocks[L][3], model.head.W.data, model.norm.gain.data

    def bar(part: Array) -> float:
        scaled = (part - part.mean()) / np.sqrt(x.var() + 1e-5) * gain
        return float(scaled @ (W[4] - W[9]))

    assert says.token == pytest.approx(bar(model.token_embedding.W.data[0]))
    assert says.place == pytest.approx(bar(model.position_embedding.W.data[3]))
    assert says.norm_bias == pytest.approx(model.norm.bias.data @ (W[4] - W[9]))
    for l, block in enumerate(model.blocks):
        assert block.attention.qkv.b is not None
        b_v = block.attention.qkv.b.data[2 * C :]
        for h in range(H):
            rows = slice(h * D, (h + 1) * D)
            W_o = block.attention.W_o[rows]
            o = seen.mixed(l)[h, 3]
            assert says.heads[l, h] == pytest.approx(bar((o - b_v[rows]) @ W_o))
            assert says.value_bias[l, h] == pytest.approx(bar(b_v[rows] @ W_o))
        assert block.attention.proj.b is not None
        assert block.feedforward.proj.b is not None
        assert says.output_bias[l] == pytest.approx(bar(block.attention.proj.b.data))
        b_2 = block.feedforward.proj.b.data
        assert says.feedforward_bias[l] == pytest.approx(bar(b_2))
        assert says.feedforward[l] == pytest.approx(bar(seen.feedforward[l, 3] - b_2))


def test_an_answer_that_is_not_there_is_refused() -> None:
    seen = trace(make(), IDS)
    for answer in (Answer(V), Answer(-1), Answer(1, V)):
        with pytest.raises(IndexError, match=r"no token .* ids are 0 to 12"):
            attribute(seen, answer)
    with pytest.raises(IndexError, match="no position 6"):
        attribute(seen, Answer(1, position=6))


# -- ablation -------------------------------------------------------------------------------------


def without(model: GPT, l: int, h: int | None, mean: bool) -> GPT:
    """A model in whose weights a head (None: the feed-forward) says 0, or its mean, everywhere."""
    seen, changed = trace(model, IDS), model.astype(np.float64).eval()
    block = changed.blocks[l]
    if h is None:
        proj = block.feedforward.proj
        assert proj.b is not None
        proj.W.data[...] = 0
        proj.b.data[...] = seen.feedforward[l].mean(0) if mean else 0
        return changed
    rows, proj = slice(h * D, (h + 1) * D), block.attention.proj
    assert proj.b is not None
    if mean:
        proj.b.data += seen.mixed(l)[h].mean(0) @ proj.W.data[rows]
    proj.W.data[rows] = 0
    return changed


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("how", ["zero", "mean"])
def test_ablation_is_the_model_without_these_weights(how: str, answer: Answer) -> None:
    model = make(False)
    seen = trace(model, IDS)
    found, says = ablate(seen, answer, how), attribute(seen, answer)
    whole = float(answer.read(seen.logits))
    assert found.answer == pytest.approx(whole)
    for l in range(L):
        for h in (*range(H), None):
            z = without(model, l, h, how == "mean").forward(IDS[None])[0]
            part = f"feedforward {l}" if h is None else f"{l}.{h}"
            np.testing.assert_allclose(logits_without(seen, part, how), z, atol=1e-9)
            effect = found.feedforward[l] if h is None else found.heads[l, h]
            assert effect == pytest.approx(whole - float(answer.read(z)), abs=1e-9)
    with_bias = says.heads + says.value_bias
    np.testing.assert_allclose(found.heads_attributed, with_bias, atol=1e-12)
    np.testing.assert_allclose(
        found.feedforward_attributed, says.feedforward + says.feedforward_bias, atol=1e-12
    )


def test_patching_with_itself_changes_nothing() -> None:
    seen, answer = trace(make(), IDS), Answer(4, 9)
    same = patch(seen, seen, answer)
    assert same.clean == same.corrupt
    np.testing.assert_allclose(same.heads, same.clean, atol=1e-12)
    np.testing.assert_allclose(same.feedforward, same.clean, atol=1e-12)
    np.testing.assert_allclose(patch_stream(seen, seen, answer), same.clean, atol=1e-12)


def test_the_whole_last_residual_brings_the_clean_answer() -> None:
    model, answer = make(), Answer(4, 9)
    clean, corrupt = trace(model, IDS), trace(model, OTHER)
    assert np.abs(clean.logits - corrupt.logits).max() > 0.1
    z = logits_without(corrupt, f"block {L - 1}", clean)
    np.testing.assert_allclose(z, clean.logits, atol=1e-9)
    streams = patch_stream(clean, corrupt, answer)
    assert streams.shape == (L + 1, len(IDS))
    assert streams[L, -1] == pytest.approx(answer.read(clean.logits), abs=1e-9)
    np.testing.assert_allclose(streams[L, :-1], answer.read(corrupt.logits), atol=1e-9)
    only = OTHER.copy()
    only[2] = IDS[2]  # the stream before block 0 is the embedding: the token itself
    assert streams[0, 2] == pytest.approx(answer.read(model.forward(only[None])[0]), abs=1e-9)


def test_a_patched_head_is_the_head_of_the_other_text() -> None:
    """The oracle replaces the output of attention while the model runs."""
    model, answer = make(), Answer(4, 9)
    clean, corrupt = trace(model, IDS), trace(model, OTHER)
    patched = patch(clean, corrupt, answer)
    for l in range(L):
        for h in range(H):
            changed = model.view()
            layer, theirs = changed.blocks[l].attention, clean.heads(l)[h] - corrupt.heads(l)[h]
            forward = layer.forward
            vars(layer)["forward"] = lambda *a, f=forward, add=theirs, **k: f(*a, **k) + add
            z = answer.read(changed.forward(OTHER[None])[0])
            assert patched.heads[l, h] == pytest.approx(float(z), abs=1e-9)
    shares = patched.restored(np.array([patched.corrupt, patched.clean]))
    assert shares.tolist() == [0, 1]


def test_parts_that_are_not_there_are_refused() -> None:
    model = make()
    seen = trace(model, IDS)
    for part in ("", "head 1.1", "1", "1.x", "attention 0", "feedforward 1.1", "block", "-1.0"):
        with pytest.raises(ValueError, match="expected a part such as"):
            logits_without(seen, part)
    for part in ("2.0", "0.3", "feedforward 2", "block 2"):
        with pytest.raises(IndexError, match="blocks are 0 to 1, heads 0 to 2"):
            logits_without(seen, part)
    with pytest.raises(ValueError, match="expected zero or mean, got 'median'"):
        ablate(seen, Answer(1), "median")
    with pytest.raises(ValueError, match="expected zero or mean, or a Trace"):
        logits_without(seen, "0.0", "median")
    with pytest.raises(ValueError, match="as many tokens, got 5 and 6"):
        patch(trace(model, IDS[:5]), seen, Answer(1))
    other = GPT(replace(model.config, n_head=1), 0, np.float64)  # as wide, and of as many blocks
    with pytest.raises(ValueError, match="seen by one model, got two models"):
        patch(trace(other, IDS), seen, Answer(1))
