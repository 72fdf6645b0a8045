"""Generation: what a new token needs, and what it does not."""

import numpy as np

from benchmarks.ladders import Result, Rung
from numpygpt import GPT, GPTConfig, generate
from numpygpt.layers.parameter import Array

SMALL = GPTConfig(vocab_size=8192, context_length=128, n_embd=384, n_head=6, n_layer=4)


def rungs(quick: bool = False) -> list[Rung]:
    """32 tokens after 32, of a model whose vocabulary is large against its layers."""
    config, new = (GPTConfig(31, 16, 8, 2, 1), 4) if quick else (SMALL, 32)
    model = GPT(config, rng=0).eval()
    prompt = np.random.default_rng(0).integers(config.vocab_size, size=(1, new))

    def all_logits() -> Result:
        ids: Array = prompt
        for _ in range(new):
            logits = model.forward(ids)
            ids = np.concatenate([ids, logits[:, -1].argmax(1)[:, None]], axis=1)
        return ids

    def last_logits() -> Result:
        return generate(model, prompt, new, temperature=0, use_cache=False)

    def cached() -> Result:
        return generate(model, prompt, new, temperature=0)

    return [
        ("the whole text again, all logits", all_logits),
        ("logits of the last token only", last_logits),
        ("keys and values kept in a cache", cached),
    ]
