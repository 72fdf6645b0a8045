"""Alternatives: for each token drawn, what else it could have been.

A token is drawn from probabilities p (V,): the model's, after temperature, top-k and top-p (see
generation.py). They are there when it is drawn, so nothing is computed again; kept of them is how
probable the drawn token was, and which k tokens were the most probable.

    for step in explain(model, ids, max_new_tokens=5, temperature=0.8):
        step.ids, step.p, step.candidates, step.candidates_p

At temperature 0 nothing is drawn: the most probable token is taken, and p are the model's own
probabilities.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from numpygpt.generation import stream
from numpygpt.gpt import GPT
from numpygpt.layers.parameter import Array


@dataclass(frozen=True)
class Drawn:
    """One token of each sequence, and what else it could have been.

    Attributes
    ----------
    ids : ndarray (B,)
        The tokens. A sequence that had ended repeats `eos_id`, whatever stands beside it.
    p : ndarray (B,)
        How probable each was.
    candidates : ndarray (B, k)
        The k most probable tokens, the first the most; the drawn one is among them or not.
    candidates_p : ndarray (B, k)
        How probable these were; 0 where top-k or top-p left a token out.
    """

    ids: Array
    p: Array
    candidates: Array
    candidates_p: Array


def explain(
    model: GPT, ids: npt.ArrayLike, alternatives: int = 5, **options: Any
) -> Iterator[Drawn]:
    """Continue every sequence of a batch, and tell at each step what else could have come.

    Parameters
    ----------
    model : GPT
    ids : (B, T) integers
        The prompts.
    alternatives : int
        How many of the most probable tokens to tell, k; at most V.
    **options
        Those of `generate`: with the same ones, the same tokens are drawn.

    Yields
    ------
    Drawn
        One for each step, as soon as it is done.
    """
    if not isinstance(alternatives, int | np.integer) or alternatives < 1:
        raise ValueError(
            f"explain: expected alternatives a whole number at least 1, got {alternatives!r}"
        )
    watched: list[Array] = []
    steps = stream(model, ids, **options, watch=watched.append)
    return (_drawn(new, watched.pop(), alternatives) for new in steps)


def _drawn(ids: Array, p: Array, k: int) -> Drawn:
    best = np.argsort(-p, axis=1, kind="stable")[:, :k]
    own = np.take_along_axis(p, ids[:, None], axis=1)[:, 0]
    return Drawn(ids, own, best, np.take_along_axis(p, best, axis=1))
