"""Every layer keeps the same promises, and computes what a naive formula computes."""

import copy
import gc
import math
import pickle
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numpygpt import parallel
from numpygpt.config import GPTConfig
from numpygpt.gradcheck import check_layer
from numpygpt.gradcheck.oracles import draw_parameters
from numpygpt.gradcheck.subject import Loss
from numpygpt.gradcheck.table import TiedHead
from numpygpt.layers import (
    GELU,
    Block,
    CausalSelfAttention,
    Dropout,
    Embedding,
    FeedForward,
    Head,
    KeyValueCache,
    Layer,
    LayerNorm,
    Linear,
    Parameter,
    attention,
    head,
)
from numpygpt.layers.parameter import Array

B, T, H, D, V = 2, 5, 3, 7, 11
C = H * D

CASES: dict[str, Callable[[], Layer]] = {
    "Linear": lambda: Linear(C, 13),
    "Linear, no bias": lambda: Linear(C, 13, bias=False),
    "Embedding": lambda: Embedding(V, C),
    "LayerNorm": lambda: LayerNorm(C),
    "GELU": lambda: GELU(),
    "Dropout": lambda: Dropout(0.3),
    "Dropout 0": lambda: Dropout(0.0),
    "Attention": lambda: CausalSelfAttention(GPTConfig(V, T, C, H, 1)),
    "Attention, no bias": lambda: CausalSelfAttention(GPTConfig(V, T, C, H, 1, qkv_bias=False)),
    "Attention, dropout": lambda: CausalSelfAttention(GPTConfig(V, T, C, H, 1, dropout=0.3)),
    "FeedForward": lambda: FeedForward(GPTConfig(V, T, C, H, 1)),
    "Block": lambda: Block(GPTConfig(V, T, C, H, 1)),
    "Block, dropout": lambda: Block(GPTConfig(V, T, C, H, 1, dropout=0.3)),
    "Head": lambda: Head(Parameter(V, C)),
    "TiedHead": lambda: TiedHead(V, C),
    "Head.loss": lambda: Loss(Head(Parameter(V, C)), _ids(B, T)),
}
every_layer = pytest.mark.parametrize("case", CASES)


def _ids(*shape: int) -> Array:
    return np.random.default_rng(7).integers(V, size=shape)


def _make(case: str, dtype: Any = np.float64, rows: tuple[int, ...] = (B, T)) -> Any:
    """(the layer, with parameters of order 1; x; a random dy)."""
    rng = np.random.default_rng(3)
    layer: Any = CASES[case]()
    layer.initialize(0, dtype)
    draw_parameters(layer, rng)
    if case == "Head.loss":
        layer.targets = _ids(*rows)
    x = rng.standard_normal((*rows, C)).astype(dtype)
    if case in ("Embedding", "TiedHead"):
        x = _ids(*rows)
    shape = np.shape(layer.eval().forward(x))
    dy = rng.standard_normal(shape).astype(dtype)
    for one in layer.train().layers():
        if isinstance(one, Dropout):
            one.rng = np.random.default_rng(11)
    return layer, x, dy


def _run(layer: Any, x: Array, dy: Array) -> list[Array]:
    """y, dx and all gradients, as copies."""
    y = np.array(layer.forward(x))
    dx = layer.backward(dy)
    grads = [p.grad.copy() for _, p in layer.named_parameters()]
    return [y, *([] if dx is None else [dx]), *grads]


# -- the contract ---------------------------------------------------------------------------------


@every_layer
def test_gradients(case: str) -> None:
    layer, x, _ = _make(case)
    dy = 1.0 if case == "Head.loss" else None
    report = check_layer(layer, x, 1, dy=dy, entries=80)  # gradcheck, the command, takes them all
    assert report.passed, str(report)
    names = [name for name, _ in layer.named_parameters()]
    assert [row.name for row in report.rows if row.name != "x"] == names
    assert all(row.complex_step is not None for row in report.rows)


@every_layer
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_the_dtype_of_the_parameters_is_kept(case: str, dtype: Any) -> None:
    for result in _run(*_make(case, dtype)):
        if case != "Head.loss" or result.ndim:  # the loss itself is a Python number
            assert result.dtype == dtype


@every_layer
def test_float32_is_as_good_as_float32_can_be(case: str) -> None:
    for single, double in zip(_run(*_make(case, np.float32)), _run(*_make(case)), strict=True):
        assert abs(single - double).max() <= 3e-6 * max(1, abs(double).max())


@every_layer
def test_arguments_are_not_modified(case: str) -> None:
    layer, x, dy = _make(case)
    x_before, dy_before = x.copy(), dy.copy()
    x.flags.writeable = dy.flags.writeable = False
    _run(layer, x, dy)
    assert np.array_equal(x, x_before) and np.array_equal(dy, dy_before)


@every_layer
def test_backward_needs_its_own_forward(case: str) -> None:
    layer, x, dy = _make(case)
    name = "Head" if case == "Head.loss" else ""
    names = "|".join(name or type(one).__name__ for one in layer.layers())
    for prepare in (lambda: None, lambda: _run(layer, x, dy)):
        prepare()
        with pytest.raises(RuntimeError, match=rf"({names})\.backward: nothing is saved"):
            layer.backward(dy)


@every_layer
def test_gradients_accumulate_until_zero_grad(case: str) -> None:
    layer, x, dy = _make(case)

    def one_pass() -> list[Array]:
        for part in layer.layers():
            if isinstance(part, Dropout):
                part.rng = np.random.default_rng(11)
        _run(layer, x, dy)
        return [p.grad.copy() for _, p in layer.named_parameters()]

    once, twice = one_pass(), one_pass()
    for g, gg in zip(once, twice, strict=True):
        assert abs(g).max() > 0
        np.testing.assert_allclose(gg, 2 * g, rtol=1e-12, atol=1e-12 * abs(g).max())
    layer.zero_grad()
    for g, again in zip(once, one_pass(), strict=True):
        assert np.array_equal(g, again)
    layer.zero_grad()
    assert all(not p.grad.any() for _, p in layer.named_parameters())


@every_layer
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_block_size_and_threads_change_no_bit(
    case: str, dtype: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMPYGPT_NUM_THREADS", "1")
    alone = _run(*_make(case, dtype))
    for block, threads in ((1, "3"), (100, "2"), (777, "3")):
        monkeypatch.setattr(parallel, "BLOCK_ELEMENTS", block)
        monkeypatch.setenv("NUMPYGPT_NUM_THREADS", threads)
        for a, b in zip(alone, _run(*_make(case, dtype)), strict=True):
            assert np.array_equal(a, b)


@every_layer
@pytest.mark.parametrize("rows", [(1, T), (B, 1), (1, 1)])
def test_one_sequence_and_one_token(case: str, rows: tuple[int, int]) -> None:
    layer, x, _ = _make(case, rows=rows)
    dy = 1.0 if case == "Head.loss" else None
    assert check_layer(layer, x, 1, dy=dy, entries=20).passed


@every_layer
def test_eval_mode_saves_nothing_and_drops_nothing(case: str) -> None:
    layer, x, dy = _make(case)
    layer.eval()
    first, second = np.array(layer.forward(x)), np.array(layer.forward(x))
    assert np.array_equal(first, second)
    assert all(one._saved is None for one in layer.layers())
    with pytest.raises(RuntimeError, match="nothing is saved"):
        layer.backward(dy)
    for _, p in layer.named_parameters():  # not even the gradients' memory was made
        assert p._grad is None and p._room is None


@every_layer
def test_inputs_need_not_be_contiguous(case: str) -> None:
    layer, x, dy = _make(case)
    expected = _run(layer, x, dy)
    layer, x, dy = _make(case)

    def strided(a: Array) -> Array:
        if a.ndim < 2:
            return a
        return np.repeat(a.swapaxes(0, 1), 2, axis=0)[::2].swapaxes(0, 1)

    for a, b in zip(expected, _run(layer, strided(x), strided(dy)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


@every_layer
def test_astype_makes_a_copy(case: str) -> None:
    layer, _, _ = _make(case, np.float32)
    twin = layer.astype(np.float64)
    for (name, p), (other, q) in zip(
        layer.named_parameters(), twin.named_parameters(), strict=True
    ):
        assert name == other and q.data.dtype == np.float64
        assert np.array_equal(p.data, q.data) and not np.shares_memory(p.data, q.data)
        q.data[...] = 5
        assert not (p.data == 5).any()


# -- naive float64 oracles ------------------------------------------------------------------------


def naive_linear(layer: Any, x: Array) -> Array:
    y = np.empty((*x.shape[:-1], layer.W.shape[1]))
    for at in np.ndindex(*x.shape[:-1]):
        for o in range(y.shape[-1]):
            y[at][o] = sum(x[at][i] * layer.W.data[i, o] for i in range(x.shape[-1]))
            if layer.b is not None:
                y[at][o] += layer.b.data[o]
    return y


def naive_norm(layer: Any, x: Array) -> Array:
    y = np.empty_like(x)
    for at in np.ndindex(*x.shape[:-1]):
        row = x[at].tolist()
        mean = math.fsum(row) / len(row)
        variance = math.fsum((number - mean) ** 2 for number in row) / len(row)
        y[at] = (x[at] - mean) / math.sqrt(variance + 1e-5) * layer.gain.data + layer.bias.data
    return y


def naive_gelu(_: Any, x: Array) -> Array:
    def one(x: float) -> float:
        return 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))

    return np.vectorize(one)(x)  # type: ignore[no-any-return]


def naive_attention(layer: Any, x: Array) -> Array:
    B, T, C = x.shape
    H = layer.n_head
    D = C // H
    zero = np.zeros(3 * C)
    b = (layer.qkv.b.data if layer.qkv.b is not None else zero).reshape(3, C)
    q, k, v = (x @ W + bias for W, bias in zip((layer.W_q, layer.W_k, layer.W_v), b, strict=True))
    o = np.zeros_like(x)
    for n in range(B):
        for h in range(H):
            part = slice(h * D, (h + 1) * D)
            for t in range(T):
                scores = [q[n, t, part] @ k[n, s, part] / math.sqrt(D) for s in range(t + 1)]
                e = [math.exp(score - max(scores)) for score in scores]
                for s in range(t + 1):
                    o[n, t, part] += e[s] / sum(e) * v[n, s, part]
    return o @ layer.W_o + layer.proj.b.data  # type: ignore[no-any-return]


def naive_feedforward(layer: Any, x: Array) -> Array:
    return naive_linear(layer.proj, naive_gelu(None, naive_linear(layer.fc, x)))


def naive_block(layer: Any, x: Array) -> Array:
    x = x + naive_attention(layer.attention, naive_norm(layer.norm1, x))
    return x + naive_feedforward(layer.feedforward, naive_norm(layer.norm2, x))


def naive_embedding(layer: Any, ids: Array) -> Array:
    return np.array([[layer.W.data[i] for i in row] for row in ids.tolist()])


def naive_loss(layer: Any, x: Array) -> Array:
    losses = []
    for at in np.ndindex(*x.shape[:-1]):
        z = layer.layer.W.data @ x[at]
        losses.append(math.log(sum(math.exp(one - z.max()) for one in z)) + z.max())
        losses[-1] -= z[layer.targets[at]]
    return np.asarray(math.fsum(losses) / len(losses))


ORACLES: dict[str, Callable[[Any, Array], Array]] = {
    "Linear": naive_linear,
    "Linear, no bias": naive_linear,
    "Embedding": naive_embedding,
    "LayerNorm": naive_norm,
    "GELU": naive_gelu,
    "Dropout": lambda layer, x: x * (np.random.default_rng(11).random(x.shape, "f") < 0.7) / 0.7,
    "Attention": naive_attention,
    "Attention, no bias": naive_attention,
    "FeedForward": naive_feedforward,
    "Block": naive_block,
    "Head": lambda layer, x: np.einsum("btc,vc->btv", x, layer.W.data),
    "Head.loss": naive_loss,
}


@pytest.mark.parametrize("case", ORACLES)
def test_forward_is_the_naive_formula(case: str) -> None:
    layer, x, _ = _make(case)
    np.testing.assert_allclose(layer.forward(x), ORACLES[case](layer, x), rtol=1e-12, atol=1e-13)


# -- attention ------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 2, 3, 4])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_blocks_of_queries_change_nothing(
    rows: int, dropout: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = "Attention, dropout" if dropout else "Attention"
    whole = _run(*_make(case))
    monkeypatch.setattr(attention, "QUERY_ROWS", rows)
    for a, b in zip(whole, _run(*_make(case)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)
    layer, x, _ = _make(case)
    assert check_layer(layer, x, 1, entries=30).passed


def test_weights_that_are_dropped_are_not_renormalised() -> None:
    """With v = 1 everywhere, o is the sum of the kept weights / (1 - p)."""
    layer = CausalSelfAttention(GPTConfig(V, T, C, H, 1, dropout=0.5)).initialize(0, np.float64)
    layer.flat.data[...] = 0  # all scores equal: P[t,s] = 1/(t+1)
    assert layer.qkv.b is not None
    layer.qkv.b.data[2 * C :] = 1
    layer.W_o[...] = np.eye(C)
    layer.dropout.rng = np.random.default_rng(2)
    y = layer.forward(np.zeros((B, T, C)))
    keep = np.random.default_rng(2).random((B, H, T, T), np.float32) < 0.5
    for t in range(T):
        expected = keep[:, :, t, : t + 1].sum(-1) / (t + 1) / 0.5
        np.testing.assert_allclose(y[:, t, ::D], expected, rtol=1e-14)


def test_a_huge_score_does_not_overflow() -> None:
    layer, x, dy = _make("Attention", np.float32)
    for result in _run(layer, 1e3 * x, dy):
        assert np.isfinite(result).all()


@pytest.mark.parametrize("chunks", [(5,), (1, 1, 1, 1, 1), (2, 3), (4, 1)])
def test_a_cache_changes_nothing(chunks: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "QUERY_ROWS", 2)
    layer, x, _ = _make("Attention")
    layer.eval()
    whole = layer.forward(x)
    cache = KeyValueCache((B, H, T, D), np.float64)
    parts, start = [], 0
    for chunk in chunks:
        parts.append(layer.forward(x[:, start : start + chunk], cache))
        start += chunk
    assert cache.length == T
    np.testing.assert_allclose(np.concatenate(parts, 1), whole, rtol=1e-12, atol=1e-14)


def test_the_named_matrices_are_views_of_one() -> None:
    layer = CausalSelfAttention(GPTConfig(V, T, C, H, 1)).initialize()
    layer.W_k[...] = 5
    assert (layer.qkv.W.data[:, C : 2 * C] == 5).all() and not (layer.W_q == 5).any()
    stacked = np.concatenate([layer.W_q, layer.W_k, layer.W_v], 1)
    assert np.array_equal(stacked, layer.qkv.W.data)
    assert np.shares_memory(layer.W_o, layer.flat.data)


def test_a_key_bias_has_no_gradient() -> None:
    layer, x, dy = _make("Attention")
    _run(layer, x, dy)
    grad = abs(layer.qkv.b.grad)
    assert grad[C : 2 * C].max() < 1e-13 * grad.max()


# -- the head -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rows", "columns"), [(1, 4), (3, 2), (4, 11), (9, 100)])
def test_chunks_of_the_loss_change_nothing(
    rows: int, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = _run(*_make("Head.loss"))
    monkeypatch.setattr(head, "ROWS", rows)
    monkeypatch.setattr(head, "VOCAB_ROWS", columns)
    for a, b in zip(whole, _run(*_make("Head.loss")), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15)


def test_the_loss_and_the_logits_give_the_same_gradients() -> None:
    layer, x, _ = _make("Head")
    layer.loss(x, _ids(B, T))
    dx, dW = layer.backward(), layer.W.grad.copy()
    layer.zero_grad()
    z = layer.forward(x)
    p = np.exp(z - z.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    p -= np.eye(V)[_ids(B, T)]
    np.testing.assert_allclose(dx, layer.backward(p / (B * T)), rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(dW, layer.W.grad, rtol=1e-11, atol=1e-14)


def test_the_head_asks_for_the_right_kind_of_backward() -> None:
    layer, x, dy = _make("Head")
    layer.forward(x)
    with pytest.raises(ValueError, match="none after loss"):
        layer.backward()
    layer.loss(x, _ids(B, T))
    with pytest.raises(ValueError, match="expected dlogits after forward"):
        layer.backward(dy)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_huge_logits_do_not_overflow(dtype: Any) -> None:
    layer, x, _ = _make("Head", dtype)
    targets = layer.forward(1e4 * x).argmin(-1)
    assert 1e4 < layer.loss(1e4 * x, targets) < 1e6
    assert np.isfinite(layer.backward()).all() and np.isfinite(layer.W.grad).all()


def test_a_cache_is_refused_in_training_mode() -> None:
    """Backward would know nothing of the cached keys."""
    layer, x, _ = _make("Attention")
    cache = KeyValueCache((B, H, T, D), np.float64)
    with pytest.raises(ValueError, match=r"caches are for eval mode .* call eval\(\)"):
        layer.forward(x, cache)
    assert cache.length == 0


def test_without_dropout_x_itself_comes_back_and_nothing_is_drawn() -> None:
    class Never:
        def random(self, *args: Any, **options: Any) -> Array:
            raise AssertionError("drawn")

    x, dy = np.ones((B, T, C)), np.ones((B, T, C))
    for layer in (Dropout(0.0, Never()), Dropout(0.5, Never()).eval()):
        assert layer.forward(x) is x
    off = Dropout(0.0, Never())
    off.forward(x)
    assert off.backward(dy) is dy
    with pytest.raises(AssertionError, match="drawn"):
        Dropout(0.5, Never()).forward(x)


# -- parameters -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_first_values_have_the_mean_and_the_spread_that_were_asked_for(dtype: Any) -> None:
    class Own(Layer):
        def __init__(self) -> None:
            self.W, self.b = Parameter(300, 200, mean=5.0, std=0.25), Parameter(7, mean=-3.0)

    own = Own().initialize(4, dtype)
    assert own.W.data.dtype == own.b.data.dtype == dtype
    assert own.W.data.mean() == pytest.approx(5.0, abs=0.005)
    assert own.W.data.std() == pytest.approx(0.25, rel=0.02)
    assert (own.b.data == -3).all()
    again, other = Own().initialize(4, dtype), Own().initialize(5, dtype)
    assert np.array_equal(again.W.data, own.W.data) and (other.W.data != own.W.data).any()


def _weight() -> Parameter:
    return Linear(2, 3, bias=False).initialize(0, np.float64).W


def test_the_gradient_of_nothing_is_zeros_and_can_be_added_to() -> None:
    W = _weight()
    assert W.grad.shape == (2, 3) and not W.grad.any()
    W.grad += 2.0
    W.grad += np.ones((2, 3))
    assert (W.grad == 3).all()
    W.grad = np.full((2, 3), 7.0)
    assert (W.grad == 7).all()
    W.zero_grad()
    assert not W.grad.any()


def test_what_is_computed_in_the_room_counts_only_when_added() -> None:
    W = _weight()
    W.add_grad(np.full((2, 3), 9.0))
    W.zero_grad()
    room = W.take_room()
    room[...] = 4
    assert not W.grad.any()  # and reading it must not destroy what is being computed
    W.add_grad(room, in_room=True)
    assert (W.grad == 4).all()
    room = W.take_room()
    room[...] = 1
    assert (W.grad == 4).all()
    W.add_grad(room, in_room=True)
    assert (W.grad == 5).all()


def test_the_room_is_one_callers_alone_and_the_last_gradients_memory() -> None:
    W = _weight()
    W.add_product(np.ones((2, 1)), np.ones((1, 3)))
    memory = W.grad
    assert not np.shares_memory(memory, W.take_room())
    W.zero_grad()
    first, second = W.take_room(), W.take_room()
    assert np.shares_memory(memory, first) and not np.shares_memory(first, second)


def test_zero_grad_between_loss_and_backward() -> None:
    W = _weight()
    W.add_grad(np.full((2, 3), 9.0))
    for value in (4.0, 3.0):
        room = W.take_room()
        room[...] = value
        W.zero_grad()
        W.add_grad(room, in_room=True)
        assert (W.grad == value).all()
        W.zero_grad()


@pytest.mark.parametrize("flat_first", [False, True])
def test_other_gradients_come_between_loss_and_backward(flat_first: bool) -> None:
    for between in ("add_grad", "add_product", "+=", "flat"):
        layer = Linear(2, 3, bias=False).initialize(0, np.float64)
        W = layer.W
        if flat_first:
            layer.flat.make_room()
        room = W.take_room()
        room[...] = 4
        if between == "add_grad":
            W.add_grad(np.full((2, 3), 10.0))
        elif between == "add_product":
            W.add_product(np.full((2, 1), 2.0), np.full((1, 3), 5.0))
        elif between == "+=":
            W.grad += 10.0
        else:
            assert not layer.flat.grad.any()
            layer.flat.grad[...] = 10
        assert (W.grad == 10).all()
        W.add_grad(room, in_room=True)
        assert (W.grad == 14).all() and (layer.flat.grad == 14).all()


def test_a_gradient_that_is_added_is_copied() -> None:
    W, given = _weight(), np.ones((2, 3))
    W.add_grad(given)
    W.add_grad(given)
    assert (given == 1).all() and (W.grad == 2).all()
    with pytest.raises(ValueError, match=r"expected dW of shape \(2, 3\), got \(3,\)"):
        W.add_grad(np.ones(3))


def test_loss_twice_and_backward_once() -> None:
    layer, x, _ = _make("Head")
    layer.loss(x, _ids(B, T))
    layer.backward()
    once = layer.W.grad.copy()
    layer.zero_grad()
    layer.loss(2 * x, _ids(B, T))
    layer.loss(x, _ids(B, T))
    layer.backward()
    assert np.array_equal(layer.W.grad, once)
    layer.loss(x, _ids(B, T))
    layer.backward()
    np.testing.assert_allclose(layer.W.grad, 2 * once, rtol=1e-14)


def test_parameters_lie_in_one_array_matrices_first() -> None:
    block = Block(GPTConfig(V, T, C, H, 1)).initialize(0)
    names = [name for name, _ in block.named_parameters()]
    assert len(names) == len(set(names)) == 12
    flat = block.flat
    assert block.num_parameters() == len(flat.data) == 12 * C * C + 13 * C
    assert flat.n_matrix == 12 * C * C
    matrices = flat.data[: flat.n_matrix]
    for name, p in block.named_parameters():
        assert np.shares_memory(p.data, flat.data)
        assert np.shares_memory(p.data, matrices) == (len(p.shape) == 2)
        assert np.array_equal(flat.split(flat.data)[name], p.data)
        p.add_grad(np.ones(p.shape, np.float32))
    assert (flat.grad == 1).all()
    assert all(np.shares_memory(p.grad, flat.grad) for _, p in block.named_parameters())
    assert block.flat is flat  # nothing was moved


def test_what_lies_elsewhere_is_gathered_with_its_values_and_gradient() -> None:
    block = Block(GPTConfig(V, T, C, H, 1)).initialize(0)
    before = block.flat
    block.norm2.initialize(1)
    block.norm2.gain.data[...] = 5
    block.norm2.gain.add_grad(np.full(C, 3.0, np.float32))
    block.attention.proj = Linear(C, C).initialize(2)
    values = {name: p.data.copy() for name, p in block.named_parameters()}
    flat = block.flat
    assert flat is not before and block.flat is flat
    for name, p in block.named_parameters():
        assert np.shares_memory(p.data, flat.data) and np.array_equal(p.data, values[name])
    assert (flat.split(flat.grad)["norm2.gain"] == 3).all() and flat.grad.sum() == 3 * C
    flat.data[...] = 0
    assert not block.norm2.gain.data.any() and not block.attention.W_o.any()


def test_parts_of_a_model_can_ask_for_their_own_array_in_turn() -> None:
    block = Block(GPTConfig(V, T, C, H, 1)).initialize(0)
    values = {name: p.data.copy() for name, p in block.named_parameters()}
    for owner in (block, block.feedforward, block, block.attention, block):
        assert len(owner.flat.data) == owner.num_parameters()
        for name, p in block.named_parameters():
            assert np.array_equal(p.data, values[name])


def test_another_dtype_or_no_values_are_named_when_gathered() -> None:
    block = Block(GPTConfig(V, T, C, H, 1)).initialize(0)
    block.norm2.initialize(1, np.float64)
    with pytest.raises(TypeError, match=r"one dtype, got .*dtype\('float64'\): 'norm2.bias'"):
        _ = block.flat
    block.norm2 = LayerNorm(C)
    with pytest.raises(AttributeError, match=r"Parameter of shape \(21,\) has no values yet"):
        _ = block.flat


def test_parameters_in_lists_tuples_and_dicts_are_found() -> None:
    class Own(Layer):
        def __init__(self) -> None:
            self.parts = [(Linear(2, 3), {"a": Parameter(4)}), [GELU()]]
            self.rest = {"b": {"c": (LayerNorm(5),)}}

    own = Own().initialize(0)
    names = ["parts.0.1.a", "parts.0.0.W", "parts.0.0.b", "rest.b.c.0.gain", "rest.b.c.0.bias"]
    assert [name for name, _ in own.named_parameters()] == names
    view = own.view()
    assert [p for _, p in view.named_parameters()] == [p for _, p in own.named_parameters()]
    assert not any(layer.training for layer in view.layers())
    assert all(layer.training for layer in own.layers()) and len(list(own.layers())) == 4


# -- views and copies -----------------------------------------------------------------------------


@every_layer
def test_a_view_has_the_parameters_and_disturbs_nothing(case: str) -> None:
    layer, x, dy = _make(case)
    expected = _run(layer, x, dy)
    layer, x, dy = _make(case)
    layer.forward(x)
    view = layer.view()
    assert type(view) is type(layer) and view.flat is layer.flat
    first = view.forward(x)
    assert all(one._saved is None for one in view.layers())
    again = _run(layer, x, dy)  # dropout's numbers go on where they were
    if "ropout" not in case:
        for a, b in zip(expected, again, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12)
    assert layer.training and not view.training
    assert np.array_equal(view.forward(x), first)
    layer.flat.data[...] = 0
    assert not view.flat.data.any()


@pytest.mark.parametrize("case", [case for case in CASES if "ropout" not in case])
def test_a_view_in_training_mode_has_slots_of_its_own(case: str) -> None:
    layer, x, dy = _make(case)
    expected = _run(layer, x, dy)
    layer.zero_grad()
    view = layer.view(training=True)
    y = np.array(layer.forward(x))
    view.forward(x if x.dtype.kind == "i" else x + 1)
    view.backward(dy)
    layer.zero_grad()
    dx = layer.backward(dy)
    grads = [p.grad for _, p in layer.named_parameters()]
    for a, b in zip(expected, [y, *([] if dx is None else [dx]), *grads], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


@every_layer
def test_a_copy_is_whole_and_apart(case: str) -> None:
    layer, x, dy = _make(case)
    layer.forward(x)
    layer.backward(dy)
    twin = copy.deepcopy(layer)
    same = pickle.loads(pickle.dumps(layer)) if case != "Head.loss" else twin
    other = layer.astype(np.float32)
    for (_, p), (_, q), (_, r), (_, s) in zip(
        *(one.named_parameters() for one in (layer, twin, same, other)), strict=True
    ):
        assert np.array_equal(p.data, q.data) and np.array_equal(p.grad, q.grad)
        assert np.array_equal(p.data, r.data) and not np.shares_memory(p.data, q.data)
        assert s.data.dtype == np.float32 and not s.grad.any()
        np.testing.assert_allclose(s.data, p.data, rtol=1e-6)
    assert twin.flat is not layer.flat and all(one._saved is None for one in twin.layers())


def test_a_layer_that_is_dropped_is_freed_at_once() -> None:
    block = Block(GPTConfig(V, T, C, H, 1, dropout=0.1)).initialize(0)
    block.backward(block.forward(np.ones((B, T, C), np.float32)))
    memory = weakref.ref(block.flat.grad), weakref.ref(block.flat.data), weakref.ref(block)
    gc.disable()
    try:
        del block
        assert [one() for one in memory] == [None, None, None]
    finally:
        gc.enable()


# -- bad inputs -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("act", "error", "message"),
    [
        (lambda: Linear(4, 3).initialize().forward(np.ones((2, 5), "f")), ValueError,
         r"Linear: expected x of shape \(..., [CI]\), [CI] = 4, got \(2, 5\)"),
        (lambda: Linear(4, 3).initialize().forward(np.ones((2, 4))), TypeError,
         r"Linear: expected x of dtype float32 \(use x.astype\), got float64"),
        (lambda: LayerNorm(4).initialize().forward(np.ones((2, 5), "f")), ValueError,
         r"LayerNorm: expected x of shape \(..., [CI]\), [CI] = 4, got \(2, 5\)"),
        (lambda: LayerNorm(4).initialize().forward(np.ones((2, 4), "d")), TypeError,
         "LayerNorm: expected x of dtype float32"),
        (lambda: Head(Parameter(5, 4)).initialize().forward(np.ones((2, 5), "f")), ValueError,
         r"Head: expected x of shape \(..., [CI]\), [CI] = 4, got \(2, 5\)"),
        (lambda: Head(Parameter(5, 4)).initialize().loss(np.ones((2, 4), "f"), np.arange(3)),
         ValueError, r"Head.loss: expected targets of shape \(2,\), .*, got \(3,\)"),
        (lambda: Head(Parameter(5, 4)).initialize().loss(np.ones((2, 4), "f"), np.array([0, 5])),
         IndexError, r"Head.loss \(targets\): expected ids from 0 to 4, got 5"),
        (lambda: Embedding(5, 4).initialize().forward(np.array([0, 5])), IndexError,
         "Embedding: expected ids from 0 to 4, got 5"),
        (lambda: Embedding(5, 4).initialize().forward(np.array([-1])), IndexError,
         "Embedding: expected ids from 0 to 4, got -1"),
        (lambda: Embedding(5, 4).initialize().forward(np.array([1.0])), TypeError,
         "Embedding: expected whole-number ids, got dtype float64"),
        (lambda: Linear(4, 3).forward(np.ones((2, 4), "f")), AttributeError,
         r"Parameter of shape \(4, 3\) has no values yet: call initialize\(\)"),
        (lambda: Linear(4, 3).W.grad, AttributeError,
         r"Parameter of shape \(4, 3\) has no values yet: call initialize\(\)"),
        (lambda: Linear(4, 3).initialize(dtype=np.int64), TypeError,
         "expected parameters of float32, float64, complex64, complex128, got int64"),
        (lambda: Linear(4, 3).initialize(dtype=np.float16), TypeError, "float32, .*, got float16"),
        (lambda: Dropout(1.0), ValueError, "Dropout: expected 0 <= p < 1, got 1.0"),
        (lambda: Dropout(-0.1), ValueError, "Dropout: expected 0 <= p < 1, got -0.1"),
    ],
)  # fmt: skip
def test_errors_say_what_was_expected_and_what_came(
    act: Callable[[], Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        act()


# -- shapes and seeds at random -------------------------------------------------------------------


@settings(deadline=None, max_examples=20)
@given(b=st.integers(1, 3), t=st.integers(1, 6), h=st.integers(1, 3), d=st.integers(1, 4),
       seed=st.integers(0, 2**32 - 1), dropout=st.sampled_from([0.0, 0.4]))  # fmt: skip
def test_attention_of_any_shape(b: int, t: int, h: int, d: int, seed: int, dropout: float) -> None:
    rng = np.random.default_rng(seed)
    layer = CausalSelfAttention(GPTConfig(V, t, h * d, h, 1, dropout=dropout))
    report = check_layer(layer, rng.standard_normal((b, t, h * d)), rng, entries=15)
    assert report.passed, str(report)


@settings(deadline=None, max_examples=25)
@given(rows=st.lists(st.integers(1, 4), min_size=1, max_size=3), c=st.integers(3, 9),
       seed=st.integers(0, 2**32 - 1))  # fmt: skip
def test_layernorm_of_any_shape(rows: list[int], c: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((*rows, c)) + 3 * np.arange(c)  # spread: over rows that are nearly
    report = check_layer(LayerNorm(c), x, rng, entries=15)  # constant, the slope is near 0
    assert report.passed, str(report)


@settings(deadline=None, max_examples=25)
@given(shape=st.lists(st.integers(1, 5), min_size=1, max_size=3), v=st.integers(1, 6),
       c=st.integers(1, 5), seed=st.integers(0, 2**32 - 1))  # fmt: skip
def test_embedding_and_head_of_any_shape(shape: list[int], v: int, c: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    ids = rng.integers(v, size=shape)
    assert check_layer(Embedding(v, c), ids, rng).passed
    x = rng.standard_normal((*shape, c))
    assert check_layer(Head(Parameter(v, c)), x, rng, entries=15).passed
    assert check_layer(Linear(c, v), x, rng, entries=15).passed
    if v > 1:  # the loss of the only token there is, is 0
        assert check_layer(Loss(Head(Parameter(v, c)), ids), x, rng, dy=1.0, entries=15).passed
