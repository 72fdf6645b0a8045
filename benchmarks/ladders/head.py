"""Head and cross-entropy: the loss, dx and dW, for a vocabulary much larger than all other sizes.

The logits (N, V) are the model's largest array; written out, exponentiated, normalised and turned
into their derivative they would pass through memory again and again. Taken a few hundred rows at a
time they never exist as a whole.
"""

import numpy as np

from benchmarks.ladders import Result, Rung, random
from numpygpt.layers.head import Head
from numpygpt.layers.parameter import Array, Parameter


def rungs(quick: bool = False) -> list[Rung]:
    """(N, C) times (C, V), as for 1,024 tokens of GPT-2 small."""
    N, C, V = (6, 8, 31) if quick else (1024, 768, 50257)
    layer = Head(Parameter(V, C, std=0.02)).initialize(0).train()
    W = layer.W.data
    x, targets = random(N, C), np.random.default_rng(0).integers(V, size=N)
    n = np.arange(N)

    def one_hot() -> Result:
        z = x @ W.T
        p = np.exp(z - z.max(-1, keepdims=True))
        p = p / p.sum(-1, keepdims=True)
        hot = np.zeros((N, V), np.float32)
        hot[n, targets] = 1
        loss = -(hot * np.log(p)).sum() / N
        dz = (p - hot) / N
        return np.asarray(loss), dz @ W, dz.T @ x

    def by_index() -> Result:
        z = x @ W.T
        p = np.exp(z - z.max(-1, keepdims=True))
        p = p / p.sum(-1, keepdims=True)
        loss = -np.log(p[n, targets]).mean()
        p[n, targets] -= 1
        dz = p / N
        return np.asarray(loss), dz @ W, dz.T @ x

    def in_place(rows: Array, ids: Array) -> tuple[Array, Array]:
        z = rows @ W.T
        z -= z.max(-1, keepdims=True)
        every = np.arange(len(z))
        losses = -z[every, ids]
        np.exp(z, out=z)
        total = z.sum(-1, keepdims=True)
        losses += np.log(total[:, 0])
        z *= 1 / (N * total)
        z[every, ids] -= 1 / N
        return losses, z

    def whole_in_place() -> Result:
        losses, dz = in_place(x, targets)
        return losses.mean(), dz @ W, dz.T @ x

    def the_layer() -> Result:
        layer.zero_grad()
        loss = layer.loss(x, targets)
        return np.asarray(loss), layer.backward(), layer.W.grad

    return [
        ("one-hot targets", one_hot),
        ("targets by index", by_index),
        ("logits become dlogits in place", whole_in_place),
        ("the layer: a few hundred rows at a time", the_layer),
    ]
