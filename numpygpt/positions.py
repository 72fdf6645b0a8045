"""Positions as waves: what a position embedding may start from, instead of random numbers.

    W[t, i]          = sin(t f[i])          f[i] = 10000^(-2i/C),   i = 0 .. C/2 - 1
    W[t, i + C/2]    = cos(t f[i])          W (T, C)

Each pair (sin, cos) is a hand of a clock; the first turns once in six tokens, the last once in
60,000. A step of k tokens turns every hand by an angle of its own, whatever t is:

    sin((t+k) f) =  cos(k f) sin(t f) + sin(k f) cos(t f)
    cos((t+k) f) = -sin(k f) sin(t f) + cos(k f) cos(t f)

so W[t+k] = R_k W[t], with one matrix R_k for all t. A query can ask for "the token before" with
that one matrix. From random rows, a model has to learn it for each position by itself; and only
when it can find the token before can it learn to look up what followed last time, and so to copy a
name.

The rows are scaled to a standard deviation like the other weights', and learned like them.

Reference: Vaswani et al. 2017, section 3.5.
"""

import math

import numpy as np

from numpygpt.layers.parameter import Array


def waves(T: int, C: int, std: float) -> Array:
    """The rows (T, C): the first half of the columns sines, the second cosines."""
    f = 10000.0 ** (-np.arange(0, C, 2) / C)
    angles = np.arange(T)[:, None] * f
    rows = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)[:, :C]
    return rows * (std * math.sqrt(2))  # the mean of sin^2 is a half
