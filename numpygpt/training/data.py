"""The data: a text cut in two, and windows of tokens drawn from it.

A model reads windows of T tokens and is asked, at every one of them, for the token that follows:
`inputs = tokens[i : i + T]`, `targets = tokens[i + 1 : i + T + 1]`. One window is T exercises.
windows.py says where they begin.
"""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import tiktoken

from numpygpt.files.whole import user_path
from numpygpt.gpt import GPT
from numpygpt.layers.parameter import Array
from numpygpt.text.bpe import utf8
from numpygpt.text.stories import stories
from numpygpt.text.tokenizer import END_OF_TEXT, encode_text
from numpygpt.training.distributed import ALONE, Alone
from numpygpt.training.windows import DOCUMENTS, RANDOM, cut, document_starts, marked, shuffled

STORIES = 12_000  # stories to learn from, and to hold out


def read_text(path: str | Path) -> str:
    """A UTF-8 text file, whole."""
    try:
        text = user_path(path).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: expected UTF-8 text, got bytes that are none: {error}") from None
    if not text.strip():
        raise ValueError(f"{path}: expected a text, got an empty file")
    return text


def split_text(text: str, held_out: float = 0.1) -> tuple[str, str]:
    """The text for training and, from its end, the text held out for validation."""
    cut = int(len(text) * (1 - held_out))
    return text[:cut], text[cut:]


def opening(text: str, longest: int = 32) -> str:
    """The first whole words of the first line that begins in the text (it may begin amid one)."""
    first, *lines = text.replace(END_OF_TEXT, "\n").splitlines() or [""]
    line = next((line.strip() for line in lines if line.strip()), "")
    line = line or first.partition(" ")[2].strip() or first.strip()
    if len(line) > longest:
        line = line[: longest + 1].rpartition(" ")[0] or line[:longest]
    return line


@dataclass(frozen=True)
class Text:
    """What is learned: the text in two parts, and what to continue as a demonstration.

    `file` is where it came from, None for the built-in stories. A pipe is not there twice: a run
    that learned from one is resumed with the same text from elsewhere.
    """

    train: str
    held_out: str
    prompt: str
    file: str | None = None

    @classmethod
    def load(cls, file: str | Path | None, prompt: str | None = None) -> "Text":
        """A file's text, or the built-in stories."""
        utf8(prompt or "")  # a prompt that cannot be encoded is told now, not once training began
        if file is None:
            texts = stories(STORIES, seed=0)
            cut = STORIES * 9 // 10
            parts = ["".join(t + END_OF_TEXT for t in p) for p in (texts[:cut], texts[cut:])]
            first = " ".join(texts[-1].split()[:4])
            return cls(parts[0], parts[1], first if prompt is None else prompt)
        train, held_out = split_text(read_text(file))
        if prompt is None or not (prompt or END_OF_TEXT in train):
            # A model that never saw <|endoftext|> cannot begin with it, so it is given words.
            first = held_out.partition(END_OF_TEXT)[2]  # a document that begins there
            prompt = opening("\n" + first) or opening(held_out) or opening("\n" + train)
        path = user_path(file)
        return cls(train, held_out, prompt, str(path.resolve() if path.is_file() else path))

    def windows(self, wanted: str | None = None) -> str:
        """How windows of it begin: as wanted, or else with its documents, if it has any."""
        if END_OF_TEXT in self.train:
            return wanted or DOCUMENTS
        if wanted == DOCUMENTS:
            raise ValueError(
                f"--windows {DOCUMENTS}: expected a text to train on whose documents are separated "
                f"by {END_OF_TEXT}, got one without; leave the option out"
            )
        return RANDOM

    @cached_property
    def sha256(self) -> str:
        """A fingerprint of both parts."""
        parts = (hashlib.sha256(part.encode()).digest() for part in (self.train, self.held_out))
        return hashlib.sha256(b"".join(parts)).hexdigest()


@dataclass(frozen=True)
class Data:
    """Tokens to train on, tokens held out, and how many bytes of text the latter are.

    `starts` and `held_out_starts` are where windows begin, None for random places.
    """

    train: Array
    held_out: Array
    held_out_bytes: int
    starts: Array | None = None
    held_out_starts: Array | None = None

    @classmethod
    def encode(
        cls, encoding: tiktoken.Encoding, train_text: str, held_out_text: str, T: int | None = None
    ) -> "Data":
        """Encode both texts; with T, for windows of T tokens that begin with documents."""
        n_bytes = len(held_out_text.replace(END_OF_TEXT, "").encode())
        texts = (text if T is None else marked(text) for text in (train_text, held_out_text))
        train, held_out = (encode_text(encoding, text) for text in texts)
        if T is None:
            return cls(train, held_out, n_bytes)
        starts = (document_starts(tokens, encoding.eot_token, T) for tokens in (train, held_out))
        return cls(train, held_out, n_bytes, *starts)

    def check(self, context_length: int) -> None:
        """Raise unless both parts hold at least one window, and the one held out any text."""
        for name, tokens in (("train on", self.train), ("hold out", self.held_out)):
            if len(tokens) <= context_length:
                raise ValueError(
                    f"the text is too short: expected more than {context_length} tokens (the "
                    f"context length) to {name}, got {len(tokens)}; give more text, or a smaller "
                    "context length"
                )
        if not self.held_out_bytes:
            raise ValueError(f"expected text to hold out, got nothing but {END_OF_TEXT}")

    def batch(
        self, B: int, T: int, rng: np.random.Generator, number: int, seed: int
    ) -> tuple[Array, Array]:
        """B windows: inputs and targets, both (B, T).

        Those that begin with documents come in an order that `seed` says, each once before any
        comes again: `number` is the batch's own, from 0. Others are drawn from `rng`.
        """
        if self.starts is None:
            starts = rng.integers(0, len(self.train) - T, B)
        else:
            starts = self.starts[shuffled(len(self.starts), seed, number * B, B)]
        return cut(self.train, starts, T)

    def bits_per_byte(self, loss: float) -> float:
        """Nats a token -> bits a byte of text: what tokenizers can be compared by."""
        return loss / math.log(2) * len(self.held_out) / self.held_out_bytes


def held_out_loss(
    model: GPT,
    data: Data,
    B: int,
    max_batches: int | None = None,
    progress: Callable[[int, int], None] = lambda done, tokens: None,
    group: Alone = ALONE,
) -> float:
    """Mean loss over held-out text, in windows (all of them, or the first ones), each token once.

    With documents, every token of every document is predicted, and each one's end, from nothing
    but what the document has before it in its window. Else the windows lie side by side, and what
    is left behind the last one is not measured. `progress` is told the tokens measured so far, and
    how many there are. Of a group of processes each measures its part of the windows.
    """
    T, n = model.config.context_length, len(data.held_out)
    starts = data.held_out_starts
    if starts is None:
        starts = np.arange(0, (n - 1) // T * T, T)
    counts = np.minimum(np.diff(starts, append=n), T)  # predictions up to the next window
    if max_batches is not None:
        starts, counts = starts[: B * max_batches], counts[: B * max_batches]
    own = group.own(len(starts))
    starts, counts = starts[own], counts[own]
    view, total, done = model.view(), 0.0, 0
    for i in range(0, len(starts), B):
        count = counts[i : i + B, None]
        inputs, targets = cut(data.held_out, starts[i : i + B], int(count.max()))
        counted = np.arange(count.max()) < count
        with np.errstate(under="ignore"):
            loss = view.head.loss(view.hidden(inputs)[counted], targets[counted])
        total += loss * int(count.sum())
        done += int(count.sum())
        progress(done, int(counts.sum()))
    totals, counted_by = zip(*group.everyone((total, done)), strict=True)
    return float(sum(totals) / sum(counted_by))
