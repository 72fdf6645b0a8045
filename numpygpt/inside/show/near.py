"""What there is to see of words: neighbours of many tokens at once, a map, kinds, and their ties.

The formulas are those of embeddings.py: cosines of vectors from which the vocabulary's mean is
taken off.
"""

from dataclasses import dataclass

import numpy as np
import tiktoken

from numpygpt.gpt import GPT
from numpygpt.inside.embeddings import (
    Neighbours,
    neighbours,
    neighbours_in_context,
    neighbours_of,
)
from numpygpt.inside.kinds import Grouping, grouping, single_tokens, story_kinds, story_tokens
from numpygpt.inside.maps import EmbeddingMap, embedding_map
from numpygpt.inside.partners import Partners, part_finders
from numpygpt.inside.words import word_ids
from numpygpt.layers.base import Array
from numpygpt.text.tales.of_animals import HURTS

NEIGHBOURS = 10
IN_MAP = 120  # words, at most: more would cover each other
MOST_FLOPS = 2e11  # for neighbours in context, a forward pass for each candidate


@dataclass(frozen=True)
class Words:
    """Of one prompt.

    Attributes
    ----------
    near : dict
        The Neighbours of each token of the prompt by its id, and of the word asked for by "word".
    map : EmbeddingMap or None
        None if there are fewer than three words to show.
    context : list of Neighbours
        Of the token `at`, in its place, before any block and after each.
    kinds : list of Grouping
        Of the built-in stories' words, as the next two: else empty.
    partners : Partners or None
    part_ranks : dict of str to int
        If the word is an animal: which neighbour each of its parts is, from 1.
    """

    near: dict[int | str, Neighbours]
    map: EmbeddingMap | None
    context: list[Neighbours]
    at: int
    kinds: list[Grouping]
    partners: Partners | None
    part_ranks: dict[str, int]


def words_of(
    model: GPT,
    encoding: tiktoken.Encoding,
    ids: Array,
    word: str | None,
    stories: bool,
    left_out: list[str],
) -> Words:
    """All of it; what is not here is added to `left_out`."""
    among = among_of(encoding, stories)
    asked: dict[int | str, int | str] = {} if word is None else {"word": word}
    asked |= {token: token for token in ids.tolist()}
    found = neighbours_of(model, encoding, list(asked.values()), NEIGHBOURS, among)
    near = dict(zip(asked, found, strict=True))
    kinds = [one for kind in story_kinds().values() for one in kind] if stories else []
    words = in_map = of_interest(encoding, near, kinds)
    if stories:  # whose kinds say more than the prompt's own words
        in_map = readable(encoding, ([] if word is None else [word]) + kinds)
    return Words(
        near,
        embedding_map(model, encoding, in_map[:IN_MAP]) if len(in_map) > 2 else None,
        *in_context(model, encoding, ids, word, words, left_out),
        grouping(model, encoding, story_kinds(), among=among) if stories else [],
        partners_of(model, encoding, left_out) if stories else None,
        ranks_of_parts(model, encoding, word, among) if stories else {},
    )


def among_of(encoding: tiktoken.Encoding, stories: bool) -> Array | None:
    """The tokens among which neighbours are looked for: those that the built-in stories have."""
    return story_tokens(encoding) if stories else None


def ranks_of_parts(
    model: GPT, encoding: tiktoken.Encoding, word: str | None, among: Array | None
) -> dict[str, int]:
    """If the word is an animal of the stories: which neighbour each of its parts is, from 1."""
    own = {part for animal, part, _ in HURTS if word and animal.name == word.strip()}
    if not own or len(word_ids(encoding, str(word))) > 1:
        return {}
    near = neighbours(model, encoding, str(word), encoding.n_vocab, among).ids.tolist()
    tokens = {part: word_ids(encoding, part) for part in sorted(own)}
    return {part: near.index(ids[0]) + 1 for part, ids in tokens.items() if ids[0] in near}


def readable(encoding: tiktoken.Encoding, words: list[str]) -> list[str]:
    """Those that can be read and are one token, in running text, each once."""
    seen = (w for w in words if any(map(str.isalnum, w)) and not set("<\ufffd") & set(w))
    return list(single_tokens(encoding, seen).values())


def of_interest(
    encoding: tiktoken.Encoding, near: dict[int | str, Neighbours], kinds: list[str]
) -> list[str]:
    """Words to compare: the prompt's and their neighbours, and those of the stories' kinds."""
    asked = [one.word for one in near.values()]
    others = [word for one in near.values() for word in one.words[:4]]
    first = near["word"].words if "word" in near else []
    return readable(encoding, asked + first + kinds + others)


def in_context(
    model: GPT,
    encoding: tiktoken.Encoding,
    ids: Array,
    word: str | None,
    words: list[str],
    left_out: list[str],
) -> tuple[list[Neighbours], int]:
    """Neighbours of a token in its place: of the word asked for, where it stands, or the last."""
    own = [] if word is None else word_ids(encoding, word)
    places = np.flatnonzero(ids == own[0]) if len(own) == 1 else np.array([], int)
    at = int(places[-1]) if len(places) else len(ids) - 1
    most = int(MOST_FLOPS / (2 * model.num_parameters() * (at + 1)))
    if len(words) > most:
        left_out.append(
            f"Neighbours in context are among {most} words; for more, the model would run too long."
            if most > 11
            else "Neighbours in context are left out: they take a forward pass for each word."
        )
        words = words[:most]
    if len(words) < 12:
        return [], at
    return neighbours_in_context(model, encoding, ids, at, words, 6), at


def partners_of(model: GPT, encoding: tiktoken.Encoding, left_out: list[str]) -> Partners | None:
    """What ties a part to its animal, if this vocabulary has words for them."""
    try:
        return part_finders(model, encoding)
    except ValueError as error:
        left_out.append(f"What ties a part to its animal is left out: {error}.")
        return None
