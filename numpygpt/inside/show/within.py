"""What there is to see of heads and of answers, as much of it as a page has room for.

A score's split (attention.py) is a table for each pair of tokens in each head; MOST_CELLS of their
numbers are kept. Ablation runs the model again for each part, and integrated gradients some dozens
of times: a large model's parts are left out in one way only, and its gap is not closed as far.
"""

from dataclasses import dataclass

import numpy as np
import tiktoken

from numpygpt.gpt import GPT
from numpygpt.inside.ablation import HOW, Ablation, ablate
from numpygpt.inside.answer import Answer
from numpygpt.inside.attention import HeadScores, ScoreSplit, patterns, score_heads, split_score
from numpygpt.inside.attribution import Attribution, attribute
from numpygpt.inside.gradients import Gradients, Integrated, input_gradients, integrated_gradients
from numpygpt.inside.lens import Lens
from numpygpt.inside.planning import SUBJECTS, Planning, planned_word
from numpygpt.inside.traces import Trace
from numpygpt.layers.base import Array

STORIES = 32  # new ones, read for each subject of planning
MOST_CELLS = 60_000
MOST_PASSES = 6e9  # parameters times tokens times backward passes of integrated gradients

Pair = tuple[int, int, int, int]


@dataclass(frozen=True)
class Heads:
    """Of one prompt.

    Attributes
    ----------
    first : tuple of int
        The block and the head that are shown first.
    patterns : ndarray (L, H, T, T)
    kinds : HeadScores
    splits : dict
        The ScoreSplit of (block, head, t, s).
    splits_of : str
        Which pairs these are.
    """

    first: tuple[int, int]
    patterns: Array
    kinds: HeadScores
    splits: dict[Pair, ScoreSplit]
    splits_of: str


@dataclass(frozen=True)
class Answers:
    """What explains the answers: the true next tokens, and at the end the first choice.

    Attributes
    ----------
    logits, leads : list of Attribution
        At each position, of the answer's logit, and of its lead over the best other token's.
    ablations : list of Ablation
        At the last position: with nothing, and (in a small model) with its mean in a part's place.
    by_input, by_loss : Gradients
        Of the last answer's logit, and of the prompt's loss (None for one token).
    integrated : Integrated
        Of the last answer's logit.
    """

    logits: list[Attribution]
    leads: list[Attribution]
    ablations: list[Ablation]
    by_input: Gradients
    by_loss: Gradients | None
    integrated: Integrated


def heads_of(
    seen: Trace, encoding: tiktoken.Encoding, answer: int, first: tuple[int, int] | None
) -> Heads:
    """Patterns, kinds and splits; without a first head, the one that copies most is it."""
    if first is not None:
        seen.expect_block(*first)
    kinds = score_heads(seen.model, int(encoding.eot_token))
    P = patterns(seen)
    return Heads(first or copying(kinds, P, seen.ids, answer), P, kinds, *split_scores(seen, P))


def answers_of(seen: Trace, lens: Lens, small: bool, left_out: list[str]) -> Answers:
    """Attribution, ablation and gradients."""
    model, ids, answer = seen.model, seen.ids, Answer(int(lens.words[-1]))
    if not small:
        left_out.append("Parts are left out with nothing in their place; not with their mean.")
    most = int(MOST_PASSES / (model.num_parameters() * len(ids)))
    return Answers(
        *attributions(seen, lens),
        [ablate(seen, answer, how) for how in (HOW if small else HOW[:1])],
        input_gradients(model, ids, answer),
        input_gradients(model, ids) if len(ids) > 1 else None,
        integrated_gradients(model, ids, answer, most=max(16, min(most, 1024))),
    )


def copying(kinds: HeadScores, P: Array, ids: Array, answer: int) -> tuple[int, int]:
    """The head that, at the prompt's end, most looks at the answer where it stands already.

    Where it does not: the one that most looks at what followed the same token, or at the one
    before.
    """
    if (ids == answer).any():
        there = P[:, :, -1, ids == answer].sum(-1)
        block, head = np.unravel_index(there.argmax(), there.shape)
        return int(block), int(head)
    ((block, head, score),) = kinds.strongest("induction", 1)
    if score < 0.1:
        ((block, head, _),) = kinds.strongest("previous", 1)
    return block, head


def split_scores(seen: Trace, P: Array) -> tuple[dict[Pair, ScoreSplit], str]:
    """As many scores' splits as there is room for: all, or what each token looks at most."""
    L, H, T, _ = P.shape
    size = sum((2 * l + 3) ** 2 for l in range(L)) * H  # cells, for one pair in each head
    if size * T * (T + 1) // 2 <= MOST_CELLS:
        pairs = [(l, h, t, s) for l, h, t, s in np.ndindex(P.shape) if s <= t]
        which = "every pair of every head"
    else:
        some = range(T) if size * T <= MOST_CELLS else range(T - 1, T)
        pairs = [(l, h, t, int(P[l, h, t].argmax())) for l, h in np.ndindex(L, H) for t in some]
        each = "each token" if len(some) > 1 else "the last token"
        which = f"for each head, the page has {each} with the one that it looks at most"
    return {pair: split_score(seen, *pair) for pair in pairs}, which


def attributions(seen: Trace, lens: Lens) -> tuple[list[Attribution], list[Attribution]]:
    """At each position: of the answer's logit, and of its lead over the best other's."""
    logits, leads = [], []
    for t, word in enumerate(lens.words.tolist()):
        z = seen.logits[t].copy()
        z[word] = -np.inf
        logits.append(attribute(seen, Answer(word, None, t)))
        leads.append(attribute(seen, Answer(word, int(z.argmax()), t)))
    return logits, leads


def plans(model: GPT, encoding: tiktoken.Encoding, left_out: list[str]) -> list[Planning]:
    """Of each subject that this vocabulary has words for."""
    found = []
    for subject in SUBJECTS:
        try:
            found.append(planned_word(model, encoding, subject, STORIES))
        except ValueError as error:
            left_out.append(f"Planning of {subject!r} is left out: {error}.")
    return found
