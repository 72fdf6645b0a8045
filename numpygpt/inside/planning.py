"""Planning: when is a later word decided?

The built-in stories name their hero in the first sentence, and again later; and they say which part
of an animal was hurt, and come back to it. When does the model know which name, which part it will
write? The lens (lens.py) reads, after each block, at each of the J positions before the word, how
probable *that word* is: 1 position before is where it is predicted, 2 and more are where it could
be planned. It is read among words of its kind, so that it matters only which of them it is, and not
whether a name comes next:

    share[l, j] = p(word) / sum over kind of p(name)        after block l, j positions before

averaged over many new stories. Chance is 1 / (words of the kind).

Two controls say what the number is without knowledge: the same for a model that has learned nothing
(untrained), and for the same positions with another story's word (shuffled). What is above both can
be read there. That it can be read does not prove that the model uses it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import tiktoken

from numpygpt.gpt import GPT
from numpygpt.inside.kinds import single_tokens
from numpygpt.inside.lens import read_anew, softmax
from numpygpt.inside.traces import trace
from numpygpt.layers.base import Array
from numpygpt.text.stories import stories
from numpygpt.text.tales import words as tales
from numpygpt.text.tokenizer import encode_text

TOLD = 1000  # stories among which fitting ones are looked for
SUBJECTS = {  # the kind of word, and which time that it comes
    "name": (list(tales.NAMES), 1),
    "part": (list(tales.PARTS), 0),
    "part again": (list(tales.PARTS), 1),
}


@dataclass(frozen=True)
class Planning:
    """How well a later word can be read at the positions before it.

    Attributes
    ----------
    subject : str
        One of SUBJECTS: the first name of a story where it comes back, the first part of an animal
        where it is named, or where it comes back.
    stories : int
        How many were read.
    chance : float
    before : ndarray (J,)
        J, ..., 2, 1: positions before the word.
    share, untrained, shuffled : ndarray (L + 1, J)
    probability : ndarray (L + 1, J)
        p(word) itself.
    """

    subject: str
    stories: int
    chance: float
    before: Array
    share: Array
    untrained: Array
    shuffled: Array
    probability: Array


def planned_word(
    model: GPT,
    encoding: tiktoken.Encoding,
    subject: str = "name",
    count: int = 64,
    back: int = 12,
    seed: int = 1,
) -> Planning:
    """Read new stories, told by this seed, in which the subject has `back` tokens before it.

    For a word that comes back, they are tokens since it came first.
    """
    if subject not in SUBJECTS:
        raise ValueError(f"expected one of {', '.join(SUBJECTS)}, got {subject!r}")
    if count < 2 or back < 1:
        raise ValueError(f"expected 2 stories and 1 position at least, got {count} and {back}")
    words, time = SUBJECTS[subject]
    kind = sorted(single_tokens(encoding, words))
    found = list(islice(_stories(model, encoding, set(kind), time, back, seed), count))
    if len({word for _, word in found}) < 2:
        raise ValueError(
            f"too few stories with different words, {len(found)}: {len(kind)} of {len(words)} "
            f"words are one token, the context is {model.config.context_length}"
        )
    untrained = GPT(model.config, rng=seed)
    read, blank = ([_ahead(m, ids, kind, back) for ids, _ in found] for m in (model, untrained))
    own = [kind.index(word) for _, word in found]
    swapped = [next(w for w in own[i:] + own[:i] if w != own[i]) for i in range(len(own))]
    return Planning(
        subject,
        len(found),
        1 / len(kind),
        np.arange(back, 0, -1),
        np.mean([_share(p)[..., w] for p, w in zip(read, own, strict=True)], 0),
        np.mean([_share(p)[..., w] for p, w in zip(blank, own, strict=True)], 0),
        np.mean([_share(p)[..., w] for p, w in zip(read, swapped, strict=True)], 0),
        np.mean([p[..., w] for p, w in zip(read, own, strict=True)], 0),
    )


def _stories(
    model: GPT, encoding: tiktoken.Encoding, kind: set[int], time: int, back: int, seed: int
) -> Iterator[tuple[list[int], int]]:
    """Beginnings of stories, each up to where its first word of the kind comes this time."""
    for story in stories(TOLD, seed):
        ids = [encoding.eot_token, *encode_text(encoding, story).tolist()]
        word = next((i for i in ids if i in kind), None)
        times = [t for t, i in enumerate(ids) if i == word]
        if len(times) <= time or times[time] > model.config.context_length:
            continue
        first = 0 if time == 0 else times[0]
        if word is not None and times[time] - first >= back:
            yield ids[: times[time]], word


def _ahead(model: GPT, ids: list[int], kind: list[int], back: int) -> Array:
    """p of each word of a kind as what comes next, at the last positions: (L + 1, back, words)."""
    seen = trace(model, ids)
    return np.stack([softmax(z[-back:])[:, kind] for z in read_anew(seen)])


def _share(p: Array) -> Array:
    """Probabilities (..., words) as shares of their sum."""
    return np.asarray(p / p.sum(-1, keepdims=True))
