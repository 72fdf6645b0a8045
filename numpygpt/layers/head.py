"""Head: scores every token of the vocabulary as the next one, and says how wrong the scores are.

Forward
-------
    z = x W^T                               x (N, C), W (V, C), z (N, V): the logits
    p = softmax(z)                          (N, V)
    loss = -1/N sum_n log p[n, target[n]]   cross-entropy, in nats a token

W has the token embedding's shape because in GPT-2 it *is* the token embedding ("tied"): the same
Parameter, to which both layers add their gradients. An untied head has its own.

Backward
--------
With log p[n,v] = z[n,v] - log sum_w exp(z[n,w]), one logit of row n has

    dz[n,v] = (p[n,v] - [v = target[n]]) / N        (N, V)

the probability given to a token, less what it should have been. Then, as in Linear,

    dW = dz^T x             (V, N) (N, C) -> (V, C)
    dx = dz W               (N, V) (V, C) -> (N, C)

`loss` does all of this for ROWS rows at a time, while their logits are in memory: the whole (N, V)
array of a large batch, the largest of a model, never exists, and backward needs no logits again.
Because the loss is the last step, its own derivative is 1 and nothing else is needed. (A `weight`
multiplies the loss, and so dz.)

Saved: by `loss`, dx and dW; by `forward`, x. dW, as large as the embedding, is computed in the room
of W's gradient (Parameter.take_room): only a second batch before `zero_grad` needs memory for it.

Cost: 2 N V C flops forward, 4 N V C backward: three tenths of GPT-2 small's work.

Reference: Radford et al. 2019; the tie: Press and Wolf 2017.
"""

from typing import Any, cast

import numpy as np

from numpygpt.layers.base import Array, Layer, Parameter
from numpygpt.layers.embedding import check_ids
from numpygpt.parallel import over_rows

ROWS = 512  # rows of logits alive at a time
VOCAB_ROWS = 2048  # rows of dW added to at a time: few enough to be in the cache still


def accumulate_dW(dW: Array, dz: Array, x: Array, first: bool) -> None:
    """dW (+)= dz^T x; adding goes by slices of V, so that no second (V, C) array is made."""
    if first:
        np.matmul(dz.T, x, out=dW)
        return
    for v in range(0, len(dW), VOCAB_ROWS):
        dW[v : v + VOCAB_ROWS] += dz[:, v : v + VOCAB_ROWS].T @ x


class Head(Layer):
    """Logits for every token of the vocabulary, and their cross-entropy.

    Parameters
    ----------
    W : Parameter
        (V, C): the token embedding's, or one of its own.
    """

    def __init__(self, W: Parameter) -> None:
        self.W = W

    def forward(self, x: Array) -> Array:
        """(..., C) -> logits (..., V)."""
        V, C = self.W.shape
        self.expect(x, "C", C, like=self.W)
        self.save(x, None, None)
        return (x.reshape(-1, C) @ self.W.data.T).reshape(*x.shape[:-1], V)

    def backward(self, dz: Array | None = None) -> Array:
        """The derivative by x, (..., C); adds to the gradient of W.

        After `forward`, dz (..., V) is the derivative by the logits (dlogits); after `loss`, none.
        """
        x, dx, dW = self.saved
        V, C = self.W.shape
        if (dz is None) != (x is None):
            raise ValueError("Head.backward: expected dlogits after forward, and none after loss")
        if dz is not None:
            self._check_dlogits(dz, x)
        self.take_saved()  # after the checks: a wrong call loses nothing
        if dz is None:
            self.W.add_grad(dW, in_room=True)
            return cast(Array, dx)
        dz_rows = dz.reshape(-1, V)
        self.W.add_product(dz_rows.T, x.reshape(-1, C))
        return (dz_rows @ self.W.data).reshape(x.shape)

    def loss(self, x: Array, targets: Array, weight: float = 1.0) -> float:
        """Mean cross-entropy of x (..., C) against the ids `targets` (...), in nats, times weight.

        In training mode, dx and dW are computed too, for `backward` to hand out. Parts of a
        batch, each weighted by its share of it, add up to the batch's loss, and its gradients.
        """
        V, C = self.W.shape
        self._check_targets(x, targets)
        rows, ids = x.reshape(-1, C), targets.reshape(-1)
        N = len(rows)

        def cross_entropy(z: Array, ids: Array, losses: Array) -> None:
            n = np.arange(len(z))
            z -= z.max(-1, keepdims=True)  # exp of numbers up to 0 cannot overflow
            losses[:] = -z[n, ids]
            np.exp(z, out=z)
            total = z.sum(-1, keepdims=True)
            losses += np.log(total[:, 0])
            z *= weight / (N * total)  # p weight / N
            z[n, ids] -= weight / N  # dz

        losses = np.empty(N, x.dtype)
        dx: Any = np.empty(x.shape, x.dtype) if self.training else None
        dW: Any = self.W.take_room() if self.training else None
        logits = np.empty((min(ROWS, N), V), x.dtype)
        for start in range(0, N, ROWS):
            part = slice(start, min(start + ROWS, N))
            z = logits[: part.stop - start]
            np.matmul(rows[part], self.W.data.T, out=z)
            over_rows(cross_entropy, z, ids[part], losses[part])  # z becomes dz
            if self.training:
                np.matmul(z, self.W.data, out=dx.reshape(-1, C)[part])
                accumulate_dW(dW, z, rows[part], first=start == 0)
        self.save(None, dx, dW)
        # (A complex number for complex parameters.)
        return cast(float, losses.mean(dtype=np.result_type(x.dtype, np.float64)).item() * weight)

    def _check_dlogits(self, dz: Array, x: Array) -> None:
        shape = (*x.shape[:-1], self.W.shape[0])
        if not isinstance(dz, np.ndarray) or dz.shape != shape or dz.dtype != x.dtype:
            expected = f"dlogits {x.dtype} of shape (..., V) = {shape}, the logits'"
            came = f"{dz.dtype} of {dz.shape}" if isinstance(dz, np.ndarray) else type(dz).__name__
            raise ValueError(f"Head.backward: expected {expected}, got {came}")

    def _check_targets(self, x: Array, targets: Array) -> None:
        V, C = self.W.shape
        self.expect(x, "C", C, like=self.W)
        check_ids("Head.loss (targets)", targets, V)
        if targets.shape != x.shape[:-1] or not targets.size:
            expected = f"targets of shape {x.shape[:-1]}, x's without C, at least one"
            raise ValueError(f"Head.loss: expected {expected}, got {targets.shape}")
