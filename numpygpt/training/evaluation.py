"""How well a model predicts a text: every token scored once, with as much before it as possible.

A window of T tokens moves over the text by `stride`. In the first window all T predictions count,
in each later one only the last `stride`: those see at least T - stride tokens before them. A small
stride gives each token more context and costs more: about T / stride times the text.

The text begins with <|endoftext|>, so that its first token is predicted from something as well.

    perplexity = exp(nats a token)      bits a byte = nats in all / ln 2 / bytes of the text

Tokens differ between tokenizers; bits a byte can be compared.
"""

import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import tiktoken

from numpygpt.gpt import GPT
from numpygpt.layers.parameter import Array
from numpygpt.text.tokenizer import END_OF_TEXT, encode_text
from numpygpt.training.progress import LiveLine

BATCH_TOKENS = 2048  # windows run together up to so many tokens


@dataclass(frozen=True)
class Score:
    """Nats in all over so many tokens, and the bytes that they are."""

    nats: float
    tokens: int
    n_bytes: int

    @property
    def loss(self) -> float:
        """Nats a token."""
        return self.nats / self.tokens

    @property
    def perplexity(self) -> float:
        """As if the model chose among so many equally probable tokens."""
        return float(np.exp(self.loss))

    @property
    def bits_per_byte(self) -> float:
        """Bits a byte of text: what it would be compressed to."""
        return self.nats / math.log(2) / self.n_bytes


def evaluate(
    model: GPT,
    encoding: tiktoken.Encoding,
    text: str,
    stride: int | None = None,
    progress: Callable[[int, int], None] = lambda done, tokens: None,
) -> Score:
    """Score a text.

    Parameters
    ----------
    model : GPT
        Used in eval mode, and left in the mode it was in.
    encoding : tiktoken.Encoding
        The model's.
    text : str
        Any length from one character.
    stride : int, optional
        1 to T, the model's context length; T // 2 (at least 1) if not given.
    progress : callable, optional
        Told the tokens scored so far, and how many there are.
    """
    T = model.config.context_length
    stride = max(1, T // 2) if stride is None else stride
    if not 1 <= stride <= T:
        raise ValueError(f"evaluate: expected a stride of 1 to {T}, the context, got {stride}")
    n_bytes = len(text.replace(END_OF_TEXT, "").encode())
    if not n_bytes:
        raise ValueError("evaluate: expected a text, got an empty one")
    ids = encode_text(encoding, END_OF_TEXT + text).astype(np.int64)
    nats = 0.0
    done = 0
    view = model.view()
    for scored, starts in batches(len(ids) - 1, T, stride):
        nats += batch_loss(view, ids, starts, scored) * scored * len(starts)
        done += scored * len(starts)
        progress(done, len(ids) - 1)
    return Score(nats, len(ids) - 1, n_bytes)


def windows(n: int, T: int, stride: int) -> Iterator[tuple[int, int]]:
    """(start, how many of its last predictions count) of each window over n predictions."""
    yield 0, min(T, n)
    done = T
    while done < n:
        scored = min(stride, n - done)
        done += scored
        yield done - T, scored


def batches(n: int, T: int, stride: int) -> Iterator[tuple[int, list[int]]]:
    """(how many predictions count in each, the starts) of windows that run together."""
    B = max(1, BATCH_TOKENS // T)
    for scored, group in groupby(windows(n, T, stride), key=lambda window: window[1]):
        starts = [start for start, _ in group]
        for i in range(0, len(starts), B):
            yield scored, starts[i : i + B]


def batch_loss(model: GPT, ids: Array, starts: list[int], scored: int) -> float:
    """Mean loss of the last `scored` predictions of each window."""
    T = min(model.config.context_length, len(ids) - 1)
    rows = ids[np.array(starts)[:, None] + np.arange(T + 1)]  # (B, T + 1)
    x = model.hidden(rows[:, :-1])
    return model.head.loss(np.ascontiguousarray(x[:, -scored:]), rows[:, -scored:])


def report(model: GPT, encoding: tiktoken.Encoding, text: str, stride: int | None = None) -> None:
    """Score a text and print the result; how far it is goes to stderr meanwhile."""
    start = time.perf_counter()
    line = LiveLine(sys.stderr)
    try:
        score = evaluate(model, encoding, text, stride, line.counter("tokens"))
    finally:
        line.clear()
    print(
        f"{score.loss:.4f} nats a token, perplexity {score.perplexity:.2f}, "
        f"{score.bits_per_byte:.4f} bits a byte; {score.tokens:,} tokens, {score.n_bytes:,} bytes, "
        f"{time.perf_counter() - start:.1f} s"
    )
