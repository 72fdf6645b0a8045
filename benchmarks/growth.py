"""How time and memory grow with T, B and the model, against the formulas.

    flops   6 N (parameters + L C T)                    a step on N = B T tokens
    memory  16 parameters + 4 (saved activations)       bytes: weights, gradients, AdamW's m and v

Saved activations are linear in N: attention saves no (T, T) matrix. So memory is linear in T, and
time has a quadratic part only where T is no longer small against 12 C. Where a row is nearer to its
formula than the one before, small sizes pay overheads; nothing should go the other way.
"""

from collections.abc import Callable
from dataclasses import replace

from benchmarks.report import Table, Value
from benchmarks.work import GPT2, NANO, TINY, Work, shrink
from benchmarks.worker import workers
from numpygpt import GPTConfig
from numpygpt.cli.info import activation_floats

BASE = GPTConfig(vocab_size=8192, context_length=1024, n_embd=384, n_head=6, n_layer=6)
MIDDLE = replace(BASE, n_embd=512, n_head=8, n_layer=8)

SERIES = {
    "T": [Work(f"T {T:,}, B 1", "train", BASE, 1, T) for T in (128, 256, 512, 1024)],
    "B": [Work(f"B {B}, T 256", "train", BASE, B, 256) for B in (1, 2, 4, 8)],
    "model": [
        Work(name, "train", replace(c, context_length=256), 2, 256)
        for name, c in (("0.9 M", NANO), ("10.7 M", TINY), ("29.6 M", MIDDLE), ("124 M", GPT2))
    ],
}


def formula_megabytes(work: Work) -> float:
    """What training has to keep, in MB."""
    floats = activation_floats(work.config, work.batch, work.tokens)
    return (16 * work.num_parameters() + 4 * floats) / 1e6


def measure(work: Work, turns: int = 2) -> tuple[float, float]:
    """Seconds a step, and peak memory in MB, of a fresh process."""
    with workers(["benchmarks.work"], work) as (ours,):
        for _ in range(turns + 1):
            ours.turn()
        return ours.seconds(), ours.peak()


def run(
    quick: bool = False, wanted: str = "", tell: Callable[[str], None] = lambda line: None
) -> Table:
    """All three series; the memory of Python and NumPy themselves is subtracted."""
    _, empty = measure(shrink(SERIES["T"][0]), 1)
    rows: list[dict[str, Value]] = []
    notes = []
    for name, series in SERIES.items():
        if wanted not in name:
            continue
        tell(f"growth with {name}")
        mine = [row(shrink(work) if quick else work, empty, 1 if quick else 2) for work in series]
        notes += [] if quick else [verdict(name, mine)]
        rows += mine
    return Table("growth", "training steps as one size grows; MB: above Python and NumPy "
                 f"themselves ({empty:.0f}).", rows, notes)  # fmt: skip


def row(work: Work, empty: float, turns: int) -> dict[str, Value]:
    """One size."""
    seconds, peak = measure(work, turns)
    gflop, formula = work.flops() / 1e9, formula_megabytes(work)
    return {
        "what": work.name,
        "ms": seconds * 1e3,
        "GFLOP": gflop,
        "ms/GFLOP": seconds * 1e3 / gflop,
        "MB": peak - empty,
        "formula MB": formula,
        "MB/formula": (peak - empty) / formula,
    }


def verdict(name: str, rows: list[dict[str, Value]]) -> str:
    """How much faster than its formula each quantity grew, from the first size to the last."""
    first, last = rows[0], rows[-1]
    time, memory = (float(last[c]) / float(first[c]) for c in ("ms/GFLOP", "MB/formula"))
    grown = float(last["GFLOP"]) / float(first["GFLOP"])
    return (
        f"{name}: {grown:.1f} times the flops took {time:.2f} times as long a flop, and "
        f"{memory:.2f} times as much memory for what the formula says"
    )
