"""`numpygpt gradcheck --sweep`: how the error of each oracle depends on its step h."""

from collections.abc import Iterator

import numpy as np

from numpygpt.config import GPTConfig
from numpygpt.gradcheck.oracles import (
    Oracle,
    by_complex_step,
    by_difference,
    derivatives,
    draw_parameters,
)
from numpygpt.gradcheck.subject import Subject
from numpygpt.layers import FeedForward
from numpygpt.layers.parameter import Array


def sweep_steps(rng: int | np.random.Generator = 0) -> Iterator[str]:
    """Lines of a table: the error of each oracle against the step h, for FeedForward.

    Central differences fall with h^2 until round-off, eps/h, takes over; the complex step falls
    with h^2 too, and stays.
    """
    rng = np.random.default_rng(rng)
    C = 21
    real = Subject(
        FeedForward(GPTConfig(n_embd=C, n_head=1)), rng.standard_normal((1, 3, C)), np.float64
    )
    draw_parameters(real.layer, rng)
    dy = rng.standard_normal(real.x.shape)
    columns: list[tuple[Oracle, Subject]] = [
        (by_difference, real),
        (by_difference, Subject(real.layer, real.x, np.float32)),
        (by_complex_step, Subject(real.layer, real.x, np.complex128)),
    ]
    truth = real.backward(dy)["x"].reshape(-1)
    yield "Error of dx of FeedForward, relative to the largest, for steps h"
    yield f"{'h':>8} {'differences, float64':>21} {'differences, float32':>21} {'complex step':>13}"
    for exponent in range(1, 14):
        h = 10.0**-exponent
        errors = [_error(*column, dy, h, truth) for column in columns]
        yield f"{h:8.0e} {errors[0]:21.1e} {errors[1]:21.1e} {errors[2]:13.1e}"
    yield "Too large an h: the error is h^2 times a third derivative. Too small: the loss's own"
    yield "round-off divided by h, 1e-16/h in float64 and 1e-7/h in float32, where no h is good."
    yield "So the tests use float64, h = 1e-5 and a tolerance of 1e-7: hundreds of times the error"
    yield "there, and far below any bug. The complex step subtracts nothing and has no best h."


@np.errstate(under="ignore")
def _error(oracle: Oracle, subject: Subject, dy: Array, h: float, truth: Array) -> float:
    """The largest error of dx, relative to the largest of the truth."""
    numeric = derivatives(oracle, subject, "x", range(truth.size), dy, h)
    return float(abs(numeric - truth).max() / abs(truth).max())
