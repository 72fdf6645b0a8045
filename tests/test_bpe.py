"""The byte-pair trainer: the merges of the literal algorithm, at any text, at a speed."""

import re
import time
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from numpygpt.text.bpe import (
    END_OF_TEXT,
    LEARN_FROM_BYTES,
    SPLIT_PATTERN,
    encoding_of,
    train_bpe,
    utf8,
)
from numpygpt.text.tokenizer import encode_text

any_text = st.text(st.characters(exclude_categories=["Cs"]))  # all of Unicode but surrogates
few_letters = st.text("ab c.é", max_size=60)  # many pairs repeat, and tie


def literal_merges(text: str, n_merges: int) -> list[bytes]:
    """Algorithm 1 of Sennrich et al. 2016 word for word: every step counts the whole text again."""
    words = [[bytes([b]) for b in w.encode()] for w in re.findall(SPLIT_PATTERN, text)]
    merges: list[bytes] = []
    while len(merges) < n_merges:
        pairs = Counter(a + b for word in words for a, b in pairwise(word))
        frequent = {pair: n for pair, n in pairs.items() if n >= 2}
        if not frequent:
            break
        best = min(frequent, key=lambda pair: (-frequent[pair], pair))
        if best not in merges:
            merges.append(best)
        for word in words:
            i = 0
            while i + 1 < len(word):
                if word[i] + word[i + 1] == best:
                    word[i : i + 2] = [best]
                i += 1
    return merges


def merges_of(text: str, vocab_size: int) -> list[bytes]:
    encoding = train_bpe(text, vocab_size)
    return [encoding.decode_single_token_bytes(i) for i in range(256, encoding.n_vocab - 1)]


@settings(deadline=None, max_examples=60)
@given(text=few_letters | any_text, n_merges=st.integers(0, 40))
@example(text="aaaaa aaaa aaa", n_merges=9)  # overlapping pairs
@example(text="abcabc abab bcbc ab abc", n_merges=9)  # "a"+"bc" and "ab"+"c" are one token
def test_merges_are_those_of_the_literal_algorithm(text: str, n_merges: int) -> None:
    expected = literal_merges(text.replace(END_OF_TEXT, ""), n_merges)
    assert merges_of(text, 257 + n_merges) == expected


def test_a_merge_by_hand() -> None:
    """Sennrich et al.'s own example; ties go to the pair that comes first in the order of bytes."""
    text = "low " * 5 + "lower " * 2 + "newest " * 6 + "widest " * 3
    # e+s, then es+t, in nine words; l+o in seven, then lo+w; then n+e and its neighbours in six.
    assert merges_of(text, 257 + 4) == [b"es", b"est", b"lo", b"low"]


@pytest.mark.parametrize("size", [257, 258, 300, 400])
def test_the_vocabulary_has_exactly_the_size_asked_for(size: int) -> None:
    rng = np.random.default_rng(0)
    text = " ".join("".join(rng.choice(list("abcdef"), 5)) for _ in range(2000))
    encoding = train_bpe(text, size)
    assert encoding.n_vocab == size
    assert encoding.eot_token == size - 1
    assert encoding.decode([size - 1]) == END_OF_TEXT
    tokens = {encoding.decode_single_token_bytes(i) for i in range(size)}
    assert len(tokens) == size and {bytes([b]) for b in range(256)} < tokens


@pytest.mark.parametrize(
    ("text", "size"),
    [("", 257), ("a", 257), ("\0", 257), ("abc", 257), ("aa bb", 257), ("ab ab", 258)],
)
def test_a_tiny_text_gives_what_it_has(text: str, size: int) -> None:
    encoding = train_bpe(text, 1000)
    assert encoding.n_vocab == size
    assert encoding.decode(encode_text(encoding, text).tolist()) == text


LEARNED = train_bpe(
    "the cat sat on the mat, the end.\n\n  Ελλάδα 日本語 日本 \u0301e\u0301 😀😀 123 123", 400
)

odd_text = st.lists(
    any_text
    | st.text(" \t\n\r\v\f\x1c\x85\xa0\u2003\u2028\u3000\ufeff\u200b", max_size=40)
    | st.sampled_from(
        ["the cat", "\0", "👩‍👩‍👧", "e\u0301\u0302", "'LL'll", "__init__", "\r\n", "x" * 99]
    ),
    max_size=8,
).map("".join)


@settings(deadline=None, max_examples=300)
@given(odd_text)
@example("\0" * 100 + " " * 100 + "_" * 100)
@example("a" * 31 + "ʰ" * 40 + "①" * 40 + "्" * 40)  # letters, digits and marks by one book or other
@example("\x1c\x1d\x1e\x1f\x85\u180e")  # white space to Python, or to the Unicode of another year
def test_any_text_comes_back(text: str) -> None:
    ids = encode_text(LEARNED, text)
    assert LEARNED.decode(ids.tolist()) == text
    assert b"".join(LEARNED.decode_tokens_bytes(ids.tolist())) == text.encode()


def test_every_single_character_comes_back() -> None:
    """All of Unicode, each character between two words: the pattern drops none."""
    characters = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    text = "a ".join(characters)
    assert LEARNED.decode(LEARNED.encode_ordinary(text)) == text
    text = "".join(characters)
    assert LEARNED.decode(LEARNED.encode_ordinary(text)) == text


def test_learning_and_encoding_agree_on_words() -> None:
    """What was merged as a whole word is one token when it is met again, with its space."""
    encoding = train_bpe("once upon a time " * 50, 400)
    assert len(encode_text(encoding, "once upon a time once")) == 5


def test_a_megabyte_is_learned_in_seconds() -> None:
    rng = np.random.default_rng(0)
    letters = np.array(list("etaoinshrdlu"))
    words = np.array(["".join(rng.choice(letters, n)) for n in rng.integers(1, 10, 20_000)])
    ranks = np.minimum(rng.zipf(1.3, 250_000), 20_000) - 1
    text = " ".join(words[ranks])[:1_000_000]
    start = time.perf_counter()
    encoding = train_bpe(text, 1024)
    ids = encode_text(encoding, text)
    assert time.perf_counter() - start < 15  # about 1 s; recounting everything would take minutes
    assert encoding.n_vocab == 1024 and len(ids) < 500_000


@pytest.mark.parametrize("character", ["a", " ", ".", "\n", "é", "0", "a."])
def test_text_without_breaks_is_not_quadratic(character: str) -> None:
    text = character * 200_000
    start = time.perf_counter()
    encoding = train_bpe(text, 300)
    assert encoding.decode(encode_text(encoding, text).tolist()) == text
    assert time.perf_counter() - start < 5


def test_only_the_first_part_of_a_long_text_is_read() -> None:
    head = "é" * (LEARN_FROM_BYTES // 2)  # two bytes each
    assert merges_of(head + "xyxyxyxy " * 1000, 600) == merges_of(head, 600)
    cut = merges_of("a" + head, 600)  # inside a character
    assert cut[:5] == merges_of(head, 600)[:5] == ["é".encode() * 2**i for i in range(5)]


def test_end_of_text_is_not_learned_from() -> None:
    text = f"ab ab{END_OF_TEXT}" * 500
    assert merges_of(text, 1000) == [b"ab", b" ab"]


def test_the_same_text_gives_the_same_encoding() -> None:
    text = "she sells sea shells by the sea shore " * 5
    assert merges_of(text, 300) == merges_of(text, 300)
    assert merges_of(text, 280) == merges_of(text, 300)[: 280 - 257]


@pytest.mark.parametrize(
    ("size", "error"),
    [(256, ValueError), (0, ValueError), (-5, ValueError), (300.0, TypeError), (True, TypeError)],
)
def test_bad_sizes(size: int, error: type[Exception]) -> None:
    with pytest.raises(error, match=rf"vocab_size must be .*not {re.escape(repr(size))}"):
        train_bpe("some text", size)


def test_a_lone_surrogate_is_named_with_its_place() -> None:
    with pytest.raises(ValueError, match=r"a lone surrogate, '\\ud83d', at character 2"):
        train_bpe("ab\ud83d")
    assert utf8("a\0é") == b"a\0\xc3\xa9"


def test_ids_are_in_the_order_of_the_tokens_given() -> None:
    tokens = [bytes([b]) for b in reversed(range(256))] + [b"hi"]
    encoding = encoding_of("reversed", tokens)
    assert encoding.encode_ordinary("hi!") == [256, 255 - ord("!")]
    assert encoding.eot_token == 257
