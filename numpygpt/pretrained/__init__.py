"""The world's GPT-2 weights, in and out: folders as transformers writes them.

    config.json          the shape, in transformers' words
    model.safetensors    every tensor by transformers' name
    vocab.json, merges.txt (where they are there)  the tokenizer

Read in this order: layout (their names and ours), files (one safetensors file), load and
save (a whole folder), hub (folders by name), tokenizer.
"""

from pathlib import Path
from typing import Any

import tiktoken

from numpygpt.gpt import GPT
from numpygpt.pretrained.hub import find
from numpygpt.pretrained.load import load_pretrained
from numpygpt.pretrained.save import save_pretrained
from numpygpt.pretrained.tokenizer import pretrained_encoding

__all__ = ["find", "load_pretrained", "load_with_tokenizer", "save_pretrained"]


def load_with_tokenizer(source: str | Path, **changes: Any) -> tuple[GPT, tiktoken.Encoding]:
    """The model that a path or name means, as `GPT.from_pretrained`, and what makes its ids."""
    path = find(source, tokenizer=True)
    model = load_pretrained(path, **changes)
    return model, pretrained_encoding(path, model.config)
