"""What is wrong: the evidence for each array that failed, and the known bugs that do the same."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from numpygpt.gradcheck.axes import ABOUT_AXES, wrong_part
from numpygpt.gradcheck.evidence import ABOUT_ALL, leftovers
from numpygpt.gradcheck.known import bugs_that_explain
from numpygpt.gradcheck.report import Row
from numpygpt.gradcheck.subject import Gradients, Subject
from numpygpt.gradcheck.terms import ABOUT_TERMS
from numpygpt.gradcheck.wrong import Wrong
from numpygpt.layers.base import Array, Layer

QUESTIONS = (*ABOUT_ALL, *ABOUT_AXES, *ABOUT_TERMS)
CLOSE, CLOSE_BY_DIFFERENCES = 1e-9, 1e-7


def diagnose(
    real: Subject, like: Layer, dy: Array, rows: list[Row], scales: Mapping[str, float]
) -> list[Row]:
    """The rows of a report, with evidence for those that failed.

    Known bugs are those of `like`, and of what it is made of. `scales` is what each array's errors
    are relative to.
    """
    close = {row.name: _close(row, scales[row.name]) for row in rows}
    bugs = bugs_that_explain(real, like, dy, rows, close)
    all_wrong = _all_wrong(real, dy, rows, close)
    return [
        row
        if row.passed
        else replace(row, evidence=(*row.evidence, *bugs[row.name], *_lines(all_wrong[row.name])))
        for row in rows
    ]


def _lines(w: Wrong) -> list[str]:
    """What is consistent with the error."""
    seen = w.seen
    if not np.isfinite(w.backward[seen]).all():
        line = leftovers(w)
        return [line] if line else []
    if not (abs(w.error[seen]) > w.close).any():
        return []  # it is the forward's numbers that are not finite
    part = wrong_part(w)
    if part is None:
        return _answers(w)
    where, within = part
    inside = _answers(within)
    about = " There: " + "; or: ".join(inside) if inside else ""
    return [*([] if inside else _answers(w)), f"an error in {where} alone.{about}"]


def _answers(w: Wrong) -> list[str]:
    return [line for question in QUESTIONS if (line := question(w)) is not None]


def _close(row: Row, scale: float) -> float:
    """How near two numbers are that count as the same, in this array."""
    assert row.backward is not None and row.forward is not None
    error = abs(row.backward - row.forward)
    largest = float(error[np.isfinite(error)].max(initial=0))
    close = (CLOSE_BY_DIFFERENCES if row.complex_step is None else CLOSE) * scale
    return close if row.passed or not largest else min(close, 1e-3 * largest)


def _all_wrong(
    real: Subject, dy: Array, rows: Sequence[Row], close: Mapping[str, float]
) -> dict[str, Wrong]:
    """What is known of each array that failed."""
    one_pass = _copied(real.backward(dy, passes=1))
    refilled = _copied(real.backward(dy, memory=1.0))
    y = real.forward()
    vectors = {name: array for name, array in real.arrays.items() if array.ndim == 1}
    vectors.pop("x", None)
    forwards = {row.name: row.forward for row in rows if row.forward is not None}
    found = {}
    for row in rows:
        if not row.passed and row.backward is not None and row.forward is not None:
            found[row.name] = Wrong(
                name=row.name,
                backward=row.backward,
                forward=row.forward,
                close=close[row.name],
                one_pass=one_pass[row.name],
                refilled=refilled[row.name],
                given=partial(_given, real, row.name),
                theta=real.arrays[row.name],
                x=real.x,
                y=y,
                dy=dy,
                others={name: array for name, array in forwards.items() if name != row.name},
                vectors=vectors,
                sizes=_sizes(real, dy),
            )
    return found


def _given(real: Subject, name: str, dy: Array) -> Array:
    """What backward says of one array, for a dy."""
    return real.backward(dy)[name].copy()


def _copied(gradients: Gradients) -> Gradients:
    return {name: array.copy() for name, array in gradients.items()}


def _sizes(real: Subject, dy: Array) -> dict[int, list[str]]:
    """What the layer has how many of."""
    counted = [(size, f"the size of axis {i} of x") for i, size in enumerate(real.x.shape)]
    if dy.shape != real.x.shape:
        counted += [(size, f"the size of axis {i} of dy") for i, size in enumerate(dy.shape)]
    if real.x.ndim > 2:
        counted.append((real.x.size // max(real.x.shape[-1], 1), "the number of rows of x"))
    for one in real.layer.layers():
        for name, value in vars(one).items():
            if type(value) is int:
                counted.append((value, name))
                if value and real.x.ndim and real.x.shape[-1] % value == 0:
                    counted.append(
                        (real.x.shape[-1] // value, f"the size of x's last axis / {name}")
                    )
    sizes: dict[int, list[str]] = {}
    for size, name in counted:
        if name not in sizes.setdefault(size, []):
            sizes[size].append(name)
    return sizes
