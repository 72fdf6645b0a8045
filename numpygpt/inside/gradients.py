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

import numpy as np
import numpy.typing as npt

from numpygpt.gpt import GPT
from numpygpt.gradcheck.oracles import rms
from numpygpt.inside.answer import Answer
from numpygpt.inside.traces import one_text, position_in, replica_without_dropout
from numpygpt.layers.base import Array

NODES = 8  # of Gauss and Legendre, in each piece of the line


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
    asked = _Asked(model, ids, answer)
    e = asked.embeddings
    value, stream, branch = asked.backward(e[None])
    without, g = asked.value(np.zeros_like(e)), stream[0][0]
    times_input = (g * e).sum(-1)
    return Gradients(
        value,
        g,
        np.linalg.norm(g, axis=-1),
        times_input,
        value - without - float(times_input.sum()),
        np.linalg.norm(np.concatenate(stream), axis=-1),
        np.linalg.norm(np.concatenate(branch), axis=-1),
    )


def integrated_gradients(
    model: GPT,
    ids: npt.ArrayLike,
    answer: Answer | None = None,
    limit: float = 1e-3,
    most: int = 1024,
) -> Integrated:
    """Halve the pieces until |gap| <= limit, or `most` backward passes are done."""
    asked = _Asked(model, ids, answer)
    e, done, pieces = asked.embeddings, 0, 1
    value, without = asked.value(e), asked.value(np.zeros_like(e))
    nodes, weights = np.polynomial.legendre.leggauss(NODES)  # of [-1, 1]
    while True:
        tokens = np.zeros(len(e))
        for piece in range(pieces):
            a = (piece + (nodes + 1) / 2) / pieces
            _, stream, _ = asked.backward(a.astype(e.dtype)[:, None, None] * e)
            tokens += weights @ (stream[0] * e).sum(-1) / (2 * pieces)
        done += NODES * pieces
        gap = value - without - float(tokens.sum())
        if abs(gap) <= limit or done + 2 * NODES * pieces > most:
            return Integrated(tokens, value, without, gap, done)
        pieces *= 2


def directional(
    model: GPT, ids: npt.ArrayLike, answer: Answer | None = None, seed: int = 0, h: float = 1e-5
) -> tuple[float, float, float]:
    """The slope along a random direction v by the gradient, by a central difference, and its size.

    As large as the embeddings, v moves all of them at once; the size is |g v|, which the slope has
    for most v, and at least a hundredth of the answer, below which its rounding is seen (both as
    in gradcheck/model.py).
    """
    asked = _Asked(model, ids, answer)
    e = asked.embeddings
    v = np.random.default_rng(seed).standard_normal(e.shape) * rms(e)
    g = asked.backward(e[None])[1][0][0]
    above, below = asked.value(e + h * v), asked.value(e - h * v)
    size = max(float(np.linalg.norm(g * v)), abs(above) / 100)
    return float((g * v).sum()), (above - below) / (2 * h), size


class _Asked:
    """A question to a model: how does the answer move with the token embeddings of a text?"""

    def __init__(self, model: GPT, ids: npt.ArrayLike, answer: Answer | None) -> None:
        self.ids, self.answer = one_text(model, ids), answer
        if answer is None and len(self.ids) < 2:
            raise ValueError("the loss of a text needs two tokens at least: one to predict")
        if answer is not None:
            answer.expect(len(model.head.W.data))
            position_in(self.ids, answer.position)
        self.model = replica_without_dropout(model)
        self.embeddings = self.model.token_embedding.forward(self.ids)
        places = np.arange(len(self.ids))
        self.positions = self.model.position_embedding.forward(places)

    def value(self, e: Array) -> float:
        """The answer for embeddings e (T, C)."""
        return self._answer(self.model.view(), e[None])[0]

    def backward(self, e: Array) -> tuple[float, list[Array], list[Array]]:
        """The answer, its gradient by each half block's input, and what its branch sent back.

        For n texts' embeddings, (n, T, C): the sum of their answers; each list holds such arrays,
        from the first half block on.
        """
        model = self.model
        value, dx = self._answer(model, e)
        dx = model.norm.backward(dx)
        stream, branch = [dx], []
        for block in reversed(model.blocks):
            for part, norm in ((block.feedforward, block.norm2), (block.attention, block.norm1)):
                branch.append(norm.backward(part.backward(dx, norm.output())))
                dx = dx + branch[-1]
                stream.append(dx)
        model.zero_grad()  # the parameters' are not asked for
        return value, stream[::-1], branch[::-1]

    def _answer(self, model: GPT, e: Array) -> tuple[float, Array]:
        """The sum of n answers, and in training mode its gradient by what the head reads."""
        x = e + self.positions
        for block in model.blocks:
            x = block.forward(x)
        x = model.norm.forward(x)
        dx = np.zeros_like(x)
        if self.answer is not None:
            direction = self.answer.direction(model.head.W.data)
            dx[:, self.answer.position] = direction
            return float((x[:, self.answer.position] @ direction).sum()), dx
        n, targets = len(x), np.broadcast_to(self.ids[1:], (len(x), len(self.ids) - 1))
        loss = model.head.loss(np.ascontiguousarray(x[:, :-1]), targets, weight=n)
        if model.training:
            dx[:, :-1] = model.head.backward()
        return loss, dx
