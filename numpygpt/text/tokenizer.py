"""Tokenizers: text to ids and back, all of them tiktoken Encodings.

Three kinds share one interface, so that the rest of the program need not know which it has:

    bytes       256 bytes and `<|endoftext|>`: nothing to learn, long sequences
    bpe:SIZE    SIZE tokens learned from the text at hand (see bpe.py): right for a small model,
                whose embedding table would otherwise outweigh its blocks
    gpt2        GPT-2's own 50,257, needed for its weights and for comparison with them

All are *byte-level*: any text can be written, and every list of ids has bytes. But a token may hold
a part of a character, so ids that come one by one must not be decoded one by one; see
`StreamDecoder`.
"""

import codecs
import json
import operator
import re
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import tiktoken

from numpygpt.text.bpe import END_OF_TEXT, encoding_of, train_bpe, utf8
from numpygpt.text.gpt2_files import have_files
from numpygpt.text.gpt2_form import encoding_from, read_merges

__all__ = [
    "END_OF_TEXT",
    "StreamDecoder",
    "byte_encoding",
    "encode_text",
    "gpt2_encoding",
    "make_tokenizer",
]

# White space as tiktoken's engine knows it (Python's \s has four characters more).
SPACE = r"[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
LONG = 1000
LONG_SPACE = re.compile(f"(?<!{SPACE}){SPACE}{{{LONG},}}")


def byte_encoding() -> tiktoken.Encoding:
    """The encoding whose tokens are the 256 bytes, each its own id, and `<|endoftext|>` = 256."""
    return encoding_of("numpygpt-bytes", [bytes([b]) for b in range(256)])


def gpt2_encoding(seconds: float = 60.0) -> tiktoken.Encoding:
    """GPT-2's encoding, 50,257 tokens; its files are fetched once if they are not here.

    Parameters
    ----------
    seconds : float
        The longest that one of its two files may take to come.

    Raises
    ------
    OSError
        If they are neither in tiktoken's cache folder nor to be had; gpt2_files.py says more.
    """
    return _gpt2_encoding(*have_files(seconds=seconds))


@lru_cache(maxsize=1)
def _gpt2_encoding(merges: bytes, ids: bytes) -> tiktoken.Encoding:
    return encoding_from("gpt2", json.loads(ids), read_merges(merges.decode()))


def make_tokenizer(kind: str, text: str) -> tiktoken.Encoding:
    """The encoding of a kind: "bytes", "bpe" or "bpe:SIZE" (learned from the text), or "gpt2"."""
    if kind == "bytes":
        return byte_encoding()
    if kind == "gpt2":
        return gpt2_encoding()
    if kind == "bpe":
        return train_bpe(text)
    name, _, size = kind.partition(":")
    if name == "bpe" and size.isascii() and size.isdigit() and len(size) < 10:
        return train_bpe(text, int(size))
    raise ValueError(
        f'no tokenizer {kind!r}; choose "bytes", "bpe", "bpe:SIZE" such as "bpe:1024", or "gpt2"'
    )


def encode_text(encoding: tiktoken.Encoding, text: str) -> npt.NDArray[np.uint16 | np.uint32]:
    """The text's token ids; `<|endoftext|>` in it, or another special token, becomes that token.

    Parameters
    ----------
    encoding : tiktoken.Encoding
        Any that this module makes.
    text : str
        Any length.

    Returns
    -------
    ids : ndarray (number of tokens,)
        uint16 if the vocabulary has at most 65,536 tokens, else uint32: a corpus of ids stays half
        the size.

    Raises
    ------
    ValueError
        If the text has a lone surrogate.
    """
    utf8(text)  # tiktoken would quietly put a question mark in a surrogate's place
    special = encoding._special_tokens
    longest_first = sorted(special, key=len, reverse=True)
    ids: list[int] = []
    for part in re.split(f"({'|'.join(map(re.escape, longest_first))})", text):
        if part in special:
            ids.append(special[part])
            continue
        for piece in _pieces(part):
            ids += _encode(encoding, piece)
    return np.array(ids, dtype=np.uint16 if encoding.n_vocab <= 65_536 else np.uint32)


def _pieces(text: str) -> Iterator[str]:
    """The text, cut around long white space, where both patterns cut it too.

    The engine looks for the end of white space by trying, and a million characters are too many
    for it. A run of white space begins a piece, and leaves its last character to what follows it.
    """
    half = LONG // 2  # of a long run, one of these blocks is all white: quicker than to search all
    if not any(text[i : i + half].isspace() for i in range(0, len(text), half)):
        yield text
        return
    start = 0
    for run in LONG_SPACE.finditer(text):
        end = run.end() if run.end() == len(text) else run.end() - 1
        yield text[start : run.start()]
        yield text[run.start() : end]
        start = end
    yield text[start:]


def _encode(encoding: tiktoken.Encoding, text: str) -> list[int]:
    try:
        return encoding.encode_ordinary(text)
    except BaseException as error:  # what Rust's panics become is no Exception
        if type(error).__name__ != "PanicException":
            raise
        raise ValueError(
            f"tiktoken failed on a text of {len(text):,} characters, {text[:20]!r}...: {error}"
        ) from None


class StreamDecoder:
    """Text from ids that come one by one, never a part of a character.

    Parameters
    ----------
    encoding : tiktoken.Encoding
        What made the ids.
    """

    def __init__(self, encoding: tiktoken.Encoding) -> None:
        self.encoding = encoding
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def feed(self, token_id: int) -> str:
        """Take one id and return the text that is complete by now, perhaps none."""
        try:
            data = self.encoding.decode_single_token_bytes(operator.index(token_id))
        except (KeyError, OverflowError):
            raise ValueError(
                f"no token {token_id} in the encoding {self.encoding.name!r}: "
                f"ids are 0 to {self.encoding.n_vocab - 1}"
            ) from None
        return self._decoder.decode(data)

    def flush(self) -> str:
        """End the stream: a character still unfinished comes as U+FFFD."""
        rest = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        return rest
