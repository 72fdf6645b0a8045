"""Each line of evidence, both ways: on the mistake that it is about, and silent on all others.

`python tests/test_evidence.py` prints the table that numpygpt/gradcheck/README.md shows.
"""

import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numpygpt.config import GPTConfig
from numpygpt.gradcheck import Report, check_layer
from numpygpt.gradcheck.bugs import BUGS, planted
from numpygpt.gradcheck.subject import Loss
from numpygpt.layers import (
    GELU,
    Block,
    CausalSelfAttention,
    Dropout,
    Embedding,
    FeedForward,
    Head,
    Layer,
    LayerNorm,
    Linear,
    Parameter,
)
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
    "term": "such a term is missing, or too many",
    "residual": "dy itself is ",
    "factor by index": "right but for a factor that depends on",
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
        room = self.b.take_room() if self.b is not None else dy
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
    y: Array = x - x.mean(-1, keepdims=True)
    return y


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
        "2 forgotten where dx is 2 dy": (
            Own(lambda x: 2 * x, lambda dy, x: {"x": dy}),
            X,
            "x: factor",
        ),
        "a single number": (
            Own(np.sin, lambda dy, x: {"x": np.cos(x) * dy + (x == X.max())}),
            X,
            "x: none",
        ),
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


@cache
def said_of(name: str) -> str:
    """What is said of one of the mistakes: asked for by its test, and for the README's table."""
    layer, x, _ = MISTAKES[name]
    return said(check_layer(layer, x))


@pytest.mark.parametrize("name", MISTAKES)
def test_what_is_said_of_a_mistake_and_nothing_else(name: str) -> None:
    assert said_of(name) == MISTAKES[name][2]


@pytest.mark.parametrize("name", MISTAKES)
@pytest.mark.parametrize("arguments", [{"entries": 20}, {"complex_step": False, "rng": 4}], ids=str)
def test_less_is_said_where_less_is_seen_but_nothing_else(
    name: str, arguments: dict[str, Any]
) -> None:
    layer, x, expected = MISTAKES[name]
    report = check_layer(layer, x, **arguments)
    allowed = {part.split(": ")[0]: part.split(": ")[1] for part in expected.split("; ")}
    for row in report.rows:
        short = Report("", [row])
        if not row.passed:
            names = said(short).split(": ", 1)[1]
            assert set(names.split(", ")) <= {*allowed[row.name].split(", "), "none"}
            sampled = row.entries is not None and row.entries.size < math.prod(row.shape)
            assert ("(at the 20 entries checked)" in str(short)) == sampled


def test_what_fits_nothing_says_so() -> None:
    layer, x, _ = MISTAKES["1 - tanh, not 1 - tanh^2"]
    report = check_layer(layer, x)
    assert report.rows[0].evidence == ()
    assert str(report).endswith("\n      consistent with no mistake that this check knows")
    assert "consistent" not in str(check_layer(Linear(C, O), x))


def test_a_row_keeps_what_both_say_and_where() -> None:
    layer, x, _ = MISTAKES["2 forgotten"]
    (row,) = check_layer(layer, x, dy=X).rows
    assert row.backward is not None and row.forward is not None and row.entries is not None
    np.testing.assert_allclose(row.backward, X * X, rtol=1e-12)
    np.testing.assert_allclose(row.forward, 2 * X * X, rtol=1e-12)
    assert np.array_equal(row.entries, np.arange(N * C))
    (row,) = check_layer(layer, x, dy=X, entries=6).rows
    assert row.backward is not None and row.forward is not None and row.entries is not None
    assert row.backward.shape == row.forward.shape == X.shape and row.entries.size == 6
    seen = np.zeros(X.size, bool)
    seen[row.entries] = True
    assert np.array_equal(np.isfinite(row.forward.reshape(-1)), seen)


@pytest.mark.parametrize(
    ("f", "named"),
    [
        (10, ", and 10 is the number of rows of x"),
        (0.1, ", 1/10, and 10 is the number of rows of x"),
        (-1 / math.sqrt(7), ", -1/sqrt(7), and 7 is the size of axis 2 of x"),
        (-1, ": the sign"),
        (math.sqrt(13), ", sqrt(13)"),
        (1.00001, ""),
        (math.pi, ""),
        (1, ""),
    ],
)
def test_a_factor_is_named_where_it_fits(f: float, named: str) -> None:
    layer = Own(lambda x: np.sin(x), lambda dy, x: {"x": f * np.cos(x) * dy})
    (row,) = check_layer(layer, X).rows
    assert row.passed == (f == 1)
    if f != 1:
        line = f"backward is {f:.9g} times the forward's derivative everywhere{named}"
        assert row.evidence == (line,)


# -- where the oracles disagree -------------------------------------------------------------------


def test_a_forward_that_is_another_formula_for_complex_numbers() -> None:
    def forward(x: Array) -> Array:
        return x * np.abs(x)

    report = check_layer(Own(forward, lambda dy, x: {"x": 2 * dy * np.abs(x)}), X)
    assert report.passed and "WRONG" not in str(report)
    assert report.rows[0].complex_step is None and report.rows[0].differences < 1e-8
    assert MESSAGES["not complex"] in report.rows[0].evidence[0]
    assert "ok\n      note: by differences alone" in str(report)
    # Half of it is what the complex step finds: wrong none the less, and the factor is named.
    report = check_layer(Own(forward, lambda dy, x: {"x": dy * np.abs(x)}), X)
    assert said(report) == "x: factor, not complex"

    def standard(dy: Array, x: Array) -> Any:
        s = x.std(-1, keepdims=True)  # |x - mean|^2 in it
        return {"x": dy / s - center(x) * (dy * x).sum(-1, keepdims=True) / (C * s**3)}

    std = Own(lambda x: x / x.std(-1, keepdims=True), standard)
    report = check_layer(std, X)
    assert report.passed and MESSAGES["not complex"] in report.rows[0].evidence[0]


def test_a_small_error_that_only_the_complex_step_sees_is_an_error() -> None:
    report = check_layer(
        Own(lambda x: np.sin(x), lambda dy, x: {"x": (1 + 3e-10) * np.cos(x) * dy}), X
    )
    assert said(report) == "x: factor" and report.rows[0].differences < 1e-8
    assert report.rows[0].evidence[0].startswith("backward is 1 +3.0e-10 times the forward's")


@pytest.mark.parametrize("complex_step", [True, False])
def test_a_kink_is_no_error(complex_step: bool) -> None:
    x = X.copy()
    x[1, 2, 3], x[0, 0, 0] = 0, 2e-6
    for slope in (0, 1, 0.5):  # of ReLU at 0: whatever the author chose
        layer = Own(relu, lambda dy, x, s=slope: {"x": dy * ((x > 0) + s * (x == 0))})
        report = check_layer(layer, x, complex_step=complex_step)
        assert report.passed, str(report)
        if not complex_step and slope != 0.5:
            assert "2 entries are at a kink of forward" in report.rows[0].evidence[0]
    wrong = Own(relu, lambda dy, x: {"x": dy * (x > 0) - dy * (x == 0)})
    assert check_layer(wrong, x, complex_step=complex_step).worst.index == (1, 2, 3)
    assert check_layer(Own(relu, lambda dy, x: {"x": dy}), x).wrong == ["x"]


# -- known bugs -----------------------------------------------------------------------------------


class Norm(Layer):
    """A LayerNorm of one's own, with the mean of g forgotten."""

    def __init__(self) -> None:
        self.gain, self.bias = Parameter(C), Parameter(C)

    def forward(self, x: Array) -> Array:
        rstd = 1 / np.sqrt((center(x) ** 2).mean(-1, keepdims=True) + 1e-5)
        self.save(center(x) * rstd, rstd)
        y: Array = center(x) * rstd * self.gain.data + self.bias.data
        return y

    def backward(self, dy: Array) -> Array:
        x_hat, rstd = self.take_saved()
        self.gain.grad += flat(dy * x_hat).sum(0)
        self.bias.grad += flat(dy).sum(0)
        g = dy * self.gain.data
        dx: Array = rstd * (g - x_hat * (g * x_hat).mean(-1, keepdims=True))
        return dx


def test_a_layer_of_ones_own_is_compared_with_known_bugs_on_request() -> None:
    assert said(check_layer(Norm(), X)) == "x: term without index"
    report = check_layer(Norm(), X, like=LayerNorm(C))
    assert said(report) == "x: known, term without index"
    assert report.rows[0].evidence[0] == "a known bug, LayerNorm: mean of g forgotten"
    with pytest.raises(ValueError, match=r"like: expected parameters .*gain.* as Norm, got .*W"):
        check_layer(Norm(), X, like=Linear(C, C))


def test_two_bugs_at_once_are_each_named() -> None:
    class Worse(Norm):
        def backward(self, dy: Array) -> Array:
            dx = super().backward(dy)
            self.gain.grad[...] = flat(dy).sum(0)
            self.bias.zero_grad()
            self.bias.grad += flat(dy).sum(0) * 3
            return dx

    report = check_layer(Worse(), X, like=LayerNorm(C))
    evidence = {row.name: row.evidence for row in report.rows}
    assert evidence["x"][0] == "a known bug, LayerNorm: mean of g forgotten"
    assert "a known bug" not in " ".join(evidence["gain"] + evidence["bias"])


def test_a_bug_that_would_make_other_arrays_wrong_is_not_named() -> None:
    class Half(FeedForward):
        def backward(self, dy: Array, x: Array | None = None) -> Array:
            da = self.proj.backward(dy, self.gelu.output())
            dh = self.gelu.backward(da)
            dx = self.fc.backward(da, x)  # GELU skipped,
            self.fc.b.grad += (dh - da).sum((0, 1))  # type: ignore[union-attr]  # but not here
            return dx

    config = GPTConfig(O, T, C, 1, 1)
    report = check_layer(Half(config), X, like=FeedForward(config), entries=20)
    assert report.wrong == ["x", "fc.W"] and "known" not in said(report)


def test_a_layer_of_the_package_that_was_changed_is_compared_with_it_as_it_should_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (bug,) = [bug for bug in BUGS if bug.name == "mean of g forgotten"]
    monkeypatch.setattr(LayerNorm, "backward", type(planted(LayerNorm(C), bug)).backward)
    assert said(check_layer(LayerNorm(C), X)) == "x: known, term without index"
    assert check_layer(planted(LayerNorm(C)), X).passed
    report = check_layer(Block(GPTConfig(O, T, C, 1, 1)), X, entries=10)
    assert len(report.wrong) > 4
    for row in report.rows:
        assert (f"a known bug, {bug}" in row.evidence) == (not row.passed)


def test_a_bug_in_a_part_is_named_in_the_whole() -> None:
    (bug,) = [bug for bug in BUGS if bug.name == "GELU skipped"]
    block = Block(GPTConfig(O, T, C, 1, 1))
    report = check_layer(planted(block, bug), X, entries=10)
    assert len(report.wrong) > 8
    for row in report.rows:
        assert (row.evidence[:1] == (f"a known bug, {bug}",)) == (not row.passed)


def test_a_bug_that_changes_nothing_explains_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    config = GPTConfig(O, T, C, 1, 1)  # without dropout, so bugs in dropout do nothing
    output = LayerNorm.output
    with monkeypatch.context() as patch:
        patch.setattr(LayerNorm, "output", lambda self: 2 * output(self))  # is not kept
        report = check_layer(Block(config), X, entries=10)
    assert said(report) == "attention.qkv.W: factor; feedforward.fc.W: factor"

    class Thrice(CausalSelfAttention):
        def backward(self, dy: Array, x: Array | None = None) -> Array:
            return 3 * super().backward(dy, x)

    assert said(check_layer(Thrice(config), X, entries=10)) == "x: factor"


# -- the README -----------------------------------------------------------------------------------


def all_bugs() -> dict[str, tuple[Layer, Array, float | None]]:
    """The known bugs, planted."""
    config = GPTConfig(O, T, 6, 3, 1, dropout=0.3)
    x = X[..., :6].copy()
    head = Head(Parameter(O, 6))
    layers: dict[str, tuple[Layer, Array]] = {
        "Linear": (Linear(6, 6), x),
        "Embedding": (Embedding(O, 6), IDS),
        "LayerNorm": (LayerNorm(6), x),
        "GELU": (GELU(), x),
        "Dropout": (Dropout(0.3), x),
        "CausalSelfAttention": (CausalSelfAttention(config), x),
        "FeedForward": (FeedForward(config), x),
        "Block": (Block(config), x),
        "Head": (head, x),
    }
    found = {}
    for bug in BUGS:
        if bug.layer != "GPT":
            layer, x = layers[bug.layer]
            in_loss = bug.layer == "Head" and not check_layer(planted(layer, bug), x).wrong
            layer = Loss(layer, IDS) if in_loss else layer
            found[str(bug)] = (planted(layer, bug), x, 1.0 if in_loss else None)
    return found


def row_of(name: str, what_is_said: str) -> str:
    """One row of the table: arrays of which the same is said stand together."""
    arrays: dict[str, list[str]] = {}
    for part in what_is_said.split("; "):
        array, messages = part.split(": ")
        arrays.setdefault(messages, []).append(array)
    text = "; ".join(f"{' '.join(names)}: {messages}" for messages, names in arrays.items())
    return f"| {name} | {text} |"


def table() -> str:
    """Mistakes, and what is said of them."""
    rows = ["| mistake | what is said of which array |", "|---|---|"]
    rows += [row_of(name, said_of(name)) for name in MISTAKES]
    bugs = all_bugs().items()
    rows += [row_of(name, said(check_layer(layer, x, dy=dy))) for name, (layer, x, dy) in bugs]
    return "\n".join(rows)


def test_the_table_of_the_readme_is_true(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("numpygpt.layers.head.ROWS", 3)  # a short text has parts, too
    assert table() in README.read_text(encoding="utf-8")


def test_the_readme_has_all_messages() -> None:
    text = " ".join(README.read_text(encoding="utf-8").split())
    for name, words in MESSAGES.items():
        assert f"| {name} | " in text
        assert words.strip(" :,") in text


if __name__ == "__main__":
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("numpygpt.layers.head.ROWS", 3)
        print(table())
