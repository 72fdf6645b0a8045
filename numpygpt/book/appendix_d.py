"""Appendix D: the learning rate warms up, then falls along a cosine; gradients are clipped.

``numpygpt.training`` does the same, with one number less:

================================  ================================================================
the book                          numpygpt
================================  ================================================================
initial, peak, minimum rate       ``warmup_cosine(step, steps, warmup, peak, minimum)``, where the
                                  initial rate is peak / (warmup + 1): one increment above 0
``clip_grad_norm_(params, 1.0)``  ``optimizer.step(clip_scale(grad_norm(model), 1.0))``: gradients
                                  are scaled while AdamW reads them, and stay as they were
clipped once warm-up is over      clipped from the first step
================================  ================================================================
"""

from numpygpt.training.schedule import warmup_cosine


def learning_rate(
    step: int, steps: int, warmup: int, initial: float, peak: float, minimum: float
) -> float:
    """Return the book's learning rate.

    Parameters
    ----------
    step : int
        From 0 to steps - 1.
    steps, warmup : int
        Optimiser steps in all, and those of the warm-up, at the end of which the peak is reached.
    initial, peak, minimum : float
        The rate at step 0, at step `warmup`, and the one that the cosine would reach at `steps`.
    """
    if step < warmup:
        return initial + step * (peak - initial) / warmup
    return warmup_cosine(step, steps, warmup, peak, minimum)
