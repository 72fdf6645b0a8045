"""Judges stories: whether each sentence is well formed, and whether a whole story holds together.

A sentence is well formed by itself if the grammar reads it and nothing that it says is false of its
world: a robin has wings and no fins. A story is well formed if all its sentences are, and each
agrees with those before it: the pronoun fits the person, the key that was lost is the key that is
found, and whoever gives something has it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from numpygpt.text.tales.facts import check_fact, check_reasons
from numpygpt.text.tales.grammar import Grammar
from numpygpt.text.tales.memory import Memory
from numpygpt.text.tales.reader import Malformed

# A sentence ends with a mark, perhaps a quote, and a capital (or a quote) after the space.
END = re.compile(r'(?<=[.!?]) (?=["A-Z])|(?<=[.!?]") (?=["A-Z])')


@dataclass(frozen=True)
class Mistake:
    """The first thing that is wrong with a story.

    Attributes
    ----------
    number : int
        Of the sentence, from 1; one more than there are if the story should go on.
    sentence : str
        The sentence.
    reason : str
        What was expected, and what came.
    about : str
        The sort of mistake.
    """

    number: int
    sentence: str
    reason: str
    about: str

    def __str__(self) -> str:
        return f"sentence {self.number}, {self.sentence!r}: {self.reason}"


def sentences(text: str) -> list[str]:
    """The sentences of a text, cut where one ends and a capital letter follows."""
    return END.split(text)


def read_sentence(sentence: str) -> Grammar:
    """Read a sentence; raises Malformed with what was expected and what came."""
    read = Grammar(sentence)
    for fact in read.facts:
        check_fact(fact)
    check_reasons(read.facts)
    return read


def sentence_error(sentence: str) -> str | None:
    """What is wrong with a sentence by itself: "expected ..., got ..."; None if nothing is."""
    try:
        read_sentence(sentence)
    except Malformed as error:
        return str(error)
    return None


def story_error(story: str) -> Mistake | None:
    """The first mistake of a story, in a sentence or between sentences; None if there is none."""
    memory = Memory()
    told = sentences(story)
    for number, sentence in enumerate(told, 1):
        try:
            memory.read(read_sentence(sentence))
        except Malformed as error:
            return Mistake(number, sentence, str(error), error.about)
    try:
        memory.end()
    except Malformed as error:
        return Mistake(len(told) + 1, "", str(error), error.about)
    return None


def share_well_formed(texts: Sequence[str]) -> float:
    """The share of the texts' sentences that are well formed by themselves, 0 to 1."""
    found = [sentence_error(s) is None for text in texts for s in sentences(text)]
    return sum(found) / len(found) if found else 0.0


def share_well_formed_stories(texts: Sequence[str]) -> float:
    """The share of the texts that are well formed as whole stories, 0 to 1."""
    return sum(story_error(text) is None for text in texts) / len(texts) if texts else 0.0
