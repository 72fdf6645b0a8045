"""What is wrong with a derivative, from its numbers alone: the whole array, and its accumulation.

c is what backward claims, t the forward's derivative.
"""

import math
from collections.abc import Mapping

import numpy as np

from numpygpt.gradcheck.wrong import Question, Wrong


def all_zero(w: Wrong) -> str | None:
    """c = 0."""
    if w.backward[w.seen].any():
        return None
    remedy = "did anything come out of backward" if w.name == "x" else "was its gradient added"
    return f"backward gives 0 everywhere: {remedy}?"


def not_used(w: Wrong) -> str | None:
    """t = 0, for all entries."""
    if not w.zero(w.forward[w.seen]):
        return None
    return "the forward's derivative is 0 everywhere: y does not depend on these numbers"


def factor(w: Wrong) -> str | None:
    """c = f t, with f = sum(c t) / sum(t t)."""
    c, t = w.backward[w.seen], w.forward[w.seen]
    f = float((c * t).sum() / (t * t).sum())
    if f == 0 or not w.same(w.backward, f * w.forward) or w.same(w.one_pass, w.forward):
        return None  # the last: of two passes one counts, which is right
    named = ": the sign" if math.isclose(f, -1) else number_as_text(f, w.sizes)
    text = f"{f:.9g}" if abs(f - 1) > 1e-8 else f"1 {f - 1:+.1e}"
    return f"backward is {text} times the forward's derivative everywhere{named}"


def number_as_text(f: float, sizes: Mapping[int, list[str]]) -> str:
    """What f is, if it is n, 1/n, sqrt(n) or 1/sqrt(n), and what the layer has n of."""
    size = abs(f)
    forms = {"{}": size, "1/{}": 1 / size, "sqrt({})": size**2, "1/sqrt({})": 1 / size**2}
    for form, n in forms.items():
        if 2 <= round(n) <= 100_000 and math.isclose(n, round(n), rel_tol=1e-8):
            text = "" if form == "{}" else ", " + "-" * (f < 0) + form.format(round(n))
            named = " or ".join(sizes.get(round(n), []))
            return text + (f", and {round(n)} is {named}" if named else "")
    return ""


def of_another_array(w: Wrong) -> str | None:
    """c is the t of another array."""
    for name, other in w.others.items():
        seen = other.shape == w.backward.shape and np.isfinite(other[w.seen]).all()
        if seen and w.same(w.backward, other):
            return f"this is the derivative by {name}: are they in each other's place?"
    return None


def one_pass_only(w: Wrong) -> str | None:
    """Two passes gave what one gave: 2 c = c_1."""
    if w.name == "x" or not w.same(2 * w.backward, w.one_pass):
        return None
    return "only the last of two passes counts: is the gradient set (=) instead of added to (+=)?"


def leftovers(w: Wrong) -> str | None:
    """c depends on what the gradient's memory held before: nan here, and a number elsewhere."""
    bad = np.isnan(w.backward)
    if w.name == "x" or not bad.any() or np.isnan(w.refilled[bad]).any():
        return None
    return (
        "what was left in memory is added: was a new gradient's memory (np.empty, room) never set?"
    )


def repeated_ids(w: Wrong) -> str | None:
    """c_1[v] = dy[n] for one n with ids[n] = v, or c_1 = t / count, where t sums over all."""
    ids = w.x.reshape(-1)
    if w.x.dtype.kind not in "iu" or w.dy.shape != w.x.shape + w.theta.shape[1:]:
        return None
    counts = np.bincount(ids, minlength=len(w.theta))
    if len(counts) > len(w.theta) or counts.max() < 2:
        return None
    rows = w.dy.reshape(len(ids), *w.theta.shape[1:])
    last, first = np.zeros_like(w.theta), np.zeros_like(w.theta)
    last[ids] = rows
    first[ids[::-1]] = rows[::-1]
    for which, once in (("last", last), ("first", first)):
        if w.same(w.one_pass, once):
            return f"an id that repeats is counted once, its {which}: np.add.at counts all"
    each = np.maximum(counts, 1).reshape(-1, *[1] * (w.theta.ndim - 1))
    if w.same(w.backward, w.forward / each):
        return "an id that repeats is averaged: its rows of dy belong summed"
    return None


ABOUT_ALL: tuple[Question, ...] = (
    all_zero,
    not_used,
    factor,
    of_another_array,
    one_pass_only,
    leftovers,
    repeated_ids,
)
