"""The world's GPT-2 weights, in and out: folders as transformers writes them.

    config.json          the shape, in transformers' words
    model.safetensors    every tensor by transformers' name
    tokenizer.json, or vocab.json and merges.txt (where they are there)

Read in this order: layout (their names and ours), files (one safetensors file), load and
save (a whole folder), hub (folders by name), tokenizer, source (any of these, or a run).

Nothing here knows GPT: it asks for a configuration and has its arrays filled, by their names.
"""

from numpygpt.pretrained.save import save_pretrained
from numpygpt.pretrained.source import Source, changed, open_source
from numpygpt.pretrained.tokenizer import load_tokenizer

__all__ = ["Source", "changed", "load_tokenizer", "open_source", "save_pretrained"]
