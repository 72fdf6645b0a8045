"""Embedding: a token id (or a position) looks up its row of C learned numbers.

Forward
-------
    y[n] = W[ids[n]]        ids (N,), W (V, C), y (N, C)

which is the product of a one-hot row with W, without the multiplications by zero.

Backward
--------
W[v] was read by every n with ids[n] = v, and each read passes its dy on unchanged:

    dW[v] = sum over {n : ids[n] = v} of dy[n]          (V, C)

A token that comes twice must be counted twice. The obvious `grad[ids] += dy` keeps only one of the
repeats (NumPy reads, adds and writes whole arrays), so the rows are added one after the other, a
microsecond each. Ids have no derivative: backward returns nothing.

Saved: the ids.

Cost: no flops forward; N C additions backward.

Reference: Radford et al. 2019 (GPT-2): a table for tokens (wte) and one for positions (wpe).
"""

import numpy as np

from numpygpt.layers.base import Array, Layer, Parameter


def check_ids(name: str, ids: Array, n_rows: int) -> None:
    """Raise unless ids are whole numbers from 0 to n_rows - 1."""
    if not np.issubdtype(ids.dtype, np.integer):
        raise TypeError(f"{name}: expected whole-number ids, got dtype {ids.dtype}")
    if ids.size and not (ids.min() >= 0 and ids.max() < n_rows):
        wrong = ids[(ids < 0) | (ids >= n_rows)][0]
        raise IndexError(f"{name}: expected ids from 0 to {n_rows - 1}, got {wrong}")


class Embedding(Layer):
    """A table of rows, looked up by number.

    Parameters
    ----------
    n_rows : int
        How many ids there are (V for tokens, the context length for positions).
    n_embd : int
        C: numbers in a row.
    std : float
        W starts as N(0, std^2).
    """

    def __init__(self, n_rows: int, n_embd: int, std: float = 0.02) -> None:
        self.W = Parameter(n_rows, n_embd, std=std)

    def forward(self, ids: Array) -> Array:
        """(...) whole numbers -> (..., C)."""
        check_ids("Embedding", ids, self.W.shape[0])
        self.save(ids)
        y: Array = self.W.data[ids]
        return y

    def backward(self, dy: Array) -> None:
        """Adds to the gradient of W; dy is (..., C)."""
        (ids,) = self.take_saved()
        dW = self.W.grad
        for v, row in zip(ids.reshape(-1).tolist(), dy.reshape(-1, self.W.shape[1]), strict=True):
            dW[v] += row
