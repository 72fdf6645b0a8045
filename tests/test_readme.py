"""What the README shows can be done: its Python runs as it stands, its commands are understood."""

import argparse
import ast
import contextlib
import doctest
import importlib.util
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import benchmarks.__main__ as measuring
from numpygpt.cli import commands, main

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8").replace("\\\n", " ")
# Code, and the block right behind it: what it prints.
PYTHON = re.findall(r"```python\n(?!>>>)(.*?)```\n(?:```\n(.*?)```\n)?", README, re.DOTALL)
LINE = r"^(?:\$ |    )(.*)$"
WORDS = r"`((?:numpygpt|python -m benchmarks) [^`]*)`"
PROGRAM = re.compile(r"(?:\S*/)?(numpygpt|python -m benchmarks)(?: |$)")
COMMANDS = ("train", "generate", "evaluate", "gradcheck", "reproduce", "info")


def shown() -> list[tuple[str, str]]:
    """(program, what follows it) of each call of ours, in a block or among words."""
    lines = re.findall(LINE, README, re.MULTILINE) + re.findall(WORDS, README)
    calls = [" ".join(call.split()) for line in lines for call in re.split(r" && | \| ", line)]
    found = [(match, call) for call in calls if (match := PROGRAM.match(call))]
    return list(dict.fromkeys((match[1], call[match.end() :]) for match, call in found))


def missing(code: str) -> list[str]:
    """The packages that the code needs and that are not here."""
    needed = {"safetensors"} if "save_pretrained" in code else set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            needed |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            needed.add(str(node.module).split(".")[0])
    return sorted(name for name in needed if not importlib.util.find_spec(name))


def python(folder: Path, *arguments: str) -> str:
    """What this checkout prints in a process and a folder of its own."""
    env = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    env |= {"OPENBLAS_NUM_THREADS": "1", "NUMPYGPT_NUM_THREADS": "1"}  # all of it is small
    command = [sys.executable, *arguments]
    ran = subprocess.run(command, cwd=folder, env=env, capture_output=True, encoding="utf-8")
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run in runs/1, as the first command leaves one behind, but a tiny one."""
    path = tmp_path_factory.mktemp("reader")
    (path / "text").write_text("One rainy day, Ada found a robin. " * 99)
    shape = "--context-length 16 --n-embd 24 --n-layer 1 --n-head 2 --batch-size 2"
    options = f"--data text --tokenizer bytes --steps 2 {shape}"
    python(path, "-m", "numpygpt", "train", *options.split())
    return path


def test_the_sessions_run_as_printed() -> None:
    failures, tried = doctest.testfile(str(ROOT / "README.md"), module_relative=False)
    assert tried >= 10 and failures == 0


def test_all_python_is_tried() -> None:
    assert len(PYTHON) >= 3
    assert README.count("```python") == len(PYTHON) + README.count("```python\n>>>")


@pytest.mark.parametrize(("code", "printed"), PYTHON, ids=range(1, len(PYTHON) + 1))
def test_python_runs_as_it_stands(code: str, printed: str, folder: Path) -> None:
    if needed := missing(code):
        pytest.skip(f"needs {', '.join(needed)}")
    got = python(folder, "-c", code)
    if printed:
        noise = r"[\d.]+e-\d+"  # rounding: another on every machine
        assert re.sub(noise, "", got) == re.sub(noise, "", printed)
        pairs = zip(re.findall(noise, got), re.findall(noise, printed), strict=True)
        assert all(float(a) < 10 * float(b) for a, b in pairs)
    assert bool(got) == ("print(" in code)


@pytest.mark.parametrize(("program", "rest"), shown(), ids=map(" ".join, shown()))
def test_commands_are_understood(
    program: str, rest: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the real parser; what they do is another matter."""
    words = shlex.split(rest)
    if program != "numpygpt":
        measuring.build_parser().parse_args(words)
        return
    ran: list[argparse.Namespace] = []

    def stub(name: str) -> Callable[[argparse.Namespace], int]:
        def run(args: argparse.Namespace) -> int:
            ran.append(args)
            return 0

        run.__name__ = name  # the parser takes the command's name from here
        return run

    for name in COMMANDS:
        monkeypatch.setattr(commands, name, stub(name))
    if "--help" in words:
        assert options_of(words[0], capsys)
    else:
        assert main(words) == 0
        assert len(ran) == 1 and ran[0].run.__name__ == words[0]


def test_calls_are_found() -> None:
    """Those of blocks, those behind `&&`, those of several lines, those among words."""
    assert {
        ("numpygpt", "train"),
        ("numpygpt", "train --resume demo --data FILE"),
        ("numpygpt", "info --run runs/1"),
        ("python -m benchmarks", "--compare --json run.json"),
    } <= set(shown())
    assert any("--tokenizer bytes" in rest and "--eval-every 250" in rest for _, rest in shown())


def options_of(command: str, capsys: pytest.CaptureFixture[str]) -> set[str]:
    """The long options in a command's help."""
    with contextlib.suppress(SystemExit):
        main([command, "--help"])
    return options(capsys.readouterr().out)


def options(text: str) -> set[str]:
    """All in a text that reads like one."""
    return set(re.findall(r"(?<![\w-])--[a-z][\w-]*", text))


def test_every_option_that_is_named_exists(capsys: pytest.CaptureFixture[str]) -> None:
    known = options(measuring.build_parser().format_help())
    for command in COMMANDS:
        known |= options_of(command, capsys)
    assert len(options(README)) > 20 and options(README) <= known


def test_every_file_that_is_named_exists() -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    names = re.findall(r"`((?:numpygpt|tests|benchmarks|layers)/[^`]*)`", README)
    assert len(links) > 20 and len(names) > 3
    for name in [*links, *names]:
        assert list(ROOT.glob(name)), name
