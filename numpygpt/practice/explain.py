"""What a check that failed tells the reader: the table, and each thing it is consistent with, once.

A mistake in a block shows in a dozen arrays; the report names it at each of them, this names it
once, and says why people make it.
"""

import re
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
PARTS = "x is qkv here: "
SHARED = "dq and dk share dP and dS (questions 1 to 3), and sqrt(D)"
WHOLE = re.compile(r"an error in (\d+) to (\d+) of axis 2 alone\.(?: There: (.*))?")
ORACLES = (
    "(each column measures the derivative from forward alone, in its own way; ok: yours agrees)"
)
NAMED = 3  # arrays at most, of those that something is said of


def explained(name: str, report: Report) -> str:
    """The report of an exercise that failed."""
    bare = [replace(row, backward=None, evidence=()) for row in report.rows]
    lines = [str(Report(EXERCISES[name].layer, bare)), f"  {ORACLES}"]
    wrong = [row for row in report.rows if not row.passed]
    if name == "attention":
        lines += [f"  {line}" for row in wrong for line in _thirds(row)]
        wrong = [_without_thirds(row) for row in wrong]
    about: dict[str, list[str]] = {}
    for row in wrong:
        for line in _once(row.evidence) or _nothing(row):
            about.setdefault(line, []).append(row.name)
    lines += [_told(_some(names), line) for line, names in about.items()]
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
    text = f"{names}: {line if line == NOTHING else f'consistent with {line}'}"
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
    right = [bool((third <= limit).all()) for third in np.split(error, 3, axis=-1)]
    width = error.shape[-1] // 3
    parts = [
        f"{i * width}-{(i + 1) * width - 1} d{letter} {'right' if ok else 'wrong'}"
        for i, (letter, ok) in enumerate(zip("qkv", right, strict=True))
    ]
    yield f"{PARTS}columns {', '.join(parts)}"
    if right == [False, False, True]:
        yield SHARED


def _without_thirds(row: Row) -> Row:
    """The row, without evidence that says by columns alone what _thirds says by name."""
    kept = []
    for line in row.evidence:
        part = WHOLE.fullmatch(line)
        width = row.shape[-1] // 3
        if part is None or int(part[1]) % width or (int(part[2]) + 1) % width:
            kept.append(line)
        elif part[3]:
            kept.append(f"{part[3]} (where it is wrong)")
    return replace(row, evidence=tuple(kept))
