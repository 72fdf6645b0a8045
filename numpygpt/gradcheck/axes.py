"""What is wrong with a derivative, from its numbers alone: axes, order, and a part of an array.

c is what backward claims, t the forward's derivative.
"""

from dataclasses import replace
from itertools import permutations

import numpy as np

from numpygpt.gradcheck.wrong import Axes, Question, Wrong

FEW = 5  # entries that a part must have, and the rest


def axes_exchanged(w: Wrong) -> str | None:
    """c[j,i] = t[i,j]; or c holds the numbers of t[j,i], in a row, in t's shape."""
    shape = w.backward.shape
    for order in permutations(range(len(shape))):
        names = " and ".join(str(a) for a, b in enumerate(order) if a != b)
        turned = w.backward.transpose(order)
        if names and turned.shape == shape and w.same(turned, w.forward):
            return f"axes {names} are exchanged: is a transpose missing, or too many?"
        moved = tuple(shape[a] for a in order)
        reread = w.backward.reshape(moved).transpose(np.argsort(order))
        if names and moved != shape and w.same(reread, w.forward):
            return (
                f"the numbers are in the order of exchanged axes {names}: is there a reshape where "
                "a transpose belongs?"
            )
    return None


def axis_moved(w: Wrong) -> str | None:
    """c[n - 1 - i] = t[i], or c[i + s] = t[i], which may go round the end."""
    for axis, size in enumerate(w.backward.shape):
        if size < 2:
            continue
        if w.same(np.flip(w.backward, axis), w.forward):
            return f"axis {axis} is reversed"
        for shift in _shifts(size):
            back = np.roll(w.backward, -shift, axis)
            if w.same(back, w.forward):
                halves = ": are two halves in each other's place?" if 2 * abs(shift) == size else ""
                return f"axis {axis} is shifted by {shift}, round its end{halves}"
            edge = np.arange(size) >= size - shift if shift > 0 else np.arange(size) < -shift
            cells = np.expand_dims(edge, _others(back.ndim, axis))
            kept = np.where(cells, w.forward, back)
            within = replace(w, forward=np.where(cells, np.nan, w.forward))
            if size > 2 * abs(shift) and within.same(kept, w.forward):
                return f"axis {axis} is shifted by {shift}, but for its end"
    return None


def _shifts(size: int) -> list[int]:
    """By a few, or by a whole part of the axis."""
    steps = [n for n in range(1, size) if n <= 8 or size % n == 0]
    return [sign * n for n in steps for sign in (1, -1)]


def dy_not_as_it_came(w: Wrong) -> str | None:
    """c is right for another dy: of reversed order, or times a factor that the layer has."""
    if not w.dy.ndim:
        return None
    rows = w.dy.reshape(-1, w.dy.shape[-1])
    turned = {"its rows in reversed order": rows[::-1].reshape(w.dy.shape)}
    for axis in range(w.dy.ndim):
        turned[f"axis {axis} reversed"] = np.flip(w.dy, axis)
    for name, p in w.vectors.items():
        if p.shape == w.dy.shape[-1:]:
            turned[f"a factor {name}, which is forgotten"] = w.dy * p
            turned[f"a factor 1/{name}: {name} is one too many"] = w.dy / p
    for what, dy in turned.items():
        if w.same(w.given(dy), w.forward):
            return f"a dy that should have {what}: for such a dy backward is right"
    return None


def wrong_part(w: Wrong) -> tuple[str, Wrong] | None:
    """Where on an axis the error is, if all the rest is right; and that part as an array."""
    bad = w.seen & ~(abs(w.error) <= w.close)
    some = bad | w.seen & (abs(w.forward) > w.close)
    for axis, size in enumerate(w.backward.shape):
        at = np.flatnonzero(bad.any(_others(bad.ndim, axis)))
        first, last = int(at[0]), int(at[-1])
        inside = np.zeros(size, bool)
        inside[first : last + 1] = True
        there, outside = some.compress(inside, axis).sum(), some.compress(~inside, axis).sum()
        if len(at) == last - first + 1 and outside >= FEW and bad.sum() >= max(FEW, 0.8 * there):
            where = f"{first} of" if first == last else f"{first} to {last} of"
            return f"{where} axis {axis}", _part(w, axis, slice(first, last + 1))
    return None


def _part(w: Wrong, axis: int, part: slice) -> Wrong:
    at = (slice(None),) * axis + (part,)
    return replace(
        w,
        backward=w.backward[at],
        forward=w.forward[at],
        one_pass=w.one_pass[at],
        refilled=w.refilled[at],
        given=lambda dy: w.given(dy)[at],
        theta=w.theta[at],
        x=w.x[at] if w.name == "x" else w.x,
        others={},
        vectors={name: p for name, p in w.vectors.items() if w.name != "x"},
    )


def _others(ndim: int, axis: int) -> Axes:
    return tuple(a for a in range(ndim) if a != axis)


ABOUT_AXES: tuple[Question, ...] = (axes_exchanged, axis_moved, dy_not_as_it_came)
