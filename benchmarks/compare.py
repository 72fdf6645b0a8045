"""numpygpt against PyTorch and transformers on the same work, in one run.

Contestants take turns: numpygpt, the other, the machine's limit, again and again, so that a machine
that gets slower for a while does so for all. Each round gives one ratio; the result is the median
(of five rounds, unless asked otherwise). Before anything is timed the contestants have to compute
the same: the loss on the same weights, and again after one step of AdamW; or the last logits'
cross-entropy; or the same tokens.
"""

import importlib.util
from statistics import median

import numpy as np

from benchmarks.demand import demand
from benchmarks.report import Table, Value, ratio
from benchmarks.work import DECODE, FORWARD, TRAINING, Tell, Work, chosen
from benchmarks.worker import LIMIT, OURS, Worker, workers

OTHERS = {"train": ("PyTorch", "benchmarks.torch_gpt")}
TRANSFORMERS = ("transformers", "benchmarks.transformers_gpt")
RTOL = (1e-4, 1e-3)  # of the loss on the same weights, and after a step


def require_packages() -> None:
    """Raise unless PyTorch and transformers are there."""
    missing = [name for name in ("torch", "transformers") if not importlib.util.find_spec(name)]
    if missing:
        raise ValueError(
            f"--compare: expected {' and '.join(missing)} to be installed; "
            "pip install -e '.[bench]' brings all that it needs"
        )


def check_equal(work: Work, ours: list[float], theirs: list[float]) -> None:
    """Raise unless both did the same work."""
    n = len(ours) if work.kind == "generate" else len(RTOL)
    rtol = 0.0 if work.kind == "generate" else np.array(RTOL[: len(ours[:n])])
    a, b = np.array(ours[:n]), np.array(theirs[:n])
    if a.shape != b.shape or not (abs(a - b) <= rtol * abs(b)).all():
        raise RuntimeError(f"{work.name}: not the same work: numpygpt {a}, the other {b}")


def compare(work: Work, pairs: int) -> dict[str, Value]:
    """One row of the table: `pairs` rounds after an untimed one."""
    name, module = OTHERS.get(work.kind, TRANSFORMERS)
    with workers([OURS, module, LIMIT], work) as contestants:
        ours, theirs, limit = contestants
        for worker in (ours, theirs):
            worker.turn()
            if work.kind == "train" and work.steps == 1:
                worker.turn()  # the loss after one step
        check_equal(work, *([x for r in w.results for x in r.numbers] for w in (ours, theirs)))
        for worker in (ours, theirs):
            del worker.results[1:]
        for _ in range(pairs):
            for worker in contestants:
                worker.turn()
        return _row(work, name, ours, theirs, limit)


def _row(work: Work, name: str, ours: Worker, theirs: Worker, limit: Worker) -> dict[str, Value]:
    turns = [r.seconds for r in ours.results[1:]]
    limits = [r.numbers[0] for r in limit.results]
    gigabytes_or_gflop, unit = demand(work)
    shares = [gigabytes_or_gflop / a / b for a, b in zip(turns, limits, strict=True)]
    per_turn = work.steps
    return {
        "what": work.name,
        "against": name,
        "numpygpt s": ours.seconds() / per_turn,
        "other s": theirs.seconds() / per_turn,
        **ratio("speed", [r.seconds for r in theirs.results[1:]], turns),
        "limit": f"{median(limits):.0f} {unit}",
        "share": median(shares),
        "numpygpt MB": ours.peak(),
        "other MB": theirs.peak(),
        "memory": ours.peak() / theirs.peak(),
    }


def run(quick: bool, pairs: int, wanted: str, tell: Tell) -> Table:
    """All the work whose name contains `wanted`."""
    require_packages()
    works = chosen([*TRAINING, FORWARD, DECODE], quick, wanted, tell)
    rows = [compare(work, 1 if quick else pairs) for work in works]
    return Table("compare", "turns in one run, medians; speed above 1: numpygpt is faster, "
                 "memory below 1: it needs less.", rows)  # fmt: skip
