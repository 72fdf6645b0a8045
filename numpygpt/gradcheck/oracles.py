"""Is a layer's backward right? Its forward alone can tell.

`backward(dy)` claims to return the derivative of L = sum(dy * y) by every number that went in. Two
oracles find the same derivative without it, one number theta at a time, by a step of size h. Both
are Taylor's series, for s = h and -h, and for s = ih:

    L(theta + s) = L + s L' + s^2 L''/2 + s^3 L'''/6 + ...

    central differences     (L(theta + h) - L(theta - h)) / 2h = L' + h^2 L'''/6 + ...
    complex step            L(theta + ih) = L + ih L' - h^2 L''/2 - i h^3 L'''/6 + ..., and so
                            imag L(theta + ih) / h = L' - h^2 L'''/6 + ...

The first also divides the rounding of L, eps L, by h. So its h must be small for one error and
large for the other: 1e-5 is best, and leaves about 1e-10 (`numpygpt gradcheck --sweep` shows it).
The second subtracts nothing, so h can be 1e-30 and the answer is right to the last digit; it asks
of a forward that its formula also holds for complex numbers (no `abs`, no conjugate, no branch on
an imaginary part; a maximum that cancels, as softmax's does, is no harm).

What makes such a check worth something:

- float64. In float32 the best h leaves an error of 1e-3, and many bugs are smaller.
- A random dy. With dy = 1, L = sum(y), which for a softmax or a LayerNorm is constant: 0 = 0.
- Random parameters, biases and gains too: with gain 1, forgetting the gain is no error.
- Odd sizes that are all different: a transposed axis then is an error, not a coincidence.
- dy is sent through twice and the sum halved, over memory that holds NaN, so that overwriting a
  gradient instead of adding to it, or adding to leftovers, is found as well.
- An error is relative to the array's derivatives, small or large; `report` says what 0 is.

Reference: Squire and Trapp 1998 (the complex step).
"""

import math
from collections.abc import Callable, Iterable

import numpy as np

from numpygpt.gradcheck.subject import Subject
from numpygpt.layers.base import Layer
from numpygpt.layers.parameter import Array

STEP = 1e-5  # of central differences; both are parts of what is moved
COMPLEX_STEP = 1e-30
KINK = 1e-2  # how far apart the slopes on both sides are, of themselves, where there is a kink

Move = Callable[[complex], None]  # takes theta to its start plus a step; 0 takes it back
Oracle = Callable[[Subject, Move, Array, float], float]
Oracles = list[tuple[Oracle, Subject, float]]  # each with what it asks, and its step


def by_difference(subject: Subject, move: Move, dy: Array, h: float) -> float:
    """The derivative of sum(dy * y) by how far `move` moves, by central differences."""
    move(h)
    above = subject.forward()
    move(-h)
    below = subject.forward()
    move(0)
    return float(np.sum(dy * (above - below)) / (2 * h))  # differences first: less rounding


def by_complex_step(subject: Subject, move: Move, dy: Array, h: float) -> float:
    """The same by the complex step, for a subject of dtype complex128."""
    move(h * 1j)
    y = subject.forward()
    move(0)
    return float(np.sum(dy * y.imag) / h)


def at_kinks(
    subject: Subject, name: str, entries: Array, claimed: Array, dy: Array, h: float
) -> Array:
    """Which entries have a kink within h, and what is claimed there is between its two slopes."""
    theta = subject.arrays[name].reshape(-1)
    found = []
    for i, slope in zip(entries.tolist(), claimed, strict=True):
        move = _entry(theta, i)
        beside = []
        for step in (-h, h):
            move(step)
            y = subject.forward()
            move(0)
            beside.append(float(np.sum(dy * (y - subject.forward())) / step))
        low, high = min(beside), max(beside)
        gap = KINK * max(abs(low), abs(high))  # a smooth function's slopes are 1e-5 apart
        found.append(high - low > gap and low - gap <= slope <= high + gap)
    return np.array(found, bool)


def oracles_of(real: Subject, exact: Subject | None) -> Oracles:
    """Central differences, and the complex step if there is a complex subject that shows it."""
    oracles: Oracles = [(by_difference, real, STEP)]
    if exact is not None and exact.runs_complex():
        oracles.append((by_complex_step, exact, COMPLEX_STEP))
    return oracles


def derivatives(
    oracle: Oracle, subject: Subject, name: str, entries: Iterable[int], dy: Array, h: float
) -> Array:
    """By each of the entries of one array, taken by their numbers."""
    theta = subject.arrays[name].reshape(-1)
    return np.array([oracle(subject, _entry(theta, i), dy, h) for i in entries])


def _entry(theta: Array, i: int) -> Move:
    start = theta[i]

    def move(step: complex) -> None:
        theta[i] = start + step

    return move


def rms(theta: Array) -> float:
    """The usual size of an array's numbers: the root of their mean square."""
    return float(np.linalg.norm(theta)) / math.sqrt(theta.size)


def draw_parameters(layer: Layer, rng: np.random.Generator) -> None:
    """Parameters of order 1: vectors N(0, 1), matrices N(0, 1/rows).

    So that sums over the rows are of order 1, too: a softmax of large numbers is a constant.
    """
    for _, p in layer.named_parameters():
        p.data[...] = rng.standard_normal(p.shape) / math.sqrt(math.prod(p.shape[:-1]))
