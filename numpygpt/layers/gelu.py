"""GELU: a smooth gate; large numbers pass, very negative ones do not, those between pass in part.

Forward, number by number
-------------------------
GELU is x times the probability that a normal variable is below x. GPT-2 uses its tanh form:

    u = k (x + a x^3)                   k = sqrt(2 / pi), a = 0.044715
    t = tanh(u)
    y = x (1 + t) / 2

Backward
--------
With tanh' = 1 - t^2, and the product rule:

    du/dx = k (1 + 3 a x^2)
    dy/dx = (1 + t) / 2  +  x (1 - t^2) (du/dx) / 2
    dx    = dy (dy/dx)                                  every array has x's shape

Saved: x. tanh costs a fraction of a nanosecond a number, less than keeping its result until the
backward pass: in a GPT these are the widest activations there are. `recompute` makes y again for
the Linear that follows, so that one is not kept either.

Cost: about 10 flops and one tanh a number each way, done in blocks that stay in the cache.

Reference: Hendrycks and Gimpel 2016, section 2 (the tanh approximation).
"""

import math

import numpy as np

from numpygpt.layers.base import Array, Layer
from numpygpt.parallel import over_rows

K = math.sqrt(2 / math.pi)
A = 0.044715


def tanh_u(x: Array) -> Array:
    """tanh(k (x + a x^3))."""
    u: Array = x * x  # x**3 would cost a hundred times as much
    u *= K * A
    u += K
    u *= x
    return np.tanh(u, out=u)


def gelu(x: Array, y: Array) -> None:
    """y = x (1 + t) / 2, for a block."""
    t = tanh_u(x)
    t += 1
    t *= 0.5
    np.multiply(t, x, out=y)


def gelu_backward(x: Array, dy: Array, dx: Array) -> None:
    """dx = dy ((1 + t) + x (1 - t^2) k (1 + 3 a x^2)) / 2, for a block."""
    t = tanh_u(x)
    np.multiply(x, x, out=dx)
    dx *= 3 * K * A
    dx += K
    dx *= x
    dx *= 1 - t * t
    t += 1
    dx += t
    dx *= dy
    dx *= 0.5


class GELU(Layer):
    """x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2, for an array of any shape."""

    def forward(self, x: Array) -> Array:
        """Any shape -> the same shape."""
        self.save(x)
        return self._output(x)

    def recompute(self) -> Array:
        """The output of the last forward, again."""
        (x,) = self.saved
        return self._output(x)

    def _output(self, x: Array) -> Array:
        y: Array = np.empty(x.shape, x.dtype)  # in C order: a flat view of it is taken below
        over_rows(gelu, x.reshape(-1), y.reshape(-1))
        return y

    def backward(self, dy: Array) -> Array:
        """Of x's shape -> of x's shape."""
        (x,) = self.take_saved()
        dx: Array = np.empty(x.shape, x.dtype)
        over_rows(gelu_backward, x.reshape(-1), dy.reshape(-1), dx.reshape(-1))
        return dx
