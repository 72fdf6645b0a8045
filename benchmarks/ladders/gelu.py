"""GELU, forward: the same formula, with less traffic between memory and cores."""

import numpy as np

from benchmarks.ladders import Result, Rung, random
from numpygpt.layers.gelu import GELU
from numpygpt.layers.parameter import Array

K = float(np.sqrt(2 / np.pi))  # a Python float: a NumPy float64 would widen every array
A = 0.044715
BLOCK = 1 << 16


def rungs(quick: bool = False) -> list[Rung]:
    """The feed-forward's widest activation, 1,024 tokens of 3,072 numbers."""
    x = random(100) if quick else random(1024 * 3072)
    layer = GELU().eval()

    def power() -> Result:
        y: Array = 0.5 * x * (1 + np.tanh(K * (x + A * x**3)))
        return y

    def products() -> Result:
        y: Array = 0.5 * x * (1 + np.tanh(K * (x + A * x * x * x)))
        return y

    def kernel(x: Array, y: Array) -> None:
        np.multiply(x, x, out=y)
        y *= K * A
        y += K
        y *= x
        np.tanh(y, out=y)
        y += 1
        y *= 0.5
        y *= x

    def in_place() -> Result:
        y = np.empty_like(x)
        kernel(x, y)
        return y

    def in_blocks() -> Result:
        y = np.empty_like(x)
        for i in range(0, len(x), BLOCK):
            kernel(x[i : i + BLOCK], y[i : i + BLOCK])
        return y

    return [
        ("as the paper writes it, x**3", power),
        ("x * x * x", products),
        ("in place, fewer passes", in_place),
        ("in blocks that fit the cache", in_blocks),
        ("the layer: blocks on threads", lambda: layer.forward(x)),
    ]
