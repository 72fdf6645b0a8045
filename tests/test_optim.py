"""AdamW against its formula, parameter by parameter, and clipping."""

import math
from typing import Any

import numpy as np
import pytest

from numpygpt import parallel
from numpygpt.config import GPTConfig
from numpygpt.gpt import GPT
from numpygpt.layers import FeedForward, Linear, Parameter
from numpygpt.layers.parameter import Array
from numpygpt.training import optim
from numpygpt.training.optim import AdamW, clip_scale, grad_norm

CONFIG = GPTConfig(11, 6, 15, 3, 2)


def naive_adamw(
    p: Array, gradients: list[Array], lr: float, betas: tuple[float, float], eps: float, wd: float
) -> Array:
    """The formula of the paper, for one parameter."""
    b1, b2 = betas
    m, v = np.zeros_like(p), np.zeros_like(p)
    for t, g in enumerate(gradients, 1):
        p = p - lr * wd * p
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        p = p - lr * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)
    return p


def draw_gradients(model: Any, rng: np.random.Generator) -> dict[str, Array]:
    model.zero_grad()
    drawn = {}
    for name, p in model.named_parameters():
        drawn[name] = rng.standard_normal(p.shape) * 10.0 ** rng.integers(-3, 3)
        p.add_grad(drawn[name])
    return drawn


@pytest.mark.parametrize("decay_all", [False, True])
@pytest.mark.parametrize("max_norm", [math.inf, 1.0])
@pytest.mark.parametrize("tied", [False, True])
def test_adamw_is_the_formula(
    decay_all: bool, max_norm: float, tied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallel, "BLOCK_ELEMENTS", 77)  # several blocks, and several threads
    monkeypatch.setenv("NUMPYGPT_NUM_THREADS", "2")
    model = GPT(GPTConfig(11, 6, 15, 3, 2, tie_weights=tied), 0, np.float64)
    rng = np.random.default_rng(2)
    model.flat.data[...] = rng.standard_normal(len(model.flat.data))
    start = {name: p.data.copy() for name, p in model.named_parameters()}
    optimizer = AdamW(model, 0.02, (0.8, 0.9), 1e-3, 0.3, decay_all)
    history: dict[str, list[Array]] = {name: [] for name in start}
    for _ in range(5):
        drawn = draw_gradients(model, rng)
        norm = math.sqrt(sum(float((g * g).sum()) for g in drawn.values()))
        assert grad_norm(model) == pytest.approx(norm, rel=1e-13)
        scale = clip_scale(grad_norm(model), max_norm)
        assert scale == (1.0 if norm < max_norm else pytest.approx(max_norm / norm, rel=1e-6))
        for name, g in drawn.items():
            history[name].append(g * scale)
        optimizer.step(scale)
        for name, p in model.named_parameters():
            assert np.array_equal(p.grad, drawn[name])  # a step leaves the gradients alone
    for name, p in model.named_parameters():
        wd = 0.3 if decay_all or p.data.ndim >= 2 else 0.0
        expected = naive_adamw(start[name], history[name], 0.02, (0.8, 0.9), 1e-3, wd)
        np.testing.assert_allclose(p.data, expected, rtol=1e-12, atol=1e-13, err_msg=name)


def test_the_first_step_has_the_size_of_the_learning_rate() -> None:
    layer = Linear(3, 2).initialize(0, np.float64)
    before = layer.flat.data.copy()
    layer.W.add_grad(np.array([[1e-3, -7.0], [2.0, 1e3], [-1.0, 5.0]]))
    AdamW(layer, lr=0.1, eps=0.0 + 1e-12, weight_decay=0.0).step()
    moved = layer.flat.data - before
    np.testing.assert_allclose(moved[:6], [-0.1, 0.1, -0.1, -0.1, 0.1, -0.1], rtol=1e-8)
    assert not moved[6:].any()  # a gradient of 0 (the bias's) moves nothing


def test_decay_goes_to_matrices_only() -> None:
    for decay_all, bias in ((False, 1.0), (True, 0.95)):
        layer = Linear(3, 2).initialize(0, np.float64)
        layer.flat.data[...] = 1
        AdamW(layer, lr=0.1, weight_decay=0.5, decay_all=decay_all).step()
        np.testing.assert_allclose(layer.W.data, 0.95, rtol=1e-15)
        assert layer.b is not None
        np.testing.assert_allclose(layer.b.data, bias, rtol=1e-15)


def test_the_learning_rate_may_change_between_steps() -> None:
    layer = Linear(3, 2).initialize(0, np.float64)
    optimizer = AdamW(layer, lr=0.1)
    draw_gradients(layer, np.random.default_rng(0))
    optimizer.step()
    before = layer.flat.data.copy()
    optimizer.lr = 0.0
    optimizer.step()
    assert np.array_equal(layer.flat.data, before) and optimizer.t == 2


def test_float32_stays_float32() -> None:
    model = GPT(CONFIG)
    optimizer = AdamW(model)
    draw_gradients(model, np.random.default_rng(0))
    optimizer.step(0.5)
    for array in (optimizer.m, optimizer.v, model.flat.data):
        assert array.dtype == np.float32 and np.isfinite(array).all()


def test_numbers_of_numpys_make_the_same_bits() -> None:
    plain, numpys = (GPT(CONFIG, 0) for _ in range(2))
    settings: dict[str, Any] = {"lr": 0.01, "betas": (0.9, 0.99), "eps": 1e-6, "weight_decay": 0.1}
    others = {k: np.array(v) for k, v in settings.items()}
    for model, options, scale in ((plain, settings, 0.3), (numpys, others, np.float64(0.3))):
        optimizer = AdamW(model, **options)
        for seed in (1, 2):
            model.flat.grad[...] = np.random.default_rng(seed).standard_normal(model.flat.data.size)
            optimizer.step(scale)
    np.testing.assert_array_equal(plain.flat.data, numpys.flat.data)


def test_the_norm_of_many_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optim, "NORM_BLOCK", 7)
    layer = Linear(6, 5).initialize(0, np.float64)
    drawn = draw_gradients(layer, np.random.default_rng(3))
    flat = np.concatenate([g.reshape(-1) for g in drawn.values()])
    assert grad_norm(layer) == pytest.approx(float(np.linalg.norm(flat)), rel=1e-14)
    layer.zero_grad()
    assert grad_norm(layer) == 0.0


def test_clipping_only_shortens() -> None:
    assert clip_scale(0.0, 1.0) == clip_scale(0.5, 1.0) == 1.0
    assert clip_scale(4.0, 1.0) == 1 / (4 + 1e-6)


@pytest.mark.parametrize(
    "wrong",
    [{"lr": -1.0}, {"eps": -1e-8}, {"weight_decay": -0.1}, {"betas": (0.9, 1.0)},
     {"betas": (-0.1, 0.9)}, {"betas": (0.9,)}, {"betas": (0.9, math.nan)}, {"lr": math.nan},
     {"lr": math.inf}, {"eps": math.nan}, {"weight_decay": math.inf}],
)  # fmt: skip
def test_bad_settings(wrong: dict[str, Any]) -> None:
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError, match=r"AdamW: expected lr, eps and .* at least 0") as caught:
        AdamW(Linear(2, 2).initialize(), **wrong)
    assert f"{name}={value}" in str(caught.value)


def test_what_is_no_model_is_named() -> None:
    with pytest.raises(AttributeError, match="has no values yet: call initialize"):
        AdamW(Linear(2, 2))
    for wrong in ([Linear(2, 2).initialize()], Parameter(2, 2), None):
        with pytest.raises(TypeError, match="AdamW: expected a model, or a layer, got"):
            AdamW(wrong)  # type: ignore[arg-type]


def test_parameters_that_were_replaced_since_are_refused() -> None:
    layer = FeedForward(GPTConfig(n_embd=3, n_head=1)).initialize(0)
    optimizer = AdamW(layer)
    layer.fc.initialize(1)  # the same parameters, elsewhere
    layer.fc.W.add_grad(np.ones((3, 12), np.float32))
    before = layer.fc.W.data.copy()
    optimizer.step()
    np.testing.assert_allclose(layer.fc.W.data, before * (1 - 3e-5) - 3e-4, rtol=1e-5)
    layer.fc = Linear(3, 12).initialize(2)
    with pytest.raises(ValueError, match="has other parameters than when AdamW was made"):
        optimizer.step()
    assert optimizer.t == 1


def test_the_defaults() -> None:
    optimizer = AdamW(Linear(2, 2).initialize())
    settings = (optimizer.lr, optimizer.betas, optimizer.eps, optimizer.weight_decay)
    assert settings == (3e-4, (0.9, 0.999), 1e-8, 0.1) and not optimizer.decay_all


def test_gradients_of_before_and_after_it_was_made_count() -> None:
    layer = Linear(2, 2).initialize(0)
    layer.W.add_grad(np.ones((2, 2), np.float32))
    optimizer = AdamW(layer, lr=0.5, weight_decay=0.0)
    layer.b.grad += 1  # type: ignore[union-attr]
    before = layer.flat.data.copy()
    optimizer.step()
    np.testing.assert_allclose(before - layer.flat.data, 0.5, rtol=1e-5)
