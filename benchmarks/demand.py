"""What a piece of work demands of the machine at the very least."""

import math

from benchmarks.work import Work, matrices


def demand(work: Work) -> tuple[float, str]:
    """GFLOP of a turn; or, for generation, the GB of weights that it reads.

    Every generated token is multiplied with every matrix once (the first one together with the
    whole prompt). Keys and values, biases and gains come on top and are not counted.
    """
    if work.kind == "generate":
        weights = sum(map(math.prod, matrices(work.config)))
        return 4e-9 * weights * work.tokens * work.steps, "GB/s"
    third = 1 if work.kind == "train" else 3
    return work.flops() * work.steps / third / 1e9, "GFLOP/s"
