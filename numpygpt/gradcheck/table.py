"""What `numpygpt gradcheck` prints: every layer checked, and how errors depend on the step h."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from numpygpt.config import GPTConfig
from numpygpt.gpt import GPT
from numpygpt.gradcheck.layer import check_layer
from numpygpt.gradcheck.model import check_model, check_preset
from numpygpt.gradcheck.oracles import (
    Subject,
    by_complex_step,
    by_difference,
    draw_parameters,
)
from numpygpt.gradcheck.report import Report
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


class HeadLoss(Layer):
    """Head.loss as a layer from x to a single number; its dy is 1."""

    def __init__(self, head: Head, targets: Array) -> None:
        self.head, self.targets = head, targets

    def forward(self, x: Array) -> Array:
        """(..., C) -> ()."""
        return np.asarray(self.head.loss(x, self.targets))

    def backward(self, dy: Array) -> Array:
        """() -> (..., C)."""
        return self.head.backward()


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


def layer_checks(rng: np.random.Generator) -> Iterator[Report]:
    """One report for each layer and variant."""
    x = rng.standard_normal((B, T, C))
    ids = rng.integers(V, size=(B, T))
    config = GPTConfig(V, T, C, H, 1)
    dropping = replace(config, dropout=0.3)
    cases: list[tuple[str, Layer, Array]] = [
        ("Linear", Linear(C, 13), x),
        ("Linear, no bias", Linear(C, 13, bias=False), x),
        ("Embedding", Embedding(V, C), ids),
        ("LayerNorm", LayerNorm(C), x),
        ("GELU", GELU(), x),
        ("Dropout", Dropout(0.3), x),
        ("CausalSelfAttention", CausalSelfAttention(config), x),
        (
            "CausalSelfAttention, no q, k, v bias",
            CausalSelfAttention(replace(config, qkv_bias=False)),
            x,
        ),
        ("CausalSelfAttention, dropout", CausalSelfAttention(dropping), x),
        ("FeedForward", FeedForward(config), x),
        ("Block, dropout", Block(dropping), x),
        ("Head, logits", Head(Parameter(V, C)), x),
        ("Head, logits, tied to the embedding", TiedHead(V, C), ids),
        ("Head, loss", HeadLoss(Head(Parameter(V, C)), ids), x),
    ]
    for title, layer, x in cases:
        yield _report(title, layer, x, rng)
    # Long texts, which attention and the head cut into blocks: some entries of each array.
    x, ids = rng.standard_normal((1, T_LONG, H)), rng.integers(V, size=(1, T_LONG))
    yield _report(
        f"CausalSelfAttention, {T_LONG} tokens",
        CausalSelfAttention(GPTConfig(V, T_LONG, H, H, 1)),
        x,
        rng,
        20,
    )
    head = HeadLoss(Head(Parameter(V, H)), ids)
    yield _report(f"Head, loss, {T_LONG} tokens", head, x, rng, 20)


def _report(
    title: str, layer: Layer, x: Array, rng: np.random.Generator, entries: int | None = None
) -> Report:
    dy = 1.0 if isinstance(layer, HeadLoss) else None
    return Report(title, check_layer(layer, x, rng, dy=dy, entries=entries).rows)


def model_checks(rng: np.random.Generator) -> Iterator[Report]:
    """Small GPTs, tied and not: the slope of the loss along each parameter's random direction."""
    ids, targets = rng.integers(V, size=(2, B, T))
    for tied in (True, False):
        config = GPTConfig(V, T + 4, C, H, 2, dropout=0.2, tie_weights=tied)
        model = GPT(config, rng, np.float64)
        draw_parameters(model, rng)
        report = check_model(model, ids, targets, rng, by_parameter=True, complex_step=True)
        yield Report(f"{report.title}, {'tied' if tied else 'untied'}", report.rows)


def sweep_steps(rng: int | np.random.Generator = 0) -> Iterator[str]:
    """Lines of a table: the error of each oracle against the step h, for FeedForward.

    Central differences fall with h^2 until round-off, eps/h, takes over; the complex step falls
    with h^2 too, and stays.
    """
    rng = np.random.default_rng(rng)
    real = Subject(
        FeedForward(GPTConfig(V, T, C, H, 1)), rng.standard_normal((1, 3, C)), np.float64
    )
    draw_parameters(real.layer, rng)
    dy = rng.standard_normal(real.x.shape)
    truth = real.backward(dy)["x"].reshape(-1)
    oracles = [
        (by_difference, real),
        (by_difference, Subject(real.layer, real.x, np.float32)),
        (by_complex_step, Subject(real.layer, real.x, np.complex128)),
    ]
    yield "Error of dx of FeedForward, relative to the largest, for steps h"
    yield f"{'h':>8} {'differences, float64':>21} {'differences, float32':>21} {'complex step':>13}"
    for exponent in range(1, 14):
        h = 10.0**-exponent
        errors = []
        for oracle, subject in oracles:
            theta = subject.arrays["x"].reshape(-1)
            numeric = np.array([oracle(subject, theta, i, dy, h) for i in range(theta.size)])
            errors.append(float(abs(numeric - truth).max() / abs(truth).max()))
        yield f"{h:8.0e} {errors[0]:21.1e} {errors[1]:21.1e} {errors[2]:13.1e}"
    yield "Too large an h: the error is h^2 times a third derivative. Too small: the loss's own"
    yield "round-off divided by h, 1e-16/h in float64 and 1e-7/h in float32, where no h is good."
    yield "So the tests use float64, h = 1e-5 and a tolerance of 1e-7: hundreds of times the error"
    yield "there, and far below any bug. The complex step subtracts nothing and has no best h."


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
    if preset is not None:
        report = check_preset(preset)
        print(str(report))
        return report.passed
    rng = np.random.default_rng(0)
    wrong = []
    for checks in (layer_checks(rng), model_checks(rng)):
        for report in checks:
            print(str(report) + "\n")
            wrong += [f"{report.title}: {name}" for name in report.wrong]
    print("All passed." if not wrong else "WRONG: " + "; ".join(wrong))
    return not wrong
