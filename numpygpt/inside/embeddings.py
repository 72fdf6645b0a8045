"""Embeddings: which words a word is near to.

Two vectors a and b are near if they point the same way:

    cos(a, b) = a . b / (|a| |b|)

Embeddings share a direction, which says nothing about a word (all of GPT-2's are somewhat alike),
so the vocabulary's mean m is taken off first: cos(a - m, b - m). What that number is for two words
drawn at random is said beside it, exactly, from all V vectors u of length 1:

    mean    (|sum_v u_v|^2 - V) / (V (V - 1))               of the cosines of all pairs
    square  (|U^T U|^2 - V) / (V (V - 1))                   of their squares; U (V, C)

A vocabulary may hold tokens that its text has not: pieces that were only steps to longer ones (of
the built-in stories' 1,024, half). Their embeddings learned nothing but to be improbable, and lie
all at one place. That raises the deviation and moves the mean, so one may look among the text's
own tokens only.

A word of several tokens has the mean of their vectors (words.py).

In context, a token's vector is the residual stream after a block: it has then heard of its text.
To compare words there, each is put in the same place of the same text, so that nothing else
differs.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import SupportsIndex

import numpy as np
import numpy.typing as npt
import tiktoken

from numpygpt.gpt import GPT
from numpygpt.inside.traces import one_text, position_in
from numpygpt.inside.words import token_of, token_text, token_texts, word_ids
from numpygpt.layers.base import Array
from numpygpt.layers.embedding import check_ids
from numpygpt.text.tokenizer import encode_text

TEXTS = 64  # through the blocks at a time
Word = str | SupportsIndex  # or its token's id


@dataclass(frozen=True)
class Neighbours:
    """The words nearest to one.

    Attributes
    ----------
    word : str
    tokens : list of str
        What the word is made of.
    words : list of str
        The nearest first, as the vocabulary has them (a space before, most often).
    ids : ndarray (n,)
    cosines : ndarray (n,)
    mean, deviation : float
        Of the cosines of two random words.
    """

    word: str
    tokens: list[str]
    words: list[str]
    ids: Array
    cosines: Array
    mean: float
    deviation: float


def neighbours(
    model: GPT,
    encoding: tiktoken.Encoding,
    word: Word,
    n: int = 10,
    among: npt.ArrayLike | None = None,
) -> Neighbours:
    """The n tokens that are nearest to a word, itself apart.

    Parameters
    ----------
    word : str or int
        Any word (one of several tokens has the mean of their vectors), or a token's id.
    n : int
    among : (m,) or None
        The tokens to look among, such as those that the text has (`tokens_in`), and whose mean is
        taken off. None: the whole vocabulary.
    """
    return neighbours_of(model, encoding, [word], n, among)[0]


def neighbours_of(
    model: GPT,
    encoding: tiktoken.Encoding,
    words: Sequence[Word],
    n: int = 10,
    among: npt.ArrayLike | None = None,
) -> list[Neighbours]:
    """The same for several words; what the vocabulary's vectors have in common is found once."""
    ids = np.arange(encoding.n_vocab) if among is None else np.unique(among)
    check_ids("neighbours (among)", ids, len(model.token_embedding.W.data))
    if len(ids) < 2:
        raise ValueError(f"neighbours: expected at least two tokens to look among, got {len(ids)}")
    W = model.token_embedding.W.data
    centre = W[ids].mean(0)
    vectors = W[ids] - centre
    directions, chance, result = unit(vectors), random_cosines(vectors), []
    for word in words:
        own = word_ids(encoding, word)
        check_ids("neighbours", np.array(own), len(W))
        itself = np.flatnonzero(ids == own[0]).tolist() if len(own) == 1 else []
        best, cosines = _nearest(directions, W[own].mean(0) - centre, n, itself)
        tokens = token_texts(encoding, own)
        name = word if isinstance(word, str) else tokens[0]
        near = ids[best]
        result.append(Neighbours(name, tokens, token_texts(encoding, near), near, cosines, *chance))
    return result


def tokens_in(encoding: tiktoken.Encoding, text: str) -> Array:
    """The tokens that a text has, once each, in order."""
    return np.unique(encode_text(encoding, text))


def neighbours_in_context(
    model: GPT,
    encoding: tiktoken.Encoding,
    ids: npt.ArrayLike,
    at: int,
    words: Sequence[Word],
    n: int = 10,
) -> list[Neighbours]:
    """The words nearest to the text's token `at`, in its place: before any block, and after each.

    Parameters
    ----------
    ids : (T,)
        The text; only what comes before `at` matters, for no token sees a later one.
    words : sequence of str or int
        To compare it with; each must be one token.

    Returns
    -------
    list of Neighbours
        L + 1 of them; their mean and deviation are those of pairs of these words.
    """
    text = one_text(model, ids)
    own = int(text[position_in(text, at)])
    others = sorted({token_of(encoding, word) for word in words} - {own})
    if len(others) < 2:
        raise ValueError(f"expected at least two words besides the text's own, got {len(others)}")
    candidates = np.array([*others, own])
    word, result = token_text(encoding, own), []
    for x in vectors_in_context(model, text, at, candidates):
        x = x - x.mean(0)
        best, cosines = _nearest(unit(x), x[-1], n, [len(others)])
        near = candidates[best]
        texts = token_texts(encoding, near)
        result.append(Neighbours(word, [word], texts, near, cosines, *random_cosines(x)))
    return result


def vectors_in_context(model: GPT, ids: Array, at: int, candidates: Array) -> Array:
    """The residual stream where each of n tokens stands in a text's place `at`: (L + 1, n, C)."""
    eval_mode, stop = model.view(), at % len(ids) + 1
    parts = []
    for start in range(0, len(candidates), TEXTS):
        some = candidates[start : start + TEXTS]
        texts = np.repeat(ids[None, :stop], len(some), axis=0)
        texts[:, -1] = some
        x = eval_mode.token_embedding.forward(texts)
        x = x + eval_mode.position_embedding.forward(np.arange(stop))
        seen = [x[:, -1]]
        for block in eval_mode.blocks:
            x = block.forward(x)
            seen.append(x[:, -1])
        parts.append(np.stack(seen))
    return np.concatenate(parts, axis=1)


def random_cosines(vectors: Array) -> tuple[float, float]:
    """Mean and standard deviation of the cosines of all pairs of two of the vectors (n, C)."""
    n, U = len(vectors), unit(vectors)
    own, pairs = np.count_nonzero(U.any(1)), n * (n - 1)  # |u|^2 is 1, but for a vector 0
    mean = (float(np.square(U.sum(0)).sum()) - own) / pairs
    square = (float(np.square(U.T @ U).sum()) - own) / pairs
    return mean, math.sqrt(max(square - mean**2, 0.0))


def unit(vectors: Array) -> Array:
    """The vectors (..., C), each of length 1 (or 0, if it was)."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    y: Array = vectors / np.where(lengths, lengths, 1)
    return y


def _nearest(directions: Array, one: Array, n: int, but: Sequence[int]) -> tuple[Array, Array]:
    """Which n of the directions (each of length 1) are nearest to one's, and their cosines."""
    if n < 1:
        raise ValueError(f"expected at least 1 neighbour, got {n}")
    cosines = directions @ unit(one)
    cosines[list(but)] = -np.inf
    best = np.argsort(-cosines, kind="stable")[: min(n, len(directions) - len(but))]
    return best, cosines[best]
