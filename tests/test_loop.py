"""The training loop: what one step does, that it learns, and that it says where it failed."""

import json
import math
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest

from numpygpt import GPT, GPTConfig
from numpygpt.files.checkpoint import config_from
from numpygpt.layers.base import Layer
from numpygpt.layers.dropout import Dropout
from numpygpt.layers.parameter import Array
from numpygpt.text.tokenizer import byte_encoding
from numpygpt.training.data import Data
from numpygpt.training.loop import TrainConfig, Trainer
from numpygpt.training.optim import AdamW, grad_norm
from numpygpt.training.schedule import warmup_cosine

TEXT = "The cat sat on the mat. The dog sat on the log. " * 20
CONFIG = TrainConfig(steps=30, batch_size=5, warmup=4, learning_rate=1e-2, seed=3)


def trainer(config: TrainConfig = CONFIG, dropout: float = 0.0, dtype: Any = np.float32) -> Trainer:
    model = GPT(GPTConfig(257, 16, 12, 3, 2, dropout=dropout), rng=1, dtype=dtype)
    return Trainer(model, Data.encode(byte_encoding(), TEXT[:-200], TEXT[-200:]), config)


def test_a_step_is_its_parts() -> None:
    """Batches drawn from the seed, mean gradients, clipping, the schedule, AdamW."""
    config = replace(CONFIG, accumulate=3, clip=0.5, weight_decay=0.2, beta2=0.9)
    t, by_hand = trainer(config, dtype=np.float64), trainer(dtype=np.float64).model
    rng = np.random.default_rng(config.seed)
    optimizer = AdamW(by_hand, betas=(0.9, 0.9), weight_decay=0.2)
    for step in range(3):
        batches = [t.data.batch(5, 16, rng, 0, 0) for _ in range(3)]
        ids, targets = (np.concatenate(part) for part in zip(*batches, strict=True))
        by_hand.zero_grad()
        loss = by_hand.loss(ids, targets)  # one batch of 15 windows in place of three of 5
        by_hand.backward()
        norm = grad_norm(by_hand)
        assert norm > 0.5
        optimizer.lr = warmup_cosine(step, 30, 4, 1e-2, 5e-4)
        optimizer.step(0.5 / (norm + 1e-6))
        result = t.step()
        assert result.loss == pytest.approx(loss, rel=1e-12)
        assert result.grad_norm == pytest.approx(norm, rel=1e-9)
        assert result.learning_rate == optimizer.lr
        np.testing.assert_allclose(t.model.flat.data, by_hand.flat.data, rtol=1e-6, atol=1e-9)
    assert t.steps_done == 3


def test_clip_0_does_not_clip() -> None:
    a, b = trainer(replace(CONFIG, clip=0.0)), trainer(replace(CONFIG, clip=1e9))
    for t in (a, b):
        t.step()
    np.testing.assert_array_equal(a.model.flat.data, b.model.flat.data)


def test_it_learns() -> None:
    t = trainer(dropout=0.1)
    before = t.held_out_loss(whole=True)
    assert before == pytest.approx(math.log(257), abs=0.1)
    losses = [t.step().loss for _ in range(30)]
    assert losses[0] == pytest.approx(5.5398, abs=1e-3)  # pinned
    assert losses[-1] < 3.1
    assert t.held_out_loss(whole=True) < 3.1


def test_measuring_changes_nothing() -> None:
    a, b = trainer(dropout=0.3), trainer(dropout=0.3)
    for _ in range(3):
        a.step()
        a.held_out_loss()
        b.step()
    np.testing.assert_array_equal(a.model.flat.data, b.model.flat.data)


def test_restored_it_goes_on_bit_for_bit() -> None:
    a, b = trainer(dropout=0.3), trainer(dropout=0.3)
    for _ in range(4):
        a.step()
    b.model.flat.data[...] = a.model.flat.data
    b.restore(4, a.random_streams(), a.optimizer.m.copy(), a.optimizer.v.copy())
    for _ in range(3):
        assert a.step() == b.step()
    np.testing.assert_array_equal(a.model.flat.data, b.model.flat.data)
    assert a.random_streams() == b.random_streams()


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"steps": 0}, "expected steps at least 1, got 0"),
        ({"learning_rate": math.nan}, "expected learning_rate at least 0, got nan"),
        ({"save_every": -1}, "expected save_every at least 0, got -1"),
        (
            {"learning_rate": 1e-4, "min_learning_rate": 3e-4},
            "min_learning_rate at most learning_rate, 0.0001, got 0.0003",
        ),
        ({"min_learning_rate": math.nan}, "min_learning_rate at most learning_rate, .* got nan"),
        ({"steps": 2.5}, r"TrainConfig: expected steps a whole number, got 2\.5"),
        ({"batch_size": 2.0}, r"expected batch_size a whole number, got 2\.0"),
        ({"clip": True}, "expected clip a number, got True"),
        ({"decay_all": 1}, "expected decay_all True or False, got 1"),
        ({"windows": None}, "expected windows a text, got None"),
    ],
)
def test_options_that_make_no_sense(wrong: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        TrainConfig(**wrong)


def test_options_of_numpys_are_written_and_read_as_pythons() -> None:
    config = TrainConfig(
        steps=np.int64(7),  # type: ignore[arg-type]
        learning_rate=np.float32(0.25),  # type: ignore[arg-type]
        decay_all=np.bool_(True),  # type: ignore[arg-type]
    )
    assert config == TrainConfig(steps=7, learning_rate=0.25, decay_all=True)
    assert config_from(TrainConfig, json.loads(json.dumps(asdict(config)))) == config


@pytest.mark.parametrize("learning_rate", [0.0, 1e-6, 1e-4, 6e-3, 0.7])
def test_the_lowest_learning_rate_follows_the_highest_unless_it_is_given(
    learning_rate: float,
) -> None:
    config = TrainConfig(learning_rate=learning_rate)
    assert config.last_learning_rate == pytest.approx(learning_rate / 20)
    assert replace(TrainConfig(), learning_rate=learning_rate) == config
    for given in (0.0, learning_rate / 3, learning_rate):
        config = TrainConfig(learning_rate=learning_rate, min_learning_rate=given)
        assert config.last_learning_rate == given
    t = trainer(replace(CONFIG, steps=400, learning_rate=learning_rate))
    t.steps_done = 399  # the last one
    assert t.step().learning_rate == pytest.approx(learning_rate / 20, rel=1e-3)


def test_a_step_after_eval_trains_as_ever() -> None:
    a, b = trainer(dropout=0.3), trainer(dropout=0.3)
    for _ in range(3):
        b.model.eval()
        assert a.step() == b.step()
    np.testing.assert_array_equal(a.model.flat.data, b.model.flat.data)
    assert b.model.training


def test_the_seed_decides_dropout_wherever_the_model_came_from() -> None:
    losses = []
    for stream, seed in ((1, 3), (2, 3), (1, 4)):
        model = GPT(GPTConfig(257, 16, 12, 3, 2, dropout=0.5), rng=1)
        model.set_dropout_rng(np.random.default_rng(stream))
        t = Trainer(model, trainer().data, replace(CONFIG, seed=seed))
        t.rng = np.random.default_rng(0)  # the same batches
        losses.append(t.step().loss)
    assert losses[0] == losses[1] != losses[2]


# -- where it began -----------------------------------------------------------------------------


def spoil(layer: Layer, method: str, at: tuple[int, ...] = (0, 0, 0)) -> None:
    """One number of what a layer's method returns becomes infinite."""
    call: Callable[..., Array] = getattr(type(layer), method)

    class Spoilt(type(layer)):  # type: ignore[misc]
        pass

    def spoilt(self: Layer, *args: Any) -> Array:
        result = call(self, *args).copy()
        result[at] = np.inf
        return result

    setattr(Spoilt, method, spoilt)
    layer.__class__ = Spoilt


def failure(t: Trainer) -> str:
    before = t.model.flat.data.copy(), t.optimizer.m.copy(), t.steps_done
    with pytest.raises(FloatingPointError) as info:
        t.step()
    for x, y in zip(before, (t.model.flat.data, t.optimizer.m, t.steps_done), strict=True):
        np.testing.assert_array_equal(x, y)
    return str(info.value)


@pytest.mark.parametrize(
    ("path", "method", "where"),
    [
        ("blocks.1.norm2", "forward", "the output of model.blocks.1.norm2"),
        ("blocks.0.attention.qkv", "forward", "the output of model.blocks.0.attention.qkv"),
        ("dropout", "forward", "the output of model.dropout"),
        ("head", "backward", "the gradient by the input of model.head"),
        ("blocks.1.feedforward.gelu", "backward", "input of model.blocks.1.feedforward.gelu"),
    ],
)
def test_the_layer_where_it_began_is_named(path: str, method: str, where: str) -> None:
    t = trainer(replace(CONFIG, accumulate=2), dropout=0.2)
    t.step()
    layer: Any = t.model
    for name in path.split("."):
        layer = layer[int(name)] if name.isdigit() else getattr(layer, name)
    spoil(layer, method)
    message = failure(t)
    assert message.startswith("step 2: the loss is ") and message.endswith(where)


def test_what_a_layer_computes_between_others_is_named_too(monkeypatch: pytest.MonkeyPatch) -> None:
    t = trainer(dropout=0.2)
    apply = Dropout.apply  # of the attention weights, (B, H, T, S): no layer's forward

    def spoilt(self: Dropout, x: Array, mask: Array | None) -> Array:
        return apply(self, x, mask) * np.float32(np.nan if x.ndim == 4 else 1)

    monkeypatch.setattr(Dropout, "apply", spoilt)
    assert failure(t).endswith("the input of model.blocks.0.attention.proj")


def test_the_batch_that_failed_is_the_one_that_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    t = trainer(replace(CONFIG, accumulate=3), dropout=0.5)
    t.step()
    seen: list[tuple[Any, ...]] = []
    loss = GPT.loss

    def noted(self: GPT, ids: Array, targets: Array, weight: float) -> float:
        value = loss(self, ids, targets, weight)
        seen.append((ids.tolist(), targets.tolist(), value))  # the value: the same dropout, too
        return value

    monkeypatch.setattr(GPT, "loss", noted)
    monkeypatch.setattr("numpygpt.training.loop.norm", lambda grad: math.inf)
    assert failure(t).startswith("step 2: ")
    assert len(seen) == 6 and seen[:3] == seen[3:]
    assert seen[0] != seen[1]


def test_a_parameter_is_named() -> None:
    t = trainer()
    t.model.blocks[1].norm1.bias.data[2] = np.nan
    assert failure(t).endswith("is model.blocks.1.norm1.bias")


def test_a_norm_that_overflows_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    t = trainer()
    backward = type(t.model.norm).backward

    def huge(self: Any, dy: Array) -> Array:
        return backward(self, dy) + np.float32(1e22 if self is t.model.norm else 0)

    with monkeypatch.context() as patch:
        patch.setattr(type(t.model.norm), "backward", huge)
        assert "is the gradient's norm, whose largest part is model." in failure(t)


def test_the_second_pass_leaves_no_trace() -> None:
    t = trainer()
    t.step()
    before = [sorted(vars(layer)) for layer in t.model.layers()]
    spoil(t.model.blocks[0], "forward")
    failure(t)
    assert [sorted(vars(layer)) for layer in t.model.layers()] == before
