"""The exercises: which there are, in reading order, and how each is made from its solution.

A solution (solutions/NAME.py) is the whole file: questions, forward, backward, hints. An exercise
is that file without the lines between its marks, so the two cannot differ in anything else.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from numpygpt.files.whole import made_folder, write_whole
from numpygpt.layers import (
    GELU,
    Block,
    CausalSelfAttention,
    Dropout,
    Embedding,
    Head,
    LayerNorm,
    Linear,
)

SOLUTIONS = "numpygpt.practice.solutions"
ANSWER = re.compile(r"^( *)# <answer>\n(.*?)^ *# </answer>\n", re.MULTILINE | re.DOTALL)
HINTS = re.compile(r"\n\n# <hints>\n.*?# </hints>\n", re.DOTALL)
TO_WRITE = "raise NotImplementedError  # your lines come here, in place of this one\n"


@dataclass(frozen=True)
class Exercise:
    """One file to work on.

    Attributes
    ----------
    name : str
        Of the file, without .py.
    layer : str
        The class in it that is checked.
    original : callable
        Where the package does the same.
    needs : tuple of str
        The exercises whose files it imports.
    """

    name: str
    layer: str
    original: Callable[..., Any]
    needs: tuple[str, ...] = ()


PARTS = ("linear", "layernorm", "gelu", "dropout", "attention")
EXERCISES = {
    one.name: one
    for one in (
        Exercise("linear", "Linear", Linear.backward),
        Exercise("embedding", "Embedding", Embedding.backward),
        Exercise("layernorm", "LayerNorm", LayerNorm.backward),
        Exercise("gelu", "GELU", GELU.backward),
        Exercise("dropout", "Dropout", Dropout.backward),
        Exercise("attention", "Attention", CausalSelfAttention._attend_backward),
        Exercise("head", "Head", Head.loss),
        Exercise("block", "Block", Block.backward, PARTS),
    )
}


def solution_text(name: str) -> str:
    """The solution's source."""
    return (files(SOLUTIONS) / f"{name}.py").read_text(encoding="utf-8")


def exercise_text(name: str) -> str:
    """The exercise's: nothing between the marks, and imports of the files beside it."""
    text = HINTS.sub("", solution_text(name)).replace(f"from {SOLUTIONS}.", "from ")
    return ANSWER.sub(lambda match: match[1] + TO_WRITE, text)


def answers(name: str) -> list[str]:
    """What was between the marks, as it stands in the source."""
    return [match[2] for match in ANSWER.finditer(solution_text(name))]


def write_exercises(folder: Path) -> tuple[list[str], list[str]]:
    """Write the files that the folder lacks; returns the names of those, and of those kept."""
    written, kept = [], []
    with made_folder(folder):
        for name in EXERCISES:
            path = folder / f"{name}.py"
            if path.exists():
                kept.append(path.name)
            else:
                write_whole(path, exercise_text(name).encode())
                written.append(path.name)
    return written, kept


def find_folder(given: str | None) -> Path:
    """The folder that is meant: as given, or this one, if most of them are here, or `practice`."""
    if given is not None:
        folder = Path(given)
    else:
        here = sum(Path(f"{name}.py").is_file() for name in EXERCISES) > len(EXERCISES) / 2
        folder = Path() if here else Path("practice")
    if not folder.is_dir():
        what = "not a folder" if folder.exists() else "no such folder"
        raise ValueError(
            f"{folder}: {what}; `numpygpt practice start{f' {given}' if given else ''}` writes the "
            "exercises, --folder names the folder that has them"
        )
    if not any((folder / f"{name}.py").is_file() for name in EXERCISES):
        raise ValueError(
            f"{folder}: expected a folder of exercises, found none of {', '.join(EXERCISES)}; "
            f"`numpygpt practice start {folder}` writes them"
        )
    return folder
