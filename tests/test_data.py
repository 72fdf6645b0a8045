"""Texts, their split, windows, and the loss on what was held out."""

import math
import os
import threading
from pathlib import Path

import numpy as np
import pytest

from numpygpt import GPT, GPTConfig
from numpygpt.gradcheck.oracles import draw_parameters
from numpygpt.text.tokenizer import END_OF_TEXT, byte_encoding
from numpygpt.training.data import Data, Text, held_out_loss, opening, read_text, split_text
from numpygpt.training.windows import DOCUMENTS, RANDOM

TEXT = "".join(chr(ord("a") + i * i % 26) for i in range(500))


def test_a_text_is_cut_at_nine_tenths() -> None:
    train, held_out = split_text("0123456789" * 3)
    assert (train, held_out) == ("0123456789" * 2 + "0123456", "789")


def test_reading(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"\xef\xbb\xbfna\xc3\xafve")
    assert read_text(path) == "naïve"  # without the byte order mark
    path.write_bytes(b"caf\xe9")
    with pytest.raises(ValueError, match="expected UTF-8 text"):
        read_text(path)
    path.write_bytes(b" \n")
    with pytest.raises(ValueError, match="expected a text, got an empty file"):
        read_text(path)


def test_a_text_knows_its_file_and_its_contents(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text(TEXT)
    text = Text.load(path, None)
    assert (text.train, text.held_out) == (TEXT[:450], TEXT[450:])
    assert text.prompt == TEXT[450:482]  # no words in it
    assert text.file == str(path.resolve())
    path.write_text(TEXT[:-1] + "!")
    assert Text.load(path, "x").sha256 != text.sha256
    moved = Text(text.train + text.held_out[:1], text.held_out[1:], "", text.file)
    assert moved.sha256 != text.sha256  # the same characters, cut elsewhere


def test_the_built_in_text_is_always_the_same() -> None:
    text = Text.load(None, None)
    assert text.file is None
    assert text.sha256 == "e4bfa809c49379aaaa8a4c8712ed0c25c242869ce27e8988520e559e7417680e"
    assert text.train.count(END_OF_TEXT) == 10_800 and text.held_out.count(END_OF_TEXT) == 1200
    assert text.held_out.endswith(END_OF_TEXT)
    assert text.prompt == "One cold afternoon, Sam"
    assert text.held_out.split(END_OF_TEXT)[-2].startswith(text.prompt + " ")
    assert Text.load(None, "").prompt == ""  # a new story


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ort\nThe cat sat on the mat.\nMore.", "The cat sat on the mat."),
        ("ort\n\n  The cat sat on the mat in the house.\n", "The cat sat on the mat in the"),
        ("ort\n" + "x" * 40, "x" * 32),
        ("ort\n" + "x" * 32 + " y", "x" * 32),
        ("ing of the one line that there is", "of the one line that there is"),
        ("ory.<|endoftext|>One day, Sam went.<|endoftext|>", "One day, Sam went."),
        ("\u4e00" * 50, "\u4e00" * 32),
        ("ort\r\nWindows\r\n", "Windows"),
        ("end", "end"),
        (" \n \n", ""),
        ("", ""),
    ],
)
def test_a_sample_begins_with_a_lines_first_words(text: str, words: str) -> None:
    assert opening(text) == words


def test_a_text_without_documents_is_never_begun_with_their_mark(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("The cat sat on the mat.\n" * 20)
    assert Text.load(path).prompt == Text.load(path, "").prompt == "The cat sat on the mat."
    assert Text.load(path, "A dog").prompt == "A dog"
    path.write_text("The cat sat.\n" + " \n" * 20)
    assert Text.load(path).prompt == "The cat sat."  # nothing but blanks is held out
    path.write_text("The cat sat on the mat.<|endoftext|>" * 20)
    assert Text.load(path, "").prompt == ""
    assert Text.load(path).prompt == "The cat sat on the mat."


def test_a_sample_begins_as_a_document_that_is_held_out(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("One.\nTwo.\n<|endoftext|>" * 30 + "Mid.\n")
    assert Text.load(path).held_out.startswith("\nTwo.\n<|endoftext|>One.")
    assert Text.load(path).prompt == "One."
    path.write_text("One.<|endoftext|>" + "Amid one that is long.\nTwo.\n" * 30)
    assert END_OF_TEXT not in Text.load(path).held_out
    assert Text.load(path).prompt == "Amid one that is long."


def test_a_home_folder_and_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "text").write_text(TEXT)
    assert Text.load("~/text").file == str((tmp_path / "text").resolve())
    with pytest.raises(ValueError, match="the name of a file or a folder, got ''"):
        Text.load("")


def test_a_pipe_is_read_and_not_taken_for_a_file(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(TEXT,))
    writer.start()
    text = Text.load(pipe)
    writer.join()
    assert text.train + text.held_out == TEXT and text.file == str(pipe)
    read, write = os.pipe()
    os.write(write, TEXT.encode())
    os.close(write)
    text = Text.load(f"/dev/fd/{read}")
    os.close(read)
    assert text.train + text.held_out == TEXT and text.file == f"/dev/fd/{read}"


def test_targets_are_the_next_tokens() -> None:
    data = Data.encode(byte_encoding(), TEXT, TEXT)
    rng = np.random.default_rng(0)
    starts = set()
    for number in range(200):
        inputs, targets = data.batch(3, 490, rng, number, 0)
        assert inputs.shape == targets.shape == (3, 490)
        np.testing.assert_array_equal(inputs[:, 1:], targets[:, :-1])
        for row, end in zip(inputs, targets[:, -1], strict=True):
            (start,) = (i for i in range(10) if (data.train[i : i + 490] == row).all())
            assert data.train[start + 490] == end
            starts.add(start)
    assert starts == set(range(10))  # every window, the first and the last too


def test_too_little_text_is_refused() -> None:
    encoding = byte_encoding()
    Data.encode(encoding, "x" * 11, "y" * 11).check(10)
    with pytest.raises(ValueError, match=r"more than 10 tokens .* to train on, got 10"):
        Data.encode(encoding, "x" * 10, "y" * 11).check(10)
    with pytest.raises(ValueError, match=r"to hold out, got 10"):
        Data.encode(encoding, "x" * 11, "y" * 10).check(10)


def test_bits_per_byte() -> None:
    held_out = "é" * 10 + END_OF_TEXT + "abcd"  # 24 bytes, and 25 tokens with the end of text
    data = Data.encode(byte_encoding(), "x", held_out)
    assert (len(data.held_out), data.held_out_bytes) == (25, 24)
    assert data.bits_per_byte(math.log(2)) == pytest.approx(25 / 24)


def test_windows_begin_with_documents_where_the_text_has_some() -> None:
    plain, marked = Text("ab", "c" + END_OF_TEXT, ""), Text(f"a{END_OF_TEXT}b", "c", "")
    assert (plain.windows(), marked.windows()) == (RANDOM, DOCUMENTS)
    assert plain.windows(RANDOM) == marked.windows(RANDOM) == RANDOM
    assert marked.windows(DOCUMENTS) == DOCUMENTS
    with pytest.raises(ValueError, match=r"--windows documents: .*\|endoftext\|>, got one without"):
        plain.windows(DOCUMENTS)


def test_batches_of_documents_hold_each_window_once_a_pass() -> None:
    characters = iter(range(33, 127))  # each once: a place is known by its token
    documents = [[next(characters) for _ in range(length)] for length in range(1, 10)]
    text = "".join(bytes(document).decode() + END_OF_TEXT for document in documents)
    data = Data.encode(byte_encoding(), text, text, T=4)
    ring = [token for document in documents for token in [256, *document]]
    begins = [i for i, token in enumerate(ring) if token == 256]
    ends = [*begins[1:], len(ring)]
    windows = [i for a, b in zip(begins, ends, strict=True) for i in range(a, b, 4)]
    assert len(windows) % 4  # a pass ends amid a batch
    rng, drawn = np.random.default_rng(0), []
    for number in range(len(windows)):
        inputs, targets = data.batch(4, 4, rng, number, 7)
        assert inputs.dtype == targets.dtype == np.int64
        np.testing.assert_array_equal(inputs[:, 1:], targets[:, :-1])
        for row in [[*row, end] for row, end in zip(inputs.tolist(), targets[:, -1], strict=True)]:
            (place,) = (i for i in range(len(ring)) if (ring * 2)[i : i + 5] == row)
            drawn.append(place)
    passes = [drawn[i : i + len(windows)] for i in range(0, len(drawn), len(windows))]
    assert len(passes) == 4 and all(sorted(one) == windows for one in passes)
    assert len({tuple(one) for one in passes}) == 4  # each in an order of its own
    again, _ = data.batch(4, 4, rng, 1, 7)  # whatever was drawn before
    other, _ = data.batch(4, 4, rng, 1, 8)
    assert again[:, 0].tolist() == [ring[i] for i in drawn[4:8]] != other[:, 0].tolist()


def test_the_seed_draws_the_windows_that_it_always_drew() -> None:
    """At random places: a run of an earlier version goes on with its own."""
    data = Data.encode(byte_encoding(), TEXT, TEXT)
    rng, same = np.random.default_rng(5), np.random.default_rng(5)
    for number in range(3):
        inputs, _ = data.batch(4, 30, rng, number, 5)
        starts = same.integers(0, 500 - 30, 4)
        np.testing.assert_array_equal(inputs, [list(TEXT[i : i + 30].encode()) for i in starts])
    assert rng.bit_generator.state == same.bit_generator.state


def naive_nats(model: GPT, text: str, T: int) -> list[list[float]]:
    """Of each window of each document: token by token, with what its window has before it."""
    view, windows = model.view(), []
    for document in text.removesuffix(END_OF_TEXT).split(END_OF_TEXT):
        ids = [256, *document.encode(), 256]
        for start in range(0, len(ids) - 1, T):
            nats = []
            for i in range(start + 1, min(start + T + 1, len(ids))):
                z = view.forward([ids[start:i]])[0, -1]
                nats.append(math.log(np.exp(z - z.max()).sum()) + z.max() - z[ids[i]])
            windows.append(nats)
    return windows


@pytest.mark.parametrize("end", ["", END_OF_TEXT])
@pytest.mark.parametrize("B", [1, 4, 100])
def test_held_out_documents_are_measured_token_by_token(B: int, end: str) -> None:
    model = GPT(GPTConfig(257, 7, 15, 3, 2, dropout=0.5), rng=1, dtype=np.float64)
    draw_parameters(model, np.random.default_rng(3))
    parts = ["It was a long one.", "Short", "", "Seven..", "Six...", "The end is here."]
    text = END_OF_TEXT.join(parts) + end
    data = Data.encode(byte_encoding(), text, text, T=7)
    windows = naive_nats(model, text, 7)
    nats = [nat for window in windows for nat in window]
    told: list[tuple[int, int]] = []
    loss = held_out_loss(model, data, B, progress=lambda *of: told.append(of))
    assert loss == pytest.approx(np.mean(nats), rel=1e-12)
    sizes = [sum(map(len, windows[: i + B])) for i in range(0, len(windows), B)]
    assert told == [(size, len(nats)) for size in sizes]
    assert model.training
    bits = math.fsum(nats) / math.log(2)
    assert data.bits_per_byte(loss) == pytest.approx(bits / len("".join(parts)), rel=1e-12)
    first = held_out_loss(model, data, 2, max_batches=3)
    assert first == pytest.approx(np.mean([n for w in windows[:6] for n in w]), rel=1e-12)


@pytest.mark.parametrize("B", [1, 4, 100])
def test_held_out_loss_is_the_mean_over_windows_side_by_side(B: int) -> None:
    model = GPT(GPTConfig(257, 7, 15, 3, 2, dropout=0.5), rng=1)
    data = Data.encode(byte_encoding(), TEXT, TEXT[:80])
    windows = [data.held_out[i : i + 8].astype(int) for i in range(0, 77, 7)]
    model.eval()
    losses = [model.loss(w[None, :-1], w[None, 1:]) for w in windows]
    model.train()
    told: list[tuple[int, int]] = []
    loss = held_out_loss(model, data, B, progress=lambda *of: told.append(of))
    assert loss == pytest.approx(np.mean(losses), rel=1e-6)
    assert told == [(min(i + B, 11) * 7, 77) for i in range(0, 11, B)]
    assert model.training
    first = held_out_loss(model, data, 2, max_batches=3)
    assert first == pytest.approx(np.mean(losses[:6]), rel=1e-6)
