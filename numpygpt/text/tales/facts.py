"""Whether a fact is true of the world: what animals have, can and eat, what tools are for.

A fact is checked as far as it is known whom it speaks of: a pronoun says little in a sentence by
itself, and much once memory.py has put a name in its place.
"""

from itertools import pairwise

from numpygpt.text.tales import words as w
from numpygpt.text.tales.lexicon import STATES, WORKED_ON
from numpygpt.text.tales.reader import Fact, Malformed, Ref

ANIMALS_DO = {"have", "be", "eat", "find", "give", "bring", "see", "hear", "smell", "sleep"}
ANIMALS_DO |= {"come", "live", "meet", "help", "look for", *w.ABILITIES}


def expect(true: bool, expected: str, got: str, about: str = Malformed.about) -> None:
    """Raise unless it is true."""
    if not true:
        error = Malformed(f"expected {expected}, got {got}")
        error.about = about
        raise error


def check_fact(fact: Fact) -> None:
    """Raise Malformed if the fact is not true of the world."""
    for who in fact.subject:
        who = fact.speaker if fact.speaker and who.name == "I" else who
        if who.kind == "animal":
            check_animal(who.name, fact)
        elif who.kind == "person":
            verbs = "something that people do"
            expect(fact.verb not in {*w.ABILITIES, "smell", "live"}, verbs, fact.verb)
            check_eaten(who, fact.args if fact.verb == "eat" else [])
        elif who.kind in ("part", "thing", "dish", "gate"):
            expect(fact.verb == "be", f"what a {who.name} is", fact.verb)
        check_state(who, fact)
    if fact.verb == "give" and len(fact.args) == 2:
        check_eaten(fact.args[0], fact.args[1:])
    if fact.verb == "find" and fact.words:
        for ref in fact.args:
            if ref.kind == "animal" and ref.det in ("a", "an"):
                check_home(ref.name, fact.words[-1])
    if fact.verb == "make":
        dish, *parts = fact.args
        for part in parts if dish.kind == "dish" else []:
            if part.kind == "food":
                expect(part.name in w.DISHES[dish.name], f"a part of a {dish.name}", part.name)
    check_tool(fact)


def check_animal(name: str, fact: Fact) -> None:
    """Check what an animal does, has, eats, and where it lives."""
    animal = w.ANIMALS[name]
    expect(fact.verb in ANIMALS_DO, f"something that a {name} does", fact.verb)
    if fact.verb in w.ABILITIES:
        expect(
            fact.verb in animal.can, f"what a {name} can do ({', '.join(animal.can)})", fact.verb
        )
    for ref in fact.args if fact.verb == "have" else []:
        expect(ref.kind == "part", f"a part of a {name}", ref.name)
        has = f"what a {name} {'lacks' if fact.negative else 'has'} ({', '.join(animal.has)})"
        expect((ref.name in animal.has) != fact.negative, has, ref.name)
        clear = not (fact.negative and ref.name in w.COMMON)
        expect(clear, "a part that some animals lack", ref.name)
    if fact.verb == "eat":
        check_eaten(Ref("animal", name), fact.args)
    if fact.verb in ("live", "meet") and fact.words:
        check_home(name, fact.words[-1])


def check_eaten(eater: Ref, foods: list[Ref]) -> None:
    """Check that somebody eats the food."""
    eats = {"animal": w.ANIMALS[eater.name].eats if eater.kind == "animal" else ()}
    eats["person"] = tuple(sorted(w.PEOPLE_EAT))
    for food in foods if eater.kind in eats else []:
        if food.kind == "food":
            who = eater.name if eater.kind == "animal" else "person"
            expect(food.name in eats[eater.kind], f"food for a {who}", food.name)


def check_home(name: str, place: str) -> None:
    """Check that the animal lives in the place."""
    home = w.ANIMALS[name].home
    expect(place in home, f"where a {name} lives ({', '.join(home)})", place)


def check_state(who: Ref, fact: Fact) -> None:
    """Check what somebody is: happy, strong, open."""
    kinds = STATES.get(tuple(fact.words), []) if fact.verb == "be" else []
    if not kinds or (who.kind == "pronoun" and "several" not in kinds):
        return
    expect(fact.several if "several" in kinds else who.kind in kinds, f"what a {who.name} can be",
           " ".join(fact.words))  # fmt: skip


def check_tool(fact: Fact) -> None:
    """Check that a tool is used for what it is made for."""
    verb, *on = fact.words if fact.verb == "use" else [fact.verb, *fact.words]
    for ref in fact.args if verb in WORKED_ON else []:
        if ref.role == "thing" and ref.kind == "thing":
            tool = w.TOOLS.get(ref.name)
            right = tool is not None and tool.verb == verb and on[-1] in tool.on
            expect(right, f"a tool to {verb} the {on[-1]}", ref.name)


def check_reasons(facts: list[Fact]) -> None:
    """Check that "so" and "because" tie an ability to a part that serves it."""
    for one, two in pairwise(facts):
        for has, does in ((one, two), (two, one)):
            hurt = [ref for ref in has.args if ref.look == "hurt"]
            parts = hurt + [ref for ref in has.subject if ref.kind == "part"]
            if two.link == ("so" if has is one else "because"):
                parts += [ref for ref in has.args if ref.kind == "part"]
            for ref in parts if does.verb in w.ABILITIES and has.verb in ("have", "be") else []:
                serve = w.ABILITIES[does.verb].parts
                expect(ref.name in serve, f"a part to {does.verb} with", ref.name)
