"""What is wrong with a derivative, from its error alone: a term or a factor is missing.

c is what backward claims, t the forward's derivative, e = c - t. A missing term is what e is; a
missing factor is what c / t is. Either may depend on some indices only, and is then told by that.
"""

import numpy as np

from numpygpt.gradcheck.wrong import FEWEST, Axes, Question, Wrong
from numpygpt.layers.parameter import Array


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
        f"the error is the same all along {axes}: a term without that index (a mean, a sum) is "
        "missing, or too many"
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
        such = "such a term is missing, or too many"
        if k is not None:
            return f"the error is {k:.9g} times {name}: {such}"
        if _multiple(w, w.error, b, by_row=True) is not None:
            return f"the error is {name} times a number of each row: {such}"
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
        what = f"a factor that depends on {_listed(list(axes))} only"
        return f"backward is right but for {what}{_vector_named(w, f, axes)}"
    return None


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


ABOUT_TERMS: tuple[Question, ...] = (
    term_without_an_index,
    term_along_something,
    factor_of_some_indices,
)
