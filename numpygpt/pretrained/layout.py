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

# What stands before a tensor's name where the whole model was inside something else: torch.compile,
# DistributedDataParallel, FSDP, Lightning; at last, perhaps, transformers' own model with a head.
PREFIX = re.compile(r"((_orig_mod|_fsdp_wrapped_module|module|model)\.)*(transformer\.)?")
# A file may hold the causal mask of each block (older versions of transformers wrote it).
MASKS = re.compile(r"h\.\d+\.attn\.(bias|masked_bias)")
HEAD, TOKEN_EMBEDDING, POSITION_EMBEDDING = "lm_head.weight", "wte.weight", "wpe.weight"
EPS = 1e-5  # LayerNorm's
REQUIRED = {"n_embd", "n_head", "n_layer"}  # of settings that do not say whose they are
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
FIELDS = {  # transformers' name: ours
    "vocab_size": "vocab_size",
    "n_positions": "context_length",
    "n_embd": "n_embd",
    "n_head": "n_head",
    "n_layer": "n_layer",
    "initializer_range": "init_std",
}
BLOCK = {  # a block's tensors, and our parameters
    "ln_1.weight": "norm1.gain",
    "ln_1.bias": "norm1.bias",
    "attn.c_attn.weight": "attention.qkv.W",
    "attn.c_attn.bias": "attention.qkv.b",
    "attn.c_proj.weight": "attention.proj.W",
    "attn.c_proj.bias": "attention.proj.b",
    "ln_2.weight": "norm2.gain",
    "ln_2.bias": "norm2.bias",
    "mlp.c_fc.weight": "feedforward.fc.W",
    "mlp.c_fc.bias": "feedforward.fc.b",
    "mlp.c_proj.weight": "feedforward.proj.W",
    "mlp.c_proj.bias": "feedforward.proj.b",
}
DROPOUTS = ("resid_pdrop", "embd_pdrop", "attn_pdrop")


def our_config(theirs: dict[str, Any]) -> GPTConfig:
    """GPTConfig from transformers' config.json; a ValueError if it is no GPT-2's."""
    kind = theirs.get("model_type")
    if kind is None and theirs.keys() >= REQUIRED:  # older ones do not say it
        kind = "gpt2"
    architectures = theirs.get("architectures") or ["GPT2LMHeadModel"]
    if kind != "gpt2" or "GPT2" not in str(architectures):
        raise ValueError(
            f"expected model_type 'gpt2', got {quote(theirs.get('model_type'))} with architectures "
            f"{quote(theirs.get('architectures'))}"
        )
    for name, meanings in MEANINGS.items():
        value = theirs.get(name, meanings[0])
        if value not in meanings:
            expected = " or ".join(map(repr, meanings))
            raise ValueError(f"expected {name} {expected}, got {quote(value)}")
    given = {ours: theirs[name] for name, ours in FIELDS.items() if name in theirs}
    for name, value in given.items():
        if isinstance(value, int) and value >= LARGEST:
            raise ValueError(f"expected {name} below {LARGEST:,}")
    config = GPTConfig(
        **given, dropout=_dropout(theirs), tie_weights=theirs.get("tie_word_embeddings", True)
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


def their_config(config: GPTConfig, dtype: str, end: int | None) -> dict[str, Any]:
    """What transformers' config.json says of this model; `end` is the id of `<|endoftext|>`."""
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        **{name: getattr(config, ours) for name, ours in FIELDS.items()},
        "n_inner": None,
        **{name: meanings[0] for name, meanings in MEANINGS.items()},
        **dict.fromkeys(DROPOUTS, config.dropout),
        "tie_word_embeddings": config.tie_weights,
        "bos_token_id": end,
        "eos_token_id": end,
        "dtype": dtype,
    }


def names(config: GPTConfig) -> Iterator[tuple[str, str]]:
    """For each tensor of a GPT-2 of this shape: transformers' name, and our parameter's.

    Always with the biases of queries, keys and values, which transformers always has.
    """
    yield TOKEN_EMBEDDING, "token_embedding.W"
    yield POSITION_EMBEDDING, "position_embedding.W"
    for i in range(config.n_layer):
        for theirs, ours in BLOCK.items():
            yield f"h.{i}.{theirs}", f"blocks.{i}.{ours}"
    yield "ln_f.weight", "norm.gain"
    yield "ln_f.bias", "norm.bias"
    if not config.tie_weights:
        yield HEAD, "head.W"
