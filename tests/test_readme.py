"""What the READMEs show can be done: their Python runs as it stands, commands are understood."""

import argparse
import ast
import configparser
import doctest
import importlib.util
import re
import shlex
from functools import partial
from pathlib import Path

import pytest

import benchmarks.__main__ as measuring
from numpygpt.cli import entry, main
from numpygpt.cli.parser import build_parser

ROOT = Path(__file__).parent.parent
FOLDERS = ("numpygpt", "benchmarks", "tests")
TOP = ROOT / "README.md"
FILES = [TOP, *sorted(path for f in FOLDERS for path in (ROOT / f).rglob("README.md"))]
NAMES = [path.relative_to(ROOT).as_posix() for path in FILES]
TEXTS = {path: path.read_text(encoding="utf-8").replace("\\\n", " ") for path in FILES}
# Code, and the block right behind it: what it prints.
CODE = re.compile(r"```python\n(?!>>>)(.*?)```\n(?:```\n(.*?)```\n)?", re.DOTALL)
PYTHON = [(path, *found) for path, text in TEXTS.items() for found in CODE.findall(text)]
LINE = r"^(?:\$ |    )(.*)$"
WORDS = r"`((?:numpygpt|python -m benchmarks)\s[^`]*)`"
PROGRAM = re.compile(
    r"(?:\w+=\S+ )*(?:mpi(?:run|exec) (?:\S+ )*?)?(?:\S*/)?(?:python -m )?"
    r"(?:(numpygpt)|(?<=python -m )(benchmarks))(?: |$)"
)
LINK = r"(?:\]\(|src=\")(?!http)([^)\"]+)"
NAME = r"`((?:(?:numpygpt|tests|benchmarks|layers)/|[\w/]+\.py)[^`\s]*)`"
EXTRA = r"\.\[([a-z,]+)\]"
EVERY = pytest.mark.parametrize("path", FILES, ids=NAMES)


def shown() -> list[tuple[str, str]]:
    """(program, what follows it) of each call of ours, in a block or among words."""
    lines = [line for text in TEXTS.values() for line in re.findall(LINE, text, re.MULTILINE)]
    lines += [words for text in TEXTS.values() for words in re.findall(WORDS, text)]
    calls = [" ".join(call.split()) for line in lines for call in re.split(r" && |\s\|\s", line)]
    found = [(match, call) for call in calls if (match := PROGRAM.match(call))]
    return list(dict.fromkeys((match[1] or match[2], call[match.end() :]) for match, call in found))


def missing(code: str) -> list[str]:
    """The packages that the code needs and that are not here."""
    needed = {"safetensors"} if "save_pretrained" in code else set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            needed |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            needed.add(str(node.module).split(".")[0])
    return sorted(name for name in needed if not importlib.util.find_spec(name))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run in runs/1, as the first command leaves one behind, but a tiny one."""
    path = tmp_path_factory.mktemp("reader")
    (path / "text").write_text("One rainy day, Ada found a robin. " * 99)
    shape = "--context-length 16 --n-embd 24 --n-layer 1 --n-head 2 --batch-size 2"
    options = f"--data text --tokenizer bytes --steps 2 {shape}"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        assert main(["train", *options.split()]) == 0
    return path


def test_the_top_one_is_short() -> None:
    assert 500 < len(TOP.read_text(encoding="utf-8").split()) <= 1800


@EVERY
def test_the_sessions_run_as_printed(path: Path) -> None:
    failures, tried = doctest.testfile(str(path), module_relative=False, encoding="utf-8")
    assert failures == 0
    assert (tried > 0) == (">>> " in TEXTS[path])


def test_all_python_is_tried() -> None:
    assert len(PYTHON) >= 4
    text = "".join(TEXTS.values())
    assert text.count("```python") == len(PYTHON) + text.count("```python\n>>>")


@pytest.mark.parametrize(
    ("code", "printed"),
    [found[1:] for found in PYTHON],
    ids=[found[0].relative_to(ROOT).as_posix() for found in PYTHON],
)
def test_python_runs_as_it_stands(
    code: str,
    printed: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if needed := missing(code):
        pytest.skip(f"needs {', '.join(needed)}")
    monkeypatch.chdir(folder)
    capsys.readouterr()
    exec(compile(code, "README.md", "exec", dont_inherit=True), {"__name__": "__main__"})
    got = capsys.readouterr().out
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
    if program == "benchmarks":
        if "--help" not in words:
            measuring.build_parser().parse_args(words)
        return
    parser, commands = build_parser()
    ran: list[str] = []
    for name, command in commands.items():
        command.set_defaults(run=partial(note, ran, name))
    monkeypatch.setattr(entry, "build_parser", lambda: (parser, commands))
    monkeypatch.setattr(entry, "use_threads", lambda count: None)
    assert main(words) == 0, capsys.readouterr().err
    assert ran == ([] if "--help" in words else words[:1])


def note(ran: list[str], name: str, args: argparse.Namespace) -> int:
    """In place of a command's function: only that it would have run."""
    ran.append(name)
    return 0


def test_calls_are_found() -> None:
    """Those of blocks, those behind `&&`, those of several lines, those among words."""
    assert {
        ("numpygpt", "train"),
        ("numpygpt", "train --resume demo --data FILE"),
        ("numpygpt", "info --run runs/1"),
        ("benchmarks", ""),
        ("benchmarks", "--compare --json run.json"),
        ("benchmarks", "--kept run.json --markdown"),
    } <= set(shown())
    assert any("--tokenizer bytes" in rest and "--eval-every 250" in rest for _, rest in shown())


def test_names_are_found() -> None:
    """Else whatever is asked of them would hold."""
    text = TEXTS[TOP]
    assert {"numpygpt/layers/linear.py", "#check-and-practise"} <= set(re.findall(LINK, text))
    assert "tests/test_gradcheck.py" in re.findall(NAME, text)
    assert "--sweep" in options(text) and "test" in re.findall(EXTRA, text)


@pytest.mark.parametrize(
    ("call", "rest"),
    [
        (".venv/bin/numpygpt info", "info"),
        ("mpirun --oversubscribe -n 2 numpygpt train --steps 3", "train --steps 3"),
        ("A=1 B=2 mpiexec -n 2 python -m numpygpt train", "train"),
        ("numpygpt-bpe x", None),
        ("python -m benchmarks.plot run.json", None),
        ("benchmarks/ladders", None),
    ],
)
def test_what_a_call_is(call: str, rest: str | None) -> None:
    match = PROGRAM.match(call)
    assert (match and call[match.end() :]) == rest


def options(text: str) -> set[str]:
    """All in a text that reads like one."""
    return set(re.findall(r"(?<![\w-])--[a-z][\w-]*", text))


@EVERY
def test_every_option_that_is_named_exists(path: Path) -> None:
    known = options(measuring.build_parser().format_help())
    for command in build_parser()[1].values():
        known |= options(command.format_help())
    text = re.sub(r"mpi(?:run|exec) .*?(?=numpygpt|python)", "", TEXTS[path])  # has its own
    assert options(text) <= known


@EVERY
def test_every_file_that_is_named_exists(path: Path) -> None:
    """Links from the README's folder; names among words from there, the top or the package."""
    text = TEXTS[path]
    for link in re.findall(LINK, text):
        name, _, section = link.partition("#")
        target = path.parent / name if name else path
        assert target.exists(), link
        assert not section or section in anchors(target), link
    for name in re.findall(NAME, text):
        folders = [ROOT, ROOT / "numpygpt", path.parent]
        assert any(list(folder.glob(name)) for folder in folders), name


def anchors(path: Path) -> set[str]:
    """What a link to a heading of a README is called."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_top_one_links_all_others() -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)\)", TEXTS[TOP])
    assert set(NAMES[1:]) <= set(links)
    assert len(NAMES) >= 5


@EVERY
def test_every_extra_that_is_named_exists(path: Path) -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    named = {name for names in re.findall(EXTRA, TEXTS[path]) for name in names.split(",")}
    assert named <= set(setup["options.extras_require"])
