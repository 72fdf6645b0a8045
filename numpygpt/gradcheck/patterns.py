"""What is wrong with a derivative, from its error alone: axes, missing terms, missing factors.

As in `evidence`: c is what backward claims, t the forward's derivative, e = c - t.
"""

from dataclasses import replace
from itertools import permutations

import numpy as np

from numpygpt.gradcheck.evidence import FEWEST, Question, Wrong
from numpygpt.layers.parameter import Array

Axes = tuple[int, ...]
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
        for shift in sorted(range(1 - size, size), key=abs):
            back = np.roll(w.backward, -shift, axis)
            if shift and w.same(back, w.forward):
                halves = ": are two halves in each other's place?" if 2 * abs(shift) == size else ""
                return f"axis {axis} is shifted by {shift}, round its end{halves}"
            edge = np.arange(size) >= size - shift if shift > 0 else np.arange(size) < -shift
            cells = np.expand_dims(edge, _others(back.ndim, axis))
            kept = np.where(cells, w.forward, back)
            within = replace(w, forward=np.where(cells, np.nan, w.forward))
            if size > 2 * abs(shift) and within.same(kept, w.forward):
                return f"axis {axis} is shifted by {shift}, but for its end"
    return None


def term_without_an_index(w: Wrong) -> str | None:
    """e is the same all along some axes, and t is not."""
    found = [
        axis
        for axis, size in enumerate(w.backward.shape)
        if size > 2 and _constant(w, w.error, (axis,)) and not _constant(w, w.forward, (axis,))
    ]
    if not found or w.zero(w.error[w.seen]):
        return None
    axes = _listed(found)
    return (
        f"the error is the same all along {axes}: a term without that index is missing, or too "
        "many: a mean or a sum over it?"
    )


def term_along_something(w: Wrong) -> str | None:
    """e = k b for a b that is known: one k for all, or one for each row; and t is not."""
    for name, b in _known_terms(w):
        if _multiple(w, w.forward, b, by_row=True) is not None:
            continue
        k = _multiple(w, w.error, b, by_row=False)
        if k is not None and name == "dy" and abs(abs(k) - 1) < 1e-9:
            if k > 0:
                return "dy itself is added once too often"
            return "dy itself is missing: what goes past the rest, in x + ..., comes back as it is"
        if k is not None:
            return f"the error is {k:.9g} times {name}: a term with it is missing, or too many"
        if _multiple(w, w.error, b, by_row=True) is not None:
            return (
                f"the error is a number times {name}, another in each row: a term with it is "
                "missing, or too many: a sum or a mean over the row, times it?"
            )
    return None


def factor_of_some_indices(w: Wrong) -> str | None:
    """c = f t, where f depends on one index only, or on the row only."""
    ndim = w.backward.ndim
    kept: list[Axes] = [(axis,) for axis in range(ndim)]
    if ndim > 2:
        kept.append(tuple(range(ndim - 1)))
    for axes in kept:
        f = _ratio(w, axes)
        if f is None:
            continue
        what = f"that depends on {_listed(list(axes))} only"
        named = _vector_named(w, f, axes)
        return f"backward is the forward's derivative times a factor {what}{named}"
    return None


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


def _listed(axes: list[int]) -> str:
    return f"axis {axes[0]}" if len(axes) == 1 else "axes " + " and ".join(map(str, axes))


def _groups(shape: Axes, kept: Axes) -> Array:
    """For each cell, the number of its group: cells with the same indices on the kept axes."""
    numbers = np.zeros(shape, int)
    for axis in kept:
        index = np.arange(shape[axis]).reshape(-1, *[1] * (len(shape) - 1 - axis))
        numbers = numbers * shape[axis] + index
    return numbers


def _fit(w: Wrong, a: Array, b: Array, kept: Axes) -> Array | None:
    """The k of a = k b, one for each index on the kept axes (nan where b is 0); None if not so."""
    seen = w.seen & (abs(b) > 0)
    group = _groups(a.shape, kept)
    n = int(group.max()) + 1
    top = np.bincount(group[seen], (a * b)[seen], n)
    bottom = np.bincount(group[seen], (b * b)[seen], n)
    k = np.divide(top, bottom, out=np.full(n, np.nan), where=bottom > 0)
    fitted = np.where(b == 0, 0, np.nan_to_num(k)[group] * b)
    told = seen & (abs(fitted) > w.close)
    spare = int(told.sum()) - len(np.unique(group[told]))
    return k if spare >= FEWEST and w.zero((a - fitted)[w.seen]) else None


def _constant(w: Wrong, a: Array, along: Axes) -> bool:
    kept = tuple(axis for axis in range(a.ndim) if axis not in along)
    return _fit(w, a, np.ones_like(a), kept) is not None


def _multiple(w: Wrong, a: Array, b: Array, by_row: bool) -> float | None:
    """The k of a = k b (of the first row, if there is one for each); None if not so."""
    rows = tuple(range(a.ndim - 1)) if by_row else ()
    if by_row and (a.ndim < 2 or a.shape[-1] < 4):
        return None
    k = _fit(w, a, b, rows)
    return None if k is None else float(k[0])


def _known_terms(w: Wrong) -> list[tuple[str, Array]]:
    """What an error may be a multiple of."""
    terms = [("dy", w.dy), ("y", w.y)]
    if w.name != "x":
        terms.append((f"{w.name} itself", w.theta))
    if w.x.dtype.kind == "f":
        terms.append(("x", w.x))
        if w.x.ndim:
            terms.append(("x_hat (x less its row's mean)", w.x - w.x.mean(-1, keepdims=True)))
    return [(name, b) for name, b in terms if b.shape == w.backward.shape]


def _ratio(w: Wrong, kept: Axes) -> Array | None:
    """The f of c = f t, one for each index on the kept axes, if they are not all the same."""
    f = _fit(w, w.backward, w.forward, kept)
    if f is None or f.size < 2 or _fit(w, w.backward, w.forward, ()) is not None:
        return None
    return f


def _vector_named(w: Wrong, f: Array, axes: Axes) -> str:
    """What the factor is, if it is known."""
    known = ~np.isnan(f)
    for name, p in w.vectors.items():
        if p.shape == f.shape and np.allclose(f[known] * p[known], 1, rtol=0, atol=1e-7):
            return f", 1/{name}: is {name} forgotten?"
        if p.shape == f.shape and np.allclose(f[known], p[known], rtol=1e-7, atol=0):
            return f", {name}: is it too many?"
    if w.x.dtype.kind == "f" and axes == tuple(range(w.x.ndim - 1)):
        for name, size in (
            ("the row's standard deviation", w.x.std(-1)),
            ("the row's root mean square", np.sqrt((w.x * w.x).mean(-1))),
        ):
            if np.allclose(f[known], size.reshape(-1)[known], rtol=1e-2):
                return f", nearly {name}: is a division by it forgotten?"
    return ": is one forgotten, or too many?"


ABOUT_AXES: tuple[Question, ...] = (
    axes_exchanged,
    axis_moved,
    term_without_an_index,
    term_along_something,
    factor_of_some_indices,
    dy_not_as_it_came,
)
