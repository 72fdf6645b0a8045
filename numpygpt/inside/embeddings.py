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

The map shows vectors in two dimensions, the two in which they differ most: with X the vectors less
their mean, X = U S V^T (SVD), the map is U S's first two columns; they hold (s_1^2 + s_2^2) /
sum s^2 of the squared distances from the mean, the "share". What is left out is 1 less that.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True)
class EmbeddingMap:
    """Words in two dimensions.

    Attributes
    ----------
    words : list of str
    places : ndarray (n, 2)
    share : ndarray (2,)
        Of the squared distances from the mean that each axis holds.
    """

    words: list[str]
    places: Array
    share: Array


def neighbours(
    model: GPT,
    encoding: tiktoken.Encoding,
    word: str,
    n: int = 10,
    among: npt.ArrayLike | None = None,
) -> Neighbours:
    """The n tokens that are nearest to a word, itself apart.

    Parameters
    ----------
    word : str
        Any; one of several tokens has the mean of their vectors.
    n : int
    among : (m,) or None
        The tokens to look among, such as those that the text has (`tokens_in`), and whose mean is
        taken off. None: the whole vocabulary.
    """
    ids = np.arange(encoding.n_vocab) if among is None else np.unique(among)
    check_ids("neighbours (among)", ids, len(model.token_embedding.W.data))
    if len(ids) < 2:
        raise ValueError(f"neighbours: expected at least two tokens to look among, got {len(ids)}")
    W, own = model.token_embedding.W.data, word_ids(encoding, word)
    vectors = W[ids]
    centre = vectors.mean(0)
    itself = np.flatnonzero(ids == own[0]).tolist() if len(own) == 1 else []
    found, cosines, mean, deviation = _nearest(vectors - centre, W[own].mean(0) - centre, n, itself)
    tokens, words = token_texts(encoding, own), token_texts(encoding, ids[found])
    return Neighbours(word, tokens, words, ids[found], cosines, mean, deviation)


def tokens_in(encoding: tiktoken.Encoding, text: str) -> Array:
    """The tokens that a text has, once each, in order."""
    return np.unique(encode_text(encoding, text))


def neighbours_in_context(
    model: GPT,
    encoding: tiktoken.Encoding,
    ids: npt.ArrayLike,
    at: int,
    words: Sequence[str],
    n: int = 10,
) -> list[Neighbours]:
    """The words nearest to the text's token `at`, in its place: before any block, and after each.

    Parameters
    ----------
    ids : (T,)
        The text; only what comes before `at` matters, for no token sees a later one.
    words : sequence of str
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
        found = _nearest(x - x.mean(0), x[-1] - x.mean(0), n, [len(others)])
        texts = token_texts(encoding, candidates[found[0]])
        result.append(Neighbours(word, [word], texts, candidates[found[0]], *found[1:]))
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


def embedding_map(model: GPT, encoding: tiktoken.Encoding, words: Sequence[str]) -> EmbeddingMap:
    """At least three words, in the two dimensions in which their embeddings differ most."""
    W = model.token_embedding.W.data
    vectors = [W[word_ids(encoding, word)].mean(0) for word in words]
    return _flattened(words, np.reshape(vectors, (len(words), W.shape[1])))


def map_in_context(
    model: GPT, encoding: tiktoken.Encoding, ids: npt.ArrayLike, at: int, words: Sequence[str]
) -> list[EmbeddingMap]:
    """The same in the place `at` of a text, before any block and after each: L + 1 maps."""
    text = one_text(model, ids)
    at = position_in(text, at)
    tokens = np.array([token_of(encoding, word) for word in words])
    return [_flattened(words, x) for x in vectors_in_context(model, text, at, tokens)]


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


def _nearest(
    vectors: Array, one: Array, n: int, but: Sequence[int]
) -> tuple[Array, Array, float, float]:
    """Which n of the vectors are nearest to one, their cosines, and what chance would give."""
    if n < 1:
        raise ValueError(f"expected at least 1 neighbour, got {n}")
    cosines = unit(vectors) @ unit(one)
    cosines[list(but)] = -np.inf
    best = np.argsort(-cosines, kind="stable")[: min(n, len(vectors) - len(but))]
    return best, cosines[best], *random_cosines(vectors)


def _flattened(words: Sequence[str], vectors: Array) -> EmbeddingMap:
    if len(words) < 3:
        raise ValueError(f"a map needs at least three words, got {len(words)}")
    U, s, _ = np.linalg.svd(vectors - vectors.mean(0), full_matrices=False)
    places = U[:, :2] * s[:2]
    places *= np.where(places[0] < 0, -1, 1)  # an axis has no sign: the first word's is +
    in_all = (s**2).sum() or 1.0  # equal words lie all at one place
    return EmbeddingMap(list(words), places, s[:2] ** 2 / in_all)
