"""Each line of evidence, both ways: on the mistake that it is about, and silent on all others.

`python tests/test_evidence.py` prints the table that numpygpt/gradcheck/README.md shows.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numpygpt.gradcheck import Report, check_layer
from numpygpt.layers import Layer, Linear, Parameter
from numpygpt.layers.parameter import Array

B, T, C, O = 2, 5, 7, 11
N = B * T
X = np.random.default_rng(6).standard_normal((B, T, C))
IDS = np.array([[3, 3, 0, 10, 3], [3, 1, 2, 0, 10]])
README = Path(__file__).parent.parent / "numpygpt" / "gradcheck" / "README.md"

# A message's short name, and words that only this message has.
MESSAGES = {
    "known": "a known bug, ",
    "zero": "backward gives 0 everywhere",
    "not used": "the forward's derivative is 0 everywhere",
    "factor": "times the forward's derivative everywhere",
    "another's": "this is the derivative by ",
    "one pass": "only the last of two passes counts",
    "leftovers": "what was left in memory is added",
    "ids once": "an id that repeats is counted once",
    "ids averaged": "an id that repeats is averaged",
    "exchanged": " are exchanged: ",
    "reread": "is there a reshape where",
    "reversed": " is reversed",
    "shifted": " is shifted by ",
    "term without index": "the error is the same all along",
    "term": "a term with it is missing, or too many",
    "residual": "dy itself is ",
    "factor by index": "times a factor that depends on",
    "dy": "for such a dy backward is right",
    "part": "an error in ",
    "not complex": "by differences alone",
    "kink": "at a kink of forward",
}


class Own(Layer):
    """y = f(x, parameters); the gradients are g(dy, x, parameters), by name, and added."""

    def __init__(self, f: Callable[..., Any], g: Callable[..., Any], **shapes: Any) -> None:
        self.f, self.g = f, g
        self.names = list(shapes)
        for name, shape in shapes.items():
            setattr(self, name, Parameter(*shape))

    def forward(self, x: Array) -> Any:
        self.save(x)
        return self.f(x, *(getattr(self, name).data for name in self.names))

    def backward(self, dy: Array) -> Any:
        (x,) = self.take_saved()
        made = self.g(dy, x, *(getattr(self, name).data for name in self.names))
        for name in self.names:
            getattr(self, name).grad += made.get(name, 0)
        return made.get("x")


class Set(Linear):
    """A gradient that is set."""

    def backward(self, dy: Array, x: Array | None = None) -> Array:
        dx = super().backward(dy, x)
        self.W.grad = self.saved_x.reshape(N, -1).T @ dy.reshape(N, -1)
        return dx

    def forward(self, x: Array, save_x: bool = True) -> Array:
        self.saved_x = x
        return super().forward(x)


class Filled(Linear):
    """A gradient that is added to memory which nobody set."""

    def backward(self, dy: Array, x: Array | None = None) -> Array:
        room = self.b.room() if self.b is not None else dy
        dx = super().backward(dy, x)
        if self.b is not None:
            self.b.zero_grad()
            room += dy.sum((0, 1))
            self.b.add_grad(room)
        return dx


def flat(a: Array) -> Array:
    return a.reshape(-1, a.shape[-1])


def rms(x: Array) -> Array:
    r: Array = 1 / np.sqrt((x * x).mean(-1, keepdims=True))
    return r


def center(x: Array) -> Array:
    return x - x.mean(-1, keepdims=True)


def softmax(x: Array) -> Array:
    e = np.exp(x)
    p: Array = e / e.sum(-1, keepdims=True)
    return p


def product(x: Array, W: Array) -> Array:
    return x @ W


def dW(dy: Array, x: Array) -> Array:
    product: Array = flat(x).T @ flat(dy)
    return product


def once(dy: Array, ids: Array, W: Array) -> Any:
    out = np.zeros_like(W)
    out[ids] += dy
    return {"W": out}


def averaged(dy: Array, ids: Array, W: Array) -> Any:
    out = np.zeros_like(W)
    np.add.at(out, ids, dy)
    return {"W": out / np.maximum(np.bincount(ids.reshape(-1), minlength=len(W)), 1)[:, None]}


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


def scaled(x: Array, gain: Array, bias: Array) -> Array:
    return x * gain + bias


def normed(dy: Array, x: Array, gain: Array, *, term: float = 1, factor: bool = True) -> Any:
    """RMSNorm's gradients, and what may be left out of them."""
    r, g = rms(x), dy * gain
    dx = g - term * x * r * r * (g * x).mean(-1, keepdims=True)
    return {"x": dx * r if factor else dx, "gain": flat(dy * x * r).sum(0)}


def mistakes() -> dict[str, tuple[Layer, Array, str]]:
    """What is wrong, the layer, x, and what is said: "array: messages; array: messages"."""
    halves = np.arange(C) < 3
    return {
        "the sign": (Own(lambda x: -x * x, lambda dy, x: {"x": 2 * x * dy}), X, "x: factor"),
        "2 forgotten": (Own(lambda x: x * x, lambda dy, x: {"x": x * dy}), X, "x: factor"),
        "1/sqrt(C) forgotten": (
            Own(lambda x: np.sin(x) / math.sqrt(C), lambda dy, x: {"x": np.cos(x) * dy}),
            X,
            "x: factor",
        ),
        "dW averaged over the rows": (
            Own(product, lambda dy, x, W: {"x": dy @ W.T, "W": dW(dy, x) / N}, W=(C, O)),
            X,
            "W: factor",
        ),
        "dW set, not added": (Set(C, O), X, "W: known, one pass"),
        "db added to leftovers": (Filled(C, O), X, "b: leftovers"),
        "dW not added": (
            Own(product, lambda dy, x, W: {"x": dy @ W.T}, W=(C, O)),
            X,
            "W: zero",
        ),
        "a parameter that forward forgot": (
            Own(
                lambda x, W, b: x @ W,
                lambda dy, x, W, b: {"x": dy @ W.T, "W": dW(dy, x), "b": flat(dy).sum(0)},
                W=(C, O),
                b=(O,),
            ),
            X,
            "b: not used",
        ),
        "weight decay in dW": (
            Own(product, lambda dy, x, W: {"x": dy @ W.T, "W": dW(dy, x) + 0.1 * W}, W=(C, O)),
            X,
            "W: term",
        ),
        "dW transposed": (
            Own(product, lambda dy, x, W: {"x": dy @ W.T, "W": dW(dy, x).T}, W=(C, C)),
            X,
            "W: exchanged",
        ),
        "dW reshaped, not transposed": (
            Own(
                product,
                lambda dy, x, W: {"x": dy @ W.T, "W": dW(dy, x).T.reshape(W.shape)},
                W=(C, O),
            ),
            X,
            "W: reread",
        ),
        "dx by W, not its transpose": (
            Own(product, lambda dy, x, W: {"x": dy @ W, "W": dW(dy, x)}, W=(C, C)),
            X,
            "x: none",
        ),
        "rolled the same way again": (
            Own(lambda x: np.roll(x, 1, 1), lambda dy, x: {"x": np.roll(dy, 1, 1)}),
            X,
            "x: shifted",
        ),
        "not rolled back": (
            Own(
                lambda x: np.roll(x, 3, 2) ** 3, lambda dy, x: {"x": dy * np.roll(x, 3, 2) ** 2 * 3}
            ),
            X,
            "x: shifted",
        ),
        "not flipped back": (
            Own(lambda x: x[:, ::-1] * 2, lambda dy, x: {"x": 2 * dy}),
            X,
            "x: reversed, dy",
        ),
        "rows of dy walked backwards": (
            Own(
                product,
                lambda dy, x, W: {"x": dy @ W.T, "W": dW(flat(dy)[::-1].reshape(dy.shape), x)},
                W=(C, O),
            ),
            X,
            "W: dy",
        ),
        "residual forgotten": (
            Own(
                lambda x, W: x + np.tanh(x @ W),
                lambda dy, x, W: {
                    "x": dy * (1 - np.tanh(x @ W) ** 2) @ W.T,
                    "W": dW(dy * (1 - np.tanh(x @ W) ** 2), x),
                },
                W=(C, C),
            ),
            X,
            "x: residual",
        ),
        "residual counted twice": (
            Own(lambda x: x + np.sin(x), lambda dy, x: {"x": 2 * dy + np.cos(x) * dy}),
            X,
            "x: residual",
        ),
        "mean forgotten": (
            Own(lambda x: 3 * center(x), lambda dy, x: {"x": 3 * dy}),
            X,
            "x: term without index",
        ),
        "mean subtracted from dx, too": (
            Own(
                lambda x, W: center(x @ W),
                lambda dy, x, W: {"x": center(center(dy) @ W.T), "W": dW(center(dy), x)},
                W=(C, O),
            ),
            X,
            "x: term without index",
        ),
        "softmax's row sum forgotten": (
            Own(softmax, lambda dy, x: {"x": softmax(x) * dy}),
            X,
            "x: term",
        ),
        "RMSNorm's second term forgotten": (
            Own(
                lambda x, gain: x * rms(x) * gain,
                lambda dy, x, gain: normed(dy, x, gain, term=0),
                gain=(C,),
            ),
            X,
            "x: term",
        ),
        "RMSNorm's 1/rms forgotten": (
            Own(
                lambda x, gain: x * rms(x) * gain,
                lambda dy, x, gain: normed(dy, x, gain, factor=False),
                gain=(C,),
            ),
            X,
            "x: factor by index",
        ),
        "RMSNorm's gain forgotten": (
            Own(
                lambda x, gain: x * rms(x) * gain,
                lambda dy, x, gain: normed(dy, x, gain) | {"x": normed(dy, x, 1 + 0 * gain)["x"]},
                gain=(C,),
            ),
            X,
            "x: dy",
        ),
        "gain forgotten": (
            Own(
                scaled,
                lambda dy, x, gain, bias: {
                    "x": dy,
                    "gain": flat(dy * x).sum(0),
                    "bias": flat(dy).sum(0),
                },
                gain=(C,),
                bias=(C,),
            ),
            X,
            "x: factor by index, dy",
        ),
        "dgain and dbias exchanged": (
            Own(
                scaled,
                lambda dy, x, gain, bias: {
                    "x": dy * gain,
                    "bias": flat(dy * x).sum(0),
                    "gain": flat(dy).sum(0),
                },
                gain=(C,),
                bias=(C,),
            ),
            X,
            "gain: another's; bias: another's",
        ),
        "grad[ids] += dy": (
            Own(lambda ids, W: W[ids], once, W=(O, C)),
            IDS,
            "W: ids once",
        ),
        "ids averaged": (
            Own(lambda ids, W: W[ids], averaged, W=(O, C)),
            IDS,
            "W: ids averaged, factor by index",
        ),
        "3 forgotten, in the first 3 columns": (
            Own(
                lambda x: np.where(halves, 3, 1) * x * x,
                lambda dy, x: {"x": 2 * x * dy},
            ),
            X,
            "x: factor, part",
        ),
        "mean over the wrong axis": (
            Own(center, lambda dy, x: {"x": dy - dy.mean(1, keepdims=True)}),
            X,
            "x: none",
        ),
        "1 - tanh, not 1 - tanh^2": (
            Own(np.tanh, lambda dy, x: {"x": dy * (1 - np.tanh(x))}),
            X,
            "x: none",
        ),
    }


MISTAKES = mistakes()


def said(report: Report) -> str:
    """What a report says of each array that failed, by the messages' short names."""
    found = []
    for row in report.rows:
        text = "\n".join(row.evidence)
        names = [name for name, words in MESSAGES.items() if words in text]
        if row.passed:
            assert not names, text
            continue
        assert sum(text.count(words) for words in MESSAGES.values()) >= len(row.evidence)
        found.append(f"{row.name}: {', '.join(names) or 'none'}")
    return "; ".join(found)


@pytest.mark.parametrize("name", MISTAKES)
def test_what_is_said_of_a_mistake_and_nothing_else(name: str) -> None:
    layer, x, expected = MISTAKES[name]
    assert said(check_layer(layer, x)) == expected
