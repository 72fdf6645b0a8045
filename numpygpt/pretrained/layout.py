"""Two vocabularies for one model: transformers' names for GPT-2's settings and tensors, and ours.

The released files store their matrices as (in, out) and queries, keys and values side by side in
one (C, 3C) array, which is how our layers keep them: a tensor is copied, never turned.

Reference: the released code, openai/gpt-2 `src/model.py`; transformers' `GPT2Config`.
"""

import re
import warnings
from collections.abc import Iterator
from reprlib import Repr
from typing import Any

from numpygpt.config import GPTConfig

# A file may hold the causal mask of each block (older versions of transformers wrote it).
MASKS = re.compile(r"h\.\d+\.attn\.(bias|masked_bias)")
HEAD, TOKEN_EMBEDDING, POSITION_EMBEDDING = "lm_head.weight", "wte.weight", "wpe.weight"
EPS = 1e-5  # LayerNorm's
LARGEST = 2**31  # of all sizes

_short = Repr()
_short.maxstring = 80  # longer than any tensor's name
quote = _short.repr  # what a file says, for a message: one line of bounded length

# Settings that change what a GPT-2 computes, each with the values that mean what we compute. A
# setting that is not there has the first of them, as in transformers.
MEANINGS: dict[str, tuple[Any, ...]] = {
    "activation_function": ("gelu_new", "gelu_pytorch_tanh"),
    "layer_norm_epsilon": (EPS,),
    "scale_attn_weights": (True,),
    "scale_attn_by_inverse_layer_idx": (False,),
    "add_cross_attention": (False,),
}
SIZES = {  # transformers' name: ours
    "vocab_size": "vocab_size",
    "n_positions": "context_length",
    "n_embd": "n_embd",
    "n_head": "n_head",
    "n_layer": "n_layer",
}
DROPOUTS = ("resid_pdrop", "embd_pdrop", "attn_pdrop")


def our_config(theirs: dict[str, Any]) -> GPTConfig:
    """GPTConfig from transformers' config.json; a ValueError if it is no GPT-2's."""
    if theirs.get("model_type") != "gpt2":
        run = " (what numpygpt train wrote is read with --run)" * ("training" in theirs)
        raise ValueError(f"expected model_type 'gpt2', got {quote(theirs.get('model_type'))}{run}")
    for name, meanings in MEANINGS.items():
        value = theirs.get(name, meanings[0])
        if value not in meanings:
            expected = " or ".join(map(repr, meanings))
            raise ValueError(f"expected {name} {expected}, got {quote(value)}")
    sizes = {ours: theirs[name] for name, ours in SIZES.items() if name in theirs}
    for name, value in sizes.items():
        if isinstance(value, int) and value >= LARGEST:
            raise ValueError(f"expected {name} below {LARGEST:,}")
    config = GPTConfig(
        **sizes, dropout=_dropout(theirs), tie_weights=theirs.get("tie_word_embeddings", True)
    )
    if theirs.get("n_inner") not in (None, 4 * config.n_embd):
        got = quote(theirs["n_inner"])
        raise ValueError(f"expected n_inner {4 * config.n_embd} or null, got {got}")
    return config


def _dropout(theirs: dict[str, Any]) -> float:
    """The one probability that we have for the three that they have."""
    values = [theirs.get(name, 0.1) for name in DROPOUTS]
    if any(value != values[0] for value in values):
        warnings.warn(
            f"{', '.join(DROPOUTS)} are {values}: training will use the first for all",
            stacklevel=2,
        )
    p: float = values[0]
    return p


def their_config(config: GPTConfig, dtype: str) -> dict[str, Any]:
    """What transformers' config.json says of this model."""
    end = 50256 if config.vocab_size == 50257 else None
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        **{name: getattr(config, ours) for name, ours in SIZES.items()},
        "n_inner": None,
        **{name: meanings[0] for name, meanings in MEANINGS.items()},
        **dict.fromkeys(DROPOUTS, config.dropout),
        "tie_word_embeddings": config.tie_weights,
        "bos_token_id": end,
        "eos_token_id": end,
        "dtype": dtype,
    }


def tensors(config: GPTConfig) -> Iterator[tuple[str, str, tuple[int, ...]]]:
    """For each tensor of a GPT-2 of this shape: transformers' name, our parameter's, the shape.

    Always with the biases of queries, keys and values, which transformers always has.
    """
    V, T, C = config.vocab_size, config.context_length, config.n_embd
    yield TOKEN_EMBEDDING, "token_embedding.W", (V, C)
    yield POSITION_EMBEDDING, "position_embedding.W", (T, C)
    for i in range(config.n_layer):
        for theirs, ours, shape in (
            ("ln_1.weight", "norm1.gain", (C,)),
            ("ln_1.bias", "norm1.bias", (C,)),
            ("attn.c_attn.weight", "attention.qkv.W", (C, 3 * C)),
            ("attn.c_attn.bias", "attention.qkv.b", (3 * C,)),
            ("attn.c_proj.weight", "attention.proj.W", (C, C)),
            ("attn.c_proj.bias", "attention.proj.b", (C,)),
            ("ln_2.weight", "norm2.gain", (C,)),
            ("ln_2.bias", "norm2.bias", (C,)),
            ("mlp.c_fc.weight", "feedforward.fc.W", (C, 4 * C)),
            ("mlp.c_fc.bias", "feedforward.fc.b", (4 * C,)),
            ("mlp.c_proj.weight", "feedforward.proj.W", (4 * C, C)),
            ("mlp.c_proj.bias", "feedforward.proj.b", (C,)),
        ):
            yield f"h.{i}.{theirs}", f"blocks.{i}.{ours}", shape
    yield "ln_f.weight", "norm.gain", (C,)
    yield "ln_f.bias", "norm.bias", (C,)
    if not config.tie_weights:
        yield HEAD, "head.W", (V, C)
