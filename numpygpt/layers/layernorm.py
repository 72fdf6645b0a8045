"""LayerNorm: each token's numbers get mean 0 and variance 1, then a gain and a bias.

Forward, for one token's row x of C numbers
-------------------------------------------
    mean  = sum_c x[c] / C                          one number a row
    rstd  = 1 / sqrt(sum_c (x[c] - mean)^2 / C + eps)
    x_hat = (x - mean) rstd                         (C,)
    y     = x_hat gain + bias                       gain, bias (C,)

Backward
--------
Write g = dy gain, (N, C), for the derivative by x_hat. x_hat[j] depends on x[i] directly (where
i = j: [i = j] is 1 there, else 0), through the mean, and through rstd:

    d x_hat[j] / d x[i] = rstd ( [i = j]  -  1/C  -  x_hat[i] x_hat[j] / C )

(the last term because d rstd / d x[i] = -rstd^3 (x[i] - mean) / C = -rstd^2 x_hat[i] / C; what
comes through the mean there is 0, for the x[c] - mean sum to 0). Summed over j with weights g[j]:

    dx    = rstd ( g  -  mean_c(g)  -  x_hat mean_c(g x_hat) )      (N, C)
    dgain = sum_n dy[n] x_hat[n]                                    (C,)
    dbias = sum_n dy[n]                                             (C,)

The two subtracted terms remove from g what the layer cannot pass on: adding a constant to x, or
scaling it, does not change y (but for eps).

Saved: x_hat and rstd. Not y: `output` makes it again from x_hat, for the Linear that follows.

Cost: 7 N C flops forward, 11 N C backward: so little a byte that memory decides the speed.

Reference: Ba, Kiros and Hinton 2016, eq. 3-4; variance with 1/C and eps = 1e-5 as in GPT-2.
"""

import numpy as np

from numpygpt.layers.base import Array, Layer, Parameter
from numpygpt.parallel import over_rows


class LayerNorm(Layer):
    """Normalises the last axis, then applies a gain and a bias.

    Parameters
    ----------
    n_embd : int
        C: the length of the last axis.
    eps : float
        Keeps rstd finite where a row is constant.
    """

    def __init__(self, n_embd: int, eps: float = 1e-5) -> None:
        self.gain = Parameter(n_embd, mean=1.0)
        self.bias = Parameter(n_embd)
        self.eps = eps

    def forward(self, x: Array) -> Array:
        """(..., C) -> (..., C)."""
        (C,) = self.gain.shape
        self.expect(x, "C", C, like=self.gain)

        def normalise(x: Array, x_hat: Array, rstd: Array, y: Array) -> None:
            mean = np.einsum("nc->n", x)[:, None] / C  # x.mean(-1), in less than half its time
            np.subtract(x, mean, out=x_hat)
            variance = np.einsum("nc,nc->n", x_hat, x_hat) / C
            rstd[:, 0] = 1 / np.sqrt(variance + self.eps)
            x_hat *= rstd
            self._scale(x_hat, y)

        rows = x.reshape(-1, C)
        x_hat, y = np.empty_like(rows), np.empty_like(rows)
        rstd = np.empty((len(rows), 1), x.dtype)
        over_rows(normalise, rows, x_hat, rstd, y)
        self.save(x_hat, rstd)
        return y.reshape(x.shape)

    def output(self) -> Array:
        """The output of the last forward again, as rows (N, C); before backward."""
        x_hat, _ = self.saved
        y: Array = np.empty_like(x_hat)
        over_rows(self._scale, x_hat, y)
        return y

    def _scale(self, x_hat: Array, y: Array) -> None:
        """y = x_hat gain + bias, for a block of rows."""
        np.multiply(x_hat, self.gain.data, out=y)
        y += self.bias.data

    def backward(self, dy: Array) -> Array:
        """(..., C) -> (..., C); adds to the gradients of gain and bias."""
        x_hat, rstd = self.take_saved()
        (C,) = self.gain.shape
        gain = self.gain.data

        def differentiate(dy: Array, x_hat: Array, rstd: Array, dx: Array, dgains: Array) -> None:
            np.multiply(dy, x_hat, out=dgains)  # each row's share of dgain
            g = np.multiply(dy, gain, out=dx)  # g lies where dx will
            mean_g = np.einsum("nc->n", g)[:, None] / C
            mean_g_x_hat = np.einsum("nc,nc->n", g, x_hat)[:, None] / C
            dx -= mean_g
            dx -= x_hat * mean_g_x_hat
            dx *= rstd

        rows = dy.reshape(-1, C)
        dx, dgains = np.empty_like(rows), np.empty_like(rows)
        over_rows(differentiate, rows, x_hat, rstd, dx, dgains)
        ones = np.ones(len(rows), dy.dtype)
        self.gain.add_product(ones, dgains)
        self.bias.add_product(ones, rows)
        return dx.reshape(dy.shape)
