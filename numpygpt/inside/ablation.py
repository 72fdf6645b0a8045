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

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from numpygpt.inside.answer import Answer
from numpygpt.inside.attribution import attribute
from numpygpt.inside.traces import Trace
from numpygpt.layers.base import Array

HOW = ("zero", "mean")
KINDS = ("feedforward", "block")  # of parts, besides heads


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
    """

    clean: float
    corrupt: float
    heads: Array
    feedforward: Array

    def restored(self, answers: Array) -> Array:
        """Answers as shares: 0 as corrupt as before, 1 as clean as the clean text."""
        return (answers - self.corrupt) / (self.clean - self.corrupt)


def ablate(seen: Trace, answer: Answer, how: str = "zero") -> Ablation:
    """Leave out every head and every feed-forward in turn."""
    if how not in HOW:
        raise ValueError(f"expected {' or '.join(HOW)}, got {how!r}")
    says = attribute(seen, answer)
    heads, feedforward = _answers(seen, how, answer)
    return Ablation(
        how,
        says.logit,
        says.logit - heads,
        says.heads + says.value_bias,
        says.logit - feedforward,
        says.feedforward + says.feedforward_bias,
    )


def patch(clean: Trace, corrupt: Trace, answer: Answer) -> Patching:
    """Put every part of the clean text into the corrupt one in turn; both have T tokens."""
    _expect_alike(clean, corrupt)
    right, wrong = (float(answer.read(seen.logits)) for seen in (clean, corrupt))
    return Patching(right, wrong, *_answers(corrupt, clean, answer))


def patch_stream(clean: Trace, corrupt: Trace, answer: Answer) -> Array:
    """The corrupt text's answer with the clean residual stream at one position: (L + 1, T).

    [l, t]: before block l (L: after the last one), at token t.
    """
    _expect_alike(clean, corrupt)
    rows = []
    T = len(corrupt.ids)
    for l, (theirs, ours) in enumerate(zip(clean.blocks, corrupt.blocks, strict=True)):
        streams = np.repeat(ours[None], T, axis=0)  # (T, T, C): the first T is which is patched
        streams[np.arange(T), np.arange(T)] = theirs
        rows.append(_answer(corrupt, streams, 2 * l, answer))
    return np.stack(rows)


def logits_without(seen: Trace, part: str, how: str | Trace = "zero") -> Array:
    """The logits (T, V) without "4.11" (a head), "feedforward 3" or "block 3".

    With a Trace instead of "zero" or "mean", what the part said there takes its place; a block's
    is the whole residual stream after it.
    """
    kind, _, number = part.rpartition(" ")
    block, _, head = number.partition(".")
    well_formed = (kind == "" and head.isdecimal()) or (kind in KINDS and not head)
    if not (well_formed and block.isdecimal()):
        raise ValueError(
            f'expected a part such as "4.11" (block.head), "feedforward 3" or "block 3", got '
            f"{part!r}"
        )
    l, h = int(block), int(head or 0)
    seen.expect_block(l, h)
    if isinstance(how, Trace):
        _expect_alike(how, seen)
    if kind == "block":
        x, after = seen.stream[2 * l + 2] + _change(seen, how, lambda s: s.stream[2 * l + 2]), 2
    elif kind == "feedforward":
        x, after = seen.stream[2 * l + 2] + _feedforward_changed(seen, how, l), 2
    else:
        x, after = seen.stream[2 * l + 1] + _heads_changed(seen, how, l)[h], 1
    z: Array = seen.model.head.view().forward(_go_on(seen, x[None], 2 * l + after))[0]
    return z


def _answers(seen: Trace, how: str | Trace, answer: Answer) -> tuple[Array, Array]:
    """With each head changed, and with each feed-forward: (L, H) and (L,)."""
    heads, feedforward = [], []
    for l in range(seen.model.config.n_layer):
        streams = seen.stream[2 * l + 1] + _heads_changed(seen, how, l)
        heads.append(_answer(seen, streams, 2 * l + 1, answer))
        stream = seen.stream[2 * l + 2] + _feedforward_changed(seen, how, l)
        feedforward.append(_answer(seen, stream[None], 2 * l + 2, answer)[0])
    return np.stack(heads), np.stack(feedforward)


def _change(seen: Trace, how: str | Trace, part: Callable[[Trace], Array]) -> Array:
    """r less the part (..., T, n), for r as `how` says."""
    x = part(seen)
    if isinstance(how, Trace):
        r = part(how)
    elif how in HOW:
        r = x.mean(-2, keepdims=True) * (how == "mean")
    else:
        raise ValueError(f"expected {' or '.join(HOW)}, or a Trace to patch from, got {how!r}")
    return r - x


def _heads_changed(seen: Trace, how: str | Trace, block: int) -> Array:
    """(r - o_h) W_o[h] for each head of a block: (H, T, C)."""
    return _change(seen, how, lambda s: s.mixed(block)) @ seen.output_rows(block)


def _feedforward_changed(seen: Trace, how: str | Trace, block: int) -> Array:
    """r - f for the feed-forward of a block: (T, C)."""
    return _change(seen, how, lambda s: s.feedforward[block])


def _go_on(seen: Trace, x: Array, after: int) -> Array:
    """What the head reads if the residual stream is x (n, T, C) after so many half blocks."""
    model = seen.model.view()
    l, half = divmod(after, 2)
    if half:
        block = model.blocks[l]
        x = x + block.feedforward.forward(block.norm2.forward(x))
    for block in model.blocks[l + half :]:
        x = block.forward(x)
    return model.norm.forward(x)


def _answer(seen: Trace, x: Array, after: int, answer: Answer) -> Array:
    """The answers (n,) of the same."""
    at = seen.at(answer.position)
    y: Array = _go_on(seen, x, after)[:, at] @ answer.direction(seen.model.head.W.data)
    return y


def _expect_alike(one: Trace, other: Trace) -> None:
    if len(one.ids) != len(other.ids):
        raise ValueError(
            "to patch, expected two texts of as many tokens, got "
            f"{len(one.ids)} and {len(other.ids)}"
        )
    if not np.shares_memory(one.model.head.W.data, other.model.head.W.data):
        raise ValueError("to patch, expected two texts seen by one model, got two models'")
