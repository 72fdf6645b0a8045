"""What is found in one model at work on one prompt: what every way to see it shows."""

from dataclasses import dataclass, field
from typing import Any

import tiktoken

from numpygpt.gpt import GPT
from numpygpt.inside.check import Identity
from numpygpt.inside.lens import Lens
from numpygpt.inside.planning import Planning
from numpygpt.inside.show.near import Words
from numpygpt.inside.show.within import Answers, Heads
from numpygpt.layers.base import Array


@dataclass(frozen=True)
class Findings:
    """What one model makes of one prompt of T tokens.

    Attributes
    ----------
    name : str
        What the model is called.
    model : GPT
    encoding : tiktoken.Encoding
    prompt : str
    ids : ndarray (T,)
    words : Words
    heads : Heads
    lens : Lens
        `lens.words` are the answers: the true next token at each position; at the last one the
        model's own first choice.
    answers : Answers
    planning : list of Planning
        Of the built-in stories' model.
    checks : list of Identity
    checks_of : str
        How they were measured.
    checkpoints : list of dict
        Of the run's earlier ones, as JSON has them; see kept.py.
    left_out : list of str
        What is not here, and why.
    """

    name: str
    model: GPT
    encoding: tiktoken.Encoding
    prompt: str
    ids: Array
    words: Words
    heads: Heads
    lens: Lens
    answers: Answers
    planning: list[Planning]
    left_out: list[str]
    checks: list[Identity] = field(default_factory=list)
    checks_of: str = ""
    checkpoints: list[dict[str, Any]] = field(default_factory=list)

    @property
    def answer(self) -> int:
        """The token that the prompt's end is expected to be followed by."""
        return int(self.lens.words[-1])
