"""Linear: each of O output numbers is a weighted sum of a token's I input numbers, plus a bias.

Forward
-------
    y = x W + b             x (N, I), W (I, O), b (O,), y (N, O)

N counts the rows: all leading axes of x (batch, time) are flattened into one, because BLAS is
faster at one tall product than at a stack of small ones.

Backward
--------
One output number is y[n,o] = sum_i x[n,i] W[i,o] + b[o]. The loss reaches W[i,o] through y[n,o]
of every row n, and x[n,i] through y[n,o] of every output o, so

    dW[i,o] = sum_n x[n,i] dy[n,o]      dW = x^T dy      (I, N) (N, O) -> (I, O)
    db[o]   = sum_n dy[n,o]             db = 1^T dy      (N,) (N, O)   -> (O,)
    dx[n,i] = sum_o dy[n,o] W[i,o]      dx = dy W^T      (N, O) (O, I) -> (N, I)

Saved: x, for dW. A caller that gets x again from `output` (of a LayerNorm or GELU) says
`save_x=False`, and hands x to backward.

Cost: 2 N I O flops forward and 4 N I O backward: most of the work of a GPT is in these lines.

Reference: Radford et al. 2019 (GPT-2), whose files store W as (in, out), too.
"""

import numpy as np

from numpygpt.layers.base import Array, Layer, Parameter
from numpygpt.parallel import over_rows


class Linear(Layer):
    """y = x W + b.

    Parameters
    ----------
    n_in, n_out : int
        I and O: features in and out.
    bias : bool
        Whether there is a b.
    std : float
        W starts as N(0, std^2), b as zeros.
    """

    def __init__(self, n_in: int, n_out: int, bias: bool = True, std: float = 0.02) -> None:
        self.W = Parameter(n_in, n_out, std=std)
        self.b = Parameter(n_out) if bias else None

    def forward(self, x: Array, save_x: bool = True) -> Array:
        """(..., I) -> (..., O)."""
        I, O = self.W.shape
        self.expect(x, "I", I, like=self.W)
        y = x.reshape(-1, I) @ self.W.data
        if self.b is not None:
            b = self.b.data
            over_rows(lambda rows: np.add(rows, b, out=rows), y)
        self.save(x if save_x else None)
        return y.reshape(*x.shape[:-1], O)

    def backward(self, dy: Array, x: Array | None = None) -> Array:
        """(..., O) -> (..., I); adds to W's and b's gradients. x: needed after `save_x=False`."""
        (saved,) = self.take_saved()
        x = saved if x is None else x
        if x is None:
            raise ValueError("Linear.backward: expected x, for forward was told not to save it")
        I, O = self.W.shape
        dy_rows = dy.reshape(-1, O)
        self.W.add_product(x.reshape(-1, I).T, dy_rows)
        if self.b is not None:
            self.b.add_product(np.ones(len(dy_rows), dy.dtype), dy_rows)
        return (dy_rows @ self.W.data.T).reshape(*dy.shape[:-1], I)
