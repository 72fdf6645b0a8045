"""Which panel an identity stands under, and those that a page measures of its own numbers.

check.py computes all in float64, on passes of its own. For a large model that takes minutes; a page
then has what can be said of the numbers that it shows, in their own dtype.
"""

import numpy as np

from numpygpt.inside.check import LIMIT, Identity
from numpygpt.inside.embeddings import random_cosines
from numpygpt.inside.show.findings import Findings
from numpygpt.layers.base import Array

SINGLE = 1e-4  # what sums of hundreds of float32 numbers may leave, relative to their result
# The first panel of whose words an identity has one.
PANELS = {
    "embeddings": ("cosine",),
    "lens": ("lens", "lenses"),
    "scores": ("q.k",),
    "attention": ("rows of P", "P v", "sum to attention"),
    "gradients": ("gradient", "gradients"),
    "attribution": ("parts of a",),
    "ablation": ("patched", "residual of another"),
    "training": ("checkpoint",),
    "next": ("logits",),
}


def panel_of(name: str) -> str:
    """The panel's id, for an identity's name; empty if it has none."""
    return next((panel for panel, words in PANELS.items() if any(w in name for w in words)), "")


def of_embeddings(W: Array) -> list[Identity]:
    """The spread of random cosines by the formula, against pairs of the first 500 tokens."""
    x = W[:500].astype(np.float64)
    x -= x.mean(0)
    unit = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-300)
    pairs = (unit @ unit.T)[~np.eye(len(x), dtype=bool)]
    error = max(
        abs(a - b) for a, b in zip(random_cosines(x), (pairs.mean(), pairs.std()), strict=True)
    )
    return [Identity("mean and spread of random cosines, against all pairs", float(error), LIMIT)]


def of_the_page(look: Findings) -> list[Identity]:
    """What the numbers on the page say of themselves, in the dtype that they were computed in."""

    def relative(error: float, size: float) -> float:
        return abs(error) / max(1.0, abs(size))

    splits = [relative(one.remainder, one.score) for one in look.heads.splits.values()]
    of = {
        "rows of P sum to 1": float(np.abs(look.heads.patterns.sum(-1) - 1).max()),
        "the parts of q.k sum to the score": max(splits),
        "after the last block both lenses are the model": look.lens.remainder,
        "the parts of a logit sum to it": max(
            relative(a.remainder, a.logit) for a in look.answers.logits
        ),
        "the parts of a difference sum to it": max(
            relative(a.remainder, a.logit) for a in look.answers.leads
        ),
    }
    return [Identity(name, error, SINGLE) for name, error in of.items()]
