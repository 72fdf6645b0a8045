"""Words and tokens: which tokens a word is, and what a token looks like.

A byte-level vocabulary can spell everything, so no word is unknown to it; but a word may be several
tokens. In running text a word comes with the space before it, and " robin" and "robin" are two
tokens that share nothing. The rule, wherever a word is asked for:

    the token " word", if there is one; else the token "word"; else the tokens of " word"

A number in a word's place is a token's id, and stands for that token. What needs one token (a
logit, a probability) takes no word of several, and says which they are; what needs a vector takes
the mean of theirs.
"""

import operator
from collections.abc import Iterable
from typing import SupportsIndex

import tiktoken

from numpygpt.text.printable import printable
from numpygpt.text.tokenizer import encode_text


def word_ids(encoding: tiktoken.Encoding, word: str | SupportsIndex) -> list[int]:
    """The tokens of a word, by the rule above; ValueError if it is empty."""
    if not isinstance(word, str):
        return [operator.index(word)]
    if not word.strip():
        raise ValueError(f"expected a word, got {word!r}")
    spaced = word if word[0].isspace() else f" {word}"
    ways = [encode_text(encoding, text).tolist() for text in (spaced, word)]
    return min(ways, key=lambda ids: len(ids) > 1)


def token_of(encoding: tiktoken.Encoding, word: str | SupportsIndex) -> int:
    """The one token of a word; ValueError if it has several, naming them."""
    ids = word_ids(encoding, word)
    if len(ids) > 1:
        tokens = " ".join(repr(token_text(encoding, i)) for i in ids)
        raise ValueError(
            f"expected a word that is one token of this vocabulary, got {word!r}, which is "
            f"{len(ids)}: {tokens}"
        )
    return ids[0]


def token_text(encoding: tiktoken.Encoding, token: int) -> str:
    """A token as text: a part of a character becomes U+FFFD; control characters are shown.

    An id that only the model has (its vocabulary may be padded) is written as <id>.
    """
    try:
        data = encoding.decode_single_token_bytes(int(token))
    except KeyError:
        return f"<{token}>"
    return printable(data.decode(errors="replace"))


def token_texts(encoding: tiktoken.Encoding, ids: Iterable[int]) -> list[str]:
    """The same for several."""
    return [token_text(encoding, i) for i in ids]
