"""Maps: words in two dimensions, by their embeddings.

A map shows vectors in the two dimensions in which they differ most: with X the vectors less their
mean, X = U S V^T (SVD), the map is U S's first two columns; they hold (s_1^2 + s_2^2) /
sum s^2 of the squared distances from the mean, the "share". What is left out is 1 less that.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import tiktoken

from numpygpt.gpt import GPT
from numpygpt.inside.embeddings import vectors_in_context
from numpygpt.inside.traces import one_text, position_in
from numpygpt.inside.words import token_of, word_ids
from numpygpt.layers.base import Array


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


def _flattened(words: Sequence[str], vectors: Array) -> EmbeddingMap:
    if len(words) < 3:
        raise ValueError(f"a map needs at least three words, got {len(words)}")
    U, s, _ = np.linalg.svd(vectors - vectors.mean(0), full_matrices=False)
    places = U[:, :2] * s[:2]
    places *= np.where(places[0] < 0, -1, 1)  # an axis has no sign: the first word's is +
    in_all = (s**2).sum() or 1.0  # equal words lie all at one place
    return EmbeddingMap(list(words), places, s[:2] ** 2 / in_all)
