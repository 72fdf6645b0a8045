"""Kinds: do words of one kind lie together? And what ties a part to its animal, if not that?

The built-in stories' words have kinds that no one told the model: names that are "she" and names
that are "he", places, tools, animals, foods, parts. Of a word's n nearest in the whole vocabulary
(embeddings.py), the share that is of its own kind is measured, beside what chance would give:
(size - 1) / (V - 1).

A part and its animal (beak, robin) are another matter: cosine finds words that stand in the same
places, and these do not. Several products of the model's own matrices could tie them; for each, the
rank of an animal's own parts among all parts is measured by the share of pairs (one of its parts,
one that it lacks) that are in the right order: 1 is perfect, 0.5 is chance.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import tiktoken

from numpygpt.gpt import GPT


@dataclass(frozen=True)
class Grouping:
    """How far words of one kind lie together.

    Attributes
    ----------
    kind : str
    words : int
        How many of its words are one token of the vocabulary.
    share : float
        Of the nearest that are of the same kind, the mean over the kind's words.
    chance : float
        What random neighbours would give.
    """

    kind: str
    words: int
    share: float
    chance: float


def story_kinds() -> dict[str, list[str]]:
    """The kinds of the built-in stories' words: she, he, places, tools, animals, foods, parts."""
    raise NotImplementedError


def grouping(
    model: GPT, encoding: tiktoken.Encoding, kinds: Mapping[str, Sequence[str]], n: int = 5
) -> list[Grouping]:
    """For each kind, the share of the n nearest that are of it."""
    raise NotImplementedError
