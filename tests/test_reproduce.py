"""The command ``numpygpt reproduce``: what it prints, what it leaves out, and its exit codes."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numpygpt.book import chapter3, chapter5, reproduce, training
from numpygpt.book.printed import Printed, compare
from numpygpt.book.report import comparison_lines
from numpygpt.book.training import Sample, Step
from numpygpt.book.verdict import Verdict
from numpygpt.cli import main
from numpygpt.text.bpe import train_bpe

Figures = Iterator[tuple[str, Any]]


def no_text(*args: object) -> Any:
    raise OSError("there is no network")


def two_figures(story: object = None) -> Figures:
    yield "ch05.loss", 10.79404
    yield "ch05.text", [20479, 5145]


def test_chapter_3_agrees_to_the_last_number(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", "ch03"]) == 0
    out = capsys.readouterr().out
    assert "144 of 144 numbers agree" in out
    assert "DISAGREES" not in out
    assert ".2996 .8053 | 0.299582 0.805314 | -1.8e-05 +1.4e-05 | agrees" in out
    assert max(map(len, out.splitlines())) <= 100


def test_a_wrong_number_is_named_and_ends_in_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong() -> Figures:
        yield "ch03.scores", np.array([0.9995, 0.9544, 0.9422, 0.4753, 0.4577, 0.6310])

    monkeypatch.setattr(chapter3, "computed", wrong)
    assert main(["reproduce", "ch03"]) == 1
    out = capsys.readouterr().out
    assert out.count("DISAGREES") == 1
    assert "5 of 6 numbers agree" in out
    assert "These do not: ch03.scores." in out


def test_without_the_text_chapter_5_says_what_is_left_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Verdict, "load", no_text)
    monkeypatch.setattr(chapter5, "computed", two_figures)
    assert main(["reproduce", "ch05"]) == 0
    out = capsys.readouterr().out
    assert "training and validation loss before training\n     LEFT OUT, not compared" in out
    assert "Left out because there is no network" in out
    assert "3 of 3 numbers agree" in out
    assert "11 figures were left out" in out


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["ch03", "--train"], "--data and --train belong to ch05, got them with ch03"),
        (["ch04", "--data", "x.txt"], "--data and --train belong to ch05, got them with ch04"),
    ],
)
def test_errors_are_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["reproduce", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err and err.count("\n") == 1


@pytest.mark.parametrize("missing", ["download", "gpt2_encoding"])  # the text, the vocabulary
@pytest.mark.parametrize("data", [False, True])
@pytest.mark.parametrize("train", [False, True])
def test_what_needs_no_vocabulary_is_always_shown(
    missing: str,
    data: bool,
    train: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = b"a text"
    (tmp_path / "story.txt").write_bytes(text)
    monkeypatch.setattr("numpygpt.book.verdict.SHA256", hashlib.sha256(text).hexdigest())
    monkeypatch.setattr("numpygpt.book.verdict.download", lambda *_: text)
    monkeypatch.setattr("numpygpt.book.verdict.gpt2_encoding", no_text)
    monkeypatch.setattr(f"numpygpt.book.verdict.{missing}", no_text)
    monkeypatch.setattr(chapter5, "computed", two_figures)
    options = ["--train"] * train + ["--data", str(tmp_path / "story.txt")] * data
    assert main(["reproduce", "ch05", *options]) == (2 if train else 0)
    out, err = capsys.readouterr()
    assert "3 of 3 numbers agree" in out and "11 figures were left out" in out
    assert "Left out because " in out and "there is no network" in out
    assert err.count("\n") == train and ("numpygpt: --train: " in err) == train


def test_the_file_that_was_given_is_the_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = b"every effort moves you, every effort\n"
    (tmp_path / "story.txt").write_bytes(text)
    monkeypatch.setattr("numpygpt.book.verdict.SHA256", hashlib.sha256(text).hexdigest())
    monkeypatch.setattr("numpygpt.book.verdict.download", no_text)
    encoding = train_bpe(text.decode() * 20, 270)
    monkeypatch.setattr("numpygpt.book.verdict.gpt2_encoding", lambda: encoding)

    def figures(story: Verdict) -> Figures:
        yield "ch05.text", [len(story.text), len(story.tokens)]

    monkeypatch.setattr(chapter5, "computed", figures)
    assert main(["reproduce", "ch05", "--data", str(tmp_path / "story.txt")]) == 1
    assert f"20479  5145 | {len(text)} " in capsys.readouterr().out


def test_a_missing_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", "ch05", "--data", str(tmp_path / "lost.txt")]) == 2
    assert "lost.txt" in capsys.readouterr().err


@pytest.mark.parametrize("last_validation, code", [(6.45, 0), (6.6, 1)])
def test_training_prints_the_log_beside_the_books(
    last_validation: float,
    code: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encoding = train_bpe("every effort moves you\n" * 20, 270)
    ids = encoding.encode_ordinary("every effort\nmoves")

    def run(self: object) -> Iterator[Step | Sample]:
        yield Step(0, 11.0, (9.7811, 9.9331))
        yield Step(1, 10.0, None)
        yield Sample(1, ids)
        yield Step(85, 1.0, (0.45, last_validation))

    class Story:
        def __init__(self) -> None:
            self.encoding = encoding

    monkeypatch.setattr(Verdict, "load", lambda path=None: Story())
    monkeypatch.setattr(chapter5, "computed", two_figures)
    monkeypatch.setattr(training.Training, "__init__", lambda self, story: None)
    monkeypatch.setattr(training.Training, "run", run)
    assert main(["reproduce", "ch05", "--train"]) == code
    out = capsys.readouterr().out
    assert "step  0     9.781 9.933 | 9.78110 9.93310 | +1.0e-04 +1.0e-04 | agrees" in out
    assert "after epoch 1: every effort moves\n" in out
    last = next(line for line in out.splitlines() if line.startswith("step 85"))
    assert last.endswith("DISAGREES" if code else "| within 0.15 / 0.05")


def test_the_answer_comes_as_ids_without_a_vocabulary(monkeypatch: pytest.MonkeyPatch) -> None:
    greedy = compare(Printed("ch04.greedy", "4.7", "tokens", "27018 7267"), [27018, 7267])
    monkeypatch.setattr(reproduce, "gpt2_encoding", no_text)
    assert "token ids 27018 7267" in reproduce.answer(greedy)


def test_columns_line_up_and_long_rows_are_cut_into_equal_parts() -> None:
    text = "1.5 -22.25 3 / .125 40 5e-05"
    printed = Printed("ch00.x", "0.0", "numbers", text)
    lines = comparison_lines(compare(printed, [1.5, -22.26, 3, 0.1251, 40, 5e-05]))
    columns = [[part.split() for part in line.split(" | ")] for line in lines]
    assert columns[0] == [
        ["1.5", "-22.25", "3"],
        ["1.500", "-22.2600", "3"],
        ["0", "-1.0e-02", "0"],
        ["DISAGREES"],
    ]
    assert columns[1][1] == ["0.12510", "40", "5.00e-05"]
    assert columns[1][2:] == [["+1.0e-04", "0", "0"], ["agrees"]]
    first, second = ([i for i, c in enumerate(line) if c == "|"] for line in lines)
    assert first == second
    wide = Printed("ch00.y", "0.0", "ids", " ".join(["12345678"] * 10))
    assert len(comparison_lines(compare(wide, [12345678] * 10))) == 5
