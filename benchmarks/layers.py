"""Each layer, forward and backward, at GPT-2 small's sizes, against the limit it works against.

A layer that multiplies matrices is measured in GFLOP/s against sgemm, one that does a few
operations a number in GB/s against a copy of arrays as large. Bytes are those that have to travel:
inputs read and outputs written, once each. Where a layer's arrays stay in the cache for the next
one, or arithmetic (tanh, exp) costs more than the memory, shares say so by being above or below 1.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks.limits import copy_rate, sgemm_peak
from benchmarks.report import Table, Value
from benchmarks.timing import in_turns
from numpygpt import AdamW, GPTConfig
from numpygpt.layers.attention import CausalSelfAttention
from numpygpt.layers.base import Layer
from numpygpt.layers.block import Block
from numpygpt.layers.embedding import Embedding
from numpygpt.layers.feedforward import FeedForward
from numpygpt.layers.gelu import GELU
from numpygpt.layers.head import Head
from numpygpt.layers.layernorm import LayerNorm
from numpygpt.layers.linear import Linear
from numpygpt.layers.parameter import Array, Parameter


@dataclass(frozen=True)
class Cost:
    """What a pass needs: floating-point operations, or bytes (of arrays of `array_bytes` each)."""

    flops: float = 0
    bytes: float = 0
    array_bytes: float = 0


def row(what: str, seconds: float, cost: Cost) -> dict[str, Value]:
    """One line of the table."""
    if cost.flops:
        rate = cost.flops / seconds / 1e9
        rates: dict[str, Value] = {"GFLOP/s": rate, "GB/s": "", "share": rate / sgemm_peak()}
    else:
        rate = cost.bytes / seconds / 1e9
        share = rate / copy_rate(cost.array_bytes / 1e6)
        rates = {"GFLOP/s": "", "GB/s": rate, "share": share}
    return {"what": what, "ms": seconds * 1e3, **rates}


def both(
    what: str, layer: Layer, x: Array, forward: Cost, backward: Cost
) -> list[dict[str, Value]]:
    """Time forward and backward in turns, with empty gradients as in a training step."""
    layer.initialize(0).train()
    shape = layer.forward(x).shape  # type: ignore[attr-defined]
    dy = random(*shape)

    def run_forward() -> None:
        layer.forward(x)  # type: ignore[attr-defined]

    def run_backward() -> None:
        layer.backward(dy)  # type: ignore[attr-defined]

    first, _, second = in_turns(run_forward, layer.zero_grad, run_backward)
    return [row(f"{what}, forward", first, forward), row(f"{what}, backward", second, backward)]


def random(*shape: int) -> Array:
    """Normal numbers, float32."""
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def matrix_layers(B: int, T: int, C: int, H: int) -> list[dict[str, Value]]:
    """The layers that multiply matrices; attention's products count without the masked half."""
    x, config = random(B, T, C), GPTConfig(n_embd=C, n_head=H)
    cases: list[tuple[str, Layer, Array]] = [
        (f"Linear {C} -> {4 * C}", Linear(C, 4 * C), x),
        (f"Linear {4 * C} -> {C}", Linear(4 * C, C), random(B, T, 4 * C)),
        (f"attention, {B}x{T}", CausalSelfAttention(config), x),
        (f"attention, 1x{B * T}", CausalSelfAttention(config), x.reshape(1, B * T, C)),
        ("feed-forward", FeedForward(config), x),
        ("block", Block(config), x),
    ]
    rows = []
    for what, layer, x in cases:
        weights = sum(p.size for _, p in layer.named_parameters() if len(p.shape) == 2)
        attends = any(isinstance(inner, CausalSelfAttention) for inner in layer.layers())
        flops = 2.0 * B * T * (weights + attends * x.shape[1] * C)
        rows += both(what, layer, x, Cost(flops), Cost(2 * flops))
    return rows


def head(N: int, C: int, V: int) -> list[dict[str, Value]]:
    """The head with cross-entropy: its forward computes the gradients too."""
    layer = Head(Parameter(V, C, std=0.02)).initialize(0).train()
    x, targets = random(N, C), np.random.default_rng(0).integers(V, size=N)

    def run() -> None:
        layer.zero_grad()
        layer.loss(x, targets)
        layer.backward()

    return [row("head, loss and backward", in_turns(run)[0], Cost(6.0 * N * V * C))]


def elementwise(N: int, C: int, V: int) -> list[dict[str, Value]]:
    """The layers that memory decides: how many arrays each pass reads and writes."""
    small, wide = 4.0 * N * C, 16.0 * N * C
    norm = Cost(bytes=3 * small, array_bytes=small)
    gelu, gelu_backward = (Cost(bytes=n * wide, array_bytes=wide) for n in (3, 4))
    rows = both("LayerNorm", LayerNorm(C), random(N, C), norm, norm)
    rows += both("GELU", GELU(), random(N, 4 * C), gelu, gelu_backward)
    embedding = Embedding(V, C).initialize(0)
    embedding.flat.grad[...] = 0
    ids, dy = np.random.default_rng(0).integers(V, size=N), random(N, C)
    runs: tuple[Callable[[], object], ...] = (
        lambda: embedding.forward(ids),
        lambda: embedding.backward(dy),
    )
    forward, backward = in_turns(*runs)
    rows.append(row("embedding, forward", forward, Cost(bytes=2 * small, array_bytes=small)))
    rows.append(row("embedding, backward", backward, Cost(bytes=3 * small, array_bytes=small)))
    return rows


def optimizer(n: int) -> list[dict[str, Value]]:
    """AdamW reads four numbers a parameter and writes three."""
    layer = Linear(n, n).initialize(0)
    layer.flat.grad[...] = 0.01
    seconds = in_turns(AdamW(layer).step)[0]
    size = layer.num_parameters()
    cost = Cost(bytes=28.0 * size, array_bytes=4.0 * size)
    return [row(f"AdamW, {size / 1e6:.1f} M parameters", seconds, cost)]


def run(quick: bool = False) -> Table:
    """All layers."""
    c = GPTConfig(n_embd=24, n_head=2, vocab_size=97) if quick else GPTConfig()
    B, T = (2, 8) if quick else (4, 256)
    rows = matrix_layers(B, T, c.n_embd, c.n_head)
    rows += head(B * T, c.n_embd, c.vocab_size)
    rows += elementwise(B * T, c.n_embd, c.vocab_size)
    rows += optimizer(32 if quick else 4096)
    return Table(
        "layers",
        f"one layer of width {c.n_embd} on {B}x{T} tokens, medians; share: of the sgemm peak, or "
        "of copying arrays as large.",
        rows,
    )
