"""How each layer got fast: from the obvious NumPy to the layer, one change at a time.

Each file is one ladder: `rungs(quick)` returns (what changed, function) pairs that all compute the
same arrays. The first is what one would write first, the last what numpygpt does. All results are
asserted equal to the first one's, then all are timed in turns.

Some rungs are slower than the one before: they show what did not help.
"""

import importlib
from collections.abc import Callable

import numpy as np

from benchmarks.report import Table, Value
from benchmarks.timing import in_turns
from benchmarks.work import Tell
from numpygpt.layers.parameter import Array

Result = Array | tuple[Array, ...]
Rung = tuple[str, Callable[[], Result]]

NAMES = ("linear", "gelu", "layernorm", "attention", "head", "embedding", "adamw", "decode")
TOLERANCE = 1e-4  # float32, relative to the largest number of an array


def check_equal(name: str, rungs: list[Rung]) -> None:
    """Raise unless all rungs compute what the first one does."""
    expected = _arrays(rungs[0][1]())
    for what, run in rungs[1:]:
        results = _arrays(run())
        for a, b in zip(results, expected, strict=True):
            error = float(np.abs(a - b).max() / np.abs(b).max())
            if not error <= TOLERANCE:
                raise RuntimeError(f"{name}, {what!r}: differs from the first rung by {error:.1e}")


def climb(name: str, quick: bool = False) -> list[dict[str, Value]]:
    """One ladder's rows."""
    rungs: list[Rung] = importlib.import_module(f"benchmarks.ladders.{name}").rungs(quick)
    check_equal(name, rungs)
    times = in_turns(*(run for _, run in rungs), seconds=0.01 if quick else 1.5)
    return [
        {"what": f"{name}: {what}", "ms": t * 1e3, "faster": times[0] / t}
        for (what, _), t in zip(rungs, times, strict=True)
    ]


def run(quick: bool, wanted: str, tell: Tell) -> Table:
    """All ladders whose name contains `wanted`."""
    rows: list[dict[str, Value]] = []
    for name in NAMES:
        if wanted in name:
            tell(name)
            rows += climb(name, quick)
    return Table("ladders", "one change at a time; faster: times the first rung.", rows)


def random(*shape: int) -> Array:
    """Normal numbers, float32."""
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def _arrays(result: Result) -> tuple[Array, ...]:
    return result if isinstance(result, tuple) else (result,)
