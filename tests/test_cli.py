"""The `numpygpt` command as a user meets it: help, texts, and one clear line for each mistake."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest

from numpygpt import __version__
from numpygpt.cli import main
from numpygpt.cli.options import described_fields
from numpygpt.cli.parser import build_parser
from numpygpt.config import PRESETS, GPTConfig
from numpygpt.training.loop import TrainConfig

COMMANDS = ["train", "generate", "evaluate", "gradcheck", "reproduce", "info"]
TEXT = "The cat sat on the mat, and the dog sat on the cat. Où est l'été? " * 60
TINY = ["--n-layer", "1", "--n-embd", "8", "--n-head", "2", "--context-length", "16"]
FEW = ["--steps", "2", "--batch-size", "2", "--eval-batches", "1", "--tokenizer", "bpe:280"]

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a text and, in runs/, a model that was trained on it for a moment."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "text.txt").write_text(TEXT)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["train", "--data", "text.txt", *TINY, *FEW]) == 0
    return folder


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command in that folder: its exit code, output, and error output."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "100")

    def run(*args: str) -> tuple[int, str, str]:
        try:
            code = main(args)
        except SystemExit as exit:  # argparse's way out
            code = int(exit.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return run


def shell(folder: Path, script: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """A line of shell in which `numpygpt` is this one."""
    command = f"numpygpt() {{ '{sys.executable}' -m numpygpt \"$@\"; }}\nset -o pipefail\n{script}"
    env = {**os.environ, "PYTHONPATH": os.getcwd(), **environment}
    return subprocess.run(["bash", "-c", command], cwd=folder, env=env, capture_output=True)


# -- help -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_explained(command: str, run: Run) -> None:
    code, out, err = run(command, "--help")
    assert (code, err) == (0, "")
    options = out.split("options:", 1)[1]
    entries = re.split(r"\n  (?=-)", options)[1:]
    assert len(entries) >= 3
    for entry in entries:
        head, *_ = re.split(r"\s{2,}|\n", entry, maxsplit=1)
        about = entry[len(head) :].strip()
        assert len(about.split()) >= 3 and not about.startswith("(default"), entry
    assert "(default: None)" not in out and "==SUPPRESS==" not in out


@pytest.mark.parametrize("config", [GPTConfig, TrainConfig])
def test_every_field_of_a_config_is_described(config: type) -> None:
    about = described_fields(config)
    assert list(about) == [field.name for field in fields(config)]
    assert all(text and "  " not in text and len(text) < 150 for text in about.values())


def test_the_help_of_a_field_is_its_docstrings(run: Run) -> None:
    _, out, _ = run("train", "--help")
    text = " ".join(out.split())
    assert (
        "--n-head N attention heads in a block, H; C must be divisible by it (default: 4)" in text
    )
    assert f"(default: {TrainConfig().learning_rate})" in text


def test_the_commands_are_listed(run: Run) -> None:
    code, out, _ = run("--help")
    assert code == 0
    for command in COMMANDS:
        assert re.search(rf"^    {command} +\w+ \w+", out, re.MULTILINE), command
    assert run("--version") == (0, f"numpygpt {__version__}\n", "")


def test_defaults_are_the_configs() -> None:
    _, commands = build_parser()
    args = commands["train"].parse_args(["--learning-rate", "0.5", "--no-qkv-bias"])
    assert (args.learning_rate, args.qkv_bias) == (0.5, False)
    assert not hasattr(args, "steps")  # not given: TrainConfig's own default holds


# -- generate -------------------------------------------------------------------------------------


def test_a_prompt_is_continued(run: Run) -> None:
    code, out, err = run("generate", "--prompt", "The cat", "--tokens", "30")
    assert (code, err) == (0, "")
    assert out.startswith("The cat") and out.endswith("\n") and len(out) > len("The cat\n")
    assert run("generate", "--prompt", "The cat", "--tokens", "30")[1] == out
    assert run("generate", "--prompt", "The cat", "--tokens", "30", "--seed", "1")[1] != out
    explicit = run("generate", "--prompt", "The cat", "--tokens", "30", "--run", "runs/1")[1]
    assert explicit == out


@pytest.mark.parametrize(
    "prompt",
    ["", " ", "日本 😀 \u0301", "\n\n", "<|endoftext|>", "a <|endoftext|> b", "word " * 200, "--x"],
    ids=["empty", "space", "unseen", "lines", "special", "special inside", "long", "dashes"],
)
def test_any_prompt_is_continued(prompt: str, run: Run) -> None:
    code, out, err = run("generate", f"--prompt={prompt}", "--tokens", "8")
    assert (code, err) == (0, "")
    assert out.startswith(prompt)
    assert run("generate", f"--prompt={prompt}", "--tokens", "0") == (0, prompt + "\n", "")


def test_samples_are_set_apart(run: Run) -> None:
    code, out, _ = run("generate", "--prompt", "The", "--tokens", "20", "--samples", "3")
    texts = out.split("\n---\n")
    assert code == 0 and len(texts) == 3 and len(set(texts)) == 3
    assert all(text.startswith("The") for text in texts)
    greedy = run("generate", "--prompt", "The", "--samples", "2", "--temperature", "0")[1]
    first, second = greedy.removesuffix("\n").split("\n---\n")
    assert first == second


def test_more_tokens_than_the_context(run: Run) -> None:
    code, out, _ = run("generate", "--prompt", "The", "--tokens", "60", "--top-k", "3")
    assert code == 0 and len(out) > 40


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ("--tokens=-1", "max_new_tokens a whole number at least 0, got -1"),
        ("--tokens=1e3", "argument --tokens: expected a whole number below 2\\^63, got '1e3'"),
        ("--samples=0", "--samples: expected at least 1, got 0"),
        ("--samples=-2", "--samples: expected at least 1, got -2"),
        ("--samples=100000000000000", "not enough memory|Unable to allocate"),
        ("--seed=-1", "--seed: expected at least 0, got -1"),
        ("--temperature=-0.5", "temperature at least 0, got -0.5"),
        ("--temperature=nan", "argument --temperature: expected a finite number, got 'nan'"),
        ("--temperature=warm", "argument --temperature: expected a finite number, got 'warm'"),
        ("--top-k=0", "top_k a whole number at least 1, got 0"),
        ("--top-p=2", "expected 0 < top_p <= 1, got 2.0"),
        ("--top-p=0", "expected 0 < top_p <= 1, got 0.0"),
        ("--top-p=nan", "argument --top-p: expected a finite number, got 'nan'"),
        ("--run=nowhere", "nowhere: expected the folder of a run"),
        ("--run=text.txt", "text.txt: expected the folder of a run"),
        ("--run=.", "cannot be read|no checkpoint|expected"),
        ("--prompt=a\udcff", "lone surrogate"),
        ("--colour=red", "unrecognized arguments: --colour=red"),
    ],
)
def test_wrong_options_of_generate(args: str, message: str, run: Run) -> None:
    code, out, err = run("generate", args)
    assert (code, out) == (2, "")  # not even the prompt
    assert re.search(message, err), err
    assert "Traceback" not in err and len(err.rstrip("\n").split("numpygpt")[-1].splitlines()) == 1


def test_no_run_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run("generate")
    assert (code, out) == (2, "")
    assert "runs/ holds no run: train one first (numpygpt train), or give --run DIR" in err


# -- train ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", r"bad\.txt: expected a text, got an empty file"),
        (b" \n\n\t ", r"bad\.txt: expected a text, got an empty file"),
        (b"tiny", "the text is too short: expected more than 16 tokens"),
        (b"caf\xe9 " * 500, r"bad\.txt: expected UTF-8 text, .* 0xe9 in position 3"),
        (b"\x89PNG\r\n\x1a\n" * 100, r"bad\.txt: expected UTF-8 text"),
        ("été ".encode("utf-16") * 500, r"bad\.txt: expected UTF-8 text"),
    ],
    ids=["empty", "blank", "tiny", "latin-1", "binary", "utf-16"],
)
def test_wrong_texts(text: bytes, message: str, run: Run, folder: Path) -> None:
    (folder / "bad.txt").write_bytes(text)
    code, _, err = run("train", "--data", "bad.txt", "--out", "bad", *TINY, *FEW)
    assert code == 2
    assert re.fullmatch(rf"numpygpt: .*{message}.*\n", err), err
    assert not (folder / "bad").exists()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--data=nowhere.txt"], "nowhere.txt"),
        (["--data=."], "[Dd]irectory"),
        (["--n-embd=10", "--n-head=4"], "n_embd divisible by n_head, got 10 and 4"),
        (["--n-layer=0"], "n_layer a whole number from 1, got 0"),
        (["--n-layer=-3"], "n_layer a whole number from 1, got -3"),
        (["--n-layer=two"], "argument --n-layer: expected a whole number below 2\\^63, got 'two'"),
        (["--context-length=100000"], "the text is too short: expected more than 100000 tokens"),
        (["--dropout=1"], "expected 0 <= dropout < 1, got 1.0"),
        (["--dropout=nan"], "--dropout: expected a finite number, got 'nan'"),
        (["--steps=0"], "steps at least 1, got 0"),
        (["--batch-size=-4"], "batch_size at least 1, got -4"),
        (["--learning-rate=-1"], "learning_rate at least 0, got -1.0"),
        (["--learning-rate=nan"], "--learning-rate: expected a finite number, got 'nan'"),
        (["--learning-rate=inf"], "--learning-rate: expected a finite number, got 'inf'"),
        (["--beta1=1"], r"betas in \[0, 1\), got .*betas=\(1.0, 0.99\)"),
        (["--weight-decay=nan"], "--weight-decay: expected a finite number"),
        (["--weight-decay=-1"], "weight_decay"),
        (["--clip=-1"], "clip at least 0, got -1.0"),
        (["--seed=-1"], "seed at least 0, got -1"),
        (["--tokenizer=words"], 'no tokenizer \'words\'; choose "bytes", "bpe"'),
        (["--tokenizer=bpe:100"], "vocab_size must be at least 257"),
        (["--prompt=a\udcff"], "lone surrogate"),
    ],
)
def test_wrong_options_of_train(args: list[str], message: str, run: Run, folder: Path) -> None:
    code, _, err = run("train", "--data", "text.txt", "--out", "wrong", *TINY, *FEW, *args)
    assert code == 2, err
    assert re.search(message, err), err
    assert "Traceback" not in err and len(err.rstrip("\n").split("numpygpt")[-1].splitlines()) == 1
    assert not (folder / "wrong").exists()  # nothing is begun


# -- info, and the others -------------------------------------------------------------------------


def test_info(run: Run) -> None:
    code, out, err = run("info", "gpt2-medium", "--no-qkv-bias", "--no-tie-weights")
    assert (code, err) == (0, "")
    assert "406,212,608" in out and "1,549.58 MiB" in out
    assert run("info") == run("info", "gpt2")
    shape = "--n-layer=4 --n-embd=128 --n-head=4 --vocab-size=1024 --context-length=128"
    code, out, _ = run("info", *shape.split())
    assert code == 0 and "4 heads of 32, 4 blocks" in out


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["gpt3"], f"unknown preset 'gpt3': expected one of {', '.join(PRESETS)}"),
        ([""], "unknown preset ''"),
        (["gpt2", "more"], "unrecognized arguments: more"),
        (["--vocab-size=0"], "vocab_size a whole number from 1, got 0"),
        (["--tokens=0"], "tokens from 1 to 1024, .* got 4 and 0"),
        (["--tokens=1025"], "tokens from 1 to 1024, .* got 4 and 1025"),
        (["--batch-size=-1"], "a batch size from 1 .* got -1 and 256"),
        (["--n-embd=100"], "n_embd divisible by n_head, got 100 and 12"),
    ],
)
def test_wrong_options_of_info(args: list[str], message: str, run: Run) -> None:
    code, out, err = run("info", *args)
    assert (code, out) == (2, "")
    assert re.search(message, err), err


def test_an_unknown_preset_of_gradcheck(run: Run) -> None:
    code, _, err = run("gradcheck", "--preset", "gpt3")
    assert code == 2 and "unknown preset 'gpt3': expected one of gpt2, gpt2-medium" in err


@pytest.mark.parametrize("args", [[], ["teach"], ["-x"]])
def test_no_command(args: list[str], run: Run) -> None:
    code, out, err = run(*args)
    assert (code, out) == (2, "") and err.startswith("usage: numpygpt")


# -- where output goes ----------------------------------------------------------------------------


@pytest.mark.skipif(os.name != "posix", reason="needs a shell")
@pytest.mark.parametrize(
    ("script", "code", "out", "err"),
    [
        ("numpygpt generate --tokens 400 | head -c 1", 0, rb".", rb""),
        ("(sleep 0.7; numpygpt info) | true", 0, rb"", rb""),
        ("numpygpt info | head -1", 0, rb"vocabulary 50,257.*\n", rb""),
        ("numpygpt info >&-", 0, rb"", rb""),
        ("numpygpt generate --prompt=x --tokens=3 2>&-", 0, rb"x.*", rb""),
        ("numpygpt info gpt3", 2, rb"", rb"numpygpt: unknown preset 'gpt3'.*\n"),
        ("[ ! -e /dev/full ] || numpygpt info > /dev/full || [ $? = 2 ]", 0, rb"",
         rb"(numpygpt: .*No space left.*\n)?"),
    ],
)  # fmt: skip
def test_output_that_nobody_reads(
    script: str, code: int, out: bytes, err: bytes, folder: Path
) -> None:
    done = shell(folder, script)
    assert re.fullmatch(out, done.stdout, re.DOTALL) and re.fullmatch(err, done.stderr, re.DOTALL)
    assert done.returncode == code


def test_output_that_is_not_utf8(folder: Path) -> None:
    done = shell(folder, "numpygpt generate --prompt='été' --tokens=5", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"?t?") and done.stdout.isascii()


def test_ctrl_c_is_no_traceback(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("numpygpt.cli.info.describe", interrupted)
    assert run("info") == (130, "", "interrupted\n")
