"""`check_layer`: every entry of every parameter, and of the input, against the oracles.

The error of an array is relative to its largest derivative. An array whose derivatives are all 0 (a
key's bias) is measured by the largest of all arrays.

Tolerances: central differences in float64 leave 1e-11 to 1e-9 here, so 1e-7 never fails by chance,
and a gradient off by the factor 1.000001 does fail. The complex step leaves 1e-16 to 1e-14: 1e-12.
"""

import numpy as np
import numpy.typing as npt

from numpygpt.gradcheck.oracles import (
    Subject,
    by_complex_step,
    by_difference,
    draw_parameters,
)
from numpygpt.gradcheck.report import Report, Row
from numpygpt.layers.base import Layer
from numpygpt.layers.parameter import Array

TOLERANCE, COMPLEX_TOLERANCE = 1e-7, 1e-12
NEGLIGIBLE = 1e-6  # an array all of whose derivatives are below this part of the largest is "0"


def check_layer(
    layer: Layer,
    x: npt.ArrayLike,
    rng: int | np.random.Generator = 0,
    *,
    dy: npt.ArrayLike | None = None,
    own_parameters: bool = False,
    complex_step: bool = True,
    entries: int | None = None,
) -> Report:
    """Compare a layer's backward with derivatives taken from its forward.

    Parameters
    ----------
    layer : Layer
        Yours, or one of `numpygpt.layers`: `forward(x)` returns an array, `backward(dy)` returns
        dx. It is copied, not changed.
    x : array
        Its input. Whole numbers (ids) are not differentiated by.
    rng : int or numpy.random.Generator
        Draws dy and the parameters.
    dy : array, optional
        Instead of a random one. A layer whose output is a loss takes `dy=1.0`.
    own_parameters : bool
        Keep the layer's own values. By default they are drawn anew, of order 1, because biases of
        0 and gains of 1 hide errors.
    complex_step : bool
        Whether to check by complex steps too. False for a forward that complex numbers cannot run.
    entries : int, optional
        Check at most so many entries of each array, drawn at random, instead of all.

    Returns
    -------
    Report
        `report.passed`, `report.worst`, and a table: `print(report)`.

    Raises
    ------
    ValueError
        If backward returns another shape than x's, or the layer writes into x or dy.
    """
    rng = np.random.default_rng(rng)
    real = Subject(layer, np.asarray(x), np.float64)
    if not own_parameters:
        draw_parameters(real.layer, rng)
    exact = Subject(real.layer, real.x, np.complex128) if complex_step else None
    if not real.arrays:
        raise ValueError(f"{real.name}: nothing to check: no parameters, and x is whole numbers")
    y = real.forward()
    dy = rng.standard_normal(y.shape) if dy is None else np.asarray(dy, np.float64)
    if dy.shape != y.shape:
        raise ValueError(f"{real.name}: expected dy of y's shape {y.shape}, got {dy.shape}")
    analytic = real.backward(dy)
    found = {
        name: _measure(name, real, exact, dy, _choose(array.size, entries, rng))
        for name, array in real.arrays.items()
    }
    return Report(real.name, _compare(real, analytic, found))


Measured = tuple[npt.NDArray[np.int_], Array, Array | None]


def _choose(size: int, entries: int | None, rng: np.random.Generator) -> npt.NDArray[np.int_]:
    if entries is None or entries >= size:
        return np.arange(size)
    return np.sort(rng.choice(size, entries, replace=False))


def _measure(
    name: str, real: Subject, exact: Subject | None, dy: Array, which: npt.NDArray[np.int_]
) -> Measured:
    """(which entries, their derivatives by central differences, and by complex steps)."""
    theta = real.arrays[name].reshape(-1)
    differences = np.array([by_difference(real, theta, i, dy) for i in which])
    if exact is None:
        return which, differences, None
    theta = exact.arrays[name].reshape(-1)
    return which, differences, np.array([by_complex_step(exact, theta, i, dy) for i in which])


def _compare(real: Subject, analytic: dict[str, Array], found: dict[str, Measured]) -> list[Row]:
    """One row an array, in which the errors are relative to the array's largest derivative."""
    largest = {name: float(abs(numeric).max(initial=0)) for name, (_, numeric, _) in found.items()}
    overall = max(largest.values()) or 1.0
    rows = []
    for name, (which, differences, complex_step) in found.items():
        scale = largest[name] if largest[name] > NEGLIGIBLE * overall else overall
        claimed = analytic[name].reshape(-1)[which]
        errors = [_relative(claimed, differences, scale)]
        if complex_step is not None:
            errors.append(_relative(claimed, complex_step, scale))
        worst = [float(error.max(initial=0)) for error in errors]
        passed = worst[0] <= TOLERANCE and (len(worst) == 1 or worst[1] <= COMPLEX_TOLERANCE)
        at = int(errors[-1].argmax()) if len(which) else 0
        shape = real.arrays[name].shape
        index = tuple(int(i) for i in np.unravel_index(which[at], shape))
        best = differences if complex_step is None else complex_step
        exact = worst[1] if len(worst) > 1 else None
        rows.append(
            Row(name, shape, worst[0], exact, index, float(claimed[at]), float(best[at]), passed)
        )
    return rows


def _relative(claimed: Array, numeric: Array, scale: float) -> Array:
    error: Array = abs(claimed - numeric) / scale
    error[np.isnan(error)] = np.inf
    return error
