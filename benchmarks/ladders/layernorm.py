"""LayerNorm, forward: one row of numbers, to mean 0 and variance 1, times gain, plus bias."""

import numpy as np

from benchmarks.ladders import Result, Rung, random
from numpygpt.layers.layernorm import LayerNorm
from numpygpt.layers.parameter import Array

EPS = 1e-5
BLOCK = 64  # rows


def rungs(quick: bool = False) -> list[Rung]:
    """(N, C) as at 1,024 tokens of GPT-2 small."""
    N, C = (5, 16) if quick else (1024, 768)
    x = random(N, C)
    layer = LayerNorm(C).initialize(0).eval()
    layer.gain.data[...], layer.bias.data[...] = random(2, C)
    gain, bias = layer.gain.data, layer.bias.data

    def formula() -> Result:
        mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
        y: Array = (x - mean) / np.sqrt(var + EPS) * gain + bias
        return y

    def centred_once() -> Result:
        centred = x - x.mean(-1, keepdims=True)
        var = np.square(centred).mean(-1, keepdims=True)
        y: Array = centred / np.sqrt(var + EPS) * gain + bias
        return y

    def kernel(x: Array, y: Array) -> None:
        np.subtract(x, x.sum(-1, keepdims=True) / C, out=y)
        var = np.einsum("nc,nc->n", y, y) / C  # squares and sums in one pass, nothing stored
        y *= (1 / np.sqrt(var + EPS))[:, None]
        y *= gain
        y += bias

    def in_place() -> Result:
        y = np.empty_like(x)
        kernel(x, y)
        return y

    def in_blocks() -> Result:
        y = np.empty_like(x)
        for i in range(0, N, BLOCK):
            kernel(x[i : i + BLOCK], y[i : i + BLOCK])
        return y

    return [
        ("mean and var", formula),
        ("x - mean computed once", centred_once),
        ("in place, variance by einsum", in_place),
        ("in blocks that fit the cache", in_blocks),
        ("the layer, which also keeps x_hat", lambda: layer.forward(x)),
    ]
