"""`check_layer`: every entry of every parameter, and of the input, against the oracles."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from numpygpt.gradcheck.bugs import planted
from numpygpt.gradcheck.diagnosis import diagnose
from numpygpt.gradcheck.expect import as_numbers, expect_layer
from numpygpt.gradcheck.oracles import (
    STEP,
    Oracles,
    at_kinks,
    derivatives,
    draw_parameters,
    oracles_of,
    rms,
)
from numpygpt.gradcheck.report import (
    NOT_COMPLEX,
    RESOLVED,
    TOLERANCE,
    UNLIKE,
    Report,
    Row,
    compare,
    kink_note,
)
from numpygpt.gradcheck.subject import Subject
from numpygpt.layers.base import Array, Layer


@np.errstate(all="ignore")  # the report says what is not finite
def check_layer(
    layer: Layer,
    x: npt.ArrayLike,
    rng: int | np.random.Generator = 0,
    *,
    dy: npt.ArrayLike | None = None,
    own_parameters: bool = False,
    complex_step: bool = True,
    entries: int | None = None,
    like: Layer | None = None,
) -> Report:
    """Compare a layer's backward with derivatives taken from its forward.

    Parameters
    ----------
    layer : Layer
        Yours, or one of `numpygpt.layers`: `forward(x)` returns an array, `backward(dy)` returns
        dx. It is copied, not changed; the copy is in float64.
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
        Whether to check by complex steps too. False for a forward that complex numbers cannot run;
        one that makes real numbers of them, as `abs` does, is checked by differences alone.
    entries : int, optional
        Check at most so many entries of each array, drawn at random, instead of all.

    like : Layer, optional
        One of `numpygpt.layers`, or made of them, that does the same with parameters of the same
        names. What is wrong is then compared with what known bugs do to that one, too. By default
        it is the layer itself.

    Returns
    -------
    Report
        `report.passed`, `report.worst`, and a table: `print(report)`. What failed has `evidence`.

    Raises
    ------
    TypeError, ValueError
        If it is no layer that can be checked: x or dy are not numbers, forward gives another dtype
        than float64 or another y at every call, backward returns no dx of x's shape and dtype, the
        layer writes into x or dy, or there is nothing to check.
    """
    rng = np.random.default_rng(rng)
    real = Subject(layer, x, np.float64)
    if not real.arrays:
        raise ValueError(f"{real.name}: nothing to check: no parameters, and x is whole numbers")
    if entries is not None and entries < 1:
        raise ValueError(f"check_layer: expected entries of at least 1, got {entries}")
    if like is not None:
        _expect_like(layer, like)
        Subject(planted(like), real.x, np.float64).forward()  # an error here is better than none
    if not own_parameters:
        draw_parameters(real.layer, rng)
    exact = Subject(real.layer, real.x, np.complex128) if complex_step else None
    y = real.forward()
    dy = rng.standard_normal(y.shape) if dy is None else as_numbers(f"{real.name}: dy", dy)
    dy = np.array(dy, np.float64)
    if dy.shape != y.shape:
        raise ValueError(f"{real.name}: expected dy of y's shape {y.shape}, got {dy.shape}")
    if not dy.any():
        raise ValueError(f"{real.name}: nothing to check: dy has no number that is not 0")
    claimed = {name: array.copy() for name, array in real.backward(dy).items()}
    oracles = oracles_of(real, exact)
    size = float(np.linalg.norm(dy * y))
    rows, scales = [], {}
    for name, theta in real.arrays.items():
        which = _choose(theta.size, entries, rng)
        row, scales[name] = _compared(name, oracles, claimed[name], which, dy, size)
        rows.append(row)
    if not all(row.passed for row in rows):
        rows = diagnose(real, layer if like is None else like, dy, rows, scales)
    return Report(real.name, rows)


def _compared(
    name: str, oracles: Oracles, claimed: Array, which: Array, dy: Array, size: float
) -> tuple[Row, float]:
    """One array's row, and what its errors are relative to; size is that of dy * y."""
    real = oracles[0][1]
    theta = real.arrays[name]
    unit = rms(theta) or 1.0  # large numbers take large steps
    found = np.array(
        [derivatives(oracle, one, name, which, dy, h * unit) for oracle, one, h in oracles]
    )
    backward, notes = claimed.flat[which], []
    scale = max(_largest(found[0]), RESOLVED * size / unit)
    unlike = ~(abs(found[-1] - found[0]) <= UNLIKE * scale) & np.isfinite(found[0])
    doubtful = unlike if len(found) > 1 else abs(found[0] - backward) > TOLERANCE * scale
    if doubtful.any():
        doubtful = doubtful.copy()
        doubtful[doubtful] = at_kinks(
            real, name, which[doubtful], backward[doubtful], dy, STEP * unit
        )
        found[:, doubtful] = backward[doubtful]
        notes += kink_note(theta.shape, which[doubtful])
    if len(found) > 1 and (unlike & ~doubtful).any():
        found = found[:1]
        notes.append(NOT_COMPLEX)
    scale = max(_largest(found[-1]), RESOLVED * size / unit)
    row = compare(name, theta.shape, backward, found, scale, which)
    forward = np.full(theta.shape, np.nan)
    forward.flat[which] = found[-1]
    return replace(
        row, backward=claimed, forward=forward, entries=which, evidence=tuple(notes)
    ), scale


def _expect_like(layer: Layer, like: Layer) -> None:
    """Raise if the one to compare with has other parameters."""
    expect_layer(like)
    ours, theirs = ({name: p.shape for name, p in one.named_parameters()} for one in (layer, like))
    if ours != theirs:
        raise ValueError(
            f"check_layer: like: expected parameters {ours} as {type(layer).__name__}, got {theirs}"
        )


def _largest(found: Array) -> float:
    return float(abs(found[np.isfinite(found)]).max(initial=0))


def _choose(size: int, entries: int | None, rng: np.random.Generator) -> npt.NDArray[np.int_]:
    if entries is None or entries >= size:
        return np.arange(size)
    return np.sort(rng.choice(size, entries, replace=False))
