"""The learning rate over time: a straight warm-up, then half a cosine down to a minimum.

    step < warmup:  lr = peak (step + 1) / (warmup + 1)
    afterwards:     lr = minimum + (peak - minimum) (1 + cos(pi s)) / 2,   s from 0 towards 1

AdamW's running means know nothing in the first steps, so these are kept small; at the end, small
steps let the weights settle.

Reference: Loshchilov and Hutter 2017 (cosine); Goyal et al. 2017 (warm-up).
"""

import math


def warmup_cosine(step: int, steps: int, warmup: int, peak: float, minimum: float) -> float:
    """The learning rate of step 0 <= step < steps."""
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    s = min(1.0, (step - warmup) / max(1, steps - warmup))
    return minimum + (peak - minimum) * (1 + math.cos(math.pi * s)) / 2
