"""What a gradient check found, and when it passes: one row an array.

An error is relative to the largest derivative of its array, so a backward that is 1% wrong is 1%
wrong whatever the size of dy. But an array's derivatives may all be 0 (a key's bias: it moves all
scores of a query alike), and the oracles see 0 only as far as the rounding of y lets them. So an
array counts at least as much as RESOLVED of

    |dy * y| / |theta|      the norm of the one, the usual size of the other

the derivative that would change y by as much as theta is changed. The rounding is eps of that for
the complex step, eps / h for differences: both a hundredth of RESOLVED times the tolerance.

Where the oracles disagree, it is not backward that is wrong. The complex step is of no use if it is
far from the differences (UNLIKE): the forward then is not the same formula for complex numbers. And
at a kink, which has two slopes, backward may say either, or what is between them.

Tolerances: central differences in float64 leave 1e-11 to 1e-9 here, so 1e-7 never fails by chance,
and a gradient off by the factor 1.000001 does fail. The complex step leaves 1e-16 to 1e-14: 1e-12.
"""

import textwrap
from dataclasses import dataclass, field

import numpy as np

from numpygpt.layers.parameter import Array

TOLERANCE, COMPLEX_TOLERANCE = 1e-7, 1e-12
RESOLVED = 1e-2
NOT_COMPLEX = (
    "by differences alone: the complex step finds something else, so that forward is another "
    "formula for complex numbers (abs, var, std, norm, a comparison, memory of a real dtype?)"
)
UNLIKE = 1e-6  # the oracles' distance at which they do not differentiate the same function


@dataclass(frozen=True)
class Row:
    """The check of one array (a parameter, or the input x).

    Attributes
    ----------
    name : str
        The parameter's name, or "x".
    shape : tuple of int
        The array's shape.
    differences : float
        The worst relative error against central differences; inf where a number is not finite.
    complex_step : float or None
        The worst relative error against the complex step; None where there was none.
    index : tuple of int or None
        Where the worst of all is; None where a whole direction was checked.
    analytic, numeric : float
        What backward says there, and what the forward says.
    passed : bool
        Whether both errors are within their tolerances.
    backward, forward : array or None
        What backward says, and what the forward says where it was asked, else nan; both of the
        array's shape. None where a whole direction was checked.
    entries : array or None
        Which entries were checked, by their numbers in C order.
    evidence : tuple of str
        What the error is consistent with, a line each; for a row that passed, what to know of it.
    """

    name: str
    shape: tuple[int, ...]
    differences: float
    complex_step: float | None
    index: tuple[int, ...] | None
    analytic: float
    numeric: float
    passed: bool
    backward: Array | None = field(default=None, repr=False, compare=False)
    forward: Array | None = field(default=None, repr=False, compare=False)
    entries: Array | None = field(default=None, repr=False, compare=False)
    evidence: tuple[str, ...] = ()

    def __str__(self) -> str:
        exact = "-" if self.complex_step is None else f"{self.complex_step:.1e}"
        line = f"  {self.name:<28} {self.shape!s:<14} {self.differences:>11.1e} {exact:>12}  "
        if self.passed:
            return "\n".join([line + "ok", *(_indented(f"note: {note}") for note in self.evidence)])
        where = f" at {self.index}" if self.index is not None else ""
        line += f"WRONG{where}: backward {self.analytic:.9g}, forward {self.numeric:.9g}"
        finite = np.isfinite([self.analytic, self.numeric]).all()
        line = line if finite else line + ", which is not finite"
        return "\n".join([line, *map(_indented, self._told())])

    def _told(self) -> list[str]:
        """The evidence, as it is printed."""
        if self.backward is None or self.forward is None or self.entries is None:
            return []
        at = ""
        if self.entries.size < self.backward.size:
            at = f" (at the {self.entries.size} entries checked)"
        if not self.evidence and np.isfinite([self.analytic, self.numeric]).all():
            return [f"consistent with no mistake that this check knows{at}"]
        return [f"consistent with{at}: {line}" for line in self.evidence]


def _indented(line: str) -> str:
    return textwrap.fill(line, 100, initial_indent="      ", subsequent_indent="        ")


def kink_note(shape: tuple[int, ...], entries: Array) -> list[str]:
    """What to know of the entries that are at a kink."""
    if not entries.size:
        return []
    first = tuple(int(i) for i in np.unravel_index(entries[0], shape))
    where = f"entry {first} is" if entries.size == 1 else f"{entries.size} entries are"
    return [
        f"{where} at a kink of forward (or nearer to it than h), where backward may give either "
        "slope; another x would tell more"
    ]


def compare(
    name: str,
    shape: tuple[int, ...],
    claimed: Array,
    numeric: Array,
    scale: float,
    entries: Array | None = None,
) -> Row:
    """The row of an array: what backward claims (entries,), against numeric (oracles, entries).

    The oracles are central differences and, maybe, the complex step. `scale` is what errors are
    relative to. `entries` says which entries of the array were compared.
    """
    tolerances = np.array([[TOLERANCE], [COMPLEX_TOLERANCE]])[: len(numeric)]
    errors = abs(claimed - numeric) / scale
    errors[claimed == numeric] = 0  # 0 and 0 too, where the scale is 0
    errors[~np.isfinite(claimed + numeric + scale)] = np.inf
    worst = errors.max(axis=1).tolist()
    which, at = np.unravel_index((errors / tolerances).argmax(), errors.shape)
    index = None
    if entries is not None:
        index = tuple(int(i) for i in np.unravel_index(entries[at], shape))
    return Row(
        name,
        shape,
        differences=worst[0],
        complex_step=worst[1] if len(worst) > 1 else None,
        index=index,
        analytic=float(claimed[at]),
        numeric=float(numeric[which, at]),
        passed=bool((errors <= tolerances).all()),
    )


@dataclass(frozen=True)
class Report:
    """The check of a layer or a model: `passed`, `worst`, `rows`, and a table as text."""

    title: str
    rows: list[Row]

    @property
    def passed(self) -> bool:
        """Whether every array passed."""
        return all(row.passed for row in self.rows)

    @property
    def worst(self) -> Row:
        """The row that is furthest off: a wrong one, if there is any."""
        return max(self.rows, key=lambda row: (not row.passed, row.differences))

    @property
    def wrong(self) -> list[str]:
        """The names of the arrays that failed."""
        return [row.name for row in self.rows if not row.passed]

    def __str__(self) -> str:
        head = f"  {'relative error of':<28} {'shape':<14} {'differences':>11} {'complex step':>12}"
        return "\n".join([self.title, head, *map(str, self.rows)])
