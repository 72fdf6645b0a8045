"""Reading, word by word: a sentence's tokens, and the people and things that it names.

`Reader` has the steps that every rule of grammar.py is made of (look at the next word, take it,
need it), and the noun phrase, the one part of a sentence that stands anywhere in it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NoReturn

from numpygpt.text.tales import lexicon as lex
from numpygpt.text.tales import words as w
from numpygpt.text.tales.words import article

PAIRS = sorted((noun for noun in lex.NOUNS if " " in noun), key=len, reverse=True)
TOKEN = re.compile("|".join([*PAIRS, "[A-Za-z]+", r"\S"]))
DETERMINERS = ["a", "an", "the", "some", "no", "this", *lex.OWNERS, *w.NUMBERS]
AFTER_OWNER = {*lex.NOUNS, *lex.LOOKS, *w.RELATIVES, *w.FRIENDS}
STANDS_FOR = {  # what a pronoun can mean
    "it": {"thing", "dish", "animal"},
    "that": {"thing"},
    "they": {"animal", "person"},
    "he": {"person"},
    "she": {"person"},
    "I": {"animal", "person"},
    "you": {"animal", "person"},
}


class Malformed(ValueError):
    """What is wrong with a text: what was expected, and what came; `about`: the sort of mistake."""

    about = "a sentence that is wrong or untrue by itself"


@dataclass
class Ref:
    """Somebody or something that is spoken of; `number` is 2 for several."""

    kind: str
    name: str
    number: int = 1
    det: str = ""
    look: str = ""
    owner: str = ""  # the pronoun of whose it is
    person: str = ""  # the name in "a farmer named Ruth"
    quoted: bool = False  # named in somebody's words
    role: str = ""  # the kind that the verb asks for, also of a pronoun

    def may_be(self, kind: str) -> bool:
        """Whether it is of the kind, or a pronoun that stands for it."""
        if self.kind == "pronoun":
            return kind in STANDS_FOR[self.name]
        return self.kind == kind


@dataclass
class Fact:
    """Somebody does, is or has something: a verb's base form, and what followed it."""

    subject: list[Ref]
    verb: str
    args: list[Ref] = field(default_factory=list)
    words: list[str] = field(default_factory=list)  # the small words and places
    modal: str = ""
    negative: bool = False
    several: bool = False
    link: str = ""  # the small word that ties it to the fact before it
    speaker: Ref | None = None  # of quoted words


def split_words(sentence: str) -> list[str]:
    """Words, marks and quotes of a sentence, which must be spaced and begin as one."""
    tokens, again, inside, tight = TOKEN.findall(sentence), "", False, True
    for token in tokens:
        closes = token in {",", ".", "!", "?"} or (token == '"' and inside)
        again += token if closes or tight else f" {token}"
        inside ^= token == '"'
        tight = token == '"' and inside
    if again != sentence:
        raise Malformed(f"expected the spaces of {again!r}, got {sentence!r}")
    first = next((i for i, token in enumerate(tokens) if token != '"'), None)
    if first is None or not tokens[first][0].isupper():
        raise Malformed(f"expected a capital letter, got {sentence[:12]!r}")
    if tokens[first] not in w.NAMES and tokens[first] != "I":
        tokens[first] = tokens[first][0].lower() + tokens[first][1:]
    return tokens


class Reader:
    """A sentence, read up to `at`; `mentions` are the people and things read so far."""

    def __init__(self, sentence: str) -> None:
        self.tokens, self.at = split_words(sentence), 0
        self.mentions: list[Ref] = []

    @property
    def next(self) -> str:
        """The next token; nothing at the end."""
        return self.ahead(0)

    def ahead(self, n: int) -> str:
        """The token after the n next ones."""
        return self.tokens[self.at + n] if self.at + n < len(self.tokens) else ""

    def take(self, *words: str) -> str:
        """The next token if it is one of these."""
        if self.next not in words:
            return ""
        self.at += 1
        return self.tokens[self.at - 1]

    def need(self, *words: str) -> str:
        """The next token, which must be one of these."""
        return self.take(*words) or self.fail(" or ".join(words[:8]))

    def fail(self, expected: str) -> NoReturn:
        """Say what should have come."""
        raise Malformed(f"expected {expected}, got {self.next or 'the end'}")

    def phrase(self, *phrases: list[str]) -> list[str]:
        """The longest of these phrases that comes next, or nothing."""
        for words in sorted(phrases, key=len, reverse=True):
            if self.tokens[self.at : self.at + len(words)] == words:
                self.at += len(words)
                return words
        return []

    def noun_phrase(self, pronouns: Iterable[str]) -> Ref:
        """Somebody or something: she, Tom, her friend Tom, the little robin, some seeds."""
        owns = self.next in lex.OWNERS and self.ahead(1) in AFTER_OWNER
        if self.next in pronouns and not owns:
            word = self.take(self.next)
            name = lex.OBJECTS[word] if pronouns is lex.OBJECTS else word
            ref = Ref("pronoun", name, lex.SUBJECTS[name])
        elif self.next in w.NAMES:
            ref = Ref("person", self.take(self.next))
        else:
            ref = self.described(self.take(*DETERMINERS))
        ref.quoted = self.tokens[: self.at].count('"') % 2 == 1
        self.mentions.append(ref)
        return ref

    def described(self, det: str) -> Ref:
        """A noun and what stands before it."""
        owner = lex.OWNERS.get(det, "")
        if owner and self.next in w.RELATIVES:
            return Ref("person", self.take(self.next), det=det, owner=owner)
        if owner and self.take(*w.FRIENDS):
            return Ref("person", self.need(*w.NAMES), det=det, owner=owner)
        if det in ("a", "an") and article(self.next or "?").split()[0] != det:
            self.fail(f"a word that fits {det!r}")
        look = self.take(*lex.LOOKS)
        if self.next not in lex.NOUNS:
            self.fail("a noun")
        word = self.take(self.next)
        kind, name, number = lex.NOUNS[word]
        if det in w.NUMBERS and kind == "animal" and w.ANIMALS[name].plural == word:
            number = 2  # salmon are written alike
        ref = Ref(kind, name, number, det, look, owner)
        if not agrees(ref):
            raise Malformed(f"expected a fitting word before {word!r}, got {det or 'none'!r}")
        if kind == "person" and det == "a" and self.take("named"):
            ref.person = self.need(*w.NAMES)
        return ref


def agrees(ref: Ref) -> bool:
    """Whether the word before the noun fits it in number: a wing, two wings, some seeds."""
    one = {"a", "an", "the", "no", *lex.OWNERS}
    if ref.kind == "part":
        count = w.PARTS[ref.name][1]
        return ref.det in (one if ref.number == 1 else {"", "no", "some", count} - {"a"})
    allowed = {
        "thing": one,
        "dish": {"a", "the", "this"},
        "food": {"", "some", "the"},
        "person": {"a", "an", "the"},
        "animal": {"a", "an", "the"} if ref.number == 1 else {"the", "my", *w.NUMBERS},
        "any": {"an"},
        "gate": {"the"},
    }
    return ref.det in allowed[ref.kind]
