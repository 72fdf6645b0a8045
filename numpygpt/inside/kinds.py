"""Kinds: do words of one kind lie together?

The built-in stories' words have kinds that no one told the model: names that are "she" and names
that are "he", places, tools, animals, foods, parts. Of a word's n nearest in the whole vocabulary
(embeddings.py), the share that is of its own kind is measured, beside what chance would give:
(size - 1) / (V - 1).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tiktoken

from numpygpt.gpt import GPT
from numpygpt.inside.embeddings import neighbours
from numpygpt.inside.words import word_ids
from numpygpt.text.tales import words as tales


@dataclass(frozen=True)
class Grouping:
    """How far words of one kind lie together.

    Attributes
    ----------
    kind : str
    words : list of str
        Its words that are one token of the vocabulary.
    share : float
        Of the nearest that are of the same kind, the mean over these words.
    chance : float
        What random neighbours would give.
    """

    kind: str
    words: list[str]
    share: float
    chance: float


def story_kinds() -> dict[str, list[str]]:
    """The kinds of the built-in stories' words: she, he, places, tools, animals, parts, foods."""
    kinds = {
        pronoun: [name for name, own in tales.NAMES.items() if own == pronoun]
        for pronoun in ("she", "he")
    }
    return kinds | {
        "places": list(tales.PLACES),
        "tools": list(tales.TOOLS),
        "animals": list(tales.ANIMALS),
        "parts": list(tales.PARTS),
        "foods": sorted(tales.FOODS),
    }


def single_tokens(encoding: tiktoken.Encoding, words: Sequence[str]) -> dict[int, str]:
    """Those of the words that are one token, by its id."""
    return {ids[0]: word for word in words if len(ids := word_ids(encoding, word)) == 1}


def grouping(
    model: GPT, encoding: tiktoken.Encoding, kinds: Mapping[str, Sequence[str]], n: int = 5
) -> list[Grouping]:
    """For each kind of at least two words, the share of the n nearest that are of it."""
    result = []
    for kind, words in kinds.items():
        tokens = single_tokens(encoding, words)
        if len(tokens) < 2:
            continue
        shares = []
        for word in tokens.values():
            near = neighbours(model, encoding, word, n)
            shares.append(np.isin(near.ids, list(tokens)).mean())
        chance = (len(tokens) - 1) / (encoding.n_vocab - 1)
        result.append(Grouping(kind, list(tokens.values()), float(np.mean(shares)), chance))
    return result
