"""What `numpygpt gradcheck` prints: every layer checked, and where to look if one is wrong."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from numpygpt import layers
from numpygpt.config import GPTConfig
from numpygpt.gpt import GPT
from numpygpt.gradcheck.layer import check_layer
from numpygpt.gradcheck.model import check_model, check_preset
from numpygpt.gradcheck.oracles import draw_parameters
from numpygpt.gradcheck.report import Report
from numpygpt.gradcheck.subject import Loss
from numpygpt.gradcheck.sweep import sweep_steps
from numpygpt.layers import (
    GELU,
    Block,
    CausalSelfAttention,
    Dropout,
    Embedding,
    FeedForward,
    Head,
    Layer,
    LayerNorm,
    Linear,
    Parameter,
)
from numpygpt.layers.head import ROWS
from numpygpt.layers.parameter import Array

B, T, H, D, V = 2, 5, 3, 7, 11  # odd or prime, and all different: no transposed axis can hide
C = H * D
T_LONG = ROWS + 3


class TiedHead(Layer):
    """Ids to logits through one matrix, used twice: its gradient has two parts."""

    def __init__(self, V: int, C: int) -> None:
        self.embedding = Embedding(V, C)
        self.head = Head(self.embedding.W)

    def forward(self, ids: Array) -> Array:
        """(B, T) -> (B, T, V)."""
        return self.head.forward(self.embedding.forward(ids))

    def backward(self, dy: Array) -> None:
        """(B, T, V)."""
        self.embedding.backward(self.head.backward(dy))


def layer_cases(rng: np.random.Generator) -> Iterator[tuple[str, Layer, Array, int | None]]:
    """(title, layer, x, how many entries of each array) for each layer and variant.

    A layer comes after all that it is made of: `verdict` counts on it.
    """
    x, ids = rng.standard_normal((B, T, C)), rng.integers(V, size=(B, T))
    config = GPTConfig(V, T, C, H, 1)
    dropping, unbiased = replace(config, dropout=0.3), replace(config, qkv_bias=False)
    yield "Linear", Linear(C, 13), x, None
    yield "Linear, no bias", Linear(C, 13, bias=False), x, None
    yield "Embedding", Embedding(V, C), ids, None
    yield "LayerNorm", LayerNorm(C), x, None
    yield "GELU", GELU(), x, None
    yield "Dropout", Dropout(0.3), x, None
    yield "CausalSelfAttention", CausalSelfAttention(config), x, None
    yield "CausalSelfAttention, no q, k, v bias", CausalSelfAttention(unbiased), x, None
    yield "CausalSelfAttention, dropout", CausalSelfAttention(dropping), x, None
    yield "FeedForward", FeedForward(config), x, None
    yield "Block, dropout", Block(dropping), x, None
    yield "Head, logits", Head(Parameter(V, C)), x, None
    yield "Head, logits, tied to the embedding", TiedHead(V, C), ids, None
    yield "Head, loss", Loss(Head(Parameter(V, C)), ids), x, None
    # Long texts, which attention and the head cut into blocks: some entries of each array.
    x, ids = rng.standard_normal((1, T_LONG, H)), rng.integers(V, size=(1, T_LONG))
    narrow = CausalSelfAttention(GPTConfig(V, T_LONG, H, H, 1))
    yield f"CausalSelfAttention, {T_LONG} tokens", narrow, x, 20
    yield f"Head, loss, {T_LONG} tokens", Loss(Head(Parameter(V, H)), ids), x, 20


def layer_checks(rng: np.random.Generator) -> Iterator[Report]:
    """One report for each case."""
    for title, layer, x, entries in layer_cases(rng):
        dy = 1.0 if isinstance(layer, Loss) else None
        yield Report(title, check_layer(layer, x, rng, dy=dy, entries=entries).rows)


def model_checks(rng: np.random.Generator) -> Iterator[Report]:
    """Small GPTs, tied and not: the slope of the loss along each parameter's random direction."""
    ids, targets = rng.integers(V, size=(2, B, T))
    for tied in (True, False):
        config = GPTConfig(V, T + 4, C, H, 2, dropout=0.2, tie_weights=tied)
        model = GPT(config, rng, np.float64)
        draw_parameters(model, rng)
        report = check_model(model, ids, targets, rng, by_parameter=True, complex_step=True)
        yield Report(f"{report.title}, {'tied' if tied else 'untied'}", report.rows)


def all_checks() -> Iterator[Report]:
    """Layers first, then models."""
    rng = np.random.default_rng(0)
    yield from layer_checks(rng)
    yield from model_checks(rng)


def gradcheck_command(
    sweep: bool = False, preset: str | None = None, print: Callable[[str], object] = print
) -> bool:
    """The command `numpygpt gradcheck`.

    Parameters
    ----------
    sweep : bool
        Print the errors against the step h instead of checking the layers.
    preset : str, optional
        Check a real GPT-2 in float64 instead: "gpt2" takes 20 seconds and 3 GiB.
    print : callable
        Takes each text.

    Returns
    -------
    bool
        Whether everything passed.
    """
    if sweep:
        for line in sweep_steps():
            print(line)
        return True
    print(f"checking numpygpt.layers in {Path(layers.__file__).parent}\n")
    reports = []
    for report in all_checks() if preset is None else [check_preset(preset)]:
        print(f"{report}\n")
        reports.append(report)
    print(verdict(reports))
    return all(report.passed for report in reports)


def verdict(reports: list[Report]) -> str:
    """The last lines: which layer to look at first, and for what.

    The reports come smallest layer first. What is made of a wrong layer is wrong with it.
    """
    wrong = [report for report in reports if not report.passed]
    if not wrong:
        return "All passed."
    first = wrong[0]
    names = ", ".join(first.wrong[:3]) + (", ..." if len(first.wrong) > 3 else "")
    line = f"WRONG in {len(wrong)} of {len(reports)}. Look first at {first.title}: {names}"
    told = [row for row in first.rows if not row.passed and row.evidence][:1]
    return "\n".join([line, *(f"{row.name} is consistent with: {row.evidence[0]}" for row in told)])
