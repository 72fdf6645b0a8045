"""numpygpt alone: training steps and a forward pass, their speed, and their peak memory."""

from benchmarks.demand import demand
from benchmarks.report import Table, Value
from benchmarks.work import FORWARD, TRAINING, Tell, Work, chosen
from benchmarks.worker import LIMIT, OURS, workers

TURNS = 2  # timed ones, after an untimed first


def measure(work: Work, turns: int = TURNS) -> dict[str, Value]:
    """One row: a fresh process, in turns with one that measures the machine's limit."""
    with workers([OURS, LIMIT], work) as (ours, limit):
        ours.turn()
        for _ in range(turns):
            ours.turn()
            limit.turn()
        seconds = ours.seconds()
        needed, unit = demand(work)
        best = max(result.numbers[0] for result in limit.results)
        tokens = work.batch * work.tokens * work.steps
        return {
            "what": work.name,
            "ms": seconds * 1e3 / work.steps,
            "tokens/s": tokens / seconds,
            unit: needed / seconds,
            "limit": best,
            "share": needed / seconds / best,
            "peak MB": ours.peak(),
        }


def run(quick: bool, wanted: str, tell: Tell) -> Table:
    """The training step at several sizes, and the forward pass."""
    works = chosen([*TRAINING, FORWARD], quick, wanted, tell)
    rows = [measure(work, 1 if quick else TURNS) for work in works]
    return Table(
        "training",
        "a whole step (forward, backward, AdamW) and one forward pass, each in a process of its "
        "own; limit: the sgemm peak in the same minute.",
        rows,
    )
