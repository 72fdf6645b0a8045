"""Head: scores every token of the vocabulary as the next one, and says how wrong the scores are.

Forward
-------
    z = x W^T                                   x (N, C), W (V, C), z (N, V): the logits
    p[n,v] = exp(z[n,v]) / sum_w exp(z[n,w])    (N, V): softmax, each row sums to 1
    loss = -1/N sum_n log p[n, target[n]]       one number: cross-entropy, in nats a token

Yours: backward, after loss
---------------------------
This is where derivatives begin. `backward` gets one number, dloss: how fast what is minimised in
the end changes with this loss (1, if it is the loss itself; a half, if it is the mean of two).
Add dW (V, C) to self.W.grad and return dx (N, C). (linear.py says more about such names.)

Questions
---------
1. For one row, write log p[target] with z alone: a difference of two terms. What is its derivative
   by z[target]? By another z[v]? Both can be written with p; as one, with [v = target] for 1 where
   v is the target and 0 elsewhere.
2. So what is dz[n,v], with -1/N and dloss? What does it say in words: the probability that was
   given, less ...? What does a row of dz sum to?
3. z = x W^T is a product, with W the other way round than Linear's. One number:
   z[n,v] = sum_c x[n,c] W[v,c]. So dW = ? (V, C), and dx = ? (N, C)
4. Which arrays of the forward do all these need? Are they saved?

`numpygpt practice head` says whether it is right; with --hint, it helps.
"""

from typing import Any

import numpy as np

from numpygpt.layers import Layer, Parameter
from numpygpt.layers.parameter import Array


class Head(Layer):
    """Logits for every token of the vocabulary, and their cross-entropy.

    W is a Parameter (V, C), shared with the token embedding: both add to the same W.grad.
    """

    def __init__(self, W: Parameter) -> None:
        self.W = W

    def forward(self, x: Array) -> Array:
        """(..., C) -> logits (..., V)."""
        z: Array = x @ self.W.data.T
        return z

    def loss(self, x: Array, targets: Array) -> Any:
        """x (..., C), targets (...) whole numbers below V -> one number."""
        rows, ids = x.reshape(-1, x.shape[-1]), targets.reshape(-1)  # (N, C), (N,)
        z = self.forward(rows)  # (N, V)
        z -= z.max(axis=-1, keepdims=True)  # changes no p, and no exp overflows
        E = np.exp(z)
        total = E.sum(axis=-1, keepdims=True)
        p = E / total
        log_p = z[np.arange(len(ids)), ids] - np.log(total[:, 0])  # (N,): of the targets
        self.save(rows, p, ids, x.shape)
        return -log_p.mean()

    def backward(self, dloss: float) -> Array:
        """The derivative by x, (..., C); adds to the gradient of W."""
        x, p, ids, shape = self.take_saved()  # (N, C), (N, V), (N,), and the x that came
        N = len(ids)
        # Yours: add to self.W.grad (V, C), and make dx (N, C).
        # <answer>
        dz = p.copy()
        dz[np.arange(N), ids] -= 1
        dz *= dloss / N
        self.W.grad += dz.T @ x
        dx: Array = dz @ self.W.data
        # </answer>
        return dx.reshape(shape)


# <hints>
HINTS = (
    """
Shapes. x and dx (N, C), W and dW (V, C), z, p and dz (N, V); dloss is a number. p[np.arange(N),
ids] is one number of each row: the target's.
""",
    """
One index, for one row. log p[target] = z[target] - log sum_w exp(z[w]). The derivative of the last
term by z[v] is exp(z[v]) / sum_w exp(z[w]) = p[v]; so that of log p[target] is
[v = target] - p[v], and with -1/N and dloss in front:
    dz[n,v] = (p[n,v] - [v = target[n]]) dloss / N
the probability that a token was given, less what it should have been: a row of dz sums to 0.
    z[n,v] = sum_c x[n,c] W[v,c]:   dW[v,c] = sum_n dz[n,v] x[n,c],  dx[n,c] = sum_v dz[n,v] W[v,c]
""",
    """
Matrix form.
    dz = (p, with 1 taken from each row's target) dloss / N         (N, V)
    dW = dz^T x             (V, N) (N, C) -> (V, C)
    dx = dz W               (N, V) (V, C) -> (N, C)
`dz[np.arange(N), ids] -= 1` takes 1 from each row's target (no cell comes twice in it, so here, in
contrast to the embedding, it is safe).
""",
)
# </hints>
