"""GELU: a smooth gate; large numbers pass, very negative ones do not, those between pass in part.

Forward, number by number
-------------------------
GELU is x times the probability that a standard normal variable is below x. GPT-2 takes the tanh
form of that probability, s:

    u = k (x + a x^3)                   k = sqrt(2 / pi), a = 0.044715
    s = (1 + tanh(u)) / 2
    y = x s

Backward
--------
With tanh' = 1 - tanh^2, which is 4 s (1 - s), and the product rule:

    u' = k (1 + 3 a x^2)
    s' = 2 s (1 - s) u'
    y' = s + x s'
    dx = dy y'                                          every array has x's shape

The code multiplies constants out first, so that a number costs fewer passes: u = x (k + k a x^2)
and x s' = x (2 k + 6 k a x^2) s (1 - s).

Saved: x and s. Not y, which is one product away: `output` makes it again, for the Linear that
follows.

Cost: 7 flops and one tanh per number forward, 9 flops backward, in blocks that stay in the cache.

Reference: Hendrycks and Gimpel 2016, section 2 (the tanh approximation).
"""

import math

import numpy as np

from numpygpt.layers.base import Array, Layer
from numpygpt.parallel import over_rows

K = math.sqrt(2 / math.pi)
A = 0.044715


def gelu(x: Array, s: Array, y: Array) -> None:
    """s = (1 + tanh(k (x + a x^3))) / 2 and y = x s, for a block; s may lie in y's memory."""
    np.multiply(x, x, out=s)  # x**3 would cost a hundred times as much
    s *= K * A
    s += K
    s *= x  # k (x + a x^3)
    np.tanh(s, out=s)
    s += 1
    s *= 0.5
    np.multiply(x, s, out=y)


def gelu_backward(x: Array, s: Array, dy: Array, dx: Array) -> None:
    """dx = dy (s + x 2 s (1 - s) k (1 + 3 a x^2)), for a block."""
    np.multiply(x, x, out=dx)
    dx *= 6 * K * A
    dx += 2 * K
    dx *= x
    slope = 1 - s
    slope *= s
    dx *= slope
    dx += s
    dx *= dy


class GELU(Layer):
    """x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2, for an array of any shape."""

    def forward(self, x: Array) -> Array:
        """Any shape -> the same shape."""
        y = np.empty(x.shape, x.dtype)  # in C order, whatever x's, so that it can be seen flat
        s = np.empty(x.shape, x.dtype) if self.training else y
        over_rows(gelu, x.reshape(-1), s.reshape(-1), y.reshape(-1))
        self.save(x, s)
        return y

    def output(self) -> Array:
        """The output of the last forward again; before backward."""
        x, s = self.saved
        y = np.empty(x.shape, x.dtype)
        over_rows(np.multiply, x.reshape(-1), s.reshape(-1), y.reshape(-1))
        return y

    def backward(self, dy: Array) -> Array:
        """Of x's shape -> of x's shape."""
        x, s = self.take_saved()
        dx = np.empty(x.shape, x.dtype)
        over_rows(gelu_backward, *(a.reshape(-1) for a in (x, s, dy, dx)))
        return dx
