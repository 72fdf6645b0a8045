"""Look: all that the other files compute, for one model and one prompt, in one object.

    seen = look(model, encoding, "One rainy day, Ada found a little robin")
    seen                        in a notebook, the page itself
    seen.text()                 what `numpygpt look` prints
    seen.html(), seen.json()    the page, and its numbers

Whatever is computed by the layers is so in the model's own dtype, or in float64 where that costs
little (PRECISE). What would take too long or too much room for the page is left out, and
`left_out` says so; the limits are named here, and costs are counted, not timed.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import tiktoken

from numpygpt.gpt import GPT
from numpygpt.inside.check import identities
from numpygpt.inside.lens import predictions
from numpygpt.inside.show.as_json import as_dict
from numpygpt.inside.show.described import described
from numpygpt.inside.show.findings import Findings
from numpygpt.inside.show.near import words_of
from numpygpt.inside.show.page import framed, page
from numpygpt.inside.show.panels import of_embeddings, of_the_page
from numpygpt.inside.show.within import answers_of, heads_of, plans
from numpygpt.inside.traces import one_text, trace
from numpygpt.layers.base import Array
from numpygpt.text.printable import printable
from numpygpt.text.tokenizer import encode_text

PRECISE = 10_000_000  # parameters up to which a model is looked at in float64
MOST_TOKENS = 256  # of a prompt
ALONE = "All in float64, in passes of their own."
OWN = (
    "Of the page's own numbers, in the model's dtype; numpygpt look --check measures more, in "
    "float64, which takes longer."
)


class Look(Findings):
    """What one model makes of one prompt, to be seen as a page, as text, or as numbers."""

    def json(self) -> str:
        """All numbers, as text."""
        options: dict[str, Any] = {"separators": (",", ":"), "allow_nan": False}
        return json.dumps(self.to_dict(), ensure_ascii=False, **options)

    def to_dict(self) -> dict[str, Any]:
        """The same as lists, numbers and texts."""
        return as_dict(self)

    def html(self) -> str:
        """The page: one file, which needs nothing else."""
        return page(self.json())

    def text(self, width: int = 80, plain: bool = False) -> str:
        """For a terminal of so many columns; plain: of ASCII only, but for the prompt's words."""
        return described(self, width, plain)

    def _repr_html_(self) -> str:
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
    small = model.num_parameters() <= PRECISE
    seen = trace(model.astype(np.float64) if small else model, ids)
    lens, left_out = predictions(seen), list[str]()
    result = Look(
        printable(name).encode(errors="backslashreplace").decode(),  # a file may have any name
        seen.model,
        encoding,
        prompt if isinstance(prompt, str) else encoding.decode(ids.tolist(), errors="replace"),
        ids,
        words_of(seen.model, encoding, ids, word, stories, left_out),
        heads_of(seen, encoding, int(lens.words[-1]), head),
        lens,
        answers_of(seen, lens, small, left_out),
        plans(model, encoding, left_out) if stories else [],
        left_out,
    )
    checks, checks_of = of_the_page(result), OWN
    if small and len(ids) > 1:
        checks, checks_of = identities(model, ids), ALONE
    checks = of_embeddings(model.token_embedding.W.data) + checks
    return replace(result, checks=checks, checks_of=checks_of)


def expected_ids(model: GPT, encoding: tiktoken.Encoding, prompt: str | Sequence[int]) -> Array:
    """The prompt's ids; ValueError if there are none, or too many."""
    if encoding.n_vocab > model.config.vocab_size:
        raise ValueError(
            f"expected the model's own encoding, of at most {model.config.vocab_size} tokens, got "
            f"one of {encoding.n_vocab}"
        )
    ids = encode_text(encoding, prompt) if isinstance(prompt, str) else np.asarray(prompt)
    most, T = min(MOST_TOKENS, model.config.context_length), ids.size
    if not 1 <= T <= most:
        why = "the context" if most < MOST_TOKENS else "what a page can show"
        shorten = ": shorten it" if T else ""
        raise ValueError(f"expected a prompt of 1 to {most} tokens ({why}), got {T}{shorten}")
    return one_text(model, ids)
