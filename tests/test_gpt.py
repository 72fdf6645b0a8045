"""The whole model: its size, its gradient, its causality, its first values, and its training."""

import gc
import json
import math
import time
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numpygpt.config import GPTConfig
from numpygpt.generation import generate
from numpygpt.gpt import GPT
from numpygpt.gradcheck import check_layer, check_model
from numpygpt.gradcheck.oracles import draw_parameters
from numpygpt.layers import Head, Parameter
from numpygpt.layers.attention import KeyValueCache
from numpygpt.layers.parameter import Array
from numpygpt.training.optim import AdamW, clip_scale, grad_norm

B, T, H, D, V, L = 2, 5, 3, 7, 11, 4
C = H * D
CONFIG = GPTConfig(V, 9, C, H, L)
UNTIED = GPTConfig(V, 9, C, H, L, qkv_bias=False, tie_weights=False)

# C, H, L; untied without biases, tied without, untied with, tied with (the released GPT-2)
SIZES = {
    "gpt2": (768, 12, 12, 163_009_536, 124_412_160, 163_037_184, 124_439_808),
    "gpt2-medium": (1024, 16, 24, 406_212_608, 354_749_440, 406_286_336, 354_823_168),
    "gpt2-large": (1280, 20, 36, 838_220_800, 773_891_840, 838_359_040, 774_030_080),
    "gpt2-xl": (1600, 25, 48, 1_637_792_000, 1_557_380_800, 1_638_022_400, 1_557_611_200),
}


def make(config: GPTConfig = CONFIG, dtype: Any = np.float64) -> GPT:
    """A model whose parameters are all of order 1, biases and gains too."""
    model = GPT(config, 0, dtype)
    draw_parameters(model, np.random.default_rng(4))
    return model


def data(*shape: int) -> tuple[Array, Array]:
    ids, targets = np.random.default_rng(8).integers(V, size=(2, *(shape or (B, T))))
    return ids, targets


def gradients(model: GPT) -> dict[str, Array]:
    return {name: p.grad.copy() for name, p in model.named_parameters()}


def naive_loss(logits: Array, targets: Array) -> float:
    losses = []
    for at in np.ndindex(*targets.shape):
        z = logits[at].tolist()
        losses.append(math.log(math.fsum(math.exp(one) for one in z)) - z[targets[at]])
    return math.fsum(losses) / len(losses)


# -- size -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", SIZES)
def test_parameter_counts(preset: str) -> None:
    C, H, L, *counts = SIZES[preset]
    start = time.perf_counter()
    for (bias, tied), count in zip(product((False, True), repeat=2), counts, strict=True):
        config = GPTConfig.preset(preset, qkv_bias=bias, tie_weights=tied)
        assert (config.n_embd, config.n_head, config.n_layer) == (C, H, L)
        model = GPT(config, rng=None)  # shapes, and no memory
        assert model.num_parameters() == count
        with pytest.raises(AttributeError, match="has no values yet"):
            _ = model.flat
    assert time.perf_counter() - start < 5


def test_the_book_counts_its_blocks_and_a_context_of_256() -> None:
    config = GPTConfig.preset("gpt2", context_length=256, qkv_bias=False, tie_weights=False)
    model = GPT(config, rng=None)
    assert model.num_parameters() == 162_419_712
    assert model.blocks[0].attention.num_parameters() == 2_360_064
    assert model.blocks[0].feedforward.num_parameters() == 4_722_432


def test_parameter_names_and_their_order() -> None:
    names = [name for name, _ in GPT(CONFIG).named_parameters()]
    block = [
        "norm1.gain", "norm1.bias", "attention.qkv.W", "attention.qkv.b", "attention.proj.W",
        "attention.proj.b", "norm2.gain", "norm2.bias", "feedforward.fc.W", "feedforward.fc.b",
        "feedforward.proj.W", "feedforward.proj.b",
    ]  # fmt: skip
    assert names == [
        "token_embedding.W",
        "position_embedding.W",
        *(f"blocks.{i}.{name}" for i in range(L) for name in block),
        "norm.gain",
        "norm.bias",
    ]
    untied = [name for name, _ in GPT(UNTIED).named_parameters()]
    assert untied[-1] == "head.W" and "blocks.0.attention.qkv.b" not in untied


# -- the gradient ---------------------------------------------------------------------------------


@pytest.mark.parametrize("config", [CONFIG, UNTIED])
@pytest.mark.parametrize("dropout", [0.0, 0.2])
@pytest.mark.parametrize("shape", [(B, T), (1, T), (B, 1), (1, 1), (3, 9)])
def test_the_gradient_of_the_loss(
    config: GPTConfig, dropout: float, shape: tuple[int, int]
) -> None:
    model = make(GPTConfig(**{**vars(config), "dropout": dropout}))
    ids, targets = data(*shape)
    whole = check_model(model, ids, targets, 2, complex_step=True)
    assert whole.passed, str(whole)
    if shape == (B, T):  # for the others one direction through all parameters is enough
        each = check_model(model, ids, targets, 1, by_parameter=True, complex_step=True)
        assert each.passed, str(each)
        assert [row.name for row in each.rows] == [name for name, _ in model.named_parameters()]


def test_the_gradient_of_the_logits_entry_by_entry() -> None:
    ids, _ = data(2, 3)
    report = check_layer(GPT(GPTConfig(V, 4, 6, 3, 1), 0, np.float64), ids, 3)
    assert report.passed, str(report)


def test_loss_and_forward_give_the_same_gradient() -> None:
    model = make()
    ids, targets = data()
    model.loss(ids, targets)
    model.backward()
    expected = gradients(model)
    model.zero_grad()
    logits = model.forward(ids)
    p = np.exp(logits - logits.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    p -= np.eye(V)[targets]
    model.backward(p / targets.size)
    for name, grad in gradients(model).items():
        np.testing.assert_allclose(grad, expected[name], rtol=1e-10, atol=1e-13)


def test_a_tied_gradient_is_the_sum_of_both_uses() -> None:
    tied, untied = make(), make(GPTConfig(V, 9, C, H, L, tie_weights=False))
    for name, p in tied.named_parameters():
        dict(untied.named_parameters())[name].data[...] = p.data
    untied.head.W.data[...] = tied.head.W.data
    assert tied.head.W is tied.token_embedding.W and tied.num_parameters() < untied.num_parameters()
    assert tied.loss(*data()) == untied.loss(*data())
    tied.backward()
    untied.backward()
    np.testing.assert_allclose(
        tied.head.W.grad, untied.head.W.grad + untied.token_embedding.W.grad, rtol=1e-13, atol=1e-15
    )
    for name, p in tied.named_parameters():
        if name != "token_embedding.W":
            assert np.array_equal(p.grad, gradients(untied)[name])


@pytest.mark.parametrize("config", [CONFIG, UNTIED])
def test_gradients_of_two_batches_add_up(config: GPTConfig) -> None:
    model = make(config)
    ids, targets = data(2 * B, T)
    model.loss(ids, targets)
    model.backward()
    whole = gradients(model)
    model.zero_grad()
    for half in (slice(0, B), slice(B, None)):
        model.loss(ids[half], targets[half])
        model.backward()
    for name, grad in gradients(model).items():
        np.testing.assert_allclose(grad / 2, whole[name], rtol=1e-10, atol=1e-13)


def test_backward_needs_a_loss() -> None:
    model = make()
    with pytest.raises(RuntimeError, match=r"Head.backward: nothing is saved"):
        model.backward()
    model.loss(*data())
    model.backward()
    with pytest.raises(RuntimeError, match=r"Head.backward: nothing is saved"):
        model.backward()
    model.eval().loss(*data())
    with pytest.raises(RuntimeError, match="eval mode saves nothing"):
        model.backward()
    assert all(layer._saved is None for layer in model.layers())


# -- the forward pass -----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("config", [CONFIG, UNTIED])
def test_the_loss_is_the_naive_cross_entropy_of_the_logits(config: GPTConfig, dtype: Any) -> None:
    model = make(config, dtype)
    ids, targets = data()
    logits = model.forward(ids)
    assert logits.dtype == dtype and logits.shape == (B, T, V)
    loss = model.loss(ids, targets)
    assert isinstance(loss, float)
    rel = 1e-13 if dtype == np.float64 else 1e-5
    assert loss == pytest.approx(naive_loss(logits, targets), rel=rel)
    assert loss == model.eval().loss(ids, targets)  # without dropout the mode changes nothing


@settings(deadline=None, max_examples=20)
@given(t=st.integers(0, 8), shift=st.integers(1, V - 1), seed=st.integers(0, 2**32 - 1))
def test_no_token_sees_a_later_one(t: int, shift: int, seed: int) -> None:
    model = make()
    ids = np.random.default_rng(seed).integers(V, size=(1, 9))
    changed = ids.copy()
    changed[0, t] = (changed[0, t] + shift) % V
    before, after = model.forward(ids), model.forward(changed)
    assert np.array_equal(before[:, :t], after[:, :t])
    assert (abs(before - after).max(-1)[0, t:] > 1e-9).all()  # and it is seen by all the others


def test_sequences_of_a_batch_do_not_see_each_other() -> None:
    model = make()
    ids, _ = data(3, T)
    together = model.forward(ids)
    for i in range(3):
        np.testing.assert_allclose(model.forward(ids[i : i + 1])[0], together[i], rtol=1e-11)


def test_the_position_matters() -> None:
    model = make()
    logits = model.forward([[3, 3, 3]])
    assert abs(logits[0, 1] - logits[0, 0]).max() > 1e-3


@pytest.mark.parametrize("chunks", [(9,), (1,) * 9, (4, 5), (1, 6, 2), (8, 1)])
def test_a_key_value_cache_changes_nothing(chunks: tuple[int, ...]) -> None:
    model = make().eval()
    ids, _ = data(B, 9)
    caches = model.new_caches(B)
    parts, start = [], 0
    for chunk in chunks:
        parts.append(model.forward(ids[:, start : start + chunk], caches))
        start += chunk
    np.testing.assert_allclose(np.concatenate(parts, 1), model.forward(ids), rtol=1e-11, atol=1e-13)
    with pytest.raises(ValueError, match="at most 9 tokens, the context length, got 10"):
        model.forward(ids[:, :1], caches)


def test_dropout_drops_in_training_only() -> None:
    config = GPTConfig(**{**vars(CONFIG), "dropout": 0.3})
    model, plain = make(config), make()
    ids, targets = data()
    assert model.loss(ids, targets) != model.loss(ids, targets)
    assert model.eval().loss(ids, targets) == plain.loss(ids, targets)
    assert model.train().training and model.blocks[1].attention.dropout.training
    again = make(config)
    losses = [again.loss(ids, targets) for _ in range(2)]
    model.set_dropout_rng(np.random.default_rng(6))
    again.set_dropout_rng(np.random.default_rng(6))
    assert model.loss(ids, targets) == again.loss(ids, targets)
    assert losses == [m.loss(ids, targets) for m in [make(config)] for _ in range(2)]


# -- first values ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("tied", "init"), [(True, {}), (False, {}), (False, {"init_std": 0.07})])
def test_first_values_are_gpt2s_own_or_larger(tied: bool, init: dict[str, Any]) -> None:
    config = GPTConfig(300, 100, n_embd=96, n_head=4, n_layer=8, tie_weights=tied, **init)
    model, std = GPT(config), init.get("init_std", 0.02)
    assert ("head.W" in dict(model.named_parameters())) != tied
    stds = {"norm": 0.0, "b": 0.0, "bias": 0.0, "gain": 0.0, "proj.W": std / math.sqrt(16)}
    for name, p in model.named_parameters():
        kind = "proj.W" if name.endswith("proj.W") else name.split(".")[-1]
        own = stds.get(kind, std)
        assert p.data.mean() == pytest.approx(float(kind == "gain"), abs=6 * own / p.size**0.5)
        assert p.data.std() == pytest.approx(own, rel=6 / math.sqrt(2 * p.size)), name


def test_zero_init_attention_starts_with_heads_that_add_nothing_and_learn_to() -> None:
    model = GPT(replace(CONFIG, zero_init_attention=True), 0, np.float64)
    ids, targets = data()
    x = model.token_embedding.W.data[ids] + model.position_embedding.W.data[: ids.shape[1]]
    for block in model.blocks:
        x = x + block.feedforward.forward(block.norm2.forward(x))
    np.testing.assert_array_equal(model.forward(ids), model.head.forward(model.norm.forward(x)))
    model.loss(ids, targets)
    model.backward()
    for name, p in model.named_parameters():  # what stands before a matrix of zeros gets none yet
        waits = ".attention.qkv." in name or ".norm1." in name
        assert p.grad.any() != waits, name


@pytest.mark.parametrize("config", [CONFIG, UNTIED])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_seeds_are_reproducible(config: GPTConfig, dtype: Any) -> None:
    first, again, other = (GPT(config, seed, dtype).flat.data for seed in (5, 5, 6))
    assert first.dtype == dtype and np.array_equal(first, again)
    assert not np.array_equal(first, other)
    from_generator = GPT(config, np.random.default_rng(5), dtype).flat.data
    assert np.array_equal(first, from_generator)


@pytest.mark.parametrize("tied", [True, False])
def test_an_untrained_model_knows_nothing(tied: bool) -> None:
    """Its loss is near ln V, the loss of equal chances; not 420, as with embeddings N(0, 1)."""
    config = GPTConfig(997, 32, 64, 4, 2, tie_weights=tied)
    rng = np.random.default_rng(0)
    ids, targets = rng.integers(997, size=(2, 4, 32))
    assert GPT(config).loss(ids, targets) == pytest.approx(math.log(997), abs=0.05)


# -- training -------------------------------------------------------------------------------------


def test_the_first_losses_of_a_training_run() -> None:
    """Pinned: whoever changes the math, or the order of the random draws, must say so here."""
    rng = np.random.default_rng(1)
    model = GPT(GPTConfig(V, T, C, H, 2, dropout=0.1), rng, np.float64)
    optimizer = AdamW(model, lr=1e-2, betas=(0.9, 0.95), weight_decay=0.1)
    ids, targets = data()
    losses = []
    for _ in range(6):
        losses.append(model.loss(ids, targets))
        model.zero_grad()
        model.backward()
        optimizer.step()
    expected = [
        2.450944205426,
        2.193240515696,
        2.092401500081,
        1.913483311632,
        1.728509249286,
        1.589386315118,
    ]
    np.testing.assert_allclose(losses, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("config", [CONFIG, UNTIED])
def test_a_batch_is_learned_by_heart(config: GPTConfig) -> None:
    model = GPT(config)
    optimizer = AdamW(model, lr=1e-2, weight_decay=0.0)
    ids, targets = data(1, 9)
    for _ in range(60):
        model.zero_grad()
        loss = model.loss(ids, targets)
        model.backward()
        optimizer.step()
    assert loss < 0.02


# -- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ids", "error", "message"),
    [
        (np.zeros((1, 10), int), ValueError, "at most 9 tokens, the context length, got 10"),
        (np.zeros(5, int), ValueError, r"expected ids of shape \(B, T\), at least one, got \(5,\)"),
        (np.zeros((2, 0), int), ValueError, r"at least one, got \(2, 0\)"),
        (np.zeros((0, 2), int), ValueError, r"at least one, got \(0, 2\)"),
        ([[0, V]], IndexError, "expected ids from 0 to 10, got 11"),
        ([[0, -1]], IndexError, "expected ids from 0 to 10, got -1"),
        ([[0.0, 1.0]], TypeError, "expected whole-number ids, got dtype float64"),
        ([[True, False]], TypeError, "expected whole-number ids, got dtype bool"),
        ([["a", "b"]], TypeError, "expected whole-number ids, got dtype <U1"),
        ([[0, None]], TypeError, "expected whole-number ids, got dtype object"),
        ([[0, 1], [2]], ValueError, "got sequences of different lengths"),
        ([[[0, 1]]], ValueError, r"got \(1, 1, 2\)"),
        (3, ValueError, r"at least one, got \(\)"),
        ([], ValueError, r"at least one, got \(0,\)"),
        (None, ValueError, r"at least one, got \(\)"),
    ],
)
def test_bad_ids(ids: Any, error: type[Exception], message: str) -> None:
    model = GPT(CONFIG)
    with pytest.raises(error, match=message):
        model.forward(ids)
    with pytest.raises(error, match=message):
        model.loss(ids, ids)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.uint64, ">i4", ">u8"])
def test_ids_of_any_whole_number_and_layout(dtype: Any) -> None:
    model = make()
    ids, targets = data()
    loss = model.loss(ids, targets)
    assert model.loss(ids.astype(dtype), targets.astype(dtype)) == loss
    assert model.loss(ids.tolist(), targets.tolist()) == loss
    wide = np.repeat(ids, 2, axis=1).astype(dtype)[:, ::2]
    assert model.loss(wide, np.asfortranarray(targets)) == loss
    model.backward()
    expected = gradients(model)
    model.zero_grad()
    model.loss(ids, targets)
    model.backward()
    assert all(np.array_equal(expected[name], grad) for name, grad in gradients(model).items())


@pytest.mark.parametrize(
    ("change", "came"),
    [
        (lambda z: z.astype(np.float32), r"float32 of \(2, 5, 11\)"),
        (lambda z: z.reshape(-1, V), r"float64 of \(10, 11\)"),  # its numbers would fit
        (lambda z: z.reshape(T, B, V), r"float64 of \(5, 2, 11\)"),
        (lambda z: z[:1], r"float64 of \(1, 5, 11\)"),
        (lambda z: z[..., :-1], r"float64 of \(2, 5, 10\)"),
        (lambda z: z.tolist(), "list"),
        (lambda z: 1.0, "float"),
    ],
)
def test_bad_dlogits(change: Callable[[Array], Any], came: str) -> None:
    model = make()
    logits = model.forward(data()[0])
    expected = r"expected dlogits float64 of shape \(..., V\) = \(2, 5, 11\)"
    with pytest.raises(ValueError, match=rf"Head.backward: {expected}, .* got {came}$"):
        model.backward(change(logits))


def test_bad_caches() -> None:
    model = make().eval()
    ids, _ = data()
    with pytest.raises(ValueError, match=r"one cache a block, 4, for B = 2 .* got 4 for 3"):
        model.forward(ids, model.new_caches(3))
    with pytest.raises(ValueError, match=r"one cache a block, 4, .* got 1 for 2"):
        model.forward(ids, model.new_caches(2)[:1])
    with pytest.raises(ValueError, match=r"one cache a block, 4, .* got 0 for none"):
        model.forward(ids, [])
    with pytest.raises(ValueError, match=r"caches are for eval mode .* call eval\(\)"):
        model.train().forward(ids, model.new_caches(2))


def test_a_gpt_is_made_from_a_config() -> None:
    with pytest.raises(TypeError, match=r"expected a GPTConfig, such as .*, got 'gpt2'"):
        GPT("gpt2")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="float32, float64, complex64, complex128, got int64"):
        GPT(CONFIG, dtype=int)
    swapped = GPT(CONFIG, 5, ">f4").flat.data
    assert swapped.dtype == np.float32 and np.array_equal(swapped, GPT(CONFIG, 5).flat.data)


@pytest.mark.parametrize("dtype", ["float16", "int32", "longdouble", "bool"])
def test_a_dtype_in_which_training_would_go_wrong_is_refused(dtype: str) -> None:
    with pytest.raises(TypeError, match=r"expected parameters of float32, float64, .*, got"):
        GPT(CONFIG, dtype=dtype)
    with pytest.raises(TypeError, match=r"expected parameters of float32, float64, .*, got"):
        GPT(CONFIG).astype(dtype)


def test_a_config_takes_numpys_numbers_and_keeps_pythons() -> None:
    config = GPTConfig(
        vocab_size=np.int64(11),  # type: ignore[arg-type]
        dropout=np.float32(0.5),  # type: ignore[arg-type]
        tie_weights=np.False_,  # type: ignore[arg-type]
    )
    assert config == GPTConfig(vocab_size=11, dropout=0.5, tie_weights=False)
    assert json.loads(json.dumps(vars(config))) == vars(config)


def test_bad_targets() -> None:
    model, (ids, targets) = GPT(CONFIG), data()
    with pytest.raises(ValueError, match=r"targets of shape \(2, 5\), .* got \(2, 4\)"):
        model.loss(ids, targets[:, :4])
    with pytest.raises(IndexError, match=r"\(targets\): expected ids from 0 to 10, got 12"):
        model.loss(ids, np.full_like(targets, 12))
    with pytest.raises(IndexError, match=r"\(targets\): expected ids from 0 to 10, got -100"):
        model.loss(ids, np.full_like(targets, -100))
    with pytest.raises(TypeError, match=r"\(targets\): expected whole-number ids, got dtype float"):
        model.loss(ids, targets / 1)
    with pytest.raises(ValueError, match=r"\(targets\): .* got sequences of different lengths"):
        model.loss(ids, [[1], [2, 3]])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"vocab_size": 0}, "expected vocab_size a whole number from 1, got 0"),
        ({"n_layer": 1.5}, "expected n_layer a whole number, got 1.5"),
        ({"n_head": True}, "expected n_head a whole number, got True"),
        ({"n_layer": -1}, "expected n_layer a whole number from 1, got -1"),
        ({"n_layer": "2"}, "expected n_layer a whole number, got '2'"),
        ({"context_length": None}, "expected context_length a whole number, got None"),
        ({"vocab_size": np.float64(11)}, "expected vocab_size a whole number, got 11.0"),
        ({"n_embd": 100}, "expected n_embd divisible by n_head, got 100 and 12"),
        ({"dropout": 1.0}, "expected 0 <= dropout < 1, got 1.0"),
        ({"dropout": math.nan}, "expected 0 <= dropout < 1, got nan"),
        ({"dropout": -0.1}, "expected 0 <= dropout < 1, got -0.1"),
        ({"dropout": "0"}, "expected dropout a number, got '0'"),
        ({"dropout": False}, "expected dropout a number, got False"),
        ({"tie_weights": 1}, "expected tie_weights True or False, got 1"),
        ({"qkv_bias": None}, "expected qkv_bias True or False, got None"),
        ({"init_std": math.nan}, "expected init_std at least 0, got nan"),
        ({"sinusoidal_positions": 1}, "expected sinusoidal_positions True or False, got 1"),
        ({"zero_init_attention": 0}, "expected zero_init_attention True or False, got 0"),
    ],
)
def test_bad_configs(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GPTConfig(**fields)


def test_bad_presets() -> None:
    with pytest.raises(ValueError, match="unknown preset 'gpt3': expected one of gpt2, gpt2-m"):
        GPTConfig.preset("gpt3")
    with pytest.raises(TypeError, match="GPTConfig has no field heads"):
        GPTConfig.preset("gpt2", heads=3)


# -- one model, many users ------------------------------------------------------------------------


def test_a_view_generates_while_the_model_is_between_loss_and_backward() -> None:
    config = GPTConfig(V, 9, C, H, L, dropout=0.3)
    ids, targets = data()
    gradients = []
    for disturbed in (False, True):
        model = GPT(config, 5, np.float64)
        model.loss(ids, targets)
        if disturbed:
            generate(model, ids, 7, rng=1)
            held_out = model.view().loss(ids, targets)
            assert held_out == model.view().loss(ids, targets)
        model.backward()
        gradients.append(model.flat.grad.copy())
    assert np.array_equal(gradients[0], gradients[1])


def test_many_threads_use_one_model_in_training_mode() -> None:
    model = GPT(GPTConfig(V, 16, C, H, L, dropout=0.5), 5)
    model.flat.data[...] *= 6  # texts that differ by seed
    ids, targets = data()
    alone = [generate(model, [[1]], 12, rng=seed) for seed in range(12)]
    assert len({text.tobytes() for text in alone}) > 6

    def use(seed: int) -> Array:
        return generate(model, [[1]], 12, rng=seed)

    with ThreadPoolExecutor(6) as pool:
        texts = pool.map(use, list(range(12)) * 4)
        optimizer = AdamW(model, lr=0.0)
        for _ in range(20):  # and it is trained meanwhile
            model.zero_grad()
            model.loss(ids, targets)
            model.backward()
            optimizer.step()
        for text, expected in zip(texts, alone * 4, strict=True):
            assert np.array_equal(text, expected)


def test_a_new_head_and_a_new_block_learn() -> None:
    """Classification as the book's chapter 6 has it: another head on the last token."""
    model = GPT(CONFIG, 5)
    model.head = Head(Parameter(2, C, std=0.02))
    model.head.initialize(0)
    model.blocks[1].initialize(1)
    ids, labels = np.random.default_rng(0).integers(V, size=(8, T)), np.arange(8) % 2
    optimizer = AdamW(model, lr=1e-2)
    before = {name: p.data.copy() for name, p in model.named_parameters()}
    losses = []
    for _ in range(40):
        model.zero_grad()
        logits = model.forward(ids)
        p = np.exp(logits[:, -1]) / np.exp(logits[:, -1]).sum(1, keepdims=True)
        losses.append(float(-np.log(p[np.arange(8), labels]).mean()))
        dlogits = np.zeros_like(logits)
        dlogits[:, -1] = (p - np.eye(2)[labels]) / 8
        model.backward(dlogits)
        optimizer.step()
    assert losses[-1] < 0.1 < 0.6 < losses[0]
    for name, p in model.named_parameters():
        assert not np.array_equal(p.data, before[name]), name


def test_a_model_that_is_dropped_is_freed_at_once() -> None:
    config = GPTConfig(vocab_size=4096, context_length=64, n_embd=256, n_head=4, n_layer=2)
    ids = np.ones((1, 8), int)
    gc.disable()
    tracemalloc.start()
    try:
        for _ in range(5):
            model = GPT(config, 0)
            optimizer = AdamW(model)
            model.loss(ids, ids)
            model.backward()
            optimizer.step()
            generate(model, [[1]], 2)
            size = model.flat.data.nbytes
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    assert size > 10e6
    assert peak < 1.25 * 2 * 4 * size  # the last one's weights, gradient, m, v, and the next one's


def test_any_floating_point_setting_will_do() -> None:
    ids, targets = data()
    with np.errstate(all="raise"):
        model = GPT(GPTConfig(V, 9, C, H, L, dropout=0.2), 5)
        model.flat.data[...] *= 200  # softmax's exp underflows
        optimizer = AdamW(model)
        for _ in range(3):
            loss = model.loss(ids, targets)
            model.backward()
            optimizer.step(clip_scale(grad_norm(model), 1.0))
            model.zero_grad()
        texts = generate(model, ids, 5, temperature=0.01, top_k=3, top_p=0.9)
    assert math.isfinite(loss) and texts.shape == (B, T + 5)


def test_dropout_repeats_with_the_seed_also_where_the_values_come_from_elsewhere() -> None:
    config = GPTConfig(V, 9, C, H, L, dropout=0.5)
    ids, targets = data()
    losses = []
    for _ in range(2):
        model = GPT(config, rng=None).allocate()
        model.flat.data[...] = GPT(config, 5).flat.data
        losses.append(model.loss(ids, targets))
    assert losses[0] == losses[1]


def test_one_token_of_context_is_enough() -> None:
    model = GPT(GPTConfig(V, 1, C, H, L), 5)
    ids = np.array([[3], [4]])
    assert math.isfinite(model.loss(ids, ids))
    model.backward()
    assert generate(model, ids, 4).shape == (2, 5)


def test_caches_that_an_interrupted_pass_left_are_refused() -> None:
    model = GPT(GPTConfig(13, 6, 12, 3, 2), 0).eval()
    caches = model.new_caches(1)
    model.forward([[1, 2]], caches)
    caches[0].length = 3  # as if the next token had come as far as the first block
    with pytest.raises(ValueError, match=r"caches of one length, got \[2, 3\].*new_caches"):
        model.forward([[3]], caches)


def test_a_full_cache_takes_no_more() -> None:
    cache = KeyValueCache((1, 2, 3, 4), np.float32)
    tokens = np.ones((1, 2, 2, 4), np.float32)
    cache.extend(tokens, tokens)
    with pytest.raises(ValueError, match="expected at most 3 tokens, got 4"):
        cache.extend(tokens, tokens)
    assert cache.length == 2
