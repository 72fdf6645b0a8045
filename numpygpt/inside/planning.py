"""Planning: when is a later word decided?

The built-in stories name their hero in the first sentence, and again in a later one; and they say
which part of an animal was hurt. When does the model know? The lens (lens.py) reads, after each
block, at each of the `back` positions before the word, how probable *that word* is: 1 position
before is where it is predicted, 2 and more are where it could be planned. Read among words of its
kind, so that it matters only which of them it is, and not whether a name comes next:

    share[l, j] = p(word) / sum over kind of p(name)        after block l, j positions before

averaged over many new stories. Chance is 1 / (words of the kind).

Two controls say what the number is without knowledge: the same for a model that has learned nothing
(untrained), and for the same positions with another story's word (shuffled). What is above both can
be read there. That it can be read does not prove that the model uses it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import tiktoken

from numpygpt.gpt import GPT
from numpygpt.layers.base import Array

SUBJECTS = ("name", "part")


@dataclass(frozen=True)
class Planning:
    """How well a later word can be read at the positions before it.

    Attributes
    ----------
    subject : str
        One of SUBJECTS: the hero's name where it comes back, or the hurt part where it is named
        for the first time.
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
    stories: int = 64,
    back: int = 12,
    seed: int = 1,
) -> Planning:
    """Read new stories (of this seed) that have the subject."""
    raise NotImplementedError


def read_ahead(
    model: GPT, ids: Sequence[int], word: int, kind: Sequence[int]
) -> tuple[Array, Array]:
    """For one text: p(word), and its share among the kind, after each block at each position.

    Both (L + 1, T).
    """
    raise NotImplementedError
