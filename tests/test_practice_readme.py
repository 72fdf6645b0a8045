"""The practice's README: its sessions are played again, and print what stands there."""

import re
import shlex
from pathlib import Path

import pytest

import numpygpt
from numpygpt.cli import main
from numpygpt.cli.parser import build_parser
from numpygpt.practice.exercises import ANSWER, HINTS, SOLUTIONS, solution_text

README = (Path(numpygpt.__file__).parent / "practice" / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```\n(\$ .*?)^```$", README, re.MULTILINE | re.DOTALL)
SESSIONS = [
    (command, printed)
    for block in BLOCKS
    for command, printed in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)
]
# What the reader wrote before each: the exercise, what stands in it, and what was written instead.
EDITS = [
    [],
    [],
    [("linear", "", ""), ("embedding", "", ""), ("layernorm", "(g - mean_g - ", "(g - ")],
    [("attention", "dS.swapaxes(-1, -2) @ q", "dS @ q")],
    [("layernorm", "rstd * (g ", "rstd * (G ")],
]


def write(name: str, right: str, wrong: str) -> None:
    """The solution, as a reader may have it, with something else in one place."""
    text = HINTS.sub("", solution_text(name)).replace(f"from {SOLUTIONS}.", "from ")
    text = ANSWER.sub(lambda match: match[2], text).replace("dx: Array =", "dx =")
    assert text.count(right) == 1 or not right
    Path("practice", f"{name}.py").write_text(text.replace(right, wrong) if right else text)


def without_rounding(text: str) -> str:
    """The text, but for numbers that are another on every machine."""
    return re.sub(r"\d\.\de-(0[5-9]|1\d)", "0", text)


def test_the_sessions_print_what_stands_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert len(SESSIONS) == len(EDITS) + 1  # the last one trains: test_practice.py has it
    for (command, printed), edits in zip(SESSIONS, EDITS, strict=False):
        for edit in edits:
            write(*edit)
        main(shlex.split(command)[1:])
        said = capsys.readouterr().out
        assert without_rounding(said) == without_rounding(printed)


def test_the_commands_are_understood() -> None:
    words = r"`numpygpt ([a-z][^`]*)`"
    commands = [command for command, _ in SESSIONS] + re.findall(words, README)
    _, known = build_parser()
    assert len(commands) >= 12
    for command in commands:
        name, *rest = shlex.split(command.removeprefix("numpygpt "))
        known[name].parse_args(rest)
