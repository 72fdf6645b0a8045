"""A hand-written grammar: one sentence in, who did what to whom out.

`Grammar` goes through a sentence from left to right and decides by the next word or two: plain
clauses (clauses.py), or somebody's words in quotes. The result is a list of facts, in the order of
the text, for parser.py to compare with the world and with the story.
"""

from numpygpt.text.tales import lexicon as lex
from numpygpt.text.tales import words as w
from numpygpt.text.tales.clauses import Clauses
from numpygpt.text.tales.reader import Fact, Malformed, Ref


class Grammar(Clauses):
    """Reads one sentence: `facts` and `mentions` are what it says, in the order of its words."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        if self.take('"'):
            self.speech()
        else:
            self.phrase(*lex.OPENINGS)
            self.clauses()
            self.need(".")
        if self.next:
            self.fail("the end")

    def speech(self) -> None:
        """Quoted words, who said them, and perhaps more of them."""
        first = len(self.facts)
        self.utterance()
        mark = self.need(",", "?", "!")
        self.need('"')
        asked = self.next == "asked" or self.ahead(1) == "asked"
        if asked != (mark == "?"):
            self.fail("asked after a question, said after the rest")
        speaker = self.speaker()
        last = len(self.facts)
        if self.next == "," and self.ahead(1) == '"':
            self.at += 2
            link, at = self.take("and", "but", "because"), len(self.facts)
            self.utterance()
            if len(self.facts) > at:
                self.facts[at].link = link
            self.need(".")
            self.need('"')
            last = len(self.facts)
        else:
            if self.phrase([",", "and"]):
                self.clauses()
            self.need(".")
        for fact in self.facts[first:last]:
            fact.speaker = speaker

    def speaker(self) -> Ref:
        """Said Tom; he said."""
        if self.take("said", "asked"):
            return self.noun_phrase(())
        ref = self.noun_phrase(("he", "she"))
        self.need("said", "asked")
        return ref

    def utterance(self) -> None:
        """What is said between the quotes."""
        if self.take("yes", "no", "look") or self.phrase(["of", "course"]):
            if self.next == "," and self.ahead(1) != '"':
                self.at += 1
                self.clauses()
        elif self.take("then"):
            self.clauses()
        elif self.phrase(["poor", "little"]):
            self.mentions.append(Ref("animal", self.need(*w.ANIMALS), det="the"))
        elif self.phrase(["thank", "you", "for"]):
            self.noun_phrase(())
        elif self.next == "bring":
            self.facts.append(Fact([Ref("pronoun", "you", 2)], ""))
            self.doing(self.facts[-1], lex.BASES)
        elif self.next in ("where", "whose", "is", "are", "can", "what"):
            self.question()
        else:
            self.clauses()

    def question(self) -> None:
        """A question, without its mark."""
        me, you, it = (Ref("pronoun", p, n) for p, n in (("I", 1), ("you", 2), ("it", 1)))
        if self.take("where"):
            several = self.need("is", "are") == "are"
            ref = self.noun_phrase(())
            if (ref.number > 1) != several:
                raise Malformed(f"expected {'is' if several else 'are'} before {ref.name!r}")
            self.facts.append(Fact([ref], "be"))
        elif self.take("whose"):
            self.mentions.append(Ref("thing", self.need(*w.TOOLS, *w.THINGS), det="the"))
            self.need("is")
            self.need("this")
        elif self.take("is"):
            self.need("it")
            self.facts.append(Fact([it], "guess", [self.noun_phrase(())]))
        elif self.phrase(["can", "I"]):
            self.facts.append(Fact([me], "", modal="can"))
            self.doing(self.facts[-1], lex.BASES)
        elif self.phrase(["what", "do", "you", "want", "to"]):
            self.facts.append(Fact([you], self.need(*lex.WORKED_ON)))
        elif not self.phrase(["are", "you", "hungry"]):
            self.fail("a question")
