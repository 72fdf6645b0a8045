"""GELU: a smooth gate; large numbers pass, very negative ones do not, those between pass in part.

Forward, number by number
-------------------------
    u = k (x + a x^3)                   k = sqrt(2 / pi), a = 0.044715
    s = (1 + tanh(u)) / 2               between 0 and 1: how far the gate is open
    y = x s                             every array has x's shape

Yours: backward
---------------
Given dy = dL/dy, return dx = dL/dx. (L is the loss; linear.py says more about such names.)

Questions
---------
1. Each number of x reaches only its own number of y. So dx is dy times what?
2. What is u', the derivative of u by x?
3. tanh' = 1 - tanh^2. With tanh(u) = 2 s - 1, what is the derivative of s by u, written in s alone?
4. The product rule on y = x s, and the chain rule for s: what is y'?
5. x and s are saved. Is there anything that has to be computed again?

`numpygpt practice gelu` says whether it is right; with --hint, it helps.
"""

import math

import numpy as np

from numpygpt.layers import Layer
from numpygpt.layers.parameter import Array

K = math.sqrt(2 / math.pi)
A = 0.044715


class GELU(Layer):
    """x (1 + tanh(k (x + a x^3))) / 2, for an array of any shape."""

    def forward(self, x: Array) -> Array:
        """Any shape -> the same shape."""
        u = K * (x + A * x * x * x)  # x**3 would cost a hundred times as much
        s = (1 + np.tanh(u)) / 2
        self.save(x, s)
        return x * s

    def backward(self, dy: Array) -> Array:
        """Of x's shape -> of x's shape."""
        x, s = self.take_saved()
        # Yours: make dx.
        # <answer>
        du = K * (1 + 3 * A * x * x)
        dx: Array = dy * (s + x * 2 * s * (1 - s) * du)
        # </answer>
        return dx


# <hints>
HINTS = (
    """
Shapes. All arrays have x's shape, and nothing is summed: dx = dy y', number by number.
""",
    """
One number.
    u' = k (1 + 3 a x^2)
    ds/du = (1 - tanh(u)^2) / 2, with tanh(u) = 2 s - 1: (1 - (2 s - 1)^2) / 2 = 2 s (1 - s)
    y' = 1 s + x s'         the product rule; s' = ds/du u'
""",
    """
Array form.
    dx = dy ( s + x 2 s (1 - s) u' ),   u' = k (1 + 3 a x^2)
""",
)
# </hints>
