"""How long a function takes."""

import time
from collections.abc import Callable
from statistics import median

_hurry = False


def hurry(quick: bool) -> None:
    """Whether to run everything once only: to see that it works, not to measure it."""
    global _hurry
    _hurry = quick


def _enough(times: list[float], seconds: float, repeats: int) -> bool:
    return bool(times) and (_hurry or (len(times) >= repeats and sum(times) >= seconds))


def clock(run: Callable[[], object]) -> float:
    """Seconds of one run."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def best(run: Callable[[], object], seconds: float = 0.3, repeats: int = 5) -> float:
    """The shortest of several runs, in seconds: what the machine can do when undisturbed."""
    run()
    times: list[float] = []
    while not _enough(times, seconds, repeats):
        times.append(clock(run))
    return min(times)


def in_turns(*runs: Callable[[], object], seconds: float = 0.3, repeats: int = 5) -> list[float]:
    """The median seconds of each function, called one after the other, again and again."""
    for run in runs:
        run()
    times: list[list[float]] = [[] for _ in runs]
    while not _enough([sum(turn) for turn in zip(*times, strict=True)], seconds, repeats):
        for run, mine in zip(runs, times, strict=True):
            mine.append(clock(run))
    return [median(mine) for mine in times]
