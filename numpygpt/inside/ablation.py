"""Ablation: what the answer loses without a head or a feed-forward.

The residual stream is a sum, so a part is left out by taking what it added off it, and putting
something else in its place; from there the model's own blocks go on.

    a head          x_2l+1 + (r - o_h) W_o[h]       r in the place of o_h, (T, D)
    a feed-forward  x_2l+2 + (r - f)                r in the place of f = feedforward_l, (T, C)
    a whole block   r in the place of x_2l+2        (T, C)

where r is

    zero            nothing
    mean            the part's own mean over the text's positions: what it says of no token
    patch           what the same part said of another text of the same length

The effect is the answer (a logit, or the difference of two) with the part, less that without it.
It stands beside the part's attribution, because the two differ: attribution counts what a part
itself says at the answer's position; ablation, also what later parts make of it (they may read it,
or say in its place what it no longer does), at all positions, and the final norm's new scale.
"""

from dataclasses import dataclass

from numpygpt.inside.answer import Answer
from numpygpt.inside.traces import Trace
from numpygpt.layers.base import Array

HOW = ("zero", "mean")


@dataclass(frozen=True)
class Ablation:
    """What leaving out each part takes off the answer, beside what the part itself says.

    Attributes
    ----------
    how : str
        One of HOW, or "patch".
    answer : float
        Of the whole model.
    heads, heads_attributed : ndarray (L, H)
        Effect, and attribution (value bias included: it is part of o_h).
    feedforward, feedforward_attributed : ndarray (L,)
        The same (bias included).
    """

    how: str
    answer: float
    heads: Array
    heads_attributed: Array
    feedforward: Array
    feedforward_attributed: Array


@dataclass(frozen=True)
class Patching:
    """How much of one text's answer comes back when parts of it are put into another text.

    Attributes
    ----------
    clean, corrupt : float
        The answer of both texts.
    heads : ndarray (L, H)
        The corrupt text's answer with the clean text's head in it, at all positions.
    feedforward : ndarray (L,)
    stream : ndarray (L + 1, T)
        The same with the clean residual stream before block l (L: after the last) at one position.
    """

    clean: float
    corrupt: float
    heads: Array
    feedforward: Array
    stream: Array

    def restored(self, answer: Array) -> Array:
        """0: as corrupt as before; 1: as clean as the clean text."""
        raise NotImplementedError


def ablate(trace: Trace, answer: Answer, how: str = "zero") -> Ablation:
    """Leave out every head and every feed-forward in turn."""
    raise NotImplementedError


def patch(clean: Trace, corrupt: Trace, answer: Answer) -> Patching:
    """Put every part of the clean text into the corrupt one in turn; both have T tokens."""
    raise NotImplementedError


def logits_without(trace: Trace, part: str, how: str | Trace = "zero") -> Array:
    """The logits (T, V) without "4.11" (a head), "feedforward 3" or "block 3".

    With a Trace instead of "zero" or "mean", what the part said there takes its place.
    """
    raise NotImplementedError
