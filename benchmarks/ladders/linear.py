"""Linear: y = x W + b forward, and dx, dW, db backward.

BLAS is at its best with one tall matrix and both its threads. NumPy gives it a 3-D product as one
small product a sequence; and Python threads, each with its own BLAS call, only get in its way.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from benchmarks.ladders import Result, Rung, random
from numpygpt.layers.linear import Linear
from numpygpt.layers.parameter import Array


def rungs(quick: bool = False) -> list[Rung]:
    """Many short sequences show the difference best: (64, 16) tokens."""
    B, T, I, O = (3, 4, 8, 12) if quick else (64, 16, 768, 3072)
    layer = Linear(I, O).initialize(0)
    layer.b.data[...] = random(O)  # type: ignore[union-attr]
    W, b = layer.W.data, layer.b.data  # type: ignore[union-attr]
    x, dy = random(B, T, I), random(B, T, O)

    def three_dimensions() -> Result:
        y = x @ W + b
        dW = np.einsum("bti,bto->io", x, dy, optimize=True)
        return y, dy @ W.T, dW, dy.sum((0, 1))

    def per_sequence_dW() -> Result:
        return x @ W + b, dy @ W.T, (x.swapaxes(1, 2) @ dy).sum(0), dy.sum((0, 1))

    def flattened() -> Result:
        rows, drows = x.reshape(-1, I), dy.reshape(-1, O)
        y = rows @ W + b
        return y.reshape(B, T, O), (drows @ W.T).reshape(x.shape), rows.T @ drows, drows.sum(0)

    def bias_by_blas() -> Result:
        rows, drows = x.reshape(-1, I), dy.reshape(-1, O)
        y = rows @ W
        y += b
        db = np.ones(len(drows), np.float32) @ drows
        return y.reshape(B, T, O), (drows @ W.T).reshape(x.shape), rows.T @ drows, db

    pool = ThreadPoolExecutor(2)

    def python_threads() -> Result:
        rows, drows = x.reshape(-1, I), dy.reshape(-1, O)
        y, dx = np.empty_like(drows), np.empty_like(rows)

        def half(part: slice) -> Array:
            np.matmul(rows[part], W, out=y[part])
            y[part] += b
            np.matmul(drows[part], W.T, out=dx[part])
            dW: Array = rows[part].T @ drows[part]
            return dW

        middle = len(rows) // 2
        first, second = pool.map(half, (slice(0, middle), slice(middle, None)))
        db = np.ones(len(drows), np.float32) @ drows
        return y.reshape(B, T, O), dx.reshape(x.shape), first + second, db

    def the_layer() -> Result:
        layer.zero_grad()
        y, dx = layer.forward(x), layer.backward(dy)
        return y, dx, layer.W.grad, layer.b.grad  # type: ignore[union-attr]

    return [
        ("3-D products", three_dimensions),
        ("dW as a sum over sequences", per_sequence_dW),
        ("rows flattened: 2-D products", flattened),
        ("bias in place, its gradient by BLAS", bias_by_blas),
        ("halves on two Python threads", python_threads),
        ("the layer", the_layer),
    ]
