"""Gradients: how the answer moves with each input token, and how the gradient travels.

The model's own backward pass, from the loss or from one logit, down to the embeddings:

    g[t] = d answer / d e[t]                e = token_embedding[ids], g (T, C)

Gradient times input, sum_c g[t,c] e[t,c], is the first term of how the answer changes if token t's
embedding goes to 0. Were the model linear, they would sum to answer(e) - answer(0); the gap between
is returned: it is not small. Integrated gradients close it: along the line a e, 0 <= a <= 1,

    d answer(a e) / da = sum_t g(a e)[t] . e[t]

so the integral over a, split over t, sums to answer(e) - answer(0) by the fundamental theorem. It
is taken at Gauss and Legendre's points, in pieces that are halved until the gap is closed. (The
positions' embeddings stay: they are no token's.)

On the way down, the residual stream's gradient passes each half block twice: along x itself, and
through the branch (layers/block.py). The norms of both show where gradients vanish, or do not:

    stream[i]       |d answer / d x_i|                      i = 0 .. 2L
    branch[i]       |what comes back through half block i|,    stream i = stream i+1 + branch i

Reference: Sundararajan, Taly and Yan 2017 (integrated gradients).
"""

from dataclasses import dataclass

import numpy.typing as npt

from numpygpt.gpt import GPT
from numpygpt.inside.answer import Answer
from numpygpt.layers.base import Array


@dataclass(frozen=True)
class Gradients:
    """The derivatives of an answer by what goes in.

    Attributes
    ----------
    answer : float
    by_embedding : ndarray (T, C)
        d answer / d token embedding, for each token of the text.
    norms : ndarray (T,)
        Their lengths.
    times_input : ndarray (T,)
    gap : float
        answer(e) - answer(0) - times_input.sum().
    stream : ndarray (2L + 1, T)
        The length of the residual stream's gradient.
    branch : ndarray (2L, T)
        The length of what comes back through attention 0, feed-forward 0, attention 1 ...
    """

    answer: float
    by_embedding: Array
    norms: Array
    times_input: Array
    gap: float
    stream: Array
    branch: Array


@dataclass(frozen=True)
class Integrated:
    """Integrated gradients.

    Attributes
    ----------
    tokens : ndarray (T,)
        Each token's share.
    answer, without : float
        The answer, and that of embeddings that are all 0.
    gap : float
        answer - without - tokens.sum().
    evaluations : int
        Backward passes that it took.
    """

    tokens: Array
    answer: float
    without: float
    gap: float
    evaluations: int


def input_gradients(model: GPT, ids: npt.ArrayLike, answer: Answer | None = None) -> Gradients:
    """The gradients of an answer by a text's embeddings, by the layers' own backward passes.

    Without an answer, of the loss: the mean cross-entropy, in nats, of all tokens but the first.
    """
    raise NotImplementedError


def integrated_gradients(
    model: GPT,
    ids: npt.ArrayLike,
    answer: Answer | None = None,
    limit: float = 1e-3,
    most: int = 1024,
) -> Integrated:
    """Halve the pieces until |gap| <= limit, or `most` backward passes are done."""
    raise NotImplementedError
