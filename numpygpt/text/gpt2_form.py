"""Vocabularies as GPT-2's files write them, and as tiktoken has them.

The files give each token its id, and list the merges: which two tokens were joined first, second,
and so on. tiktoken knows only ids, and joins what makes the token of the lowest one. That is the
same where every merge makes a token of its own and ids follow the merges, which is called GPT-2's
form here; vocabularies of another form are refused. Both files write bytes as printable characters.

Reference: the released code, openai/gpt-2 `src/encoder.py`.
"""

from collections.abc import Iterable
from itertools import pairwise

import tiktoken

from numpygpt.text.bpe import END_OF_TEXT, encoding_of, utf8

# GPT-2's own way to cut words, as tiktoken writes it (possessive, so that it never backtracks).
GPT2_PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"
MAX_TOKEN_BYTES = 1_000


def _characters() -> dict[str, int]:
    """Each byte as a character: itself if that is a visible one, else one from U+0100 on."""
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [b for b in range(256) if b not in visible]
    return {chr(b): b for b in visible} | {chr(256 + i): b for i, b in enumerate(hidden)}


BYTES = _characters()
PRINTED = {byte: character for character, byte in BYTES.items()}


def printed(token: bytes) -> str:
    """A token as GPT-2's files write it."""
    return "".join(PRINTED[byte] for byte in token)


def read_merges(text: str) -> list[list[str]]:
    """The pairs in a merges.txt."""
    lines = text.splitlines()
    if lines and lines[0].startswith("#version"):
        del lines[0]
    return [line.split(" ") for line in lines if line]


def encoding_from(
    name: str,
    ids: dict[str, int],
    merges: list[list[str]],
    special: Iterable[str] = (END_OF_TEXT,),
    pattern: str = GPT2_PATTERN,
) -> tiktoken.Encoding:
    """The Encoding of a vocabulary in GPT-2's form; a ValueError says what is of another.

    Parameters
    ----------
    name : str
        The Encoding's.
    ids : dict of str to int
        Every token's id, the special ones' too.
    merges : list of [str, str]
        The pairs that were joined, in their order.
    special : iterable of str
        The tokens that no merge makes, `<|endoftext|>` among them. They stand for themselves.
    pattern : str
        How text is cut into words.
    """
    if set(map(type, ids.values())) != {int} or set(ids.values()) != set(range(len(ids))):
        raise ValueError("its ids are not 0, 1, 2, ...")
    special_ids = {token: ids[token] for token in special if token in ids}
    check_special(special_ids, len(ids) - len(special_ids))
    tokens = sorted(ids.keys() - special_ids, key=ids.__getitem__)
    made = [token for token in tokens if token not in BYTES]
    if missing := BYTES.keys() - set(tokens):
        raise ValueError(f"{len(missing)} of the 256 bytes are no tokens of it")
    if ["".join(pair) for pair in merges] != made or any(len(pair) != 2 for pair in merges):
        raise ValueError("its tokens do not follow the merges, one by one")
    if odd := [token for token in made if not BYTES.keys() >= set(token)]:
        raise ValueError(f"its token {odd[0]!r:.80} is not made of bytes")
    if max(map(len, tokens)) > MAX_TOKEN_BYTES:
        raise ValueError(f"a token is longer than {MAX_TOKEN_BYTES:,} bytes")
    coded = [bytes(BYTES[character] for character in token) for token in tokens]
    return encoding_of(name, coded, pattern, special_ids)


def check_special(special: dict[str, int], n_tokens: int) -> None:
    """Raise a ValueError unless these can be the special tokens beside as many others."""
    if END_OF_TEXT not in special:
        raise ValueError(f"its special tokens must have {END_OF_TEXT} among them")
    if set(map(type, special.values())) != {int}:
        raise ValueError("its special tokens must have whole numbers for ids")
    ids = set(special.values())
    if len(ids) < len(special) or not ids <= set(range(n_tokens + len(special))):
        raise ValueError("its special tokens must have ids that the others leave out")
    if "" in special or max(map(len, map(utf8, special))) > MAX_TOKEN_BYTES:
        raise ValueError(f"its special tokens must have 1 to {MAX_TOKEN_BYTES:,} bytes")


def merges_of(encoding: tiktoken.Encoding) -> list[list[str]]:
    """The pair that made each token: the last two that the merges before leave of its bytes."""
    ranks, last = encoding._mergeable_ranks, encoding.n_vocab
    merges = []
    for token in sorted(ranks, key=ranks.__getitem__):
        parts = [bytes([byte]) for byte in token]
        while len(parts) > 2:
            joined = [a + b for a, b in pairwise(parts)]
            best = min(range(len(joined)), key=lambda i: ranks.get(joined[i], last))
            if joined[best] not in ranks:
                raise ValueError(f"the token {token!r:.80} is made by no merges of others")
            parts[best : best + 2] = [joined[best]]
        if len(parts) == 2:
            merges.append([printed(part) for part in parts])
    return merges
