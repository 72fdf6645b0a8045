"""Kinds: do words of one kind lie together?

The built-in stories' words have kinds that no one told the model: names that are "she" and names
that are "he", places, tools, animals, foods, parts. Of a word's n nearest in the whole vocabulary
(embeddings.py), the share that is of its own kind is measured, beside what chance would give:
(size - 1) / (V - 1). (Or in those of its tokens that the text has at all: see there.)
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import tiktoken

from numpygpt.gpt import GPT
from numpygpt.inside.embeddings import neighbours_of, tokens_in
from numpygpt.inside.words import word_ids
from numpygpt.layers.base import Array
from numpygpt.text.stories import stories
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
        "parts": [*tales.PARTS, *(plural for plural, _ in tales.PARTS.values())],
        "foods": sorted(tales.FOODS),
    }


def story_tokens(encoding: tiktoken.Encoding, count: int = 2000) -> Array:
    """The tokens that the built-in stories have (in so many of them, all but the rarest)."""
    return tokens_in(encoding, " ".join(stories(count)))


def single_tokens(encoding: tiktoken.Encoding, words: Iterable[str]) -> dict[int, str]:
    """Those of the words that are one token, by its id; of two with one, the first."""
    found: dict[int, str] = {}
    for word in words:
        if len(ids := word_ids(encoding, word)) == 1:
            found.setdefault(ids[0], word)
    return found


def grouping(
    model: GPT,
    encoding: tiktoken.Encoding,
    kinds: Mapping[str, Sequence[str]],
    n: int = 5,
    among: npt.ArrayLike | None = None,
) -> list[Grouping]:
    """For each kind of at least two words, the share of the n nearest that are of it.

    Among all tokens, or those given, as `neighbours` has it; words that are not there are left out.
    """
    size = encoding.n_vocab if among is None else len(np.unique(among))
    result = []
    for kind, words in kinds.items():
        tokens = single_tokens(encoding, words)
        if among is not None:
            tokens = {i: word for i, word in tokens.items() if i in np.asarray(among)}
        if len(tokens) < 2:
            continue
        near = neighbours_of(model, encoding, list(tokens), n, among)
        shares = [np.isin(one.ids, list(tokens)).mean() for one in near]
        chance = (len(tokens) - 1) / (size - 1)
        result.append(Grouping(kind, list(tokens.values()), float(np.mean(shares)), chance))
    return result
