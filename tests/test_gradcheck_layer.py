"""`check_layer` on layers of one's own: right ones pass, wrong ones fail, misuse is explained."""

import math
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from numpygpt.config import GPTConfig
from numpygpt.gpt import GPT
from numpygpt.gradcheck import check_layer
from numpygpt.gradcheck.report import COMPLEX_TOLERANCE, TOLERANCE, compare
from numpygpt.layers import GELU, Dropout, Layer, LayerNorm, Linear, Parameter
from numpygpt.layers.parameter import Array

B, T, C = 2, 5, 7
RNG = np.random.default_rng(5)
X, DY = RNG.standard_normal((2, B, T, C))


class Own(Layer):
    """A layer made of two functions: y = f(x), dx = g(dy, x)."""

    def __init__(self, f: Callable[[Any], Any], g: Callable[[Any, Any], Any]) -> None:
        self.f, self.g = f, g

    def forward(self, x: Array) -> Any:
        self.save(x)
        return self.f(x)

    def backward(self, dy: Array) -> Any:
        (x,) = self.take_saved()
        return self.g(dy, x)


class RMSNorm(Layer):
    """y = x / sqrt(mean x^2) * gain."""

    def __init__(self, n_embd: int = C) -> None:
        self.gain = Parameter(n_embd, mean=1.0)

    def forward(self, x: Array) -> Array:
        r = 1 / np.sqrt((x * x).mean(-1, keepdims=True))
        self.save(x, r)
        y: Array = x * r * self.gain.data
        return y

    def backward(self, dy: Array) -> Array:
        x, r = self.take_saved()
        self.gain.add_grad((dy * x * r).sum((0, 1)))
        g = dy * self.gain.data
        dx: Array = r * (g - x * r * r * (g * x).mean(-1, keepdims=True))
        return dx


def block() -> Any:
    """One of a model's, with dropout."""
    return GPT(GPTConfig(11, T, 6, 3, 1, dropout=0.5)).blocks[0]


def square(factor: float = 2.0) -> Own:
    return Own(lambda x: x * x, lambda dy, x: factor * dy * x)


# -- what passes ----------------------------------------------------------------------------------


def test_a_correct_layer_passes_and_is_not_changed() -> None:
    layer = RMSNorm().initialize()
    report = check_layer(layer, X)
    assert report.passed and report.wrong == []
    assert [(row.name, row.shape) for row in report.rows] == [("x", X.shape), ("gain", (C,))]
    assert all(0 < row.differences < 1e-8 for row in report.rows)
    assert all(0 < (row.complex_step or 0) < 1e-14 for row in report.rows)
    assert (layer.gain.data == 1).all() and layer.gain.data.dtype == np.float32
    assert "ok" in str(report) and "WRONG" not in str(report)
    assert check_layer(RMSNorm(), X).passed  # never initialised


def test_mode_saved_slot_gradients_and_random_numbers_stay() -> None:
    layer = block().initialize(1, np.float64)
    x = X[..., :6].copy()
    layer.forward(x)
    dx = layer.backward(x)
    gradient = layer.norm1.gain.grad.copy()
    layer.attention.dropout.rng = np.random.default_rng(8)
    y = layer.forward(x)
    layer.attention.dropout.rng = np.random.default_rng(8)
    layer.forward(x)
    state = layer.attention.dropout.rng.bit_generator.state
    assert check_layer(layer, x, entries=3).passed
    assert layer.attention.dropout.rng.bit_generator.state == state
    assert layer.training and np.array_equal(layer.norm1.gain.grad, gradient)
    layer.backward(x)  # of the forward before the check
    assert not np.array_equal(layer.norm1.gain.grad, gradient)
    assert y.shape == dx.shape
    assert check_layer(layer.eval(), x, entries=3).passed and not layer.training


def test_own_parameters_are_kept_on_request() -> None:
    class Doubtful(RMSNorm):
        def backward(self, dy: Array) -> Array:
            dx = super().backward(dy)
            return dx if (self.gain.data == 1).all() else 2 * dx

    layer = Doubtful().initialize()
    assert check_layer(layer, X, own_parameters=True).passed
    assert check_layer(Doubtful(), X, own_parameters=True).passed  # first values
    assert check_layer(layer, X).wrong == ["x"]


class Plain(Layer):
    """Parameters in a list, gradients added in place, a mask that is made once, a buffer for y."""

    def __init__(self) -> None:
        self.parts = [Parameter(C, std=0.1), Parameter(C)]
        self.mask: Array | None = None
        self.y: Array | None = None

    def forward(self, x: Array) -> Array:
        if self.mask is None or self.y is None:
            self.mask, self.y = np.arange(C) % 2, np.empty(x.shape, x.dtype)
        self.x = x
        np.multiply(x, self.mask * self.parts[0].data, out=self.y)
        self.y += self.parts[1].data
        return self.y

    def backward(self, dy: Array) -> Array:
        assert self.mask is not None
        self.parts[0].grad += (dy * self.mask * self.x).sum((0, 1))
        self.parts[1].grad[...] += dy.sum((0, 1))
        return dy * self.mask * self.parts[0].data


class Mean(Layer):
    """x to one number."""

    def forward(self, x: Array) -> Any:
        self.save(x.shape)
        return x.mean().item()

    def backward(self, dy: Array) -> Array:
        (shape,) = self.take_saved()
        return np.full(shape, dy / math.prod(shape))


class Table(Layer):
    """Whole numbers to rows."""

    def __init__(self) -> None:
        self.W = Parameter(4, C)

    def forward(self, ids: Array) -> Array:
        self.save(ids)
        rows: Array = self.W.data[ids.astype(int)]
        return rows

    def backward(self, dy: Array) -> None:
        (ids,) = self.take_saved()
        np.add.at(self.W.grad, ids.astype(int), dy)


@pytest.mark.parametrize(
    ("layer", "x", "names"),
    [
        (Plain(), X, ["x", "parts.0", "parts.1"]),
        (Plain().initialize(), X, ["x", "parts.0", "parts.1"]),
        (Mean(), X, ["x"]),
        (Table(), [[1, 3, 1], [0, 0, 1]], ["W"]),
        (Table(), np.array([[True, False, True]]), ["W"]),
        (square(), X.astype(np.float32), ["x"]),
        (square(), X.astype(np.float16), ["x"]),
        (square(), X[0].T, ["x"]),  # in Fortran's order
        (square(), [1.0, 2.0, 3.0], ["x"]),
        (square(), 3.0, ["x"]),
        (square(), np.zeros(4), ["x"]),
        (Own(lambda x: x, lambda dy, x: dy), X, ["x"]),
        (Own(np.maximum.reduce, lambda dy, x: dy * (x == x.max(0))), X, ["x"]),
    ],
)
def test_plain_forms_pass(layer: Layer, x: npt.ArrayLike, names: list[str]) -> None:
    report = check_layer(layer, x)
    assert report.passed, str(report)
    assert [row.name for row in report.rows] == names
    assert all(row.complex_step is not None for row in report.rows)


def test_masks_of_any_generator_are_drawn_again() -> None:
    class Old:
        def __init__(self) -> None:
            self.state = np.random.RandomState(3)

        def random(self, shape: tuple[int, ...], dtype: Any) -> Array:
            return self.state.random_sample(shape).astype(dtype)

    assert check_layer(Dropout(0.5, rng=Old()), X).passed
    shared = block()  # whose three dropouts draw from one generator
    assert shared.dropout1.rng is shared.attention.dropout.rng
    assert check_layer(shared, X[..., :6], entries=5).passed


# -- how small, how large -------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1e-250, 1e-12, 1.0, 1e12])
def test_an_error_is_relative_to_the_derivatives(size: float) -> None:
    assert check_layer(RMSNorm(), X, dy=size * DY).passed
    assert check_layer(square(), X, dy=size * DY).passed
    for complex_step in (True, False):
        (row,) = check_layer(square(2.02), X, dy=size * DY, complex_step=complex_step).rows
        assert not row.passed
        np.testing.assert_allclose(row.differences, 0.01, rtol=1e-6)
        np.testing.assert_allclose(row.complex_step or 0.01, 0.01, rtol=1e-12)


@pytest.mark.parametrize("size", [1e-9, 1e9])
def test_steps_are_relative_to_x(size: float) -> None:
    assert check_layer(RMSNorm(), size * X).passed
    assert check_layer(square(), size * X).passed
    assert check_layer(square(2.0001), size * X).wrong == ["x"]


def test_small_parts_of_a_large_y_are_seen_as_far_as_its_rounding_allows() -> None:
    def nearly_constant(part: float, factor: float = 1.0) -> Own:
        return Own(lambda x: 3 + part * x, lambda dy, x: factor * part * dy)

    assert check_layer(nearly_constant(1e-4), X).passed
    assert check_layer(nearly_constant(1e-4, 1.01), X, complex_step=False).wrong == ["x"]
    assert check_layer(nearly_constant(1e-9, 1.01), X).wrong == ["x"]  # the complex step alone
    assert check_layer(nearly_constant(1e-9, 1.01), X, complex_step=False).passed


CONSTANT: dict[str, Callable[[Any], Any]] = {
    "zeros": lambda x: np.zeros(x.shape),
    "0 x": lambda x: 0 * x,
    "fives": lambda x: 5 + 0 * x,
    "rounding": lambda x: (np.exp(x) / np.exp(x).sum(-1, keepdims=True)).sum(-1, keepdims=True),
}


def scaled(size: float, dy: Array, x: Array) -> Array:
    dx: Array = size * dy + np.zeros(x.shape)
    return dx


@pytest.mark.parametrize("y", CONSTANT)
@pytest.mark.parametrize("complex_step", [True, False])
def test_all_derivatives_0(y: str, complex_step: bool) -> None:
    for size in (0.0, 1e-6, 1.0):
        layer = Own(CONSTANT[y], partial(scaled, size))
        report = check_layer(layer, X, complex_step=complex_step)
        assert report.passed == (size == 0), str(report)
        assert size or report.worst.analytic == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_fail_and_are_shown(bad: float) -> None:
    def spoil(x: Array) -> Array:
        x = np.array(x)
        x[1, 2, 3] = bad
        return x

    report = check_layer(Own(lambda x: x, lambda dy, x: spoil(dy)), X)
    assert report.wrong == ["x"] and report.worst.index == (1, 2, 3)
    assert f"WRONG at (1, 2, 3): backward {bad}, forward " in str(report)
    assert str(report).endswith("which is not finite") and report.worst.differences == np.inf
    report = check_layer(Own(lambda x: spoil(x * x), lambda dy, x: 2 * dy * x), X)
    assert report.wrong == ["x"] and "forward nan, which is not finite" in str(report)
    log = Own(lambda x: np.log(x - x[0, 0, 0]), lambda dy, x: dy / (x - x[0, 0, 0]))
    assert not check_layer(log, X, complex_step=False).passed  # no warning: they are errors here


def test_the_entry_that_is_not_finite_is_shown_not_the_first() -> None:
    top = np.unravel_index(X.argmax(), X.shape)  # any larger, and the root is not real
    layer = Own(lambda x: x + 0 * np.sqrt(X.max() - x), lambda dy, x: dy)
    report = check_layer(layer, X, complex_step=False)
    assert report.wrong == ["x"] and report.worst.index == top and top != (0, 0, 0)


@pytest.mark.parametrize("seed", [27153, 0, 1, 2])
def test_a_derivative_that_nearly_cancels_is_no_error(seed: int) -> None:
    rng = np.random.default_rng(seed)
    dy = rng.standard_normal((2, 3, 1))
    dy[1, 2] = 4e-5 - dy.sum() + dy[1, 2]
    report = check_layer(Linear(2, 1), rng.standard_normal((2, 3, 2)), dy=dy)
    b = report.rows[2]
    np.testing.assert_allclose(b.analytic, 4e-5, rtol=1e-9)
    assert report.passed and b.differences < 1e-8


def test_entries_and_defaults() -> None:
    layer = RMSNorm().initialize()
    assert check_layer(layer, X).rows == check_layer(layer, X, 0).rows
    assert check_layer(layer, X).rows != check_layer(layer, X, 1).rows
    worst = {check_layer(square(2.02), X, seed, entries=1).worst.index for seed in range(20)}
    assert len(worst) > 10  # one entry, another for every seed
    for seed in range(5):
        spoilt = Own(lambda x: x, lambda dy, x: dy * (np.arange(C) != 3))
        assert len(check_layer(spoilt, X, seed, entries=B * T * C - 5).wrong) == 1
    assert check_layer(RMSNorm(), X, entries=C).passed


# -- complex numbers ------------------------------------------------------------------------------


def test_a_forward_that_complex_numbers_cannot_run() -> None:
    def into_real(x: Array) -> Array:
        y = np.empty(x.shape)
        y[...] = x
        return y

    def same(dy: Array, x: Array) -> Array:
        return dy

    floor = Own(lambda x: x - np.floor(x) * 0.5, same)
    for layer in (floor, Own(into_real, same)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # as where nobody makes errors of warnings
            with pytest.raises(TypeError, match=r"Own: forward fails on complex .*_step=False"):
                check_layer(layer, X)
        report = check_layer(layer, X, complex_step=False)
        assert report.passed and report.rows[0].complex_step is None


def test_a_forward_that_makes_complex_numbers_real() -> None:
    report = check_layer(Own(np.abs, lambda dy, x: dy * np.sign(x)), X)
    assert report.passed and report.rows[0].complex_step is None
    assert check_layer(Own(np.abs, lambda dy, x: dy), X).wrong == ["x"]


# -- misuse ---------------------------------------------------------------------------------------


def same(dy: Array, x: Array) -> Array:
    return dy


def doubled_in_place(x: Array) -> Array:
    x *= 2
    return x


class NoBackward(Layer):
    def forward(self, x: Array) -> Array:
        return x


class NoForward(Layer):
    def backward(self, dy: Array) -> Array:
        return dy


NOISE = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("layer", "arguments", "error", "message"),
    [
        (Linear, {}, TypeError, "expected a layer, made of a subclass of Layer, got <class"),
        (np.exp, {}, TypeError, "expected a layer, made of a subclass of Layer, got <ufunc 'exp'>"),
        (NoBackward(), {}, TypeError, "NoBackward: expected forward and backward, no backward"),
        (NoForward(), {}, TypeError, "NoForward: expected forward and backward, no forward"),
        (square(), {"x": [[1.0], [2.0, 3.0]]}, ValueError, "Own: x: .* rows of different lengths"),
        (square(), {"x": ["a"]}, TypeError, "Own: x: expected real or whole numbers, got .*U1"),
        (square(), {"x": [None]}, TypeError, "Own: x: .* got dtype object"),
        (square(), {"x": [1j]}, TypeError, "Own: x: .* got dtype complex128"),
        (square(), {"x": [1, np.nan]}, ValueError, "Own: x: expected finite numbers"),
        (square(), {"x": [1, 2]}, ValueError, "nothing to check: no parameters, and x is whole"),
        (square(), {"x": np.ones((0, 3))}, ValueError, "nothing to check"),
        (square(), {"entries": 0}, ValueError, "entries of at least 1, got 0"),
        (square(), {"dy": np.ones(3)}, ValueError,
         r"expected dy of y's shape \(2, 5, 7\), got \(3,\)"),
        (square(), {"dy": "ab"}, TypeError, "Own: dy: expected real or whole numbers"),
        (square(), {"dy": [np.inf]}, ValueError, "Own: dy: expected finite numbers"),
        (square(), {"dy": 0 * DY}, ValueError, "nothing to check: dy has no number that is not 0"),
        (Own(lambda x: None, same), {}, TypeError, "Own.forward: .* an array, got None"),
        (Own(lambda x: (x, x), same), {}, TypeError, r"Own.forward: .* an array, got \(array"),
        (Own(lambda x: x.astype(np.float32), same), {}, TypeError,
         "Own.forward: expected to get float64, the dtype of x .* got float32"),
        (Own(lambda x: x * 1j, same), {}, TypeError, "Own.forward: .* got complex128"),
        (Own(lambda x: x > 0, same), {}, TypeError, "Own.forward: .* got bool"),
        (Own(lambda x: x + NOISE.random(), same), {}, ValueError,
         "Own.forward: expected the same y for the same x"),
        (Own(lambda x: x, lambda dy, x: None), {}, ValueError,
         r"Own.backward: expected to get dx of x's shape \(2, 5, 7\), got None"),
        (Own(lambda x: x, lambda dy, x: dy.sum(0)), {}, ValueError,
         r"Own.backward: .*\(2, 5, 7\), got \(5, 7\)"),
        (Own(lambda x: x, lambda dy, x: dy.astype(np.float32)), {}, TypeError,
         "Own.backward: expected to get dx of x's dtype float64, got float32"),
        (Own(lambda x: x, lambda dy, x: dy.astype(object)), {}, TypeError, "got object"),
        (Own(lambda x: x, lambda dy, x: doubled_in_place(dy)), {}, ValueError,
         "Own writes into its argument dy"),
        (Own(doubled_in_place, lambda dy, x: 2 * dy), {}, ValueError,
         "Own writes into its argument x"),
        (Own(lambda x: x * x, lambda dy, x: 2 * dy * doubled_in_place(x)), {}, ValueError,
         "Own writes into its argument x"),
    ],
)  # fmt: skip
def test_errors_are_explained(
    layer: Any, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as raised:
        check_layer(layer, **{"x": X, **arguments})
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("layer", [GELU(), LayerNorm(C), Dropout(0.4), RMSNorm(), square(2.02)])
def test_with_floating_point_errors_raised(layer: Layer) -> None:
    with np.errstate(all="raise"):
        for dy in (DY, 1e-250 * DY):
            report = check_layer(layer, X, dy=dy, entries=10)
            assert report.passed == (not isinstance(layer, Own)), str(report)
        bad = check_layer(Own(lambda x: np.log(x * 0), lambda dy, x: dy), X, complex_step=False)
        assert bad.wrong == ["x"]


# -- as people write it first ---------------------------------------------------------------------


class First(Layer):
    """y = x W + b, with parameters wherever `put` puts them."""

    def __init__(self, put: Callable[[Any, Parameter, Parameter], None]) -> None:
        put(self, Parameter(C, 3, std=0.1), Parameter(3))

    def W_and_b(self) -> list[Any]:
        return sorted((p for _, p in self.named_parameters()), key=lambda p: -len(p.shape))

    def forward(self, x: Array) -> Array:
        W, b = self.W_and_b()
        self.save(x)
        y: Array = x @ W.data + b.data
        return y

    def backward(self, dy: Array) -> Array:
        (x,) = self.take_saved()
        W, b = self.W_and_b()
        W.grad += x.reshape(-1, C).T @ dy.reshape(-1, 3)
        b.grad += dy.sum((0, 1))
        dx: Array = dy @ W.data.T
        return dx


class Holder:
    """No layer, but it has parameters."""

    def __init__(self, *parts: Any) -> None:
        self.parts = parts


def put_in(name: str, hold: Callable[..., Any]) -> Callable[[Any, Parameter, Parameter], None]:
    return lambda layer, *parts: setattr(layer, name, hold(*parts))


@pytest.mark.parametrize(
    ("hold", "names"),
    [
        (lambda W, b: [W, b], {"parts.0", "parts.1"}),
        (lambda W, b: (W, b), {"parts.0", "parts.1"}),
        (lambda W, b: {"W": W, "b": b}, {"parts.W", "parts.b"}),
        (lambda W, b: [[W], {"more": ([b],)}], {"parts.0.0", "parts.1.more.0.0"}),
    ],
)
def test_parameters_in_lists_tuples_and_dicts_are_checked(hold: Any, names: set[str]) -> None:
    report = check_layer(First(put_in("parts", hold)), X)
    assert report.passed and {row.name for row in report.rows} == {"x", *names}


@pytest.mark.parametrize(
    "hold", [lambda W, b: {W, b}, Holder, lambda *parts: Holder([Holder(*parts)])]
)
def test_parameters_that_are_nowhere_looked_for_are_named_by_attribute(hold: Any) -> None:
    with pytest.raises(TypeError, match=r"First: the attribute 'parts' has a Parameter where none"):
        check_layer(First(put_in("parts", hold)), X)


def test_a_parameter_of_the_class_is_named() -> None:
    class Shared(First):
        scale = Parameter(3)

    with pytest.raises(TypeError, match="Shared: the attribute 'scale' has a Parameter where none"):
        check_layer(Shared(put_in("parts", lambda W, b: [W, b])), X)


def test_what_a_layer_may_hold_besides() -> None:
    class Rich(First):
        def __init__(self) -> None:
            super().__init__(put_in("parts", lambda W, b: [W, b]))
            self.rest = [np.zeros(3), "text", {1, 2}, Holder(3, [4]), iter([5]), np.exp, int, None]
            self.me = [self.rest]
            self.rest.append(self.rest[3])

    layer = Rich()
    layer.initialize()
    assert layer.flat is not None
    layer.rest.pop(4)  # an iterator cannot be copied
    assert check_layer(layer, X, entries=3).passed


@pytest.mark.parametrize(
    ("act", "error", "message"),
    [
        (lambda W: W.data, AttributeError, r"shape \(7, 3\) has no values yet: call initialize"),
        (lambda W: W.grad, AttributeError, r"shape \(7, 3\) has no values yet: call initialize"),
        (lambda W: X @ W, TypeError, "'Parameter'"),
        (lambda W: W * X, TypeError, "'Parameter'"),
        (lambda W: np.tanh(W), TypeError, "'Parameter'"),
        (lambda W: W.T, AttributeError, "Parameter has no T; its array is its data"),
        (lambda W: Parameter((7, 3)), TypeError, r"expected .*Parameter\(3, 4\), got .*tuple"),  # type: ignore[arg-type]
        (lambda W: Parameter(np.ones(3)), TypeError, "expected .*got .*ndarray"),  # type: ignore[arg-type]
        (lambda W: Parameter(7.0, 3), TypeError, "expected .*got .*float.*, .*int"),  # type: ignore[arg-type]
    ],
)  # fmt: skip
def test_what_people_try_first_is_explained(
    act: Callable[[Any], Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        act(Parameter(C, 3))


# -- a row ----------------------------------------------------------------------------------------


def test_a_row_names_the_entry_that_is_furthest_beyond_its_tolerance() -> None:
    numeric = np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])
    claimed = numeric[0].copy()
    row = compare("W", (2, 5), claimed, numeric, 3.0, np.array([0, 4, 7]))
    assert row.passed and (row.differences, row.complex_step) == (0, 0)
    numeric[0, 1] += 3 * 0.9 * TOLERANCE  # within it, but a larger error than the next
    numeric[1, 2] += 3 * 1.1 * COMPLEX_TOLERANCE
    row = compare("W", (2, 5), claimed, numeric, 3.0, np.array([0, 4, 7]))
    assert not row.passed and row.index == (1, 2)
    assert (row.analytic, row.numeric) == (3.0, numeric[1, 2])
    np.testing.assert_allclose(row.differences, 9e-8, rtol=1e-3)
    np.testing.assert_allclose(row.complex_step or 0, 1.1e-12, rtol=1e-3)
    numeric[0, 1] += 3 * 0.2 * TOLERANCE
    row = compare("W", (2, 5), claimed, numeric[:1], 3.0, np.array([0, 4, 7]))
    assert not row.passed and row.index == (0, 4) and row.complex_step is None
    assert compare("W", (2, 5), claimed, numeric[:1], 4.0).passed
