"""The answer: the one number of a prediction that attribution, ablation and gradients explain.

    z[position, word]                               the logit of a word
    z[position, word] - z[position, other]          its lead over another

A logit by itself says little: what raises all logits alike changes no probability. The difference
of two does, for it is the logarithm of how many times as probable the one is as the other.
"""

from dataclasses import dataclass

from numpygpt.layers.base import Array


@dataclass(frozen=True)
class Answer:
    """Which number it is.

    Attributes
    ----------
    word : int
        A token's id.
    other : int or None
        The token whose logit is taken off it.
    position : int
        Where it is read; from the text's end if negative.
    """

    word: int
    other: int | None = None
    position: int = -1

    def direction(self, rows: Array) -> Array:
        """Of rows (V, ...), the word's less the other's."""
        self.expect(len(rows))
        row: Array = rows[self.word]
        return row if self.other is None else row - rows[self.other]

    def read(self, logits: Array) -> Array:
        """Of logits (..., T, V): (...)."""
        return self.direction(logits[..., self.position, :].swapaxes(0, -1))

    def expect(self, V: int) -> None:
        """Raise IndexError unless the words are in a vocabulary of V tokens."""
        for word in (self.word, self.other):
            if word is not None and not 0 <= word < V:
                raise IndexError(f"no token {word} in the vocabulary: ids are 0 to {V - 1}")
