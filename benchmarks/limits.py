"""What this machine can do at best: no layer can be faster than the limit it works against.

- **sgemm**: matrix products at the shapes of GPT-2's Linear layers, N = 1,024 rows.
- **x @ W**: a vector times weight matrices that fit no cache; one generated token is this.
- **copy**: elementwise layers read and write; half of a copy is reading.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from benchmarks.report import Table, Value
from benchmarks.timing import best
from benchmarks.work import Turn, Work, matrices
from numpygpt import GPTConfig
from numpygpt.parallel import over_rows

Array = npt.NDArray[np.float32]


@lru_cache(maxsize=16)
def _random(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def sgemm(N: int = 1024, C: int = 768, seconds: float = 0.1, repeats: int = 5) -> dict[str, float]:
    """GFLOP/s of y = x W, dW = x^T dy and dx = dy W^T at every Linear's shape."""
    rates: dict[str, float] = {}
    for n_in, n_out in matrices(GPTConfig(n_embd=C, n_head=1, n_layer=1))[:-1]:
        x, W, dy = _random(N, n_in), _random(n_in, n_out, seed=1), _random(N, n_out, seed=2)
        # Three arrays: NumPy computes a^T a in half the time, and that is not what a layer does.
        y, dW, dx = np.empty_like(dy), np.empty_like(W), np.empty_like(x)
        flops = 2e-9 * N * n_in * n_out
        products = (("x W", x, W, y), ("x^T dy", x.T, dy, dW), ("dy W^T", dy, W.T, dx))
        for name, a, b, out in products:
            shape = f"({a.shape[0]}, {a.shape[1]}) ({b.shape[0]}, {b.shape[1]})"
            time_one = best(lambda a=a, b=b, out=out: np.matmul(a, b, out=out), seconds, repeats)  # type: ignore[misc]
            rates[f"{name:7}{shape}"] = flops / time_one
    return rates


@lru_cache(maxsize=1)
def sgemm_peak() -> float:
    """The best rate over all shapes, in GFLOP/s."""
    return max(sgemm(seconds=0.05).values())


def matvec(config: GPTConfig) -> tuple[Callable[[], None], float]:
    """A function that multiplies a vector with every matrix of a model, and their GB."""
    weights = [np.full(shape, 0.01, np.float32) for shape in matrices(config)]
    vectors = {len(W): np.full(len(W), 0.01, np.float32) for W in weights}

    def run() -> None:
        for W in weights:
            _ = vectors[len(W)] @ W

    return run, sum(W.nbytes for W in weights) / 1e9


def copy_rate(megabytes: float) -> float:
    """GB/s read and written by copying arrays of that size, on all threads."""
    source = np.ones(int(megabytes * 1e6 / 4), np.float32)
    target = np.empty_like(source)
    seconds = best(lambda: over_rows(lambda a, b: np.copyto(b, a), source, target))
    return 2 * source.nbytes / seconds / 1e9


def run(quick: bool = False) -> Table:
    """All limits."""
    N, C = (64, 32) if quick else (1024, 768)
    rows: list[dict[str, Value]] = []
    for name, rate in sgemm(N, C, 0.01 if quick else 0.15).items():
        rows.append({"what": name, "GFLOP/s": rate})
    config = GPTConfig(
        n_embd=C, n_layer=1 if quick else 12, n_head=1, vocab_size=C if quick else 50257
    )
    multiply, gigabytes = matvec(config)
    rows.append({"what": f"x @ W, {gigabytes * 1e3:.0f} MB of weights",
                 "GB/s": gigabytes / best(multiply)})  # fmt: skip
    for megabytes in (0.1,) if quick else (3.1, 12.6, 500):
        rows.append({"what": f"copy of {megabytes} MB", "GB/s": copy_rate(megabytes)})
    return Table("limits", "The machine's limits: best of several runs each.", rows)


def prepare(work: Work) -> Turn:
    """As a contestant: the rate of the limit that the work runs against, in GFLOP/s or GB/s."""
    if work.kind != "generate":
        return lambda: [max(sgemm(seconds=0.02, repeats=3).values())]
    multiply, gigabytes = matvec(work.config)
    return lambda: [gigabytes / best(multiply)]
