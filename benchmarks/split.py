"""Where a training step's time goes: each kind of layer by itself, without the layers inside it.

A Linear inside attention counts as Linear; what is left to attention is what it does with q, k and
v. Where threads share a step, the seconds of all are counted, and a kind has that share of the
step. Beside each stands the time that its flops would take at the sgemm peak, as the formulas have
them: attention's without the masked half, and without the product that backward makes again. What
lies between the two is the price of everything else: of that, of small or narrow products, of
passes over memory, and of calls.
"""

import functools
import math
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

from benchmarks.limits import sgemm_peak
from benchmarks.report import Table, Value
from benchmarks.timing import clock
from benchmarks.work import TRAINING, Tell, Work, chosen, matrices, prepare
from numpygpt import GPT, AdamW, layers

WATCHED = ("forward", "backward", "loss", "output", "step")
KINDS = (
    layers.Linear,
    layers.Head,
    layers.CausalSelfAttention,
    layers.GELU,
    layers.LayerNorm,
    AdamW,
    layers.Embedding,
    layers.FeedForward,
    layers.Block,
    layers.Dropout,
    GPT,
)
STEPS = 4  # timed ones, after an untimed first


def products(work: Work) -> dict[str, float]:
    """Flops of each kind's products: all of `work.flops()` but positions, gains and biases."""
    c, N = work.config, work.batch * work.tokens
    *blocks, head = map(math.prod, matrices(c))
    return {
        "Linear": 6.0 * N * sum(blocks),
        "Head": 6.0 * N * head,
        "CausalSelfAttention": 6.0 * N * c.n_layer * c.n_embd * work.tokens,
    }


class Calls(threading.local):
    """For each call that is under way in a thread: seconds of the watched calls in it."""

    def __init__(self) -> None:
        self.inside = [0.0]


@contextmanager
def watched() -> Iterator[dict[str, float]]:
    """Seconds by kind, of all calls in the `with` block, in all threads."""
    seconds: dict[str, float] = defaultdict(float)
    calls, one_at_a_time = Calls(), threading.Lock()

    def timed(kind: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def run(*args: Any, **kwargs: Any) -> Any:
            inside = calls.inside
            inside.append(0.0)
            start = time.perf_counter()
            result = method(*args, **kwargs)
            whole = time.perf_counter() - start
            with one_at_a_time:
                seconds[kind] += whole - inside.pop()
            inside[-1] += whole
            return result

        return run

    originals = [(kind, name, vars(kind)[name]) for kind in KINDS for name in WATCHED
                 if name in vars(kind)]  # fmt: skip
    try:
        for kind, name, method in originals:
            setattr(kind, name, timed(kind.__name__, method))
        yield seconds
    finally:
        for kind, name, method in originals:
            setattr(kind, name, method)


def measure(work: Work, steps: int = STEPS) -> list[dict[str, Value]]:
    """A row for each kind, the longest first, and one for their sum, the step."""
    with watched() as seconds:
        turn = prepare(work)
        turn()
        turns = []
        for _ in range(steps):
            seconds.clear()
            whole = clock(turn)
            share = whole / sum(seconds.values())
            turns.append({kind: share * time_in for kind, time_in in seconds.items()})
    n, peak = work.steps, sgemm_peak() * 1e9
    own = {kind: median(turn[kind] for turn in turns) / n for kind in turns[0]}
    whole = sum(own.values())
    flops = products(work)
    rows = [*sorted(own.items(), key=lambda item: -item[1]), ("step", whole)]
    flops["step"] = sum(flops.values())
    return [
        {
            "what": f"{work.name}: {kind}",
            "ms": time_in * 1e3,
            "of the step": time_in / whole,
            "products ms": flops.get(kind, 0.0) / peak * 1e3,
        }
        for kind, time_in in rows
    ]


def run(quick: bool, wanted: str, tell: Tell) -> Table:
    """The training steps of very small models and of GPT-2 small; or what `wanted` names."""
    usual = ("nano, 12x64", "default, 16x128", "GPT-2 124M, 4x256")
    works = [work for work in TRAINING if wanted or work.name in usual]
    rows = []
    for work in chosen(works, quick, wanted, tell):
        rows += measure(work, 1 if quick else STEPS)
    return Table("split", "a training step by kind of layer, without the layers inside each; "
                 "products: what its flops take at the sgemm peak.", rows)  # fmt: skip
