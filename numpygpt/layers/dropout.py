"""Dropout: in training, each number is set to 0 with probability p, and the rest scaled up.

Forward
-------
    keep = u < 1 - p                u uniform in [0, 1), drawn anew at every forward
    y    = x keep / (1 - p)         so that the expected value of y is x

Backward
--------
keep is a constant of the forward pass, so

    dx   = dy keep / (1 - p)        every array has x's shape

In eval mode, and for p = 0, y is x itself, dx is dy, and nothing is drawn.

Saved: keep, one byte per number. (Attention, which saves it among its own arrays, calls
`draw_keep` and `apply` itself.)

Reference: Srivastava et al. 2014.
"""

from typing import Any

import numpy as np

from numpygpt.layers.base import Array, Layer


class Dropout(Layer):
    """Sets numbers to 0 at random while training.

    Parameters
    ----------
    p : float
        The probability, 0 <= p < 1.
    rng : numpy.random.Generator, or anything with its `random(shape, dtype=...)`
        Where the uniforms come from. GPT sets one for all its layers; without it, each begins with
        seed 0, and so two of them draw alike.
    """

    def __init__(self, p: float, rng: Any = None) -> None:
        if not 0 <= p < 1:
            raise ValueError(f"Dropout: expected 0 <= p < 1, got {p}")
        self.p = p
        self.rng = np.random.default_rng(0) if rng is None else rng

    def draw_keep(self, shape: tuple[int, ...]) -> Array | None:
        """True where a number is kept; None where nothing is dropped."""
        if not self.training or self.p == 0:
            return None
        keep: Array = self.rng.random(shape, dtype=np.float32) < 1 - self.p
        return keep

    def apply(self, x: Array, keep: Array | None) -> Array:
        """x keep / (1 - p): the formula of forward, and of backward."""
        if keep is None:
            return x
        y: Array = x * keep
        y *= 1 / (1 - self.p)
        return y

    def forward(self, x: Array) -> Array:
        """Any shape -> the same shape."""
        keep = self.draw_keep(x.shape)
        self.save(keep)
        return self.apply(x, keep)

    def backward(self, dy: Array) -> Array:
        """Of x's shape -> of x's shape."""
        (keep,) = self.take_saved()
        return self.apply(dy, keep)
