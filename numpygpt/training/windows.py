"""Where windows of tokens begin: at random places, or with the text's documents.

A window cut anywhere holds the end of one document and the beginning of the next. What the end
speaks of was named before the window, so a model learns there that names come from nowhere. A
window that begins with its document has all that the document says.

Documents stand in one array, each behind its mark <|endoftext|>: the token that ended the one
before it, and from which a new text is generated.

    mark a a a a mark b b mark c c c        T = 3: windows begin at 0, 3, 5, 8, 11
    0            5        8

One longer than T is read in consecutive windows. A document's last window goes on into the next
document, whose beginning the next window predicts again. The array is read as a ring: behind the
last document comes the first one, so no window reaches over an end, and no document is lost.
"""

from functools import lru_cache

import numpy as np
import tiktoken

from numpygpt.layers.parameter import Array
from numpygpt.text.tokenizer import END_OF_TEXT, encode_text

DOCUMENTS, RANDOM = WINDOWS = ("documents", "random")


def marked(text: str) -> str:
    """The text's documents, each behind its mark; the last one's end is the ring's beginning.

    A part of a text that was cut amid a document has a mark at the cut, too.
    """
    return END_OF_TEXT + text.removeprefix(END_OF_TEXT).removesuffix(END_OF_TEXT)


def document_starts(tokens: Array, mark: int, T: int) -> Array:
    """Where windows of T tokens begin in a ring of documents, in order.

    Each predicts up to the token where the next one begins, so that all together predict each
    token once; what a window predicts beyond is for training alone.
    """
    begins = np.flatnonzero(tokens == mark)
    lengths = np.diff(begins, append=begins[0] + len(tokens))
    windows = -(-lengths // T)  # of each document
    first = np.repeat(np.cumsum(windows) - windows, windows)  # its first window's number
    starts: Array = np.repeat(begins, windows) + T * (np.arange(len(first)) - first)
    return starts


@lru_cache(maxsize=2)
def _order(n: int, seed: int, pass_: int) -> Array:
    return np.random.default_rng((seed, pass_)).permutation(n)


def shuffled(n: int, seed: int, first: int, count: int) -> Array:
    """Some of an endless row: 0 to n - 1 in random order, then in another, and so on.

    Numbers drawn independently would miss a third of the windows in a pass over the text.
    """
    passes = range(first // n, (first + count - 1) // n + 1)
    row = np.concatenate([_order(n, seed, number) for number in passes])
    start = first % n
    return row[start : start + count]


def cut(tokens: Array, starts: Array, T: int) -> tuple[Array, Array]:
    """The windows at these places of the ring: inputs and targets, both (B, T)."""
    windows = tokens.take(starts[:, None] + np.arange(T + 1), mode="wrap").astype(np.int64)
    return windows[:, :-1], windows[:, 1:]


def prompt_ids(encoding: tiktoken.Encoding, prompt: str, windows: str) -> Array:
    """A prompt's ids (T,), begun as the windows that the model learned.

    One that learned documents has seen none without its mark.
    """
    if not prompt or (windows == DOCUMENTS and not prompt.startswith(END_OF_TEXT)):
        prompt = END_OF_TEXT + prompt
    return encode_text(encoding, prompt)
