"""The known bugs that make of the gradients what a layer makes of them."""

from collections.abc import Mapping, Sequence

import numpy as np

from numpygpt.gradcheck.bugs import BUGS, Bug, known, planted
from numpygpt.gradcheck.report import Row
from numpygpt.gradcheck.subject import Gradients, Subject
from numpygpt.layers.base import Array, Layer


def bugs_that_explain(
    real: Subject, like: Layer, dy: Array, rows: Sequence[Row], close: Mapping[str, float]
) -> dict[str, list[str]]:
    """For each array that failed, the known bugs that make the same of it.

    None of them is a bug that would make something else of an array that passed, or that leaves a
    failed array as it is in a layer without bugs: then it is the forward that was changed.
    """
    names: dict[str, list[str]] = {row.name: [] for row in rows}
    without = _gradients(real, like, dy)
    layers = known(like) if without.keys() == names.keys() else set()
    changed = {
        row.name: not _same(row, without[row.name], close[row.name]) for row in rows if layers
    }
    for bug in (bug for bug in BUGS if bug.layer in layers):
        gradients = _gradients(real, like, dy, bug)
        if gradients.keys() != names.keys():
            continue
        same = {row.name: _same(row, gradients[row.name], close[row.name]) for row in rows}
        if all(same[row.name] for row in rows if row.passed):
            for row in rows:
                if not row.passed and same[row.name] and changed[row.name]:
                    names[row.name].append(f"a known bug, {bug}")
    return names


def _gradients(real: Subject, like: Layer, dy: Array, bug: Bug | None = None) -> Gradients:
    """What a known bug, or none, makes of the gradients; nothing if it does not run."""
    try:
        subject = Subject(planted(like, bug), real.x, np.float64)
        for name, array in real.arrays.items():
            subject.arrays[name][...] = array
        return subject.backward(dy)
    except Exception:  # a reader's layer may be changed beyond what the bug can be planted in
        return {}


def _same(row: Row, gradient: Array, close: float) -> bool:
    """Whether a bug's gradient is the row's."""
    if row.backward is None or row.entries is None or gradient.shape != row.backward.shape:
        return False
    a, b = row.backward.flat[row.entries], gradient.flat[row.entries]
    return bool((abs(a - b)[~(np.isnan(a) & np.isnan(b))] <= close).all())
