"""What a check that failed tells the reader: the table, and each thing it is consistent with, once.

A mistake in a block shows in a dozen arrays; the report names it at each of them, this names it
once, and says why people make it.
"""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from numpygpt.gradcheck import Report, Row
from numpygpt.gradcheck.bugs import BUGS
from numpygpt.practice.exercises import EXERCISES

OWN = {one.original.__qualname__.split(".")[0]: one.layer for one in EXERCISES.values()}
KNOWN = {f"a known bug, {bug}": bug for bug in BUGS}
TWICE = "a known bug, Linear: dW overwritten", "only the last of two passes counts"  # the same
NOTHING = "the error is like none that this check knows; the questions and hints go step by step"
PARTS = "in it lie dq, dk and dv side by side: "
PLAIN = NOTHING, PARTS
NAMED = 3  # arrays at most, of those that something is said of


def explained(name: str, report: Report) -> str:
    """The report of an exercise that failed."""
    bare = [replace(row, backward=None, evidence=()) for row in report.rows]
    lines = [str(Report(EXERCISES[name].layer, bare))]
    wrong = [row for row in report.rows if not row.passed]
    about: dict[str, list[str]] = {}
    for row in wrong:
        for line in _once(row.evidence) or _nothing(row):
            about.setdefault(line, []).append(row.name)
    lines += [_told(_some(names), line) for line, names in about.items()]
    if name == "attention":
        lines += [_told("x", line) for row in wrong for line in _thirds(row)]
    return "\n".join(lines)


def _once(evidence: Sequence[str]) -> list[str]:
    """The evidence, without what a known bug among it says in other words."""
    bug, same = TWICE
    return [line for line in evidence if bug not in evidence or not line.startswith(same)]


def _nothing(row: Row) -> list[str]:
    """What is said of a row without evidence."""
    finite = np.isfinite([row.analytic, row.numeric]).all()
    return [NOTHING] if finite else []


def _told(names: str, line: str) -> str:
    """Evidence of some arrays, set in; under a known bug, why people make it."""
    bug = KNOWN.get(line)
    line = f"a known bug, {OWN.get(bug.layer, bug.layer)}: {bug.name}" if bug else line
    text = f"{names}: {line if line.startswith(PLAIN) else f'consistent with {line}'}"
    told = textwrap.fill(text, 92, initial_indent="  ", subsequent_indent="    ")
    if bug:
        told += "\n" + textwrap.indent(textwrap.fill(bug.why, 88), "    ")
    return told


def _some(names: list[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _thirds(row: Row) -> Iterator[str]:
    """Which of dq, dk and dv, which lie side by side, are wrong."""
    if row.backward is None or row.forward is None:
        return
    error = abs(row.backward - row.forward)
    limit = 1e-6 * abs(row.forward).max()
    wrong = [not (third <= limit).all() for third in np.split(error, 3, axis=-1)]
    parts = [("d" + letter, bad) for letter, bad in zip("qkv", wrong, strict=True)]
    said = ", ".join(f"{part} is {'wrong' if bad else 'right'}" for part, bad in parts)
    yield PARTS + said
