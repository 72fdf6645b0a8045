"""LayerNorm: each token's numbers get mean 0 and variance 1, then a gain and a bias.

Forward, for one token's row x of C numbers
-------------------------------------------
    mean     = sum_c x[c] / C                       one number a row
    variance = sum_c (x[c] - mean)^2 / C            one number a row
    rstd     = 1 / sqrt(variance + eps)             one number a row
    x_hat    = (x - mean) rstd                      (C,)
    y        = x_hat gain + bias                    gain, bias (C,): the same for all rows

Yours: backward
---------------
Given dy = dL/dy for N rows, (N, C), find dgain and dbias, (C,), to be added to self.gain.grad and
self.bias.grad, and dx (N, C), to be returned. (L is the loss; linear.py says more about such
names.)

Questions
---------
1. gain[c] takes part in y[n,c] of every row n. With what factor? So what is dgain[c]? And dbias[c]?
2. Call g[c] = dL/dx_hat[c]. What is it, from y = x_hat gain + bias? From here on rows do not mix:
   take a single one.
3. x_hat[j] = (x[j] - mean) rstd contains the number x[i] in three places. Which? (One of them only
   where j = i.)
4. What is the derivative of mean by x[i]? Of variance by x[i]? (x[i] is in the mean as well; what
   does that part come to, if the x[c] - mean of a row sum to 0?) Of rstd by variance? So of rstd by
   x[i]: can you write it with rstd, x_hat[i] and C alone?
5. Put together d x_hat[j] / d x[i] = rstd ( ... - ... - ... ). ([j = i] stands for 1 where j = i,
   and 0 elsewhere.)
6. L feels x[i] through every x_hat[j]: dx[i] = sum_j g[j] d x_hat[j] / d x[i]. Do the sum term by
   term. Two of the three become means over the row, one number a row each: of what?
7. To see for yourself: adding the same to all x[c] does not change y. So what must sum_i dx[i] be?

`numpygpt practice layernorm` says whether it is right; with --hint, it helps.
"""

import numpy as np

from numpygpt.layers import Layer, Parameter
from numpygpt.layers.parameter import Array


class LayerNorm(Layer):
    """Normalises the last axis, then applies a gain and a bias."""

    def __init__(self, n_embd: int, eps: float = 1e-5) -> None:
        self.gain = Parameter(n_embd, mean=1.0)
        self.bias = Parameter(n_embd)
        self.eps = eps

    def forward(self, x: Array) -> Array:
        """(..., C) -> (..., C)."""
        rows = x.reshape(-1, x.shape[-1])  # (N, C)
        mean = rows.mean(axis=-1, keepdims=True)  # (N, 1): keepdims, so that rows - mean works
        variance = ((rows - mean) ** 2).mean(axis=-1, keepdims=True)
        rstd = 1 / np.sqrt(variance + self.eps)
        x_hat = (rows - mean) * rstd
        y: Array = x_hat * self.gain.data + self.bias.data
        self.save(x_hat, rstd)  # enough for all that is asked; save more, if you like
        return y.reshape(x.shape)

    def backward(self, dy: Array) -> Array:
        """(..., C) -> (..., C); adds to the gradients of gain and bias."""
        x_hat, rstd = self.take_saved()  # (N, C), (N, 1)
        dy_rows = dy.reshape(x_hat.shape)  # (N, C)
        # Yours: add to self.gain.grad and self.bias.grad, (C,) each, and make dx (N, C).
        # <answer>
        self.gain.grad += (dy_rows * x_hat).sum(axis=0)
        self.bias.grad += dy_rows.sum(axis=0)
        g = dy_rows * self.gain.data
        mean_g = g.mean(axis=-1, keepdims=True)
        mean_g_x_hat = (g * x_hat).mean(axis=-1, keepdims=True)
        dx: Array = rstd * (g - mean_g - x_hat * mean_g_x_hat)
        # </answer>
        return dx.reshape(dy.shape)


# <hints>
HINTS = (
    """
Shapes. dy, x_hat, g and dx (N, C); gain, bias, dgain, dbias (C,); rstd, and every mean over a row,
(N, 1). dgain and dbias are sums over the rows, axis 0; means within a row are over axis -1, with
keepdims=True so that they stay (N, 1). `*` with a (C,) treats all rows alike, with a (N, 1) all
numbers of a row.
""",
    """
One index, for one row. g[c] = dy[c] gain[c], because y[c] = x_hat[c] gain[c] + bias[c].
    d mean / d x[i]     = 1/C
    d variance / d x[i] = 2 (x[i] - mean) / C
        (the part through the mean is (-2/C^2) sum_c (x[c] - mean) = 0)
    d rstd / d variance = -1/2 (variance + eps)^(-3/2) = -rstd^3 / 2
    d rstd / d x[i]     = -rstd^3 (x[i] - mean) / C = -rstd^2 x_hat[i] / C
By the product rule on (x[j] - mean) rstd:
    d x_hat[j] / d x[i] = ([j = i] - 1/C) rstd + (x[j] - mean) (-rstd^2 x_hat[i] / C)
                        = rstd ( [j = i]  -  1/C  -  x_hat[j] x_hat[i] / C )
And dgain[c] = sum_n dy[n,c] x_hat[n,c]. Now sum over j: dx[i] = sum_j g[j] d x_hat[j] / d x[i].
""",
    """
Array form. sum_j g[j] [j = i] is g[i]; sum_j g[j] / C is the row's mean of g; and
sum_j g[j] x_hat[j] / C is the row's mean of g x_hat, which the factor x_hat[i] stands in front of:
    dx    = rstd ( g  -  mean_c(g)  -  x_hat mean_c(g x_hat) )      (N, C)
    dgain = sum_n dy[n] x_hat[n]                                    (C,)
    dbias = sum_n dy[n]                                             (C,)
mean_c: `.mean(axis=-1, keepdims=True)`. So sum_i dx[i] is 0, as question 7 expects.
""",
)
# </hints>
