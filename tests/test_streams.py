"""Standard output and standard error as they can be: closed, full, deserted, narrow of alphabet."""

import io
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from numpygpt.cli import main
from numpygpt.cli.streams import Output, standard_streams

pty = pytest.importorskip("pty", reason="needs a POSIX system")

TRAIN = (
    "train --data t.txt --tokenizer bytes --steps 2 --batch-size 2 --context-length 8 --n-embd 8"
)
TRAIN += " --n-head 2 --n-layer 1 --eval-batches 1"
NEW = f"{TRAIN} --out new"
GENERATE = "generate --run r --prompt x --tokens 3"
COMMANDS = ["--help", "info", NEW, GENERATE, "generate --run nowhere", "", "--version"]
COMMANDS += ["info --help", "evaluate --run r --data t.txt", "gradcheck --sweep", "reproduce ch03"]
Shell = Callable[..., subprocess.CompletedProcess[bytes]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a text and a run that learned it for a moment."""
    folder = tmp_path_factory.mktemp("streams")
    (folder / "t.txt").write_text("The cat sat on the mat. " * 40)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main([*TRAIN.split(), "--out", "r"]) == 0
    return folder


@pytest.fixture
def shell(folder: Path) -> Shell:
    """Runs a line of shell in which `numpygpt` is this one."""

    def shell(script: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
        start = f"numpygpt() {{ '{sys.executable}' -m numpygpt \"$@\"; }}; set -o pipefail; "
        env = {**os.environ, "PYTHONPATH": os.getcwd(), **environment}
        if not environment:
            env.pop("PYTHONUNBUFFERED", None)
        command = ["bash", "-c", start + "rm -rf new; " + script]
        return subprocess.run(command, cwd=folder, env=env, capture_output=True)

    return shell


def on_terminal(
    folder: Path, *args: str, press: bytes = b"", once: bytes = b"", **environment: str
) -> tuple[int, bytes]:
    """A command on a terminal: its exit code, what is seen; `press` is typed `once` it is."""
    python_path = os.getcwd()
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.environ.update(environment, PYTHONPATH=python_path, COLUMNS="80")
        os.execv(sys.executable, [sys.executable, "-m", "numpygpt", *args])
    seen = b""
    while True:
        try:
            seen += (new := os.read(terminal, 4096))
        except OSError:  # so ends a terminal on Linux
            break
        if not new:
            break
        if press and once in seen:
            os.write(terminal, press)
            press = b""
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), seen


# -- closed, full, deserted -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "where"),
    [
        *(("info", where) for where in (">&-", "2>&-", ">&- 2>&-", "| true", "| head -c 1")),
        *((NEW, where) for where in (">&- 2>&-", "| true", "| head -c 1")),
        *((GENERATE, where) for where in (">&- 2>&-", "| head -c 1")),
        ("--help", "| true"),
    ],
)
def test_output_that_nobody_reads(command: str, where: str, shell: Shell, folder: Path) -> None:
    """As processes; test_streams_of_other_programs has each command without an output."""
    done = shell(f"numpygpt {command} {where}")
    lost = command.startswith("train") and "|" in where and done.returncode == 1
    assert lost or done.returncode == 0
    lines = done.stderr.decode().splitlines()
    assert all(line.startswith("numpygpt: nobody reads") for line in lines) and len(lines) <= lost
    if command.startswith("train"):
        assert (folder / "new" / "checkpoint.npz").exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize(
    ("command", "unbuffered"), [("--help", ""), ("--help", "1"), (NEW, ""), (GENERATE, "")]
)
def test_output_that_is_full(command: str, unbuffered: str, shell: Shell) -> None:
    done = shell(f"numpygpt {command} > /dev/full", PYTHONUNBUFFERED=unbuffered)
    assert done.returncode == 2
    last = done.stderr.decode().splitlines()[-1]
    assert re.match("numpygpt: .*No space left on device", last)
    assert b"Traceback" not in done.stderr and b"ignored" not in done.stderr


@pytest.mark.parametrize("where", ["2>&-", "2> /dev/full", ">&- 2>&-"])
def test_a_mistake_that_nobody_can_be_told(where: str, shell: Shell) -> None:
    done = shell(f"numpygpt info gpt3 {where}")
    assert (done.returncode, done.stdout, done.stderr) == (2, b"", b"")


class Bare:
    """All that some programs put in sys.stdout's place."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return len(text)


def closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


MAKE: dict[str, Callable[[], object]] = {"None": lambda: None, "closed": closed, "bare": Bare}


@pytest.mark.parametrize(
    ("command", "kind"),
    [*((c, k) for c in COMMANDS for k in ("None", "bare")), (NEW, "closed"), (GENERATE, "closed")],
)
def test_streams_of_other_programs(
    command: str,
    kind: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(folder)
    out, err = MAKE[kind](), MAKE[kind]()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    code = main(command.replace("--out new", f"--out {tmp_path / 'new'}").split())
    assert code == (2 if "nowhere" in command else 0)
    assert sys.stdout is out and sys.stderr is err  # given back as they were
    assert main(["info", "gpt3"]) == 2
    if isinstance(out, Bare) and isinstance(err, Bare):
        assert bool(out.text) == (code == 0) and "unknown preset 'gpt3'" in err.text


def test_a_broken_pipe_that_lost_something_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise BrokenPipeError("runs/1 keeps the checkpoint of step 3")

    monkeypatch.setattr("numpygpt.cli.info.describe", broken)
    assert main(["info"]) == 1
    assert capsys.readouterr() == ("", "numpygpt: runs/1 keeps the checkpoint of step 3\n")


# -- characters -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "prompt", "written"),
    [
        ("utf-8", "中 été 😀", "中 été 😀".encode()),
        ("utf-16-le", "中", "中".encode("utf-16-le")),
        ("latin-1", "été", b"\xe9t\xe9"),
        ("cp1252:replace", "中", b"?"),  # asked for
    ],
)
def test_a_text_in_an_encoding_that_has_it(
    encoding: str, prompt: str, written: bytes, shell: Shell
) -> None:
    done = shell(f"numpygpt generate --run r --tokens 0 --prompt '{prompt}'", PYTHONUTF8="0",
                 PYTHONIOENCODING=encoding)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"") and done.stdout.startswith(written)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_no_character_is_lost_without_a_word(encoding: str, shell: Shell, folder: Path) -> None:
    generate = ["generate", "--run", "r", "--tokens", "0", "--prompt"]
    done = shell(
        "numpygpt generate --run r --tokens 0 --prompt a中文 > o", PYTHONIOENCODING=encoding
    )
    assert (folder / "o").read_bytes() == b"a\\u4e2d\\u6587\n"
    told = f"numpygpt: {encoding}, the output's encoding, lacks characters: they were written as "
    assert done.stderr.decode().startswith(told + r"\u4e2d") and done.stderr.count(b"\n") == 1
    assert done.returncode == 2
    code, seen = on_terminal(folder, *generate, "a中", PYTHONIOENCODING=encoding)
    assert code == 2 and seen.startswith(b"a\\u4e2d\r\nnumpygpt: ")
    error = shell("numpygpt evaluate --data 中", PYTHONIOENCODING=encoding)
    assert error.returncode == 2 and rb"\u4e2d: No such file" in error.stderr


def test_what_streams_are_asked() -> None:
    out = Output(io.TextIOWrapper(io.BytesIO(), "ascii"))
    assert not out.isatty() and out.write("é") == 1 and out.warning
    with pytest.raises(io.UnsupportedOperation):
        Output(Bare()).fileno()
    with standard_streams() as inside:
        assert sys.stdout is inside
    assert sys.stdout is not inside


# -- terminals ------------------------------------------------------------------------------------


def test_a_terminal_gets_no_control_characters(folder: Path, shell: Shell) -> None:
    prompt = "a\x1b[31mb\x9b2J\x07\tc"
    generate = ["generate", "--run", "r", "--samples", "2", "--temperature", "60", "--prompt"]
    code, seen = on_terminal(folder, *generate, prompt)
    text = seen.decode()
    assert code == 0 and text.startswith("a␛[31mb")
    assert not [c for c in text if not c.isprintable() and c not in "\t\r\n\u200d"]
    assert len(text.encode()) > 200  # of the model's bytes, many are control characters
    done = shell("numpygpt generate --run r --tokens 0 --prompt $'a\\x1b[31mb'")
    assert done.stdout == b"a\x1b[31mb\n"  # a file gets the text itself


def test_an_error_is_one_line_that_the_terminal_does_not_obey(folder: Path) -> None:
    code, seen = on_terminal(folder, "evaluate", "--run", "no\x1b[31m\nrun", "--data", "t.txt")
    assert code == 2 and seen.count(b"\n") == 1
    assert "numpygpt: no␛[31m run: expected the folder of a run".encode() in seen


@pytest.mark.parametrize(
    ("command", "once"),
    [
        ("generate --run r --tokens 1000000 --temperature 0 --prompt T", b"T"),
        ("gradcheck", b"ok"),
        ("reproduce ch04", b"agrees"),
    ],
)
def test_ctrl_c(command: str, once: bytes, folder: Path) -> None:
    code, seen = on_terminal(folder, *command.split(), press=b"\x03", once=once)
    assert code == 130
    assert seen.endswith(b"interrupted\r\n") and b"Traceback" not in seen
    if command.startswith("generate"):  # its line had begun
        assert seen.endswith(b"\r\ninterrupted\r\n")
