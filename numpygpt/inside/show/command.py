"""`numpygpt look`: which model, which prompt, and where what is found goes."""

import argparse
import os
import shutil
import sys
import webbrowser
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import tiktoken

from numpygpt.config import GPTConfig
from numpygpt.files.whole import expect_writable, write_whole
from numpygpt.gpt import GPT
from numpygpt.inside.check import identities
from numpygpt.inside.show.described import identities_table
from numpygpt.inside.show.kept import look_back
from numpygpt.inside.show.looking import MOST_TOKENS, Look, expected_ids, look
from numpygpt.inside.show.page import page
from numpygpt.inside.show.terminal import EIGHTHS, SHADES, Screen
from numpygpt.inside.words import word_ids
from numpygpt.layers.parameter import Array
from numpygpt.pretrained.hub import is_run
from numpygpt.text.printable import printable
from numpygpt.text.tokenizer import END_OF_TEXT, gpt2_encoding
from numpygpt.training.record import as_trained
from numpygpt.training.saved import load_with_tokenizer
from numpygpt.training.windows import RANDOM, prompt_ids

STORY = (
    "One rainy day, Ada found a little robin in the forest. It had a hurt beak and could not sing. "
    "She brought it home and gave it some berries. Every day, she washed the"
)
OTHERS = f"{END_OF_TEXT}After John and Mary went to the store, John gave a bottle of milk to"
PAGE = "look.html"


class Subject(NamedTuple):
    """Who is looked at; `folder`: of a run; `stories`: whether it learned the built-in ones."""

    name: str
    folder: Path | None
    model: GPT
    encoding: tiktoken.Encoding
    prompt: str
    windows: str
    stories: bool


def find_subject(source: str | Path | None, untrained: str | None) -> Subject:
    """A run, a model, or one of a preset's shape that has learned nothing."""
    if untrained is not None:
        encoding = gpt2_encoding()  # first: it may be missing, and a model takes a while
        model = GPT(GPTConfig.preset(untrained), rng=0).eval()
        return Subject(f"untrained {untrained}", None, model, encoding, OTHERS, RANDOM, False)
    assert source is not None
    own, windows, stories = as_trained(source)
    prompt = STORY if stories else own or OTHERS
    here = Path(source)
    folder = here if here.is_dir() and is_run(here) else None
    model, encoding = load_with_tokenizer(source)
    return Subject(str(source), folder, model, encoding, prompt, windows, stories)


def prompt_of(subject: Subject, given: str | None) -> Array:
    """The ids of a prompt, or of the subject's own, cut to what fits."""
    if given is not None and not given:
        raise ValueError("--prompt: expected a text to look at, got ''")
    ids = prompt_ids(subject.encoding, subject.prompt if given is None else given, subject.windows)
    if given is None:
        ids = ids[: min(MOST_TOKENS, subject.model.config.context_length)]
    return expected_ids(subject.model, subject.encoding, ids.tolist())


def look_command(source: str | Path | None, args: argparse.Namespace) -> bool:
    """Look, write and print; whether all identities hold."""
    expect_outputs(args)
    subject = find_subject(source, args.untrained)
    ids = prompt_of(subject, args.prompt)
    if args.check:
        checks = identities(subject.model, ids)
        print("\n".join(identities_table(checks, screen())))
        return all(one.holds for one in checks)
    page_file = expect_writable(args.out or (subject.folder or Path()) / PAGE)
    if args.json is not None and os.path.realpath(args.json) == os.path.realpath(page_file):
        raise ValueError(f"--json: expected another file than the page's, got {args.json}")
    seen = look_at(subject, ids, args.word, args.head)
    write(seen, page_file, args.json)
    at = screen()
    print(seen.text(at.width, at.plain))
    print(f"the page: {printable(str(page_file))}")
    if args.open and not webbrowser.open(page_file.resolve().as_uri()):
        print(f"no browser was found to open {page_file}", file=sys.stderr)
    return all(one.holds for one in seen.checks)


def look_at(subject: Subject, ids: Array, word: str | None, head: tuple[int, int] | None) -> Look:
    """With the checkpoints that it has kept."""
    name, folder, model, encoding, _, _, stories = subject
    if word is None and stories:
        word = "robin"
    if word is not None:
        word_ids(encoding, word)  # refuses what is none, before the work
    seen = look(model, encoding, ids.tolist(), word, head, name, stories)
    return seen if folder is None else replace(seen, checkpoints=look_back(seen, folder, stories))


def write(seen: Look, page_file: Path, json_file: Path | str | None) -> None:
    """The page, and the numbers alone."""
    text = seen.json()
    write_whole(page_file, page(text).encode())
    if json_file:
        write_whole(Path(json_file), text.encode())


def expect_outputs(args: argparse.Namespace) -> None:
    """Raise before the work if what is asked for could not be written, or would not be."""
    for file in (args.out, args.json):
        if file is not None:
            expect_writable(file)
    given = [f"--{name}" for name in ("out", "json", "open") if getattr(args, name)]
    if args.check and given:
        raise ValueError(f"--check writes no page and no numbers: remove {', '.join(given)}")


def screen() -> Screen:
    """What standard output is."""
    try:
        (EIGHTHS + SHADES + "·⏎⇥…│").encode(getattr(sys.stdout, "encoding", None) or "utf-8")
        plain = False
    except UnicodeEncodeError:
        plain = True
    return Screen(min(100, max(40, shutil.get_terminal_size().columns)), plain)
