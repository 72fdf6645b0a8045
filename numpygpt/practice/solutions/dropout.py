"""Dropout: in training, each number is set to 0 with probability p, and the rest scaled up.

Forward
-------
    keep = u < 1 - p                u uniform in [0, 1), drawn anew at every forward
    y    = x keep / (1 - p)         so that the expected value of y is x

In eval mode, and for p = 0, y is x itself and nothing is drawn.

Yours: backward
---------------
Given dy = dL/dy, return dx = dL/dx. (L is the loss; linear.py says more about such names.)

Questions
---------
1. Once keep is drawn it is an array of constants. What is the derivative of y[i] by x[i]?
2. Why is keep saved? What would be wrong with drawing another one here?
3. Does the factor 1 / (1 - p) belong to the derivative, or only to the value?

`numpygpt practice dropout` says whether it is right; with --hint, it helps.
"""

from typing import Any

import numpy as np

from numpygpt.layers import Layer
from numpygpt.layers.parameter import Array


class Dropout(Layer):
    """Sets numbers to 0 at random while training."""

    def __init__(self, p: float) -> None:
        self.p = p
        self.rng: Any = np.random.default_rng(0)

    def forward(self, x: Array) -> Array:
        """Any shape -> the same shape."""
        keep = None
        if self.training and self.p > 0:
            keep = self.rng.random(x.shape, dtype=np.float32) < 1 - self.p  # True where kept
        self.save(keep)
        return x if keep is None else x * keep / (1 - self.p)

    def backward(self, dy: Array) -> Array:
        """Of x's shape -> of x's shape."""
        (keep,) = self.take_saved()
        if keep is None:
            return dy
        # Yours: make dx.
        # <answer>
        dx: Array = dy * keep / (1 - self.p)
        # </answer>
        return dx


# <hints>
HINTS = (
    """
Shapes. keep, dy and dx all have x's shape, and nothing is summed.
""",
    """
One number. y[i] = x[i] keep[i] / (1 - p), so the derivative of y[i] by x[i] is keep[i] / (1 - p):
0 for a number that was dropped, 1 / (1 - p) for one that was kept.
""",
    """
Array form. The same keep as in the forward, or the derivative would be that of another function:
    dx = dy keep / (1 - p)
""",
)
# </hints>
