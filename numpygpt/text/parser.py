"""Judges stories: whether each sentence is well formed, and whether a whole story is."""

import re
from collections.abc import Sequence

from numpygpt.text.tales.grammar import Grammar
from numpygpt.text.tales.reader import Malformed

END = re.compile(r'(?<=[.!?]) (?=["A-Z])|(?<=[.!?]") (?=["A-Z])')


def sentences(text: str) -> list[str]:
    """The sentences of a text."""
    return END.split(text.strip())


def sentence_error(sentence: str) -> str | None:
    """What is wrong with a sentence by itself, if anything is."""
    try:
        Grammar(sentence)
    except Malformed as error:
        return str(error)
    return None


def share_well_formed(texts: Sequence[str]) -> float:
    """The share of the texts' sentences that are well formed, 0 to 1."""
    found = [sentence_error(s) is None for text in texts for s in sentences(text)]
    return sum(found) / len(found) if found else 0.0
