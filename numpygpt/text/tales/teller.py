"""The teller: draws the people, animals and things of a story, and offers turns of phrase."""

import random
from collections.abc import Callable, Sequence
from typing import TypeVar

from numpygpt.text.tales import words as w
from numpygpt.text.tales.words import Animal, article

Choice = TypeVar("Choice")


class Teller:
    """A story's people, and its draws from the tables of words.

    There are a hero, another person and an elder of the hero's family. The hero's pronoun is never
    that of the other two, so that "she" and "he" are clear everywhere.
    """

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.hero = self.pick(list(w.NAMES))
        self.he = w.NAMES[self.hero]
        self.him, self.his, _ = w.PRONOUNS[self.he]
        self.other = self.pick([n for n, pronoun in w.NAMES.items() if pronoun != self.he])
        self.she = w.NAMES[self.other]
        self.her, _, self.hers = w.PRONOUNS[self.she]
        elder = self.pick([n for n, pronoun in w.RELATIVES.items() if pronoun == self.she])
        self.elder = f"{self.his} {elder}"
        self.friend = f"{self.his} {self.pick(w.FRIENDS)} {self.other}"

    def pick(self, options: Sequence[Choice]) -> Choice:
        """One of them."""
        return self.rng.choice(options)

    def either(self, *phrases: str) -> str:
        """One of the phrases."""
        return self.pick(phrases)

    def maybe(self, *sentences: str) -> str:
        """One of the sentences, or, half of the time, none."""
        return self.pick(sentences) if self.rng.random() < 0.5 else ""

    def animal(self, place: str, but: Animal | None = None) -> Animal:
        """An animal that lives in the place."""
        return self.pick([a for a in w.ANIMALS.values() if place in a.home and a is not but])

    def opening(self) -> str:
        """One sunny morning,"""
        return f"One {self.pick(w.WEATHER)} {self.pick(w.TIMES)},"

    def later(self, times: Sequence[str] = w.LATER) -> str:
        """A little later,"""
        return f"{self.pick(times)},".capitalize()

    def at(self, *places: str) -> str:
        """In the garden."""
        place = self.pick(places or list(w.PLACES))
        return f"{w.PLACES[place][0]} the {place}"

    def near(self) -> str:
        """Under the bush."""
        return "{} the {}".format(*self.pick(w.HIDING))

    def way(self, ability: str) -> str:
        """Where an ability leads: over the hill."""
        return f"{w.ABILITIES[ability].way} the {self.pick(w.ABILITIES[ability].spots)}"

    def food(self, animal: Animal) -> str:
        """What the animal eats: some seeds."""
        return f"some {self.pick(animal.eats)}"

    def part(self, animal: Animal) -> str:
        """What the animal has: a beak, two wings, feathers."""
        return counted(self.pick(animal.has))

    def reason(self, animal: Animal, ability: str) -> str:
        """What the animal does it with: two wings, to fly; nothing if that is not known."""
        parts = [part for part in animal.has if part in w.ABILITIES[ability].parts]
        return counted(self.pick(parts)) if parts else ""

    def says(self, words: str, more: str = "") -> str:
        """The hero says it, named or by a pronoun."""
        said = self.either(f"said {self.hero}", f"said {self.hero}", f"{self.he} said")
        return f'"{words}," {said}, "{more}."' if more else f'"{words}," {said}.'

    def asks(self, question: str) -> str:
        """The hero asks it, named or by a pronoun."""
        return f'"{question}?" {self.either(f"asked {self.hero}", f"{self.he} asked")}.'


Plot = Callable[[Teller], list[str]]  # tells a story: its sentences, some of them empty


def did(ability: str) -> str:
    """The past of what an animal can do: flew."""
    return w.ABILITIES[ability].past


def counted(part: str) -> str:
    """The part as one counts it: a beak, two wings, feathers."""
    plural, count = w.PARTS[part]
    return article(part) if count == "a" else f"{count} {plural}".strip()


def no(part: str) -> str:
    """No beak, no wings."""
    plural, count = w.PARTS[part]
    return f"no {part if count == 'a' else plural}"


def capital(sentence: str) -> str:
    """The sentence with a capital letter at its start."""
    return sentence[:1].upper() + sentence[1:]
