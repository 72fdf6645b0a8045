"""A tokenizer as JSON: what a run's checkpoint keeps of it, checked before it is used."""

import base64
import json
from functools import lru_cache
from typing import Any

import tiktoken

from numpygpt.files.whole import CheckpointError
from numpygpt.text.bpe import SPLIT_PATTERN, encoding_of
from numpygpt.text.gpt2_form import GPT2_PATTERN, MAX_TOKEN_BYTES, check_special

MAX_FILE_BYTES = 64_000_000


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
        tokens, special = _tokens_from(document.get("ranks")), document.get("special_tokens")
        if not isinstance(special, dict):
            raise ValueError("its special tokens must be an object")
        check_special(special, len(tokens))
    except ValueError as error:
        raise CheckpointError(f"{source} is no tokenizer file: {error}") from None
    return encoding_of(name, tokens, pattern, special)


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
