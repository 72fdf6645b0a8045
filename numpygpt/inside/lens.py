"""The lens: what each block would predict, were it the last.

The final norm and the head read the residual stream after the last block. They can as well be
asked to read it earlier, after block l (0: before any), in two ways:

    anew        z_l = norm(x_l) W_head^T                            its own mean and rstd
    frozen      z_l = ((x_l - mean(x_l)) rstd_L gain + bias) W_head^T     the last block's rstd

Anew, each block's words are scaled to what the head is used to, so that its probabilities can be
compared; but then a block may seem to change its mind where it has only made x longer. Frozen, z_l
is linear in x_l: what is between two blocks is exactly what the one adds (attribution.py), and
early ones, whose x is short, seem undecided. After the last block both are the model's own.

Reference: nostalgebraist 2020 ("the logit lens").
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np

from numpygpt.inside.answer import Answer
from numpygpt.inside.traces import Trace, frozen
from numpygpt.layers.base import Array


@dataclass(frozen=True)
class Reading:
    """What the head reads after each block: 0 is before any, L the model's own prediction.

    Attributes
    ----------
    top : ndarray (L + 1, T, k)
        The ids of the most probable words, the best first.
    top_probability : ndarray (L + 1, T, k)
    probability : ndarray (L + 1, T)
        Of the true next word.
    rank : ndarray (L + 1, T)
        Its rank, from 1.
    """

    top: Array
    top_probability: Array
    probability: Array
    rank: Array


@dataclass(frozen=True)
class Lens:
    """Both readings of one text.

    Attributes
    ----------
    words : ndarray (T,)
        The true next word at each position; at the last one, what was asked for.
    anew, frozen : Reading
    remainder : float
        The largest difference of the last block's probabilities to the model's own.
    """

    words: Array
    anew: Reading
    frozen: Reading
    remainder: float


def predictions(seen: Trace, word: int | None = None, k: int = 5) -> Lens:
    """Read every block; `word` is the last position's true one (None: what the model says)."""
    V = seen.model.config.vocab_size
    if not 1 <= k <= V:
        raise ValueError(f"expected from 1 to {V} words a position, got {k}")
    last = int(seen.logits[-1].argmax()) if word is None else word
    Answer(last).expect(V)
    words = np.append(seen.ids[1:], last)
    anew = [_read(z, words, k) for z in read_anew(seen)]
    still = [_read(z, words, k) for z in read_frozen(seen)]
    own = _read(seen.logits, words, k).probability
    difference = max(np.abs(own - reading[-1].probability).max() for reading in (anew, still))
    return Lens(words, _stack(anew), _stack(still), float(difference))


def read_anew(seen: Trace) -> Iterator[Array]:
    """The logits (T, V) that the final norm and the head read after each block, from 0 to L."""
    norm, head = seen.model.norm.view(), seen.model.head.view()  # which save nothing
    return (head.forward(norm.forward(x)) for x in seen.blocks)


def read_frozen(seen: Trace) -> Iterator[Array]:
    """The same at the scale that the final norm has after the last block."""
    norm, head = seen.model.norm, seen.model.head.view()
    return (head.forward(frozen(norm, x) + norm.bias.data) for x in seen.blocks)


def softmax(z: Array) -> Array:
    """Over the last axis."""
    p = np.exp(z - z.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    return np.asarray(p)


def _read(z: Array, words: Array, k: int) -> Reading:
    """One block's logits (T, V)."""
    p = softmax(z)
    of_words = np.take_along_axis(z, words[:, None], -1)
    some = np.argpartition(-z, k - 1, axis=-1)[:, :k]
    order = np.argsort(-np.take_along_axis(z, some, -1), axis=-1, kind="stable")
    top = np.take_along_axis(some, order, -1)
    return Reading(
        top,
        np.take_along_axis(p, top, -1),
        np.take_along_axis(p, words[:, None], -1)[:, 0],
        1 + np.count_nonzero(z > of_words, axis=-1),
    )


def _stack(readings: list[Reading]) -> Reading:
    return Reading(*(np.stack([vars(r)[f.name] for r in readings]) for f in fields(Reading)))
