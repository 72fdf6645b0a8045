"""AdamW: one step over many parameters; memory decides, so each number should travel once."""

from collections.abc import Iterator

import numpy as np

from benchmarks.ladders import Result, Rung, random
from numpygpt import AdamW, GPTConfig
from numpygpt.layers.block import Block
from numpygpt.layers.parameter import Array

LR, B1, B2, EPS, WD = 3e-4, 0.9, 0.999, 1e-8, 0.1
BLOCK = 1 << 15


def update(wd: float, p: Array, g: Array, m: Array, v: Array) -> None:
    """The first step, in place."""
    step = g * (1 - B1)
    m *= B1
    m += step
    np.multiply(g, g, out=step)
    step *= 1 - B2
    v *= B2
    v += step
    np.sqrt(v, out=step)
    step *= (1 - B2) ** -0.5
    step += EPS
    np.divide(m, step, out=step)
    step *= LR / (1 - B1)
    p *= 1 - LR * wd
    p -= step


def rungs(quick: bool = False) -> list[Rung]:
    """One block's parameters. Each run starts again from the same numbers: it is the first step."""
    layer = Block(GPTConfig(n_embd=16, n_head=2) if quick else GPTConfig())
    layer.initialize(0)
    flat = layer.flat
    start, flat.grad[...] = flat.data.copy(), random(len(flat.data))
    p, g, n = flat.data, flat.grad, flat.n_matrix
    m, v = np.zeros_like(p), np.zeros_like(p)

    def begin() -> None:
        p[...] = start
        m[...] = v[...] = 0

    def by_parameter() -> Iterator[tuple[Array, ...]]:
        return zip(*(flat.split(array).values() for array in (p, g, m, v)), strict=True)

    def by_formula() -> Result:
        begin()
        for a, b, c, d in by_parameter():
            wd = WD if a.ndim > 1 else 0.0
            c[...] = B1 * c + (1 - B1) * b
            d[...] = B2 * d + (1 - B2) * b**2
            a[...] -= LR * wd * a
            a[...] -= LR * (c / (1 - B1)) / (np.sqrt(d / (1 - B2)) + EPS)
        return p

    def in_place() -> Result:
        begin()
        for arrays in by_parameter():
            update(WD if arrays[0].ndim > 1 else 0.0, *arrays)
        return p

    def flat_arrays() -> Result:
        begin()
        update(WD, p[:n], g[:n], m[:n], v[:n])
        update(0.0, p[n:], g[n:], m[n:], v[n:])
        return p

    def in_blocks() -> Result:
        begin()
        for part, wd in ((slice(0, n), WD), (slice(n, None), 0.0)):
            arrays = [a[part] for a in (p, g, m, v)]
            for i in range(0, len(arrays[0]), BLOCK):
                update(wd, *(a[i : i + BLOCK] for a in arrays))
        return p

    optimizer = AdamW(layer, LR, (B1, B2), EPS, WD)

    def the_optimizer() -> Result:
        begin()
        optimizer.m[...] = optimizer.v[...] = 0
        optimizer.t = 0
        optimizer.step()
        return p

    return [
        ("the formula, parameter by parameter", by_formula),
        ("in place", in_place),
        ("all parameters in one array", flat_arrays),
        ("in blocks that fit the cache", in_blocks),
        ("AdamW: blocks on threads", the_optimizer),
    ]
