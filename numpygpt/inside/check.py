"""The identities that every picture rests on, each computed, with what remains.

All in float64, on a copy of the model: what remains is rounding, or the picture is wrong. One is
left out for large models: to close integrated gradients to the last digits takes hundreds of
backward passes.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from numpygpt.gpt import GPT
from numpygpt.inside.ablation import logits_without, patch
from numpygpt.inside.answer import Answer
from numpygpt.inside.attention import patterns, split_score
from numpygpt.inside.attribution import attribute
from numpygpt.inside.gradients import directional, integrated_gradients
from numpygpt.inside.lens import predictions, read_anew, read_frozen
from numpygpt.inside.traces import Trace, biases, trace
from numpygpt.layers.base import Array

LIMIT = 1e-9
LARGE = 20_000_000  # parameters
DIFFERENCE = 1e-7  # what a central difference in float64 can see; gradcheck/oracles.py says why


@dataclass(frozen=True)
class Identity:
    """One of them.

    Attributes
    ----------
    name : str
        What equals what.
    remainder : float
        The largest difference measured, relative where the numbers are large.
    limit : float
    """

    name: str
    remainder: float
    limit: float

    @property
    def holds(self) -> bool:
        """Whether the remainder is within the limit (NaN is not)."""
        return self.remainder <= self.limit


def identities(model: GPT, ids: npt.ArrayLike) -> list[Identity]:
    """Check them all for a model and a text of at least two tokens."""
    exact = model.astype(np.float64)
    seen = trace(exact, ids)
    if len(seen.ids) < 2:
        raise ValueError("expected a text of at least two tokens, got one")
    best, second = np.argsort(-seen.logits[-1], kind="stable")[:2].tolist()
    answer = Answer(best, second)
    return [
        *_of_the_stream(exact, seen),
        *_of_attention(seen),
        *_of_attribution(seen, answer),
        *_of_patching(seen, answer),
        *_of_gradients(exact, seen, answer),
    ]


def _of_the_stream(model: GPT, seen: Trace) -> list[Identity]:
    heads = [
        seen.heads(l).sum(0) + biases(b.attention.proj) for l, b in enumerate(seen.model.blocks)
    ]
    own = model.view().forward(seen.ids[None])[0]
    return [
        _equal("the logits are the model's own", seen.logits, own),
        _equal(
            "the sum of all that was added, read by the head, is the logits",
            list(read_anew(seen))[-1],
            seen.logits,
        ),
        _equal("heads and output bias sum to attention", np.stack(heads), seen.attention),
        Identity(
            "after the last block both lenses are the model", predictions(seen).remainder, LIMIT
        ),
    ]


def _of_attention(seen: Trace) -> list[Identity]:
    c, P = seen.model.config, patterns(seen)
    T, last = len(seen.ids) - 1, c.n_layer - 1
    mixed = np.stack([seen.mixed(l) for l in range(c.n_layer)])
    v = np.stack([seen.qkv(l)[2] for l in range(c.n_layer)])
    splits = [split_score(seen, l, h, T, T // 2) for l in {0, last} for h in range(c.n_head)]
    scores = np.array([split.score for split in splits])
    return [
        _equal("rows of P sum to 1", P.sum(-1), np.ones(P.shape[:-1])),
        _equal("P v is what attention made", P @ v, mixed),
        _equal("the parts of q.k sum to the score", scores - [s.remainder for s in splits], scores),
    ]


def _of_attribution(seen: Trace, answer: Answer) -> list[Identity]:
    one, two = attribute(seen, Answer(answer.word)), attribute(seen, answer)
    frozen = [answer.read(z) for z in read_frozen(seen)]
    by_block = two.heads.sum(1) + two.value_bias.sum(1) + two.output_bias
    by_block += two.feedforward + two.feedforward_bias
    return [
        _equal("the parts of a logit sum to it", one.logit - one.remainder, one.logit),
        _equal("the parts of a difference sum to it", two.logit - two.remainder, two.logit),
        _equal(
            "between two blocks, the frozen lens moves by what the block says",
            np.diff(frozen),
            by_block,
        ),
    ]


def _of_patching(seen: Trace, answer: Answer) -> list[Identity]:
    other = trace(seen.model, np.roll(seen.ids, 1))  # another text of the same length
    same, last = patch(seen, seen, answer), f"block {seen.model.config.n_layer - 1}"
    both = np.concatenate([same.heads.ravel(), same.feedforward])
    return [
        _equal("a text patched with itself answers the same", both, same.clean),
        _equal(
            "with the whole last residual of another text, its logits come",
            logits_without(seen, last, other),
            other.logits,
        ),
    ]


def _of_gradients(model: GPT, seen: Trace, answer: Answer) -> list[Identity]:
    found = []
    for name, asked in (("loss", None), ("answer", answer)):
        slope, difference, size = directional(model, seen.ids, asked)
        error = abs(slope - difference) / (size or 1.0)  # 0: the embeddings change nothing
        name_of = f"the {name}'s gradient by the embeddings, against a central difference"
        found.append(Identity(name_of, error, DIFFERENCE))
    if model.num_parameters() <= LARGE:
        whole = integrated_gradients(model, seen.ids, answer, limit=LIMIT, most=4096)
        found.append(Identity("integrated gradients sum to the change", abs(whole.gap), LIMIT))
    return found


def _equal(name: str, a: Array | float, b: Array | float) -> Identity:
    """Relative to the largest of b, where that is above 1."""
    error = np.abs(np.asarray(a) - b).max() / max(1.0, float(np.abs(b).max()))
    return Identity(name, float(error), LIMIT)
