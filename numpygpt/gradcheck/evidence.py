"""What is wrong with a derivative, from its error alone: the whole array, and its accumulation.

Write c for what backward claims, t for the forward's derivative, e = c - t for the error. Each
function here asks one question of these arrays and answers with a line, or with None. A line says
what the error is consistent with: another mistake may look the same. `patterns` asks about axes.

An answer must fit every entry that was checked, 1e-9 of the largest (1e-7 without complex step) and
a thousandth of the error itself. With only some entries checked, it is about those.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from numpygpt.layers.parameter import Array

FEWEST = 3  # entries, not 0, that a line must explain beyond the numbers that it may choose


@dataclass(frozen=True)
class Wrong:
    """An array whose derivative is wrong, and what may explain it.

    Attributes
    ----------
    name : str
        Its name: a parameter's, or "x".
    backward, forward : array
        What backward says, and what the forward says (nan where that was not looked at).
    close : float
        How near two numbers are that count as the same.
    one_pass, refilled : array
        What backward says after a single pass; and again after two, over other leftovers.
    given : callable
        What backward says if it gets another dy.
    theta, x, y, dy : array
        The array itself, the input, the output, and the derivative by it.
    others : dict of str to array
        What the forward says of the layer's other arrays.
    vectors : dict of str to array
        The layer's parameters that have one axis.
    sizes : dict of int to list of str
        What the layer has how many of: {10: ["the number of rows of x"]}.
    """

    name: str
    backward: Array
    forward: Array
    close: float
    one_pass: Array
    refilled: Array
    given: Callable[[Array], Array]
    theta: Array
    x: Array
    y: Array
    dy: Array
    others: Mapping[str, Array] = field(default_factory=dict)
    vectors: Mapping[str, Array] = field(default_factory=dict)
    sizes: Mapping[int, list[str]] = field(default_factory=dict)

    @property
    def seen(self) -> Array:
        """Which entries were checked."""
        seen: Array = np.isfinite(self.forward)
        return seen

    @property
    def error(self) -> Array:
        """e = c - t."""
        return self.backward - self.forward

    def same(self, a: Array, b: Array) -> bool:
        """Whether two arrays agree at all entries that were checked, enough of them not 0."""
        a, b = a[self.seen], b[self.seen]
        nothing = np.maximum(abs(a), abs(b)) <= self.close
        return int((~nothing).sum()) >= FEWEST and self.zero(a - b)

    def zero(self, a: Array) -> bool:
        """Whether no number is further from 0 than `close`; nan is."""
        return bool((abs(a) <= self.close).all())


Question = Callable[[Wrong], str | None]


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
    named = number_as_text(f, w.sizes)
    if f == -1:
        return "backward is -1 times the forward's derivative everywhere: the sign"
    return f"backward is {f:.9g} times the forward's derivative everywhere{named}"


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
