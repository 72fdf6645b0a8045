"""Look: all that the other files compute, for one model and one prompt, in one object.

    seen = look(model, encoding, "One rainy day, Ada found a robin")
    seen                        in a notebook, the page itself
    seen.text()                 what `numpygpt look` prints
    seen.html(), seen.json()    the page, and its numbers

Whatever is computed by the layers is so in the model's own dtype, or in float64 where that costs
little (PRECISE). What would take too long or too much room for the page is left out, and
`left_out` says so; the limits are named here, and costs are counted, not timed.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import tiktoken

from numpygpt.gpt import GPT
from numpygpt.inside.ablation import HOW, Ablation, ablate
from numpygpt.inside.answer import Answer
from numpygpt.inside.attention import HeadScores, ScoreSplit, patterns, score_heads, split_score
from numpygpt.inside.attribution import Attribution, attribute
from numpygpt.inside.check import Identity, identities
from numpygpt.inside.embeddings import EmbeddingMap, Neighbours
from numpygpt.inside.gradients import Gradients, Integrated, input_gradients, integrated_gradients
from numpygpt.inside.kinds import Grouping, grouping, story_kinds, story_tokens
from numpygpt.inside.lens import Lens, predictions
from numpygpt.inside.near import in_context, map_of, nearest_to, ranks_of_parts
from numpygpt.inside.panels import of_embeddings, of_the_page
from numpygpt.inside.partners import Partners, part_finders
from numpygpt.inside.planning import SUBJECTS, Planning, planned_word
from numpygpt.inside.traces import Trace, trace
from numpygpt.layers.base import Array
from numpygpt.text.tokenizer import encode_text

PRECISE = 10_000_000  # parameters up to which a model is looked at in float64
MOST_TOKENS = 256  # of a prompt
OWN = (
    "Of the page's own numbers, in the model's dtype; numpygpt look --check measures more, in "
    "float64, which takes longer."
)
STORIES = 32  # new ones, read for each subject of planning
MOST_CELLS = 60_000  # of split scores
MOST_PASSES = 6e9  # parameters times tokens times backward passes of integrated gradients


@dataclass(frozen=True)
class Look:
    """What one model makes of one prompt of T tokens.

    Attributes
    ----------
    name : str
        What the model is called.
    model : GPT
    encoding : tiktoken.Encoding
    prompt : str
    ids : ndarray (T,)
    head : tuple of int
        The block and the head that are shown first.
    near : dict
        The Neighbours of each token of the prompt by its id, and of the word asked for by "word".
    context : list of Neighbours
        Of the token `at`, in its place, before any block and after each.
    patterns : ndarray (L, H, T, T)
    kinds : HeadScores
    splits : dict
        The ScoreSplit of (block, head, t, s).
    lens : Lens
        `lens.words` are the answers: the true next token at each position; at the last one the
        model's own first choice.
    logits, leads : list of Attribution
        At each position, of the answer's logit, and of its lead over the best other token's.
    ablations : list of Ablation
        At the last position: with nothing, and (in a small model) with its mean in a part's place.
    by_input, by_loss : Gradients
        Of the last answer's logit, and of the prompt's loss (None for one token).
    integrated : Integrated
    planning : list of Planning
        Of the built-in stories' model.
    checks : list of Identity
    left_out : list of str
        What is not here, and why.
    """

    name: str
    model: GPT
    encoding: tiktoken.Encoding
    prompt: str
    ids: Array
    head: tuple[int, int]
    near: dict[int | str, Neighbours]
    map: EmbeddingMap | None
    context: list[Neighbours]
    at: int
    kinds_of_words: list[Grouping]
    partners: Partners | None
    part_ranks: dict[str, int]
    patterns: Array
    kinds: HeadScores
    splits: dict[tuple[int, int, int, int], ScoreSplit]
    splits_of: str
    lens: Lens
    logits: list[Attribution]
    leads: list[Attribution]
    ablations: list[Ablation]
    by_input: Gradients
    by_loss: Gradients | None
    integrated: Integrated
    planning: list[Planning]
    checks: list[Identity] = field(default_factory=list)
    checks_of: str = ""
    checkpoints: list[Any] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    @property
    def answer(self) -> int:
        """The token that the prompt's end is expected to be followed by."""
        return int(self.lens.words[-1])

    def to_dict(self) -> dict[str, Any]:
        """All numbers, as JSON has them."""
        from numpygpt.inside.as_json import as_dict

        return as_dict(self)

    def json(self) -> str:
        """The same as text."""
        return json.dumps(self.to_dict(), ensure_ascii=False, separators=(",", ":"))

    def html(self) -> str:
        """The page: one file, which needs nothing else."""
        from numpygpt.inside.page import page

        return page(self.json())

    def text(self, width: int = 80, plain: bool = False) -> str:
        """For a terminal of so many columns; plain: of ASCII only, but for the prompt's words."""
        from numpygpt.inside.described import described

        return described(self, width, plain)

    def _repr_html_(self) -> str:
        from numpygpt.inside.page import framed

        return framed(self.html())


def look(
    model: GPT,
    encoding: tiktoken.Encoding,
    prompt: str | Sequence[int],
    word: str | None = None,
    head: tuple[int, int] | None = None,
    name: str = "a model",
    stories: bool = False,
) -> Look:
    """Look at a model, at work on a prompt.

    Parameters
    ----------
    model : GPT
    encoding : tiktoken.Encoding
    prompt : str or sequence of int
        A text, in which <|endoftext|> is that token, or its ids: 1 to MOST_TOKENS tokens, and no
        more than the context.
    word : str, optional
        Whose neighbours come first; without, the prompt's last token's.
    head : tuple of int, optional
        A block and a head, to be shown first; without, the one that copies most.
    name : str
        What to call the model.
    stories : bool
        Whether it has learned the built-in stories, whose words have known kinds.

    Raises
    ------
    ValueError, IndexError
        If the prompt is empty or too long, the word empty, or the head not there.
    """
    ids = expected_ids(model, encoding, prompt)
    precise = model.num_parameters() <= PRECISE
    seen = trace(model.astype(np.float64) if precise else model, ids)
    given, model = model, seen.model
    if head is not None:
        seen.expect_block(*head)
    lens = predictions(seen)
    kinds = score_heads(model, int(encoding.eot_token), length=twice(model))
    P = patterns(seen)
    left_out: list[str] = []
    if not precise:
        left_out.append("Parts are left out with nothing in their place; not with their mean.")
    splits, splits_of = split_scores(seen, P)
    among = among_of(encoding, stories)
    near = nearest_to(model, encoding, ids, word, among)
    answer = Answer(int(lens.words[-1]))
    context, at = in_context(model, encoding, ids, near, stories, left_out)
    most = max(16, int(MOST_PASSES / (model.num_parameters() * len(ids))))
    result = Look(
        name,
        model,
        encoding,
        prompt if isinstance(prompt, str) else encoding.decode(ids.tolist(), errors="replace"),
        ids,
        head or copying(kinds, P, ids, answer.word),
        near,
        map_of(model, encoding, near, stories),
        context,
        at,
        grouping(model, encoding, story_kinds(), among=among) if stories else [],
        partners_of(given, encoding, left_out) if stories else None,
        ranks_of_parts(model, encoding, word, among) if stories else {},
        P,
        kinds,
        splits,
        splits_of,
        lens,
        *attributions(seen, lens),
        [ablate(seen, answer, how) for how in (HOW if precise else HOW[:1])],
        input_gradients(model, ids, answer),
        input_gradients(model, ids) if len(ids) > 1 else None,
        integrated_gradients(model, ids, answer, most=min(most, 1024)),
        plans(given, encoding, left_out) if stories else [],
        left_out=left_out,
    )
    checks, checks_of = of_the_page(result), OWN
    if precise and len(ids) > 1:
        checks, checks_of = identities(model, ids), "All in float64, in passes of their own."
    checks = of_embeddings(model.token_embedding.W.data) + checks
    return replace(result, checks=checks, checks_of=checks_of)


def expected_ids(model: GPT, encoding: tiktoken.Encoding, prompt: str | Sequence[int]) -> Array:
    """The prompt's ids; ValueError if there are none, or too many."""
    ids = encode_text(encoding, prompt) if isinstance(prompt, str) else np.asarray(prompt)
    most = min(MOST_TOKENS, model.config.context_length)
    if not 1 <= len(ids) <= most:
        why = "the context" if most < MOST_TOKENS else "what a page can show"
        raise ValueError(
            f"expected a prompt of 1 to {most} tokens ({why}), got {len(ids)}"
            + (": shorten it" if len(ids) else "")
        )
    return ids.astype(np.int64)


def among_of(encoding: tiktoken.Encoding, stories: bool) -> Array | None:
    """The tokens among which neighbours are looked for: those that the built-in stories have."""
    return story_tokens(encoding) if stories else None


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


def twice(model: GPT) -> int:
    """How long a random text is that is to be read twice behind a mark."""
    return min(50, (model.config.context_length - 1) // 2, model.config.vocab_size - 1)


def split_scores(seen: Trace, P: Array) -> tuple[dict[tuple[int, int, int, int], ScoreSplit], str]:
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


def partners_of(model: GPT, encoding: tiktoken.Encoding, left_out: list[str]) -> Partners | None:
    """What ties a part to its animal, if this vocabulary has words for them."""
    try:
        return part_finders(model, encoding)
    except ValueError as error:
        left_out.append(f"What ties a part to its animal is left out: {error}.")
        return None


def plans(model: GPT, encoding: tiktoken.Encoding, left_out: list[str]) -> list[Planning]:
    """Of each subject that this vocabulary has words for."""
    found = []
    for subject in SUBJECTS:
        try:
            found.append(planned_word(model, encoding, subject, STORIES))
        except ValueError as error:
            left_out.append(f"Planning of {subject!r} is left out: {error}.")
    return found
