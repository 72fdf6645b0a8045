"""Where windows begin, against a walk through the documents one by one."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import example, given, settings

from numpygpt.text.tokenizer import END_OF_TEXT, byte_encoding, encode_text
from numpygpt.training.windows import (
    DOCUMENTS,
    RANDOM,
    cut,
    document_starts,
    marked,
    prompt_ids,
    shuffled,
)

MARK = 256


def walk(documents: list[str], T: int) -> list[tuple[int, str]]:
    """(where it begins in the ring, what of its document it predicts) of each window."""
    windows, begin = [], 0
    for document in documents:
        to_predict, at = document + "!", 0  # the end is predicted, too
        while at < len(to_predict):
            windows.append((begin + at, to_predict[at : at + T]))
            at += T
        begin += len(to_predict)
    return windows


@given(
    documents=st.lists(st.text("abc", max_size=12), min_size=1, max_size=9),
    first=st.booleans(),
    last=st.booleans(),
    T=st.integers(1, 9),
)
@example(documents=[""], first=False, last=False, T=3)
@example(documents=["abcabc"], first=False, last=False, T=3)
@example(documents=["ab", "", "abcabcabcabc"], first=True, last=True, T=3)
@settings(deadline=None)
def test_starts_are_a_walks(documents: list[str], first: bool, last: bool, T: int) -> None:
    text = END_OF_TEXT.join(documents)
    # An empty document at either end has a mark there already, and is none.
    text = END_OF_TEXT * (first or not documents[0]) + text
    text += END_OF_TEXT * (last or not documents[-1])
    tokens = encode_text(byte_encoding(), marked(text))
    ring = [token for document in documents for token in [MARK, *document.encode()]]
    if not any(documents):
        ring = tokens.tolist()  # nothing but marks
        documents = [""] * len(ring)
    assert tokens.tolist() == ring
    starts = document_starts(tokens, MARK, T)
    windows = walk(documents, T)
    assert starts.tolist() == [start for start, _ in windows]
    # Each predicts what the walk says, up to where the next one begins: all of the text, once.
    counts = np.diff(starts, append=len(ring))
    assert counts.tolist() == [len(predicted) for _, predicted in windows]
    inputs, targets = cut(tokens, starts, T)
    again = ring * (T + 1)
    for row, target, (start, predicted) in zip(inputs, targets, windows, strict=True):
        assert row.tolist() == again[start : start + T]
        assert target.tolist() == again[start + 1 : start + T + 1]
        ids = [MARK if c == "!" else ord(c) for c in predicted]
        assert target[: len(ids)].tolist() == ids


def test_the_last_document_goes_on_into_the_first() -> None:
    tokens = encode_text(byte_encoding(), marked(f"ab{END_OF_TEXT}cdefgh{END_OF_TEXT}"))
    inputs, targets = cut(tokens, document_starts(tokens, MARK, 4), 4)
    assert inputs.tolist() == [[MARK, *b"ab", MARK], [MARK, *b"cde"], [*b"fgh", MARK]]
    assert targets.tolist() == [[*b"ab", MARK, ord("c")], [*b"cdef"], [*b"gh", MARK, ord("a")]]


def test_a_million_documents_take_no_loop() -> None:
    tokens = np.zeros(9_000_000, np.uint16)
    tokens[::9] = MARK
    starts = document_starts(tokens, MARK, 8)
    assert len(starts) == 2_000_000 and starts.dtype == np.int64
    assert (starts.reshape(-1, 2) - 9 * np.arange(1_000_000)[:, None] == [0, 8]).all()


@pytest.mark.parametrize(
    ("prompt", "windows", "ids"),
    [
        ("ab", RANDOM, [*b"ab"]),
        ("ab", DOCUMENTS, [MARK, *b"ab"]),
        ("", RANDOM, [MARK]),
        ("", DOCUMENTS, [MARK]),
        (END_OF_TEXT, DOCUMENTS, [MARK]),
        (f"{END_OF_TEXT}ab", DOCUMENTS, [MARK, *b"ab"]),
        (f"a{END_OF_TEXT}b", DOCUMENTS, [MARK, ord("a"), MARK, ord("b")]),
    ],
)
def test_a_prompt_begins_as_what_was_learned(prompt: str, windows: str, ids: list[int]) -> None:
    assert prompt_ids(byte_encoding(), prompt, windows).tolist() == ids


@given(st.integers(1, 9), st.integers(0, 3), st.integers(0, 40), st.integers(1, 30))
def test_a_part_of_an_endless_row(n: int, seed: int, first: int, count: int) -> None:
    row = np.concatenate([shuffled(n, seed, n * i, n) for i in range(1 + (first + count) // n)])
    assert all(sorted(row[i : i + n]) == list(range(n)) for i in range(0, len(row), n))
    assert shuffled(n, seed, first, count).tolist() == row[first : first + count].tolist()
