"""Fine-tuning, `numpygpt train --init`: training that starts from weights that are there.

A model that knows much is taught with small steps: the learning rate is less than a hundredth of
what a fresh small model takes, and one window of GPT-2's 1,024 tokens is a batch.
"""

from typing import Any

import tiktoken

from numpygpt.gpt import GPT
from numpygpt.training.saved import load_with_tokenizer

FINE_TUNE: dict[str, Any] = {  # of TrainConfig, in place of its own defaults
    "steps": 200,
    "batch_size": 1,
    "learning_rate": 5e-5,
    "warmup": 10,
    "eval_every": 50,
    "eval_batches": 4,
}


def starting_point(
    source: str, shape: dict[str, Any], tokenizer: str | None, seed: int = 0
) -> tuple[GPT, tiktoken.Encoding]:
    """The model that `source` names, and its tokenizer.

    `shape` holds fields of GPTConfig that a user chose: context_length and dropout can be. The
    rest, and the tokenizer, come with the weights; asking for others is a ValueError. Dropout
    draws from `seed`.
    """
    fixed = sorted(shape.keys() - {"context_length", "dropout"})
    if tokenizer is not None:
        fixed.append("tokenizer")
    if fixed:
        names = ", ".join("--" + name.replace("_", "-") for name in fixed)
        raise ValueError(f"--init {source} brings its own shape and tokenizer: remove {names}")
    return load_with_tokenizer(source, rng=seed, **shape)
