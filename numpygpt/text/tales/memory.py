"""What a story has told so far, and whether the next sentence agrees with it.

`Memory` keeps the people with their pronouns, the animals, the things with their looks and owners,
and the clues of a riddle. It reads on from sentence to sentence, as a listener does.
"""

from dataclasses import replace

from numpygpt.text.tales import words as w
from numpygpt.text.tales.facts import check_fact, check_reasons, expect
from numpygpt.text.tales.grammar import Grammar
from numpygpt.text.tales.reader import Fact, Ref

PEOPLE = w.NAMES | w.RELATIVES

# What a mistake between sentences is about.
SOMEBODY = "somebody else than was told of"
SOMETHING = "something else than was told of"
HOLDER = "something in other hands than was told"
RIDDLE = "a riddle's answer against its clues"
LOST = "something lost and never found"


class Memory:
    """Everybody and everything of a story, the latest last."""

    def __init__(self) -> None:
        self.people: dict[str, str] = {}  # name -> pronoun
        self.known: dict[str, Ref] = {}  # animals, things, dishes, foods, parts
        self.holder: dict[str, str] = {}  # thing -> who has it, "" for nobody
        self.clues: list[Fact] = []
        self.guesses: list[str] = []
        self.begun = False

    def read(self, sentence: Grammar) -> None:
        """Take in a sentence; raises Malformed if it does not agree with what was told."""
        for ref in sentence.mentions:
            self.meet(ref)
        facts = [self.resolved(fact) for fact in sentence.facts]
        for fact in facts:
            check_fact(fact)
            self.possess(fact)
            self.guess(fact)
        check_reasons(facts)
        self.begun = True

    def end(self) -> None:
        """Raise Malformed if something is still open."""
        lost = [thing for thing, holder in self.holder.items() if not holder]
        expect(not lost, f"the {' '.join(lost)} to be found", "the end", LOST)

    def meet(self, ref: Ref) -> None:
        """Somebody or something is named: for the first time, or as it is known."""
        if ref.owner in ("he", "she"):
            self.someone(ref.owner, but=ref.name)
        if ref.kind == "pronoun":
            self.pronoun(ref)
        elif ref.kind == "person":
            self.meet_person(ref)
        elif (ref.quoted and ref.det in ("a", "an", "no", "", *w.NUMBERS)) or ref.kind == "any":
            return  # speaking of robins at large, not of this one
        elif ref.kind == "part" and ref.det in ("its", "the"):
            parts = [known.name for known in self.known.values() if known.kind == "part"]
            expect(not parts or ref.name in parts, f"the {' '.join(parts)}", ref.name, SOMETHING)
            self.known[ref.name] = ref
        elif ref.det in ("the", "my", "your", "this") and ref.kind != "gate":
            self.recall(ref)
        else:
            self.introduce(ref)

    def introduce(self, ref: Ref) -> None:
        """Something new; or, "his red kite", something that he has."""
        old = self.known.pop(ref.name, None)
        if ref.owner and old:
            ref = replace(ref, look=ref.look or old.look)
            expect(
                ref.look == old.look or not old.look,
                f"the {old.look} {old.name}",
                ref.look,
                SOMETHING,
            )
        elif ref.owner and ref.kind == "thing":
            self.holder[ref.name] = self.someone(ref.owner)
        self.known[ref.name] = ref

    def recall(self, ref: Ref) -> None:
        """Something that was named before, with the same look and number."""
        old = self.known.get(ref.name)
        names = [known.name for known in self.known.values() if known.kind == ref.kind]
        told = f"a {ref.kind} of the story ({', '.join(names)})"
        expect(old is not None, told, ref.name, SOMETHING)
        assert old is not None
        looks = {"", old.look} | ({ref.look} if old.look in ("", "little", "young") else set())
        expect(
            ref.look in looks, f"the {old.look} {old.name}", f"the {ref.look} {ref.name}", SOMETHING
        )
        same = old.number == ref.number or ref.kind != "animal"
        expect(same, f"{old.number} {old.name}", f"{ref.number} {ref.name}", SOMETHING)
        self.known[ref.name] = self.known.pop(ref.name)

    def meet_person(self, ref: Ref) -> None:
        """A person by name, by trade, or as somebody's friend or mother."""
        if ref.name in w.TRADES:
            if ref.person:
                self.people[ref.person] = self.people[ref.name] = w.NAMES[ref.person]
            expect(ref.name in self.people, f"one of {', '.join(self.people)}", ref.name, SOMEBODY)
        elif ref.owner or not self.begun:
            self.people[ref.name] = PEOPLE[ref.name]
        else:
            expect(ref.name in self.people, f"one of {', '.join(self.people)}", ref.name, SOMEBODY)

    def someone(self, pronoun: str, but: str = "") -> str:
        """Who she or he is; `but` is somebody whom it cannot be ("his uncle" is not his own)."""
        names = [name for name, own in self.people.items() if own == pronoun and name != but]
        told = ", ".join(f"{own} ({name})" for name, own in self.people.items())
        expect(bool(names), f"a pronoun of {told or 'somebody'}", pronoun, SOMEBODY)
        return names[0]

    def pronoun(self, ref: Ref) -> None:
        """Check that the pronoun stands for somebody or something."""
        if ref.name in ("he", "she"):
            self.someone(ref.name)
        elif ref.name == "they":
            several = any(r.number > 1 and r.kind == "animal" for r in self.known.values())
            animals = sum(r.kind == "animal" for r in self.known.values())
            told = several or len(self.people) > 1 or animals > 1
            expect(told, "several whom they can mean", ref.name, SOMEBODY)
        elif ref.name == "it" and not ref.quoted:
            kinds = ("animal", "thing", "dish")
            told = any(r.kind in kinds and r.number == 1 for r in self.known.values())
            expect(told, "something that it can mean", ref.name, SOMETHING)

    def resolved(self, fact: Fact) -> Fact:
        """The fact with names for its pronouns."""
        subject = [self.name(ref, "animal") for ref in fact.subject]
        if fact.negative and fact.words[-1:] in (["his"], ["hers"]):
            self.someone("he" if fact.words[-1] == "his" else "she")
            subject = fact.subject
        args = [self.name(ref, ref.role) for ref in fact.args]
        speaker = self.name(fact.speaker, "") if fact.speaker else None
        return replace(fact, subject=subject, args=args, speaker=speaker)

    def name(self, ref: Ref, kind: str) -> Ref:
        """Whom a pronoun means: the last of the kind."""
        if ref.kind != "pronoun":
            return ref
        if ref.name in ("he", "she"):
            return Ref("person", self.someone(ref.name), role=ref.role)
        number = 2 if ref.name == "they" else 1
        them = [r for r in self.known.values() if r.kind == kind and r.number == number]
        if ref.name not in ("it", "they") or ref.quoted or not them:
            return ref
        return replace(them[-1], det="the", role=ref.role)

    def possess(self, fact: Fact) -> None:
        """Follow who has what."""
        things = [ref for ref in fact.args if ref.kind == "thing"]
        if fact.speaker or not things or fact.modal:
            return
        who, thing = fact.subject[0].name, things[0].name
        who = next((n for n in w.NAMES if who in w.TRADES and n in self.people), who)
        has = self.holder.get(thing, who)
        if (fact.verb == "have" and not fact.negative) or things[0].det in ("a", "an"):
            has = who
        if fact.verb == "find":
            expect(has in ("", who), f"the {thing} with {has}", f"{who}, who finds it", HOLDER)
            has = who
        elif fact.verb not in ("look", "have"):
            expect(has == who, f"{has or 'nobody'} to have the {thing}", who, HOLDER)
            has = "" if fact.verb == "lose" else has
        people = [ref for ref in fact.args if ref.kind == "person"]
        if fact.verb in ("give", "bring") and people:
            has = people[0].name
        if not fact.negative:
            self.holder[thing] = has

    def guess(self, fact: Fact) -> None:
        """Follow a riddle: what is told of the animal must be true of the answer."""
        if not fact.speaker:
            return
        it = fact.subject[0].name == "it"
        if (it and fact.verb in ("have", "eat")) or (it and fact.modal == "can"):
            self.clues.append(fact)
        if it and fact.verb == "be" and fact.args:
            for clue in self.clues:
                check_fact(replace(clue, subject=fact.args))
        if fact.verb == "guess":
            self.guesses += [ref.name for ref in fact.args]
        if fact.verb == "have" and fact.negative and fact.subject[0].det in ("a", "an"):
            expect(fact.subject[0].name in self.guesses, f"the guess ({', '.join(self.guesses)})",
                   fact.subject[0].name, RIDDLE)  # fmt: skip
            parts = [ref.name for clue in self.clues if clue.verb == "have" for ref in clue.args]
            expect(fact.args[0].name in parts, f"a part of the riddle ({', '.join(parts)})",
                   fact.args[0].name, RIDDLE)  # fmt: skip
