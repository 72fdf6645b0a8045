"""Embeddings: which words a word is near to.

Two vectors a and b are near if they point the same way:

    cos(a, b) = a . b / (|a| |b|)

Embeddings share a direction, which says nothing about a word (all of GPT-2's are somewhat alike),
so the vocabulary's mean m is taken off first: cos(a - m, b - m). What that number is for two words
drawn at random is said beside it, exactly, from all V vectors u of length 1:

    mean    (|sum_v u_v|^2 - V) / (V (V - 1))               of the cosines of all pairs
    square  (|U^T U|^2 - V) / (V (V - 1))                   of their squares; U (V, C)

A word of several tokens has the mean of their vectors (words.py).

In context, a token's vector is the residual stream after a block: it has then heard of its text.
To compare words there, each is put in the same place of the same text, so that nothing else
differs.

The map shows vectors in two dimensions, the two in which they differ most: with X the vectors less
their mean, X = U S V^T (SVD), the map is U S's first two columns; they hold (s_1^2 + s_2^2) /
sum s^2 of the squared distances from the mean, the "share". What is left out is 1 less that.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy.typing as npt
import tiktoken

from numpygpt.gpt import GPT
from numpygpt.layers.base import Array


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
    model: GPT, encoding: tiktoken.Encoding, word: str, n: int = 10, centred: bool = True
) -> Neighbours:
    """The n tokens of the vocabulary that are nearest to a word, itself apart."""
    raise NotImplementedError


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
    raise NotImplementedError


def embedding_map(model: GPT, encoding: tiktoken.Encoding, words: Sequence[str]) -> EmbeddingMap:
    """At least three words, in the two dimensions in which their embeddings differ most."""
    raise NotImplementedError


def map_in_context(
    model: GPT, encoding: tiktoken.Encoding, ids: npt.ArrayLike, at: int, words: Sequence[str]
) -> list[EmbeddingMap]:
    """The same in the place `at` of a text, before any block and after each: L + 1 maps."""
    raise NotImplementedError
