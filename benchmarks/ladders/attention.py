"""Causal attention, forward, from q, k, v (B, H, T, D) to o, without the four Linear products.

Half of the (T, T) square is masked: blocks of query rows never compute most of it. The softmax is
six passes over the largest array there is, so it runs in row blocks, on threads.
"""

import math

import numpy as np

from benchmarks.ladders import Result, Rung, random
from numpygpt.layers.parameter import Array
from numpygpt.parallel import over_rows


def softmax(S: Array) -> Array:
    """Over the last axis, by the book."""
    S = np.exp(S - S.max(-1, keepdims=True))
    P: Array = S / S.sum(-1, keepdims=True)
    return P


def rungs(quick: bool = False) -> list[Rung]:
    """GPT-2 small's heads on one sequence of 1,024 tokens."""
    B, H, T, D = (2, 2, 12, 4) if quick else (1, 12, 1024, 64)
    rows = 4 if quick else 256
    q, k, v = (random(B, H, T, D) + i for i in range(3))
    scale = 1 / math.sqrt(D)
    mask: Array = np.triu(np.full((T, T), -np.inf, np.float32), 1)

    def one_head_at_a_time() -> Result:
        o = np.empty_like(q)
        for b in range(B):
            for h in range(H):
                S = q[b, h] @ k[b, h].T * scale + mask
                o[b, h] = softmax(S) @ v[b, h]
        return o

    def four_dimensions() -> Result:
        o: Array = softmax(q @ k.swapaxes(2, 3) * scale + mask) @ v
        return o

    def in_place(S: Array) -> None:
        R = S.shape[-2]
        S[..., -R:] += mask[:R, :R]  # only the block on the diagonal has masked numbers
        S -= S.max(-1, keepdims=True)
        np.exp(S, out=S)
        S /= S.sum(-1, keepdims=True)

    def by_blocks(run: str) -> Array:
        o = np.empty_like(q)
        for start in range(0, T, rows):
            part, keys = slice(start, start + rows), slice(start + rows)
            S = (q[:, :, part] * scale) @ k[:, :, keys].swapaxes(2, 3)
            if run == "book":
                S[..., -S.shape[2] :] += mask[: S.shape[2], : S.shape[2]]
                S = softmax(S)
            elif run == "in place":
                in_place(S)
            else:
                over_rows(in_place, S.reshape(B * H, *S.shape[2:]))
            np.matmul(S, v[:, :, keys], out=o[:, :, part])
        return o

    return [
        ("one head at a time", one_head_at_a_time),
        ("all heads: 4-D products", four_dimensions),
        (f"blocks of {rows} queries, no later keys", lambda: by_blocks("book")),
        ("scale on q, softmax in place", lambda: by_blocks("in place")),
        ("softmax in row blocks on threads", lambda: by_blocks("threads")),
    ]
