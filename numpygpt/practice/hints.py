"""Hints, one more each time one asks: shapes, one index, the matrix form, and at last the answer.

How many were given is kept in the reader's folder, in hints.json.
"""

import inspect
import json
import textwrap
from importlib import import_module
from pathlib import Path

from numpygpt.files.whole import write_whole
from numpygpt.practice.exercises import EXERCISES, SOLUTIONS, answers

GIVEN = "hints.json"


def next_hint(folder: Path, name: str, again: str) -> str:
    """The hint after those given; after the last, the answer. `again` is the command."""
    hints: tuple[str, ...] = import_module(f"{SOLUTIONS}.{name}").HINTS
    given = _given(folder)
    count = min(given.get(name, 0) + 1, len(hints) + 1)
    write_whole(folder / GIVEN, json.dumps(given | {name: count}, indent=1).encode())
    if count > len(hints):
        return f"{name}, the answer:\n\n{answer(name)}\n\n{pointer(name)}"
    shown = textwrap.indent(hints[count - 1].strip(), "  ")
    title = f"{name}, hint {count} of {len(hints)}"
    return (
        f"{title}\n{shown}\n\nThe next {'hint' if count < len(hints) else 'is the answer'}: {again}"
    )


def answer(name: str) -> str:
    """The lines that the exercise leaves out."""
    return "\n    ...\n".join(
        textwrap.indent(textwrap.dedent(text).rstrip(), "    ") for text in answers(name)
    )


def pointer(name: str) -> str:
    """Where the package does the same."""
    original = EXERCISES[name].original
    _, line = inspect.getsourcelines(original)
    return (
        f"In the package, for blocks of rows and several threads: {original.__qualname__}, "
        f"{inspect.getsourcefile(original)}:{line}\n(its derivation is at the top of the file)"
    )


def _given(folder: Path) -> dict[str, int]:
    """How many hints were given, by exercise; a file that does not say so counts as none."""
    try:
        given = json.loads((folder / GIVEN).read_bytes())
        return {name: given[name] for name in EXERCISES if type(given.get(name)) is int}
    except (OSError, ValueError, AttributeError):
        return {}
