"""The log of chapter 5's training, line by line, and how near a line must come to the book's.

float32 sums depend on the order of their terms, and training multiplies what such noise changes
from step to step. So the log need not agree at the printed precision, as all other figures must:
the first two lines have to within 0.002, the later ones within 0.15 in the training loss and 0.05
in the validation loss. (On two Zen 4 cores with OpenBLAS, all 36 losses do agree as printed.)
"""

from dataclasses import replace

import numpy as np

from numpygpt.book.figures import CHAPTER5
from numpygpt.book.printed import Comparison, compare
from numpygpt.book.training import EVAL_EVERY

(LOSSES,) = (figure for figure in CHAPTER5 if figure.name == "ch05.losses")


def compare_step(number: int, evaluation: tuple[float, float]) -> Comparison:
    """Put the training and the validation loss after step `number` beside the book's."""
    row = LOSSES.text.split(" / ")[number // EVAL_EVERY]
    return compare(replace(LOSSES, text=row), evaluation)


def tolerance(number: int) -> tuple[float, float]:
    """How far the training and the validation loss after step `number` may be from the book's."""
    return (0.002, 0.002) if number <= EVAL_EVERY else (0.15, 0.05)


def step_verdict(number: int, comparison: Comparison) -> str:
    """Say whether a line agrees at the printed precision, within the tolerance, or not at all."""
    if comparison.agrees:
        return "agrees"
    limits = tolerance(number)
    if np.all(np.abs(comparison.difference) <= limits):
        return "within " + " / ".join(f"{limit:g}" for limit in limits)
    return "DISAGREES"
