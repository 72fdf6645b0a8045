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

import base64
import codecs
import json
import operator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tiktoken

from numpygpt.files.whole import CheckpointError, write_whole
from numpygpt.text.bpe import END_OF_TEXT, SPLIT_PATTERN, encoding_of, train_bpe, utf8
from numpygpt.text.gpt2_files import have_files

__all__ = [
    "END_OF_TEXT",
    "StreamDecoder",
    "byte_encoding",
    "encode_text",
    "encoding_from_json",
    "encoding_to_json",
    "gpt2_encoding",
    "load_encoding",
    "make_tokenizer",
    "save_encoding",
]

# GPT-2's own way to cut words, as tiktoken writes it (possessive, so that it never backtracks).
GPT2_PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"
MAX_FILE_BYTES = 64_000_000
MAX_TOKEN_BYTES = 1_000


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
        If they are neither in tiktoken's cache folder nor to be had.
    """
    have_files(seconds=seconds)
    return tiktoken.get_encoding("gpt2")


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
    """The text's token ids; `<|endoftext|>` in it becomes the one special token.

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
    ids: list[int] = []
    for i, document in enumerate(text.split(END_OF_TEXT)):
        if i > 0:
            ids.append(encoding.eot_token)
        ids += encoding.encode_ordinary(document)
    return np.array(ids, dtype=np.uint16 if encoding.n_vocab <= 65_536 else np.uint32)


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


def save_encoding(encoding: tiktoken.Encoding, path: str | Path) -> None:
    """Write the encoding as a JSON file that `load_encoding` reads."""
    write_whole(Path(path), encoding_to_json(encoding, str(path)))


def load_encoding(path: str | Path) -> tiktoken.Encoding:
    """Read an encoding that `save_encoding` wrote.

    Raises
    ------
    OSError
        If the file cannot be read.
    CheckpointError
        If it is not such a file; the message names it and says why.
    """
    with open(path, "rb") as file:
        return encoding_from_json(file.read(MAX_FILE_BYTES + 1), str(path))


@lru_cache(maxsize=1)  # a training saves the same one again and again
def encoding_to_json(encoding: tiktoken.Encoding, target: str) -> bytes:
    """The encoding as JSON that `encoding_from_json` reads; `target`, as in its errors."""
    # tiktoken keeps what it was made from in these attributes and has no public way to them.
    ranks = sorted(encoding._mergeable_ranks, key=encoding._mergeable_ranks.__getitem__)
    document = {
        "name": encoding.name,
        "pattern": encoding._pat_str,
        "special_tokens": encoding._special_tokens,
        "ranks": [base64.b64encode(token).decode() for token in ranks],
    }
    _encoding_from(document, target)  # what could not be loaded is not written
    return (json.dumps(document, indent=0) + "\n").encode()


def encoding_from_json(data: bytes, source: str) -> tiktoken.Encoding:
    """The encoding from its JSON; `source` is named by the CheckpointError if it is none."""
    if len(data) > MAX_FILE_BYTES:
        raise CheckpointError(
            f"{source} is no tokenizer file: longer than {MAX_FILE_BYTES:,} bytes"
        )
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{source} is no tokenizer file: not JSON ({error})") from None
    return _encoding_from(document, source)


def _encoding_from(document: Any, source: str) -> tiktoken.Encoding:
    """Build the encoding, all checked first: tiktoken answers a bad rank with a panic."""
    try:
        if not isinstance(document, dict):
            raise ValueError("not a JSON object")
        name, pattern = document.get("name"), document.get("pattern")
        if not isinstance(name, str) or len(name) > 100:
            raise ValueError("its name must be a string of at most 100 characters")
        if pattern not in (SPLIT_PATTERN, GPT2_PATTERN):
            raise ValueError("its pattern must be numpygpt's or GPT-2's, which lose no text")
        tokens = _tokens_from(document.get("ranks"))
        special = document.get("special_tokens")
        if special != {END_OF_TEXT: len(tokens)} or type(special[END_OF_TEXT]) is not int:
            raise ValueError(f"its special tokens must be {END_OF_TEXT} alone, after the last rank")
    except ValueError as error:
        raise CheckpointError(f"{source} is no tokenizer file: {error}") from None
    return encoding_of(name, tokens, pattern)


def _tokens_from(ranks: Any) -> list[bytes]:
    """The tokens from their base64, in order of rank."""
    if not isinstance(ranks, list) or not all(isinstance(rank, str) for rank in ranks):
        raise ValueError("its ranks must be a list of base64 strings")
    tokens = [base64.b64decode(rank, validate=True) for rank in ranks]
    if not all(0 < len(token) <= MAX_TOKEN_BYTES for token in tokens):
        raise ValueError(f"its tokens must have 1 to {MAX_TOKEN_BYTES:,} bytes")
    distinct = set(tokens)
    if len(distinct) < len(tokens):
        raise ValueError("a token is there twice")
    if missing := [b for b in range(256) if bytes([b]) not in distinct]:
        raise ValueError(f"{len(missing)} of the 256 bytes are missing, the first is {missing[0]}")
    return tokens
