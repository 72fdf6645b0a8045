"""Texts, their split, windows, and the loss on what was held out."""

import math
from pathlib import Path

import numpy as np
import pytest

from numpygpt import GPT, GPTConfig
from numpygpt.text.tokenizer import END_OF_TEXT, byte_encoding
from numpygpt.training.data import Data, Text, held_out_loss, read_text, split_text

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
    assert text.prompt == TEXT[450:482] and text.file == str(path.resolve())
    path.write_text(TEXT[:-1] + "!")
    assert Text.load(path, "x").sha256 != text.sha256
    moved = Text(text.train + text.held_out[:1], text.held_out[1:], "", text.file)
    assert moved.sha256 != text.sha256  # the same characters, cut elsewhere


def test_the_stories_are_many_and_held_out_ones_are_at_the_end() -> None:
    text = Text.load(None, None)
    assert text.file is None
    assert text.train.count(END_OF_TEXT) == 9 * text.held_out.count(END_OF_TEXT)
    assert text.held_out.endswith(END_OF_TEXT) and text.prompt in text.held_out


def test_targets_are_the_next_tokens() -> None:
    data = Data.encode(byte_encoding(), TEXT, TEXT)
    rng = np.random.default_rng(0)
    starts = set()
    for _ in range(200):
        inputs, targets = data.batch(3, 490, rng)
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


@pytest.mark.parametrize("B", [1, 4, 100])
def test_held_out_loss_is_the_mean_over_windows_side_by_side(B: int) -> None:
    model = GPT(GPTConfig(257, 7, 12, 2, 1, dropout=0.5), rng=1)
    data = Data.encode(byte_encoding(), TEXT, TEXT[:80])
    windows = [data.held_out[i : i + 8].astype(int) for i in range(0, 77, 7)]
    model.eval()
    losses = [model.loss(w[None, :-1], w[None, 1:]) for w in windows]
    model.train()
    assert held_out_loss(model, data, B) == pytest.approx(np.mean(losses), rel=1e-6)
    assert model.training
    first = held_out_loss(model, data, 2, max_batches=3)
    assert first == pytest.approx(np.mean(losses[:6]), rel=1e-6)
