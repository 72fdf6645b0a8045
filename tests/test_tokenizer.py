"""Tokenizers: ids and back, whole characters in a stream, and files that are something else."""

import hashlib
import json
import os
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tiktoken
from hypothesis import example, given, settings
from hypothesis import strategies as st

from numpygpt.text.bpe import encoding_of
from numpygpt.text.encoding_json import MAX_FILE_BYTES, encoding_from_json, encoding_to_json
from numpygpt.text.gpt2_files import FILES
from numpygpt.text.gpt2_form import GPT2_PATTERN
from numpygpt.text.tokenizer import (
    END_OF_TEXT,
    StreamDecoder,
    byte_encoding,
    encode_text,
    gpt2_encoding,
    make_tokenizer,
)

CORPUS = "the cat sat on the mat, the end.\n\n  Ελλάδα 日本語 日本 e\u0301e\u0301 😀😀 123 123 " * 2
BPE = make_tokenizer("bpe:300", CORPUS)
BYTES = byte_encoding()
any_text = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("the cat😀日é\0"))


CACHE = os.environ.get("TIKTOKEN_CACHE_DIR", "")
needs_gpt2 = pytest.mark.skipif(
    not all(os.path.exists(f"{CACHE}/{hashlib.sha1(url.encode()).hexdigest()}") for url in FILES),
    reason="GPT-2's vocabulary is not here: TIKTOKEN_CACHE_DIR names no folder with its files",
)


# -- text to ids and back -------------------------------------------------------------------------


def test_bytes_are_their_own_ids() -> None:
    encoding = byte_encoding()
    assert encoding.n_vocab == 257 and encoding.eot_token == 256
    text = "aé😀\0"
    assert encode_text(encoding, text).tolist() == list(text.encode())
    assert encode_text(encoding, f"a{END_OF_TEXT}b").tolist() == [97, 256, 98]


@pytest.mark.parametrize("encoding", [BYTES, BPE], ids=["bytes", "bpe"])
@settings(deadline=None, max_examples=100)
@given(parts=st.lists(any_text, min_size=1, max_size=4))
def test_documents_come_back(encoding: tiktoken.Encoding, parts: list[str]) -> None:
    text = END_OF_TEXT.join(parts)
    ids = encode_text(encoding, text)
    assert ids.dtype == np.uint16 and ids.ndim == 1
    assert encoding.decode(ids.tolist()) == text
    assert (ids == encoding.eot_token).sum() == len(parts) - 1


def test_kinds() -> None:
    assert make_tokenizer("bytes", CORPUS).name == "numpygpt-bytes"
    assert make_tokenizer("bpe:270", CORPUS).n_vocab == 270
    assert make_tokenizer("bpe", "".join(map(chr, range(0x4E00, 0x5400))) * 2).n_vocab == 1280


@pytest.mark.parametrize(
    "kind", ["", "words", "BPE", "bpe:", "bpe:-1", "bpe:1e3", "bpe:٣٠٠", "bpe:9999999999", "gpt3"]
)
def test_unknown_kinds_are_told_the_known(kind: str) -> None:
    with pytest.raises(ValueError, match=rf'no tokenizer {re.escape(repr(kind))}; .*"gpt2"'):
        make_tokenizer(kind, CORPUS)


def test_a_vocabulary_too_small_is_told_the_smallest() -> None:
    with pytest.raises(ValueError, match="at least 257"):
        make_tokenizer("bpe:256", CORPUS)


def test_a_lone_surrogate_is_not_encoded_as_a_question_mark() -> None:
    with pytest.raises(ValueError, match="lone surrogate"):
        encode_text(BPE, "a\udc80")


@needs_gpt2
@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("Hello, I am", [15496, 11, 314, 716]),
        ("Every effort moves you", [6109, 3626, 6100, 345]),
        ("Every day holds a", [6109, 1110, 6622, 257]),
        (f"Hello, I am{END_OF_TEXT}", [15496, 11, 314, 716, 50256]),
    ],
)
def test_gpt2_ids(text: str, ids: list[int]) -> None:
    encoding = make_tokenizer("gpt2", "")
    assert encoding.n_vocab == 50_257
    assert encode_text(encoding, text).tolist() == ids
    assert encoding.decode(ids) == text


@needs_gpt2
def test_gpt2_ids_that_no_text_has() -> None:
    """A model need not choose the ids that encoding its text would give."""
    ids = [27018, 24086, 47843, 30961, 42348, 7267]
    assert gpt2_encoding().decode(ids) == " Featureiman Byeswickattribute argue"


@needs_gpt2
def test_gpt2_and_the_pattern_that_is_saved_agree() -> None:
    loaded = encoding_from_json(encoding_to_json(gpt2_encoding(), "x"), "x")
    text = CORPUS + "I'm you'll THEY'RE  3.14 \t\n x²\u3000\u200b"
    assert loaded.encode_ordinary(text) == gpt2_encoding().encode_ordinary(text)
    assert loaded.n_vocab == 50_257 and loaded.eot_token == 50_256


# -- long runs ------------------------------------------------------------------------------------

LIKE_GPT2 = encoding_of(  # its pattern, and some white space that is joined
    "like gpt2",
    [*(bytes([b]) for b in range(256)), b"  ", b"    ", b"\n\n", b" x", b"\xe3\x80", b"ab", b"a "],
    GPT2_PATTERN,
)
SPACES = " \t\n\r\v\f\x85\xa0\u1680\u2003\u2028\u2029\u202f\u205f\u3000"
BOTH = pytest.mark.parametrize("encoding", [LIKE_GPT2, BPE], ids=["gpt2's", "ours"])


@BOTH
@settings(deadline=None, max_examples=60)
@given(
    parts=st.lists(
        st.tuples(st.sampled_from(SPACES), st.sampled_from([1, 2, 998, 999, 1000, 1001, 3001]))
        | st.tuples(
            st.sampled_from(["x", "ab", "'s", "7", ".", "é", "_", "\x1c", "\x1f"]), st.just(1)
        ),
        max_size=7,
    )
)
@example(parts=[(" ", 1000)])
@example(parts=[(" ", 1000), ("x", 1)])
@example(parts=[("x", 1), ("\n", 1500), (" ", 1)])
def test_long_white_space_is_cut_where_the_pattern_cuts_it(
    encoding: tiktoken.Encoding, parts: list[tuple[str, int]]
) -> None:
    text = "".join(piece * times for piece, times in parts)
    assert encode_text(encoding, text).tolist() == encoding.encode_ordinary(text)


@BOTH
@pytest.mark.parametrize("space", [" ", "\n", "\t", "\u3000", " \n"])
def test_white_space_that_is_too_long_for_the_engine(
    encoding: tiktoken.Encoding, space: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Two million characters before a word: a panic, where the pattern is GPT-2's."""
    text = "ab" + space * (2_000_000 // len(space)) + "x"
    ids = encode_text(encoding, text).tolist()
    assert encoding.decode(ids) == text
    last = " x" if space == " " else space[-1] + "x"  # a word takes one space, nothing else
    assert ids[-len(encoding.encode_ordinary(last)) :] == encoding.encode_ordinary(last)
    middle = encoding.encode_ordinary("ab" + space * 999 + "x")
    assert ids[:50] == middle[:50]
    assert "panicked" not in capfd.readouterr().err


@needs_gpt2
def test_the_two_million_spaces_that_ended_in_a_traceback() -> None:
    ids = encode_text(gpt2_encoding(), " " * 2_000_000 + "x")
    assert len(ids) == 2_000_000 and ids[:-1].tolist() == [220] * 1_999_999
    assert ids[-1] == gpt2_encoding().encode_ordinary(" x")[0]


@BOTH
@pytest.mark.parametrize("character", ["a", "ab", "7", ".", "é", "日", "_"])
def test_other_long_runs(encoding: tiktoken.Encoding, character: str) -> None:
    text = character * 300_000
    assert encoding.decode(encode_text(encoding, text).tolist()) == text


def test_what_still_fails_in_the_engine_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class PanicException(BaseException):
        """As tiktoken raises it: no Exception."""

    for error, caught in ((PanicException, ValueError), (KeyboardInterrupt, KeyboardInterrupt)):

        def fail(self: object, text: str, error: type[BaseException] = error) -> None:
            raise error("the stack is full")

        monkeypatch.setattr(tiktoken.Encoding, "encode_ordinary", fail)
        with pytest.raises(caught, match="the stack is full") as raised:
            encode_text(BYTES, "some text")
        if caught is ValueError:
            assert "tiktoken failed on a text of 9 characters, 'some text'" in str(raised.value)


def test_a_vocabularys_own_special_tokens_are_found_longest_first() -> None:
    ids = encode_text(SPECIAL, f"<|a|>b<|a|>{END_OF_TEXT}<|a")
    assert ids[:3].tolist() == [258, 7, 0]
    assert SPECIAL.decode(ids.tolist()) == f"<|a|>b<|a|>{END_OF_TEXT}<|a"


# -- ids one by one -------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", [BYTES, BPE], ids=["bytes", "bpe"])
@settings(deadline=None, max_examples=100)
@given(text=any_text)
@example(text="👩‍👩‍👧 e\u0301 日本")
def test_a_stream_never_breaks_a_character(encoding: tiktoken.Encoding, text: str) -> None:
    decoder = StreamDecoder(encoding)
    given_out = ""
    for token in encode_text(encoding, text):
        given_out += decoder.feed(token)  # NumPy's integers are ids too
        assert text.startswith(given_out)
    assert given_out == text  # as soon as a character is complete, it is there
    assert decoder.flush() == ""


@settings(deadline=None, max_examples=100)
@given(data=st.binary())
def test_ids_that_are_no_text_are_replaced_as_in_decode(data: bytes) -> None:
    decoder = StreamDecoder(BYTES)
    parts = [decoder.feed(byte) for byte in data] + [decoder.flush()]
    assert "".join(parts) == data.decode(errors="replace")


def test_flush_ends_the_stream() -> None:
    decoder = StreamDecoder(byte_encoding())
    assert [decoder.feed(b) for b in "é".encode()] == ["", "é"]
    assert decoder.feed(0xF0) == ""
    assert decoder.flush() == "\ufffd"
    assert decoder.feed(ord("a")) == "a"
    assert decoder.feed(256) == END_OF_TEXT


@pytest.mark.parametrize("token", [257, -1, 2**40])
def test_a_stream_names_an_id_that_is_none(token: int) -> None:
    decoder = StreamDecoder(byte_encoding())
    with pytest.raises(ValueError, match=rf"no token {token} .*'numpygpt-bytes'.* 0 to 256"):
        decoder.feed(token)


# -- as JSON --------------------------------------------------------------------------------------


SPECIAL = encoding_of(
    "special", [bytes([b]) for b in range(256)], special={END_OF_TEXT: 0, "<|a|>": 7, "<|a|>b": 258}
)


@pytest.mark.parametrize("encoding", [BYTES, BPE, SPECIAL], ids=["bytes", "bpe", "special"])
def test_an_encoding_is_written_and_read(encoding: tiktoken.Encoding) -> None:
    data = encoding_to_json(encoding, "x.json")
    loaded = encoding_from_json(data, "x.json")
    assert (loaded.name, loaded.n_vocab) == (encoding.name, encoding.n_vocab)
    text = CORPUS + "<|a|>" + END_OF_TEXT + "<|a|>b"
    assert encode_text(loaded, text).tolist() == encode_text(encoding, text).tolist()
    assert [loaded.decode_bytes([i]) for i in range(loaded.n_vocab)] == [
        encoding.decode_bytes([i]) for i in range(encoding.n_vocab)
    ]
    assert encoding_to_json(loaded, "y.json") == data


def test_a_foreign_encoding_is_not_written() -> None:
    dropping = tiktoken.Encoding(
        "letters",
        pat_str="[a-z]+",
        mergeable_ranks={bytes([b]): b for b in range(256)},
        special_tokens={END_OF_TEXT: 256},
    )
    with pytest.raises(ValueError, match=r"x\.json is no tokenizer file: its pattern"):
        encoding_to_json(dropping, "x.json")


def edited(**changes: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda document: document | changes


def ranks(change: Callable[[list[Any]], list[Any]]) -> Callable[[dict[str, Any]], Any]:
    return lambda document: document | {"ranks": change(document["ranks"])}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _: [], "not a JSON object"),
        (lambda _: 7, "not a JSON object"),
        (lambda _: {}, "its name must be"),
        (edited(name=3), "its name must be"),
        (edited(name="n" * 10_000), "its name must be"),
        (edited(pattern=r"\w+"), "its pattern must be"),
        (edited(pattern="(" * 50), "its pattern must be"),
        (edited(pattern=["a"]), "its pattern must be"),
        (edited(ranks="YQ=="), "its ranks must be"),
        (edited(ranks={"YQ==": 0}), "its ranks must be"),
        (edited(ranks=[]), "256 of the 256 bytes are missing, the first is 0"),
        (ranks(lambda r: [*r[:255], 7]), "its ranks must be"),
        (ranks(lambda r: r[1:]), "1 of the 256 bytes are missing, the first is 0"),
        (ranks(lambda r: [*r, r[260]]), "a token is there twice"),
        (ranks(lambda r: [*r, ""]), "its tokens must have 1 to 1,000 bytes"),
        (ranks(lambda r: [*r, "QUFB" * 1000]), "its tokens must have 1 to 1,000 bytes"),
        (ranks(lambda r: [*r, "a"]), ""),
        (ranks(lambda r: [*r, "é==="]), ""),
        (edited(special_tokens={}), "its special tokens must have <.endoftext.> among them"),
        (edited(special_tokens={END_OF_TEXT: 300}), "must have ids that the others leave out"),
        (edited(special_tokens={END_OF_TEXT: -1}), "must have ids that the others leave out"),
        (edited(special_tokens={END_OF_TEXT: 299.0}), "must have whole numbers for ids"),
        (edited(special_tokens={END_OF_TEXT: [1]}), "must have whole numbers for ids"),
        (edited(special_tokens={END_OF_TEXT: True}), "must have whole numbers for ids"),
        (edited(special_tokens={END_OF_TEXT: 10**400}), "must have ids that the others leave out"),
        (edited(special_tokens={END_OF_TEXT: 299, "<|x|>": 299}), "must have ids that the others"),
        (edited(special_tokens={END_OF_TEXT: 299, "<|x|>": 301}), "must have ids that the others"),
        (edited(special_tokens={END_OF_TEXT: 299, "": 300}), "must have 1 to 1,000 bytes"),
        (edited(special_tokens={END_OF_TEXT: 299, "x" * 1001: 300}), "must have 1 to 1,000 bytes"),
        (edited(special_tokens={END_OF_TEXT: 299, "\ud800": 300}), "lone surrogate"),
        (edited(special_tokens=[END_OF_TEXT]), "its special tokens must be an object"),
    ],
)  # fmt: skip
def test_a_wrong_document_is_named(change: Callable[[dict[str, Any]], Any], message: str) -> None:
    document = change(json.loads(encoding_to_json(BPE, "x")))
    with pytest.raises(ValueError, match=rf"x\.json is no tokenizer file: .*{message}") as caught:
        encoding_from_json(json.dumps(document).encode(), "x.json")
    assert len(str(caught.value)) < 1000 and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 100,
        b"\xff\xfe{}",
        b"[" * 1_000_000,
        b'{"name":' * 50_000,
        b"9" * 100_000,
        b"NaN",
        b'{"name": "x", "ranks": [' + b"1" * 50_000 + b"]}",
    ],
    ids=lambda data: data[:8].decode("latin-1"),
)
def test_something_else_is_named(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"x\.json is no tokenizer file: ") as caught:
        encoding_from_json(data, "x.json")
    assert len(str(caught.value)) < 1000 and "\n" not in str(caught.value)


def test_a_truncated_text_is_named() -> None:
    data = encoding_to_json(BPE, "x")
    for length in (*range(0, len(data) - 2, 97), len(data) - 2):
        with pytest.raises(ValueError, match=r"cut\.json is no tokenizer file: not JSON"):
            encoding_from_json(data[:length], "cut.json")


@settings(deadline=None, max_examples=50)
@given(at=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255))
def test_one_wrong_byte_is_an_encoding_or_a_value_error(at: float, byte: int) -> None:
    data = bytearray(encoding_to_json(BPE, "x"))
    data[int(at * len(data))] = byte
    try:
        encoding = encoding_from_json(bytes(data), "flipped.json")
    except ValueError as error:
        assert "flipped.json" in str(error)
    else:
        assert encoding.decode(encode_text(encoding, CORPUS).tolist()) == CORPUS


def test_a_text_too_long_is_not_read() -> None:
    with pytest.raises(ValueError, match=r"x is no tokenizer file: longer than 64,000,000"):
        encoding_from_json(bytes(MAX_FILE_BYTES + 1), "x")
