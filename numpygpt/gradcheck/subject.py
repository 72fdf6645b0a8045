"""`Subject`: the copy of a layer that a check moves, runs and differentiates.

The layer itself is left alone: its values and gradients, its mode, what it has saved and the state
of its random numbers stay as they are. `Loss` makes a layer of a model's loss.
"""

import copy
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from numpygpt.gradcheck.expect import as_numbers, expect_layer
from numpygpt.layers.base import Layer
from numpygpt.layers.parameter import Array, Parameter

Gradients = dict[str, Array]


class Loss(Layer):
    """`layer.loss(x, targets)` as a layer from x to one number; its dy is 1."""

    def __init__(self, layer: Any, targets: npt.ArrayLike) -> None:
        self.layer, self.targets = layer, targets

    def forward(self, x: Array) -> Array:
        """Of any shape -> ()."""
        return np.asarray(self.layer.loss(x, self.targets))

    def backward(self, dy: Array) -> Any:
        """() -> of x's shape."""
        return self.layer.backward()

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """The layer's, by the names that they have there."""
        named: Iterator[tuple[str, Parameter]] = self.layer.named_parameters()
        return named


class Subject:
    """A layer's copy in another dtype, its input, and the arrays to differentiate by.

    Parameters
    ----------
    layer : Layer
        Parameters that were never initialised get first values.
    x : array
        Its input. Whole numbers (ids) are not differentiated by.
    dtype : numpy dtype
        float64, or complex128 for complex steps.
    """

    def __init__(self, layer: Layer, x: npt.ArrayLike, dtype: npt.DTypeLike) -> None:
        expect_layer(layer)
        self.name, self.dtype = type(layer).__name__, np.dtype(dtype)
        x = as_numbers(f"{self.name}: x", x)
        is_real = x.dtype.kind == "f"
        self.x: Array = np.array(x, dtype if is_real else x.dtype, order="C")
        self.arrays = {"x": self.x} if is_real else {}
        own = [getattr(p, "data", None) for _, p in layer.named_parameters()]
        if any(data is not None and data.dtype.kind == "c" != self.dtype.kind for data in own):
            raise TypeError(f"{self.name}: expected real parameters, got complex ones")
        self.layer: Any = copy.deepcopy(layer).train()
        if any(data is None for data in own):
            self.layer.initialize(0, dtype)
        else:
            self.layer.allocate(dtype)
        for (name, p), data in zip(self.layer.named_parameters(), own, strict=True):
            if data is not None:
                p.data[...] = data
            self.arrays[name] = p.data
        self.arrays = {name: array for name, array in self.arrays.items() if array.size}
        self.drawing = [one for one in self.layer.layers() if hasattr(one, "rng")]
        self.drawn = [_state(one.rng) for one in self.drawing]

    def forward(self) -> Array:
        """The output; dropout draws the same mask at every call."""
        for one, state in zip(self.drawing, self.drawn, strict=True):
            if isinstance(one.rng, np.random.Generator):
                one.rng.bit_generator.state = state  # in place: a copy takes fifty times as long
            else:
                one.rng = copy.deepcopy(state)
        self.given = self.x.copy()
        y = self.layer.forward(self.given)
        if not isinstance(y, np.ndarray | np.number | float | complex):
            raise TypeError(f"{self.name}.forward: expected to get an array, got {y!r:.60}")
        y = np.array(y)  # a copy: y may be x, or memory that the layer uses again
        if y.dtype not in (np.float64, self.dtype):
            raise TypeError(
                f"{self.name}.forward: expected to get {self.dtype}, the dtype of x and the "
                f"parameters, got {y.dtype}"
            )
        return y

    def backward(self, dy: Array, passes: int = 2, memory: float = np.nan) -> dict[str, Array]:
        """Half of what two passes give: the derivatives by `arrays`, by name.

        `memory` is what the memory of the gradients holds before.
        """
        parameters = dict(self.layer.named_parameters())
        for p in parameters.values():
            p.grad[...] = memory
        self.layer.zero_grad()  # the memory of the next gradients still holds it
        gradients = {"x": np.zeros_like(self.x)} if "x" in self.arrays else {}
        y = self.forward()
        for _ in range(passes):
            if not np.array_equal(self.forward(), y, equal_nan=True):
                raise ValueError(
                    f"{self.name}.forward: expected the same y for the same x, got another; if it "
                    "draws numbers, let them come from its attribute `rng`, which is set back"
                )
            given_dy = dy.copy()
            dx = self.layer.backward(given_dy)
            for name, now, before in (("x", self.given, self.x), ("dy", given_dy, dy)):
                if not np.array_equal(now, before):
                    raise ValueError(f"{self.name} writes into its argument {name}; it must not")
            if gradients:
                gradients["x"] += self._expect_dx(dx)
        gradients |= {name: p.grad for name, p in parameters.items()}
        for gradient in gradients.values():
            gradient /= passes
        return gradients

    def _expect_dx(self, dx: Any) -> Array:
        """What backward returned, if it can be dx."""
        expected = f"{self.name}.backward: expected to get dx of x's"
        shape = None if dx is None else np.shape(dx)
        if shape != self.x.shape:
            raise ValueError(f"{expected} shape {self.x.shape}, got {shape}")
        array = np.asarray(dx)
        if array.dtype != self.x.dtype:
            raise TypeError(f"{expected} dtype {self.x.dtype}, got {array.dtype}")
        return array

    def runs_complex(self) -> bool:
        """Whether y is complex, if x and the parameters are; else it shows nothing of a step."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", np.exceptions.ComplexWarning)
                return np.iscomplexobj(self.forward())
        except (TypeError, np.exceptions.ComplexWarning) as error:
            raise TypeError(
                f"{self.name}: forward fails on complex numbers ({error}); check it with "
                "complex_step=False"
            ) from error


def _state(rng: Any) -> Any:
    return rng.bit_generator.state if isinstance(rng, np.random.Generator) else copy.deepcopy(rng)
