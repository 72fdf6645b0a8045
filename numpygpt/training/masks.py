"""Dropout's numbers for some sequences of a batch, as one process would draw them for all.

Each share of a batch (data_parallel.py) draws from a stream of its own: B sequences, each layer's
numbers one after the other, sequence by sequence.

    layer 1: | sequence 0 | 1 | 2 | .. | B-1 |   layer 2: | sequence 0 | 1 | 2 | .. | B-1 |   ...

Whoever has sequences 1 and 2 only, skips the others' numbers. A stream can jump over as many as it
likes in one go, so that this costs nothing, and dropout is the same however a batch is dealt out.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from numpygpt.layers.parameter import Array
from numpygpt.training.distributed import part


class RowsOfShares:
    """Draws what the shares of a batch draw for some of its sequences: for `set_dropout_rng`.

    Parameters
    ----------
    seeds : sequence of int
        One a share.
    B : int
        Sequences in the batch, which the shares split.
    rows : slice
        Which of them are wanted.
    """

    def __init__(self, seeds: Sequence[int] | Array, B: int, rows: slice) -> None:
        self.parts = []  # a share's stream, and its sequences: before those wanted, these, after
        for i, seed in enumerate(seeds):
            share = part(B, i, len(seeds))
            first, last = max(rows.start, share.start), min(rows.stop, share.stop)
            if first < last:
                counts = first - share.start, last - first, share.stop - last
                self.parts.append((np.random.default_rng(seed), *counts))

    def random(self, shape: tuple[int, ...], dtype: Any = np.float32) -> Array:
        """Uniforms in [0, 1), float32, of a shape whose first axis is the wanted sequences."""
        out = np.empty(shape, dtype)
        each, start = math.prod(shape[1:]), 0
        for rng, before, count, after in self.parts:
            skip(rng, before * each)
            rng.random(out=out[start : start + count], dtype=dtype)
            skip(rng, after * each)
            start += count
        return out


def skip(rng: np.random.Generator, n: int) -> None:
    """Leave out the next n float32 numbers: 32 bits each, of which PCG64 makes 64 at a time."""
    if n and rng.bit_generator.state["has_uint32"]:  # the second half of 64 bits is next
        rng.random(dtype=np.float32)
        n -= 1
    if n:
        rng.bit_generator.advance(n // 2)  # type: ignore[attr-defined]
        if n % 2:
            rng.random(dtype=np.float32)
