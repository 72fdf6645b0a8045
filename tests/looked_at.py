"""A small model with the built-in stories' vocabulary, for the tests of what looks inside."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import tiktoken

from numpygpt import GPT, GPTConfig
from numpygpt.inside.show.looking import Look, look
from numpygpt.text.bpe import train_bpe
from numpygpt.text.stories import stories
from numpygpt.training.saved import save_run

PROMPT = "One day, Ada found a robin. Ada saw the robin"
STORIES = {"text": {"file": None, "prompt": ""}, "options": {"windows": "documents"}}


@lru_cache(maxsize=1)
def encoding() -> tiktoken.Encoding:
    """Learned from a few stories."""
    return train_bpe("<|endoftext|>".join(stories(400)), 700)


def small_model(seed: int = 0, n_layer: int = 2, n_head: int = 3) -> GPT:
    """Random, with biases and gains that are, and weights large enough to prefer something."""
    rng = np.random.default_rng(seed)
    model = GPT(GPTConfig(encoding().n_vocab, 64, 24, n_head, n_layer), rng=seed)
    for name, p in model.named_parameters():
        p.data += rng.normal(0, 0.15 if name.endswith("W") else 0.1, p.shape).astype(np.float32)
    return model


@lru_cache(maxsize=1)
def small_look() -> Look:
    """Of that model: made once, and looked at by all."""
    return look(small_model(), encoding(), PROMPT, word="robin", name="small", stories=True)


def small_run(folder: Path) -> Path:
    """A run's folder, with two checkpoints that it kept and the last one, of 30 steps."""
    (folder / "kept").mkdir(parents=True)
    for step in (0, 10, 30):
        training = STORIES | {"state": {"step": step}}
        path = folder if step == 30 else folder / "kept" / f"step-{step:07}.npz"
        save_run(path, small_model(30 - step), encoding(), training)
    return folder
