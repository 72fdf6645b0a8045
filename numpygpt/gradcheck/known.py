"""The known bugs that make of the gradients what a layer makes of them."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from numpygpt.gradcheck.bugs import BUGS, Bug, known, planted
from numpygpt.gradcheck.report import Row
from numpygpt.gradcheck.subject import Gradients, Subject
from numpygpt.layers.base import Array, Layer


def bugs_that_explain(
    real: Subject, like: Layer, dy: Array, rows: Sequence[Row], close: Mapping[str, float]
) -> dict[str, list[str]]:
    """For each array that failed, the known bugs that make the same of it.

    A bug that would make something else of an array that passed is none of them.
    """
    names: dict[str, list[str]] = {row.name: [] for row in rows}
    for bug, gradients in _with_bugs(real, like, dy):
        if gradients.keys() != names.keys():
            continue
        same = {row.name: _same(row, gradients[row.name], close[row.name]) for row in rows}
        if all(same[row.name] for row in rows if row.passed):
            for row in rows:
                if not row.passed and same[row.name]:
                    names[row.name].append(f"a known bug, {bug}")
    return names


def _with_bugs(real: Subject, like: Layer, dy: Array) -> Iterator[tuple[Bug, Gradients]]:
    """What each known bug makes of the gradients."""
    layers = known(like)
    for bug in BUGS:
        if bug.layer not in layers:
            continue
        try:
            subject = Subject(planted(like, bug), real.x, np.float64)
            for name, array in real.arrays.items():
                subject.arrays[name][...] = array
            yield bug, subject.backward(dy)
        except Exception:  # a reader's layer may be changed beyond what the bug can be planted in
            continue


def _same(row: Row, gradient: Array, close: float) -> bool:
    """Whether a bug's gradient is the row's."""
    if row.backward is None or row.entries is None or gradient.shape != row.backward.shape:
        return False
    a, b = row.backward.flat[row.entries], gradient.flat[row.entries]
    return bool((abs(a - b)[~(np.isnan(a) & np.isnan(b))] <= close).all())
