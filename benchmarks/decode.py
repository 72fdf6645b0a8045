"""Generating one token after the other, with and without the cache of keys and values.

With the cache a token needs every weight once and next to no arithmetic: the memory's bandwidth is
the limit. Without, all tokens so far are computed anew for each one.
"""

from dataclasses import replace

from benchmarks.machine import total_memory
from benchmarks.report import Table, Value
from benchmarks.training import measure
from benchmarks.work import DECODE, LARGE, Tell, Work, chosen
from benchmarks.worker import OURS, workers

WITHOUT = replace(DECODE, cache=False)


def run(quick: bool, wanted: str, tell: Tell) -> Table:
    """GPT-2 small at batch 1."""
    works = chosen([DECODE, WITHOUT], quick, wanted, tell)
    rows = [measure(work, 3 if work.cache and not quick else 1) for work in works]
    return Table(
        "decode",
        "greedy, batch 1; GB/s: weights read, against a vector times matrices of the same bytes.",
        rows,
    )


def weights_in_memory(work: Work) -> dict[str, Value]:
    """A row: the memory that generating takes, against the weights alone."""
    weights = 4e-6 * work.num_parameters()
    memory = total_memory() / 1e6
    if memory < 1.2 * weights:
        raise ValueError(
            f"{work.name}: expected {1.2 * weights:,.0f} MB of memory, got {memory:,.0f}"
        )
    with workers([OURS], work) as (ours,):
        result = ours.turn()
        return {
            "what": work.name,
            "s a token": result.seconds / work.tokens,
            "weights MB": weights,
            "peak MB": ours.peak(),
            "memory": ours.peak() / weights,
        }


def run_large(quick: bool, wanted: str, tell: Tell) -> Table:
    """The largest GPT-2, which has to fit."""
    rows = [weights_in_memory(work) for work in chosen([LARGE], quick, wanted, tell)]
    return Table("large", "memory while generating, against the weights alone (random ones).", rows)
