"""What the order of imports costs: a program that imports NumPy before numpygpt, and one after.

OpenBLAS reads its settings when NumPy is loaded, so what numpygpt sets comes too late for a program
that imports NumPy first, as most do.
"""

from contextlib import closing

from benchmarks.report import Table, Value, ratio
from benchmarks.work import TINY, TRAINING, Tell, Work, chosen
from benchmarks.worker import OURS, Worker


def measure(work: Work, rounds: int) -> dict[str, Value]:
    """One row: two processes in turns, each with the same work."""
    with (
        closing(Worker(OURS, work, first="numpygpt")) as right,
        closing(Worker(OURS, work, first="numpy")) as usual,
    ):
        for _ in range(rounds + 1):  # the first one is untimed
            right.turn()
            usual.turn()
        times = [[result.seconds for result in w.results[1:]] for w in (usual, right)]
        return {
            "what": work.name,
            "numpygpt first s": right.seconds() / work.steps,
            "numpy first s": usual.seconds() / work.steps,
            **ratio("slower", *times),
        }


def run(quick: bool, rounds: int, wanted: str, tell: Tell) -> Table:
    """The training of tiny; or what `wanted` names."""
    works = [work for work in TRAINING if wanted or work.config == TINY]
    rows = [measure(work, 1 if quick else rounds) for work in chosen(works, quick, wanted, tell)]
    return Table(
        "imports",
        "training in a process that imports NumPy first, and in one that imports numpygpt first, "
        "in turns, medians; slower: the one over the other.",
        rows,
    )
