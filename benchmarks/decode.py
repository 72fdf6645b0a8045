"""Generating one token after the other, with and without the cache of keys and values.

With the cache a token needs every weight once and next to no arithmetic: the memory's bandwidth is
the limit. Without, all tokens so far are computed anew for each one.
"""

from collections.abc import Callable
from dataclasses import replace

from benchmarks.machine import total_memory
from benchmarks.report import Table, Value
from benchmarks.training import measure
from benchmarks.work import DECODE, XL, Work, shrink
from benchmarks.worker import workers

WITHOUT = replace(DECODE, name=f"{DECODE.name}, no cache", cache=False)


def run(
    quick: bool = False, wanted: str = "", tell: Callable[[str], None] = lambda line: None
) -> Table:
    """GPT-2 small at batch 1."""
    rows = []
    for work, turns in ((DECODE, 3), (WITHOUT, 1)):
        if wanted in work.name:
            tell(work.name)
            rows.append(measure(shrink(work) if quick else work, 1 if quick else turns))
    return Table(
        "decode",
        "greedy, batch 1; GB/s: weights read, against a vector times matrices of the same bytes.",
        rows,
    )


def weights_in_memory(work: Work) -> dict[str, Value]:
    """A row: the memory that generating takes, against the weights alone."""
    with workers(["benchmarks.work"], work) as (ours,):
        result = ours.turn()
        weights = 4 * work.num_parameters() / 1e6
        return {
            "what": work.name,
            "s a token": result.seconds / work.tokens,
            "weights MB": weights,
            "peak MB": ours.peak(),
            "memory": ours.peak() / weights,
        }


def run_large(quick: bool = False) -> Table:
    """The largest GPT-2, which has to fit."""
    needed = 4 * XL.num_parameters() * 1.2
    if not quick and total_memory() < needed:
        raise ValueError(
            f"large: expected {needed / 1e9:.0f} GB of memory, got {total_memory() / 1e9:.0f} GB"
        )
    rows = [weights_in_memory(shrink(XL) if quick else XL)]
    return Table("large", "memory while generating, against the weights alone (random ones).", rows)
