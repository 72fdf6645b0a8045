"""Clauses: a subject, its verb, and what follows the verb.

Each verb brings its *frames*, the patterns of what may follow it (lexicon.py). Every clause becomes
a fact: who did what to whom.
"""

from numpygpt.text.tales import lexicon as lex
from numpygpt.text.tales import words as w
from numpygpt.text.tales.reader import Fact, Malformed, Reader, Ref

KINDS = {"T": "thing", "F": "food", "D": "dish", "A": "animal", "P": "person", "PART": "part"}
PREDICATES = {*lex.PAST, "had", "was", "could"}


class Clauses(Reader):
    """Reads clauses into `facts`, in the order of the words."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.facts: list[Fact] = []

    def clauses(self) -> None:
        """Clauses joined by a comma and a small word."""
        self.clause()
        while self.next == "," and self.ahead(1) in ("and", "but", "so", "because"):
            link, at = self.ahead(1), len(self.facts)
            self.at += 2
            self.clause()
            self.facts[at].link = link

    def clause(self) -> None:
        """A subject, and what it does: one thing or several."""
        subject = self.subject()
        self.predicate(subject)
        while self.next in ("and", ","):
            modal = self.facts[-1].modal
            if self.ahead(1) not in (lex.BASES if modal == "can" else PREDICATES):
                break
            self.at += 1
            if modal == "can":
                self.facts.append(Fact(subject, "", modal=modal))
                self.doing(self.facts[-1], lex.BASES)
            else:
                self.predicate(subject)

    def subject(self) -> list[Ref]:
        """One noun phrase, or two joined by "and"."""
        refs = [self.noun_phrase(lex.SUBJECTS)]
        if self.take("and"):
            refs.append(self.noun_phrase(lex.SUBJECTS))
        return refs

    def predicate(self, subject: list[Ref]) -> None:
        """What the subject is, has or does."""
        fact = Fact(subject, "", several=len(subject) > 1 or subject[0].number > 1)
        self.facts.append(fact)
        word = self.next
        me = subject[0].name if subject[0].kind == "pronoun" else ""
        be = {"I": ["am"], "you": ["are"]}.get(me) or (
            ["are", "were"] if fact.several else ["is", "was"]
        )
        have = ["have", "had"] if fact.several or me in ("I", "you") else ["has", "had"]
        if self.take(*be):
            self.being(fact)
        elif self.take(*have):
            fact.verb, fact.negative = "have", self.next == "no"
            fact.args.append(self.noun_phrase(()))
            while self.next == "and" and self.ahead(1) not in PREDICATES:
                self.at += 1
                fact.args.append(self.noun_phrase(()))
        elif self.take("could", "can", "will"):
            fact.modal, fact.negative = word, bool(self.take("not"))
            self.doing(fact, lex.BASES)
        elif self.take("wanted"):
            self.need("to")
            fact.modal = "want"
            self.doing(fact, lex.BASES)
        elif self.take("eats"):
            fact.verb = "eat"
            self.frame(fact, ["F"])
        else:
            self.doing(fact, lex.PAST)

    def being(self, fact: Fact) -> None:
        """What somebody is, or is doing."""
        fact.verb, fact.negative = "be", bool(self.take("not"))
        if self.phrase(["thinking", "of", "an", "animal"]):
            fact.words = ["thinking"]
        elif self.phrase(["looking", "for"]):
            fact.verb = "look for"
            self.frame(fact, ["T"])
        elif fact.negative:
            fact.words = [self.need("his", "hers")]
        elif state := self.phrase(*map(list, lex.STATES)):
            fact.words = state
        else:
            fact.args.append(self.noun_phrase(()))

    def doing(self, fact: Fact, verbs: dict[str, tuple[str, list[list[str]]]]) -> None:
        """A verb and what follows it: the first of its frames that fits."""
        if self.next not in verbs:
            self.fail("a verb")
        fact.verb, frames = verbs[self.take(self.next)]
        start, seen, furthest = self.at, len(self.mentions), None
        for frame in frames:
            self.at, fact.args, fact.words = start, [], []
            del self.mentions[seen:]
            try:
                self.frame(fact, frame)
                return
            except Malformed as error:
                if furthest is None or self.at > furthest[0]:
                    furthest = self.at, error
        assert furthest is not None
        raise furthest[1]

    def frame(self, fact: Fact, frame: list[str]) -> None:
        """What follows a verb."""
        for part in frame:
            if part.islower():
                self.need(part)
            elif part == "AT":
                place = self.phrase(*([p, "the", n] for n, ps in w.PLACES.items() for p in ps))
                fact.words += place or self.fail("a place")
            elif part == "NEAR":
                spot = self.phrase(*([prep, "the", n] for prep, n in w.HIDING))
                fact.words += spot or self.fail("a place to look")
            elif part == "WAY":
                way = w.ABILITIES[fact.verb]
                fact.words += [self.need(way.way), self.need("the"), self.need(*way.spots)]
            elif part == "PLACE":
                fact.words += [self.need("the"), self.need(*w.PLACES)]
            elif part == "WORK":
                fact.words += [self.need("the"), self.need(*lex.WORKED_ON[fact.verb])]
            elif part == "TASK":
                fact.words += [verb := self.need(*lex.WORKED_ON), self.need("the")]
                fact.words.append(self.need(*lex.WORKED_ON[verb]))
            else:
                ref = self.noun_phrase(lex.OBJECTS)
                if not ref.may_be(KINDS[part]):
                    self.at -= 1
                    self.fail(f"a word for {KINDS[part]!r}")
                ref.role = KINDS[part]
                fact.args.append(ref)
