"""`Wrong`: an array whose derivative is wrong, and what its error is compared with.

Write c for what backward claims, t for the forward's derivative, e = c - t for the error. Each
question (in `evidence`, `axes` and `terms`) asks one thing of these arrays, and answers with a line
or with None. A line says what the error is consistent with: another mistake may look the same.

An answer must fit every entry that was checked, 1e-9 of the largest (1e-7 without complex step) and
a thousandth of the error itself. With only some entries checked, it is about those.
"""

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
Axes = tuple[int, ...]
