"""Embedding: a token id looks up its row of C learned numbers.

Forward
-------
    y[n] = W[ids[n]]        ids (N,) whole numbers, W (V, C), y (N, C)

Yours: backward
---------------
Given dy = dL/dy (N, C), add dW = dL/dW (V, C) to self.W.grad. (L is the loss; linear.py says more
about such names.) Ids are whole numbers and have no derivative: backward returns nothing.

Questions
---------
1. Take one row of the table, W[v]. Which rows of y are copies of it? How many may that be?
2. A copy has the factor 1. So what is dW[v], as a sum of rows of dy?
3. The obvious line is `self.W.grad[ids] += dy`. With ids = [3, 3], which of the two rows of dy does
   row 3 get? (Try: g = np.zeros(5); g[[3, 3]] += 1; print(g).) NumPy reads all rows first, adds,
   and then writes all. What does count each row once: a loop? `np.add.at`?

`numpygpt practice embedding` says whether it is right; with --hint, it helps.
"""

import numpy as np

from numpygpt.layers import Layer, Parameter
from numpygpt.layers.parameter import Array


class Embedding(Layer):
    """A table of rows, looked up by number."""

    def __init__(self, n_rows: int, n_embd: int) -> None:
        self.W = Parameter(n_rows, n_embd, std=0.02)

    def forward(self, ids: Array) -> Array:
        """(...) whole numbers -> (..., C)."""
        self.save(ids.reshape(-1))
        y: Array = np.take(self.W.data, ids, axis=0)
        return y

    def backward(self, dy: Array) -> None:
        """(..., C); adds to the gradient of W."""
        (ids,) = self.take_saved()  # (N,)
        dy_rows = dy.reshape(len(ids), -1)  # (N, C)
        # Yours: add to self.W.grad (V, C).
        # <answer>
        dW = self.W.grad
        for v, row in zip(ids.tolist(), dy_rows, strict=True):
            dW[v] += row
        # </answer>


# <hints>
HINTS = (
    """
Shapes. ids (N,), dy (N, C), W and dW (V, C). Row n of dy belongs to row ids[n] of dW.
""",
    """
One index. y[n,c] = W[ids[n],c], so W[v,c] occurs in y[n,c] of every n with ids[n] = v, with the
factor 1:
    dW[v,c] = sum over all n with ids[n] = v of dy[n,c]
""",
    """
Code form. There is no product of matrices here, only rows that are added to rows, one after the
other:
    for each n:  dW[ids[n]] += dy[n]
A loop does that, and so does np.add.at(array, indices, rows), which adds once for each index.
""",
)
# </hints>
