"""What there is to see of words: neighbours of many tokens at once, a map, kinds, and their ties.

The formulas are those of embeddings.py: cosines of vectors from which the vocabulary's mean is
taken off. There, one word's are computed with the random pairs' mean and spread, which takes a
product over the whole vocabulary; here that is done once for all tokens of a prompt.
"""

from dataclasses import dataclass

import numpy as np
import tiktoken

from numpygpt.gpt import GPT
from numpygpt.inside.embeddings import (
    EmbeddingMap,
    Neighbours,
    embedding_map,
    neighbours,
    neighbours_in_context,
    random_cosines,
    unit,
)
from numpygpt.inside.kinds import Grouping, grouping, story_kinds, story_tokens
from numpygpt.inside.partners import Partners, part_finders
from numpygpt.inside.words import token_text, token_texts, word_ids
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
    near = nearest_to(model, encoding, ids, word, among)
    words = of_interest(encoding, near, stories)
    return Words(
        near,
        map_of(model, encoding, near, words, stories),
        *in_context(model, encoding, ids, near, words, left_out),
        grouping(model, encoding, story_kinds(), among=among) if stories else [],
        partners_of(model, encoding, left_out) if stories else None,
        ranks_of_parts(model, encoding, word, among) if stories else {},
    )


def among_of(encoding: tiktoken.Encoding, stories: bool) -> Array | None:
    """The tokens among which neighbours are looked for: those that the built-in stories have."""
    return story_tokens(encoding) if stories else None


def nearest_to(
    model: GPT, encoding: tiktoken.Encoding, ids: Array, word: str | None, among: Array | None
) -> dict[int | str, Neighbours]:
    """The neighbours of each token by its id, and of a word by "word"."""
    candidates = np.arange(encoding.n_vocab) if among is None else among
    W = model.token_embedding.W.data
    centre = W[candidates].mean(0)
    vectors = unit(W[candidates] - centre)
    chance = random_cosines(vectors)
    near: dict[int | str, Neighbours] = {}
    for own in dict.fromkeys(ids.tolist()):
        cosines = vectors @ unit(W[own] - centre)
        cosines[candidates == own] = -np.inf
        places = np.argsort(-cosines, kind="stable")[:NEIGHBOURS]
        cosines, best = cosines[places], candidates[places]
        text, texts = token_text(encoding, own), token_texts(encoding, best)
        near[own] = Neighbours(text, [text], texts, best, cosines, *chance)
    if word is None:
        return near
    return {"word": neighbours(model, encoding, word, NEIGHBOURS, among), **near}


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


def single(encoding: tiktoken.Encoding, words: list[str]) -> list[str]:
    """Those that are one token, in running text, each once."""
    found: dict[int, str] = {}
    for word in words:
        readable = any(map(str.isalnum, word)) and not set("<\ufffd") & set(word)
        if readable and len(ids := word_ids(encoding, word)) == 1:
            found.setdefault(ids[0], word)
    return list(found.values())


def of_interest(
    encoding: tiktoken.Encoding, near: dict[int | str, Neighbours], stories: bool
) -> list[str]:
    """Words to compare: the prompt's and their neighbours, and those of the stories' kinds."""
    asked = [one.word for one in near.values()]
    kinds = [word for kind in story_kinds().values() for word in kind] if stories else []
    others = [word for one in near.values() for word in one.words[:4]]
    first = near.get("word")
    return single(encoding, asked + (first.words if first else []) + kinds + others)


def map_of(
    model: GPT,
    encoding: tiktoken.Encoding,
    near: dict[int | str, Neighbours],
    words: list[str],
    stories: bool,
) -> EmbeddingMap | None:
    """A map of as many of these as can be read; None if there are fewer than three."""
    if stories:  # whose kinds say more than the prompt's own words
        words = single(encoding, [near["word"].word] if "word" in near else [])
        words = single(encoding, words + [w for kind in story_kinds().values() for w in kind])
    words = words[:IN_MAP]
    return embedding_map(model, encoding, words) if len(words) > 2 else None


def in_context(
    model: GPT,
    encoding: tiktoken.Encoding,
    ids: Array,
    near: dict[int | str, Neighbours],
    words: list[str],
    left_out: list[str],
) -> tuple[list[Neighbours], int]:
    """Neighbours of a token in its place: of the word asked for, where it stands, or the last."""
    own = word_ids(encoding, near["word"].word) if "word" in near else []
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
