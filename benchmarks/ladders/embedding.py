"""The gradient of an embedding: rows of dy summed by token id, repeated ids counted each time."""

import numpy as np

from benchmarks.ladders import Result, Rung, random
from numpygpt.layers.embedding import Embedding
from numpygpt.layers.parameter import Array


def rungs(quick: bool = False) -> list[Rung]:
    """1,024 tokens, drawn as unevenly as those of a text; a one-hot product needs a smaller V."""
    N, C, V = (9, 4, 5) if quick else (1024, 768, 8192)
    ids = (np.random.default_rng(0).random(N) ** 3 * V).astype(np.int64)
    dy = random(N, C)
    layer = Embedding(V, C).initialize(0).train()
    dW: Array = np.zeros((V, C), np.float32)  # gradients that are there already: only rows of ids
    unique = np.unique(ids)  # are touched, and compared

    def one_hot() -> Result:
        hot: Array = (np.arange(V)[:, None] == ids).astype(np.float32)
        return (hot @ dy)[unique]

    def loop() -> Result:
        dW[unique] = 0
        for token, row in zip(ids.tolist(), dy, strict=True):
            dW[token] += row
        return dW[unique]

    def add_at() -> Result:
        dW[unique] = 0
        np.add.at(dW, ids, dy)
        return dW[unique]

    def sorted_runs() -> Result:
        dW[unique] = 0
        order = np.argsort(ids, kind="stable")
        found, starts = np.unique(ids[order], return_index=True)
        dW[found] += np.add.reduceat(dy[order], starts, axis=0)
        return dW[unique]

    def the_layer() -> Result:
        layer.W.grad[unique] = 0
        layer.forward(ids)
        layer.backward(dy)
        return layer.W.grad[unique]

    return [
        ("product with a one-hot matrix", one_hot),
        ("np.add.at", add_at),
        ("sort, then sum runs of equal ids", sorted_runs),
        ("a loop: a row is long enough to be worth a call", loop),
        ("the layer, with its forward", the_layer),
    ]
