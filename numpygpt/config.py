"""The shape of a GPT, and the shapes that GPT-2 was released in."""

import math
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

PRESETS = {  # C, H, L
    "gpt2": (768, 12, 12),
    "gpt2-medium": (1024, 16, 24),
    "gpt2-large": (1280, 20, 36),
    "gpt2-xl": (1600, 25, 48),
}
# What `numpygpt train` makes, unless told otherwise.
SMALL: dict[str, Any] = {
    "context_length": 128,
    "n_embd": 160,
    "n_head": 4,
    "n_layer": 2,
    "init_std": 0.06,
    "sinusoidal_positions": True,
    "zero_init_attention": True,
}
KINDS = {int: "a whole number", float: "a number", bool: "True or False", str: "a text"}


def expect_types(options: Any) -> None:
    """Raise unless each field of a dataclass of options has its default's type.

    A whole number serves as a number, and NumPy's numbers as Python's, which they become. What is
    written to a file is then what can be read from it again.
    """
    for field in fields(options):
        value, kind = getattr(options, field.name), type(field.default)
        if isinstance(value, np.generic):
            value = value.item()
            object.__setattr__(options, field.name, value)
        if type(value) is not kind and not (kind is float and type(value) is int):
            raise ValueError(
                f"{type(options).__name__}: expected {field.name} {KINDS[kind]}, got {value!r:.50}"
            )


@dataclass(frozen=True)
class GPTConfig:
    """The shape of a GPT. The defaults are the released GPT-2 small's.

    Attributes
    ----------
    vocab_size : int
        Tokens in the vocabulary, V.
    context_length : int
        Tokens that the model can look back at: the longest T.
    n_embd : int
        Width: the numbers that stand for a token, C.
    n_head : int
        Attention heads in a block, H; C must be divisible by it.
    n_layer : int
        Blocks, one on top of the other, L.
    dropout : float
        Probability with which training sets a number of the embeddings, the attention weights and
        both branches of each block to zero.
    qkv_bias : bool
        Whether the query, key and value projections have biases.
    tie_weights : bool
        Whether the head is the token embedding.
    init_std : float
        First weights are drawn from N(0, init_std^2); 1 / sqrt(C) would keep numbers of one size
        from layer to layer.
    sinusoidal_positions : bool
        Whether the position embedding starts as sines and cosines, not at random.
    zero_init_attention : bool
        Whether attention's output matrices start as 0: what they learn first is then to copy the
        tokens that a head looks at.
    """

    vocab_size: int = 50257
    context_length: int = 1024
    n_embd: int = 768
    n_head: int = 12
    n_layer: int = 12
    dropout: float = 0.0
    qkv_bias: bool = True
    tie_weights: bool = True
    init_std: float = 0.02
    sinusoidal_positions: bool = False
    zero_init_attention: bool = False

    def __post_init__(self) -> None:
        expect_types(self)
        for name in ("vocab_size", "context_length", "n_embd", "n_head", "n_layer"):
            if (value := getattr(self, name)) < 1:
                raise ValueError(f"GPTConfig: expected {name} a whole number from 1, got {value}")
        if self.n_embd % self.n_head:
            raise ValueError(
                f"GPTConfig: expected n_embd divisible by n_head, got {self.n_embd} and "
                f"{self.n_head}"
            )
        if not 0 <= self.dropout < 1:
            raise ValueError(f"GPTConfig: expected 0 <= dropout < 1, got {self.dropout}")
        if not 0 <= self.init_std < math.inf:
            raise ValueError(f"GPTConfig: expected init_std at least 0, got {self.init_std}")

    @property
    def proj_std(self) -> float:
        """What attention's and feed-forward's last matrices start with: init_std / sqrt(2 L).

        A GPT adds up the outputs of 2 L such matrices: their sum is as large as one at init_std.
        """
        return self.init_std / math.sqrt(2 * self.n_layer)

    @classmethod
    def preset(cls, name: str, **changes: Any) -> "GPTConfig":
        """One of gpt2, gpt2-medium, gpt2-large, gpt2-xl, with fields changed by keyword."""
        if name not in PRESETS:
            raise ValueError(f"unknown preset {name!r}: expected one of {', '.join(PRESETS)}")
        unknown = set(changes) - {field.name for field in fields(cls)}
        if unknown:
            raise TypeError(f"GPTConfig has no field {', '.join(sorted(unknown))}")
        n_embd, n_head, n_layer = PRESETS[name]
        return replace(cls(n_embd=n_embd, n_head=n_head, n_layer=n_layer), **changes)
