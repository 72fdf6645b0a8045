"""Is a layer's backward right? Its forward alone can tell.

`backward(dy)` claims to return the derivative of L = sum(dy * y) by every number that went in. Two
oracles find the same derivative without it, one number theta at a time:

    central differences     (L(theta + h) - L(theta - h)) / 2h      wrong by h^2 L'''/6 + eps L/h
    complex step            imag L(theta + ih) / h                  wrong by h^2 L'''/6 only

In the first, h must be small for the first error and large for the second: 1e-5 is best, and
leaves about 1e-10 (`numpygpt gradcheck --sweep` shows it). The second subtracts nothing, so h can
be 1e-30 and the answer is right to the last digit; it asks of a forward that its formula also
holds for complex numbers (no `abs`, no conjugate, no branch on a value; a maximum that cancels, as
softmax's does, is no harm).

What makes such a check worth something:

- float64. In float32 the best h leaves an error of 1e-3, and many bugs are smaller.
- A random dy. With dy = 1, L = sum(y), which for a softmax or a LayerNorm is constant: 0 = 0.
- Random parameters, biases and gains too: with gain 1, forgetting the gain is no error.
- Odd sizes that are all different: a transposed axis then is an error, not a coincidence.
- dy is sent through twice and the sum halved, over memory that holds NaN, so that overwriting a
  gradient instead of adding to it, or adding to leftovers, is found as well.

Reference: Squire and Trapp 1998 (the complex step).
"""

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from numpygpt.layers.base import Layer
from numpygpt.layers.parameter import Array

H = 1e-5  # the step of central differences
COMPLEX_H = 1e-30  # the complex step


def rewinder(layer: Layer) -> Callable[[], None]:
    """A function that takes every `rng` inside the layer back to where it is now."""
    holders: list[Any] = [one for one in layer.layers() if hasattr(one, "rng")]
    generators = [holder.rng for holder in holders]
    states = [
        g.bit_generator.state if isinstance(g, np.random.Generator) else copy.deepcopy(g)
        for g in generators
    ]

    def rewind() -> None:
        for holder, generator, state in zip(holders, generators, states, strict=True):
            if isinstance(generator, np.random.Generator):
                generator.bit_generator.state = state
            else:
                holder.rng = copy.deepcopy(state)

    return rewind


def draw_parameters(layer: Layer, rng: np.random.Generator) -> None:
    """Parameters of order 1: vectors N(0, 1), matrices N(0, 1/rows).

    So that sums over the rows are of order 1, too: a softmax of large numbers is a constant.
    """
    for _, p in layer.named_parameters():
        p.data[...] = rng.standard_normal(p.shape) / math.sqrt(math.prod(p.shape[:-1]))


class Subject:
    """A layer's copy in another dtype, its input, and the arrays to differentiate by."""

    def __init__(self, layer: Layer, x: Array, dtype: npt.DTypeLike) -> None:
        self.name = type(layer).__name__
        self.layer: Any = copy.deepcopy(layer).train().initialize(0, dtype)
        self.x = np.array(x, dtype if np.issubdtype(x.dtype, np.inexact) else x.dtype)
        self.arrays: dict[str, Array] = {} if x.dtype.kind in "iu" else {"x": self.x}
        originals = layer.named_parameters()
        for (name, p), (_, original) in zip(self.layer.named_parameters(), originals, strict=True):
            if hasattr(original, "data"):  # else it was never initialised, and the copy just was
                p.data[...] = original.data
            self.arrays[name] = p.data
        self.rewind = rewinder(self.layer)

    def forward(self) -> Array:
        """The output; dropout draws the same mask at every call."""
        self.rewind()
        return np.array(self.layer.forward(self.x))  # a copy: y may be x itself

    def backward(self, dy: Array) -> dict[str, Array]:
        """Half of what two passes give: the derivatives by `arrays`, by name."""
        for _, p in self.layer.named_parameters():
            p.grad[...] = np.nan
        self.layer.zero_grad()
        x, dy_before, dx = self.x.copy(), dy.copy(), np.zeros(self.x.shape)
        for _ in range(2):
            self.forward()
            one = self.layer.backward(dy)
            if "x" in self.arrays:
                shape = None if one is None else np.shape(one)
                if shape != x.shape:
                    raise ValueError(
                        f"{self.name}.backward: expected to get dx of x's shape {x.shape}, got "
                        f"{shape}"
                    )
                dx = dx + one
        for name, now, before in (("x", self.x, x), ("dy", dy, dy_before)):
            if not np.array_equal(now, before):
                raise ValueError(f"{self.name} writes into its argument {name}; it must not")
        gradients = {name: p.grad / 2 for name, p in self.layer.named_parameters()}
        return {"x": dx / 2, **gradients}


def by_difference(subject: Subject, theta: Array, i: int, dy: Array, h: float = H) -> float:
    """The derivative of sum(dy * y) by number i of theta, one of the subject's flat arrays."""
    before = theta[i]
    theta[i] = before + h
    above = subject.forward()
    theta[i] = before - h
    below = subject.forward()
    theta[i] = before
    return float(np.sum(dy * (above - below)) / (2 * h))  # differences first: less rounding


def by_complex_step(
    subject: Subject, theta: Array, i: int, dy: Array, h: float = COMPLEX_H
) -> float:
    """The same for a subject of dtype complex128."""
    before = theta[i]
    theta[i] = before + h * 1j
    try:
        y = subject.forward()
    except TypeError as error:
        raise TypeError(
            f"{subject.name}: forward fails on complex numbers ({error}); check it with "
            "complex_step=False"
        ) from error
    theta[i] = before
    return float(np.sum(dy * y.imag) / h)
