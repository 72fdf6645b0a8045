"""Gradients by the embeddings: against finite differences, and closed by the integral."""

from typing import Any

import numpy as np
import pytest

from numpygpt.config import GPTConfig
from numpygpt.gpt import GPT
from numpygpt.gradcheck.oracles import draw_parameters
from numpygpt.inside import (
    Answer,
    attribution,
    gradients,
    identities,
    input_gradients,
    integrated_gradients,
)
from numpygpt.inside.traces import Trace
from numpygpt.layers.base import Array

V, T, C, H, L = 13, 7, 15, 3, 2
IDS = np.array([1, 5, 12, 0, 5, 3])
ASKED = [None, Answer(4), Answer(4, 9, 2)]


def make(tie: bool = True, qkv_bias: bool = True, dtype: Any = np.float64) -> GPT:
    model = GPT(GPTConfig(V, T, C, H, L, qkv_bias=qkv_bias, tie_weights=tie), 0, dtype)
    draw_parameters(model, np.random.default_rng(4))
    return model.eval()


def value(model: GPT, e: Array, asked: Answer | None) -> float:
    """The answer for embeddings e (T, C), by the layers' own forward passes."""
    x = (e + model.position_embedding.W.data[: len(e)])[None]
    for block in model.blocks:
        x = block.forward(x)
    z = model.head.forward(model.norm.forward(x))[0]
    if asked is not None:
        row = z[asked.position]
        return float(row[asked.word] - (0 if asked.other is None else row[asked.other]))
    log_p = z[:-1] - np.log(np.exp(z[:-1]).sum(-1, keepdims=True))
    return -float(log_p[np.arange(len(e) - 1), IDS[1:]].mean())


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("tie", [True, False])
def test_every_entry_against_a_central_difference(asked: Answer | None, tie: bool) -> None:
    model = make(tie)
    found = input_gradients(model, IDS, asked)
    e, h = model.token_embedding.W.data[IDS], 1e-5
    slopes = np.zeros_like(e)
    for entry in np.ndindex(e.shape):
        step = np.zeros_like(e)
        step[entry] = h
        slopes[entry] = (value(model, e + step, asked) - value(model, e - step, asked)) / (2 * h)
    assert found.answer == pytest.approx(value(model, e, asked), abs=1e-12)
    assert np.abs(found.by_embedding - slopes).max() / np.abs(slopes).max() < 1e-8
    np.testing.assert_allclose(found.norms, np.linalg.norm(slopes, axis=1), rtol=1e-6, atol=1e-8)
    times_input = (slopes * e).sum(1)
    np.testing.assert_allclose(found.times_input, times_input, atol=1e-7)
    gap = found.answer - value(model, np.zeros_like(e), asked) - times_input.sum()
    assert found.gap == pytest.approx(gap, abs=1e-6)
    assert abs(found.gap) > 1e-3  # a model is not linear


def test_what_comes_after_the_answer_has_no_gradient() -> None:
    found = input_gradients(make(), IDS, Answer(4, 9, 2))
    assert np.abs(found.by_embedding[:3]).min(1).max() > 0
    assert not found.by_embedding[3:].any()


@pytest.mark.parametrize("asked", ASKED)
def test_the_gradient_along_the_stream(asked: Answer | None) -> None:
    """A branch is the difference of two neighbours along the stream."""
    model = make()
    found = input_gradients(model, IDS, asked)
    assert found.stream.shape == (2 * L + 1, len(IDS))
    assert found.branch.shape == (2 * L, len(IDS))
    np.testing.assert_allclose(found.stream[0], found.norms, atol=1e-12)
    low, high = np.abs(found.stream[:-1] - found.stream[1:]), found.stream[:-1] + found.stream[1:]
    assert (found.branch >= low - 1e-12).all()  # a triangle's sides
    assert (found.branch <= high + 1e-12).all()
    if asked is not None:  # the last stream is read at one position
        assert np.flatnonzero(found.stream[-1]).tolist() == [asked.position % len(IDS)]


def test_the_model_keeps_its_own_gradients() -> None:
    model = make().train()
    model.loss(IDS[None, :-1], IDS[None, 1:])
    model.backward()
    before = model.flat.grad.copy()
    input_gradients(model, IDS)
    np.testing.assert_array_equal(model.flat.grad, before)


@pytest.mark.parametrize("asked", ASKED)
def test_integrated_gradients_close_the_gap(asked: Answer | None) -> None:
    model = make(False)
    whole = integrated_gradients(model, IDS, asked, limit=1e-9)
    e = model.token_embedding.W.data[IDS]
    change = value(model, e, asked) - value(model, np.zeros_like(e), asked)
    assert whole.tokens.sum() == pytest.approx(change, abs=1e-9)
    assert abs(whole.gap) <= 1e-9
    assert whole.answer - whole.without == pytest.approx(change, abs=1e-12)
    coarse = integrated_gradients(model, IDS, asked, limit=0, most=8)
    assert coarse.evaluations == 8
    assert coarse.gap == pytest.approx(change - coarse.tokens.sum(), abs=1e-12)
    naive, W, n = np.zeros(len(IDS)), model.token_embedding.W.data.copy(), 60
    for a in (np.arange(n) + 0.5) / n:  # the middle of n pieces
        model.token_embedding.W.data[...] = a * W
        naive += (input_gradients(model, IDS, asked).by_embedding * e).sum(1) / n
    np.testing.assert_allclose(whole.tokens, naive, atol=1e-3 * np.abs(naive).max())


def test_a_loss_needs_two_tokens_and_an_answer_its_place() -> None:
    model = make()
    with pytest.raises(ValueError, match="needs two tokens"):
        input_gradients(model, IDS[:1])
    with pytest.raises(IndexError, match="no position 6"):
        input_gradients(model, IDS, Answer(1, position=6))
    with pytest.raises(IndexError, match="no token 13"):
        integrated_gradients(model, IDS, Answer(13))
    with pytest.raises(ValueError, match="empty text"):
        input_gradients(model, [])
    with pytest.raises(ValueError, match="at most 7 tokens, the context length, got 8"):
        input_gradients(model, np.zeros(8, int))


@pytest.mark.parametrize("tie", [True, False])
@pytest.mark.parametrize("qkv_bias", [True, False])
def test_all_identities_hold(tie: bool, qkv_bias: bool) -> None:
    found = identities(make(tie, qkv_bias, np.float32), IDS)
    assert len(found) == len({i.name for i in found}) > 12
    for identity in found:
        assert identity.holds, identity
        assert identity.limit <= (1e-7 if "difference" in identity.name else 1e-9), identity


def test_identities_hold_where_no_token_says_anything() -> None:
    model = make()
    for part in (model.token_embedding, model.head):
        part.W.data[...] = 0
    assert all(identity.holds for identity in identities(model, IDS))


BUGS = {  # what is wrong: which identities say so
    "a bias that is none": [
        "the parts of a logit sum to it",
        "the parts of a difference sum to it",
        "between two blocks, the frozen lens moves by what the block says",
    ],
    "keys and values swapped": [
        "rows of P sum to 1",
        "P v is what attention made",
        "the parts of q.k sum to the score",
    ],
    "a gradient a thousandth too long": [
        "the loss's gradient by the embeddings, against a central difference",
        "the answer's gradient by the embeddings, against a central difference",
        "integrated gradients sum to the change",
    ],
}


@pytest.mark.parametrize("bug", BUGS)
def test_planted_bugs_are_named(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    qkv, backward = Trace.qkv, gradients._Asked.backward

    def longer(self: Any, e: Array) -> Any:
        value, stream, branch = backward(self, e)
        return value, [x * 1.001 for x in stream], branch

    if bug == "a bias that is none":
        monkeypatch.setattr(attribution, "biases", lambda x: np.sqrt(np.arange(x.W.shape[1])))
    elif bug == "keys and values swapped":
        monkeypatch.setattr(Trace, "qkv", lambda self, block: qkv(self, block)[[0, 2, 1]])
    else:
        monkeypatch.setattr(gradients._Asked, "backward", longer)
    assert [i.name for i in identities(make(), IDS) if not i.holds] == BUGS[bug]
