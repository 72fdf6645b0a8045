"""How time and memory grow with T, B and the model, against the formulas.

    flops   6 N (parameters + L C T)                    a step on N = B T tokens
    memory  16 parameters + 4 (saved activations)       bytes: weights, gradients, AdamW's m and v

Saved activations are linear in N: attention saves no (T, T) matrix. So memory is linear in T, and
time has a quadratic part only where T is no longer small against 12 C. Where a row is nearer to its
formula than the one before, small sizes pay overheads; nothing should go the other way.
"""

from dataclasses import replace

from benchmarks.report import Table, Value
from benchmarks.work import GPT2, NANO, TINY, TRIAL, Tell, Work
from benchmarks.worker import OURS, workers
from numpygpt import GPTConfig
from numpygpt.cli.info import activation_floats

BASE = GPTConfig(vocab_size=8192, context_length=1024, n_embd=384, n_head=6, n_layer=6)
MIDDLE = replace(BASE, n_embd=512, n_head=8, n_layer=8)


def series(quick: bool) -> dict[str, dict[str, Work]]:
    """Works by their sizes, which grow: the texts' length, their number, the model."""
    base, T = (TRIAL, 8) if quick else (BASE, 256)
    lengths, batches = ((8, 16), (1, 2)) if quick else ((128, 256, 512, 1024), (1, 2, 4, 8))
    shapes = (NANO, replace(NANO, n_layer=8)) if quick else (NANO, TINY, MIDDLE, GPT2)
    models = [Work("train", replace(c, context_length=T), 2, T) for c in shapes]
    return {
        "T": {f"T {n:,}, B 1": Work("train", base, 1, n) for n in lengths},
        "B": {f"B {B}, T {T}": Work("train", base, B, T) for B in batches},
        "model": {millions(work.num_parameters()): work for work in models},
    }


def millions(parameters: int) -> str:
    """Enough digits to tell the models apart."""
    number = parameters / 1e6
    return f"{number:.{1 if number < 100 else 0}f} M"


def formula_megabytes(work: Work) -> float:
    """What training has to keep, in MB."""
    floats = activation_floats(work.config, work.batch, work.tokens)
    return (16 * work.num_parameters() + 4 * floats) / 1e6


def measure(work: Work, turns: int = 2) -> tuple[float, float]:
    """Seconds a step, and peak memory in MB, of a fresh process."""
    with workers([OURS], work) as (ours,):
        for _ in range(turns + 1):
            ours.turn()
        return ours.seconds(), ours.peak()


def run(quick: bool, wanted: str, tell: Tell) -> Table:
    """All three series; the memory of Python and NumPy themselves is subtracted."""
    _, empty = measure(Work("train", TRIAL, 1, 16), 1)
    rows: list[dict[str, Value]] = []
    notes = []
    for name, works in series(quick).items():
        if wanted not in name:
            continue
        tell(f"growth with {name}")
        mine = [row(size, work, empty, 1 if quick else 2) for size, work in works.items()]
        notes += [] if quick else [verdict(name, mine)]  # a trial takes no memory to speak of
        rows += mine
    return Table("growth", "training steps as one size grows; MB: above Python and NumPy "
                 f"themselves ({empty:.0f}).", rows, notes)  # fmt: skip


def row(size: str, work: Work, empty: float, turns: int) -> dict[str, Value]:
    """One line of the table."""
    seconds, peak = measure(work, turns)
    gflop, formula = work.flops() / 1e9, formula_megabytes(work)
    return {
        "what": size,
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
