"""How long a function takes."""

import time
from collections.abc import Callable
from statistics import median


def clock(run: Callable[[], object]) -> float:
    """Seconds of one run."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def best(run: Callable[[], object], seconds: float = 0.3, repeats: int = 5) -> float:
    """The shortest of several runs, in seconds: what the machine can do when undisturbed."""
    run()
    times: list[float] = []
    while len(times) < repeats or sum(times) < seconds:
        times.append(clock(run))
    return min(times)


def in_turns(*runs: Callable[[], object], seconds: float = 0.3, repeats: int = 5) -> list[float]:
    """The median seconds of each function, called one after the other, again and again."""
    for run in runs:
        run()
    times: list[list[float]] = [[] for _ in runs]
    while len(times[0]) < repeats or sum(map(sum, times)) < seconds:
        for run, mine in zip(runs, times, strict=True):
            mine.append(clock(run))
    return [median(mine) for mine in times]
