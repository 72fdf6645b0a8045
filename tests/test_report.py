"""What a run tells of itself: each number of it, and what its samples look like."""

import argparse
import shlex
from pathlib import Path

import numpy as np
import pytest
import tiktoken

from numpygpt import GPT, GPTConfig, generate
from numpygpt.gradcheck.oracles import draw_parameters
from numpygpt.text.stories import stories
from numpygpt.text.tokenizer import END_OF_TEXT, byte_encoding
from numpygpt.training import report
from numpygpt.training.data import Text
from numpygpt.training.progress import LiveLine
from numpygpt.training.windows import DOCUMENTS, RANDOM

NOWHERE = LiveLine(None)


@pytest.fixture(scope="module")
def model() -> GPT:
    return GPT(GPTConfig(257, 16, 12, 3, 2), rng=1)


def writes(text: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on a model that is asked for a sample continues with these bytes."""
    monkeypatch.setattr(report, "stream", lambda *_, **__: (np.array([byte]) for byte in text))


def test_every_number_of_the_judgement(monkeypatch: pytest.MonkeyPatch, model: GPT) -> None:
    sound, learned, other = [story for story in stories(40, seed=5) if '"' not in story][:3]
    end = sound.rpartition(". ")[2]  # a good sentence, but no story: whose?
    fresh = ["", "Sam sat.It", sound, learned, learned, end, "", "The a of."]
    monkeypatch.setattr(report, "fresh_stories", lambda *_: fresh)
    text = Text(learned + END_OF_TEXT + other + END_OF_TEXT, "", "")  # an empty one is at its end
    judged = report.judge_stories(model, byte_encoding(), text, NOWHERE)
    good = sound.count(". ") + 1 + 2 * (learned.count(". ") + 1) + 1
    share = good / (good + 4)  # two empty ones, "Sam sat.It", and "The a of."
    assert judged.splitlines() == [
        f"8 fresh stories, drawn at temperature 0.5: {share:.1%} of their sentences are well "
        "formed,",
        "37.5% of the stories hold together from end to end, and 2 are copies of a training story; "
        "the first of them:",
        "    Sam sat.It",
        "the first mistake of each of the others:",
        "       4  a sentence that is wrong or untrue by itself",
        "       1  somebody else than was told of",
    ]


def test_no_mistakes_are_not_listed(monkeypatch: pytest.MonkeyPatch, model: GPT) -> None:
    sound = stories(1, seed=5)
    monkeypatch.setattr(report, "fresh_stories", lambda *_: sound)
    judged = report.judge_stories(model, byte_encoding(), Text("", "", ""), NOWHERE)
    assert "100.0% of the stories" in judged and "mistake" not in judged


def test_no_token_is_drawn_that_the_tokenizer_lacks() -> None:
    """A vocabulary padded to a round number, as many have it."""
    padded = GPT(GPTConfig(300, 16, 12, 3, 2), rng=1)
    padded.token_embedding.W.data[257:] *= 100
    assert report.sample(padded, byte_encoding(), "a", RANDOM).startswith("    a")
    assert len(report.fresh_stories(padded, byte_encoding(), NOWHERE, count=3)) == 3


def test_fresh_stories_come_from_the_models_own_beginning(model: GPT) -> None:
    encoding = byte_encoding()
    line = LiveLine(None)
    seen: list[str] = []
    line.show = seen.append  # type: ignore[assignment,method-assign]
    fresh = report.fresh_stories(model, encoding, line, count=3, seed=7)
    rows = generate(model, [[256]] * 3, 250, report.TEMPERATURE, top_p=0.95, eos_id=256, rng=7)
    assert fresh == [encoding.decode([i for i in row.tolist() if i != 256]).strip() for row in rows]
    assert len(set(fresh)) == 3
    assert seen[:2] == ["1 of 250 tokens  fresh stories", "2 of 250 tokens  fresh stories"]


@pytest.mark.parametrize(
    ("new", "shown"),
    [
        ("\tb\u3000c\r\nd", ["    a\tb\u3000c", "    d"]),
        ("👩\u200d🚀", ["    a👩\u200d🚀"]),
        ("\x1b[2J\x00", ["    a␛[2J␀"]),
        ("b\n\n", ["    ab"]),
    ],
)
def test_a_sample_shows_what_a_reader_may_see(
    new: str, shown: list[str], monkeypatch: pytest.MonkeyPatch, model: GPT
) -> None:
    writes(new.encode(), monkeypatch)
    assert report.sample(model, byte_encoding(), "a", RANDOM).split("\n") == shown


def test_a_character_cut_by_the_samples_end_is_left_out(
    monkeypatch: pytest.MonkeyPatch, model: GPT
) -> None:
    writes(b"\xc3\xa9\xe4\xb8", monkeypatch)
    assert report.sample(model, byte_encoding(), "a", RANDOM) == "    aé"


@pytest.mark.parametrize("prompt", ["One day", ""])
@pytest.mark.parametrize("windows", [RANDOM, DOCUMENTS])
def test_a_sample_is_the_prompt_continued(prompt: str, windows: str) -> None:
    model = GPT(GPTConfig(257, 16, 12, 3, 2), rng=1)
    draw_parameters(model, np.random.default_rng(0))  # what comes depends on what was before
    encoding: tiktoken.Encoding = byte_encoding()
    ids = list(prompt.encode())
    if windows == DOCUMENTS or not ids:  # a new story
        ids.insert(0, 256)
    row = generate(model, [ids], 60, report.TEMPERATURE, top_p=0.95, eos_id=256, rng=1)[0].tolist()
    text = encoding.decode([i for i in row if i != 256], errors="replace")
    assert len(text) > 20 and text.startswith(prompt)
    cut = "\ufffd"  # the last character may be unfinished
    shown = report.sample(model, encoding, prompt, windows)
    assert shown.rstrip(cut) == report.indent(text).rstrip(cut)


@pytest.mark.parametrize(
    ("folder", "prompt"),
    [
        ("runs/1", "One day"),
        ("my run", "$(touch pwned) `x` 'y' \"z\" !! \\"),
        ("-run", "-h"),
        ("a;b", "two\nlines"),
        ("r", "\x1b[2J"),
        ("r", ""),
    ],
)
def test_the_printed_commands_say_what_they_name(folder: str, prompt: str) -> None:
    commands = report.written(Path(folder), prompt).split("now try\n", 1)[1]
    command, _, look = commands.partition("\nand look inside, at what its numbers came to hold:\n")
    program, name, *words = shlex.split(command)
    assert (program, name) == ("numpygpt", "generate")
    looking = argparse.ArgumentParser()
    looking.add_argument("--run")
    assert shlex.split(look)[:2] == ["numpygpt", "look"]
    assert looking.parse_args(shlex.split(look)[2:]).run == folder
    parser = argparse.ArgumentParser()
    parser.add_argument("--run")
    parser.add_argument("--prompt", default="left out")
    args = parser.parse_args(words)
    shown = prompt and "\x1b" not in prompt
    assert (args.run, args.prompt) == (folder, prompt if shown else "left out")
