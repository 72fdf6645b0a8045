"""The `numpygpt` command as a user meets it: help, texts, and one clear line for each mistake."""

import re
import shutil
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from numpygpt import GPT, __version__
from numpygpt.cli import main
from numpygpt.cli.options import described_fields
from numpygpt.cli.parser import build_parser
from numpygpt.config import PRESETS, GPTConfig
from numpygpt.text.tokenizer import END_OF_TEXT, byte_encoding
from numpygpt.training.loop import TrainConfig
from numpygpt.training.saved import load_run, save_run

COMMANDS = [
    "train",
    "generate",
    "evaluate",
    "look",
    "gradcheck",
    "practice",
    "reproduce",
    "info",
    "plot",
]
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
    [" ", "日本 😀 \u0301", "\n\n", "<|endoftext|>", "a <|endoftext|> b", "word " * 200, "--x"],
    ids=["space", "unseen", "lines", "special", "special inside", "long", "dashes"],
)
def test_any_prompt_is_continued(prompt: str, run: Run) -> None:
    code, out, err = run("generate", f"--prompt={prompt}", "--tokens", "8")
    assert (code, err) == (0, "")
    assert out.startswith(prompt)
    assert run("generate", f"--prompt={prompt}", "--tokens", "0") == (0, prompt + "\n", "")


def test_without_a_prompt_the_runs_own_is_continued(run: Run, tmp_path: Path) -> None:
    saved = load_run("runs/1")
    prompt = saved.training["text"]["prompt"]
    assert prompt and prompt in TEXT
    given = run("generate", "--tokens", "9", "--prompt", prompt)[1]
    told = f"no prompt: this continues {prompt!r}\n"
    assert run("generate", "--tokens", "9") == (0, given, told)
    assert run("generate", "--tokens", "9", "--prompt=") == (0, given, told)
    stories = {**saved.training, "text": {**saved.training["text"], "file": None}}
    for training in (stories, {}):  # of the built-in stories, a new one; or nothing is known
        save_run(tmp_path, saved.model, saved.encoding, training)
        begun = ["generate", "--run", str(tmp_path), "--tokens", "9"]
        code, out, err = run(*begun)
        assert (code, err) == (0, f"no prompt: this continues {END_OF_TEXT!r}\n")
        assert f"{END_OF_TEXT}{out}" == run(*begun, "--prompt", END_OF_TEXT)[1]


def test_the_first_of_three_samples_is_the_only_one(run: Run) -> None:
    for seed in ("0", "1"):
        generate = ["generate", "--prompt", "The", "--tokens", "20", "--seed", seed, "--samples"]
        one, three = (run(*generate, samples)[1] for samples in ("1", "3"))
        assert three.startswith(one.removesuffix("\n") + "\n---\n")


def test_only_what_the_tokenizer_has_is_drawn(run: Run, tmp_path: Path) -> None:
    config = GPTConfig(400, context_length=16, n_embd=8, n_head=2, n_layer=1)
    save_run(tmp_path, GPT(config, 0), byte_encoding(), {})  # as bpe:400 on too little text makes
    args = ["generate", "--run", str(tmp_path), "--tokens", "60", "--prompt", "a", "--samples", "2"]
    for temperature in ("0", "1", "50"):
        code, out, err = run(*args, "--temperature", temperature)
        assert (code, err) == (0, "") and out.startswith("a")


def test_one_model_by_all_its_names(run: Run, tmp_path: Path, folder: Path) -> None:
    pytest.importorskip("safetensors")
    model, encoding, *_ = load_run("runs/1")
    model.save_pretrained(tmp_path / "out", encoding=encoding)
    same = [["--run", "runs/1"], ["--model", "runs/1"], ["--model", "./runs/1/"]]
    same += [["--run", "runs/1/checkpoint.npz"], ["--model", str(folder / "runs" / "1")]]
    same += [[option, str(tmp_path / "out")] for option in ("--run", "--model")]
    generate = ["generate", "--prompt", "The", "--tokens", "20"]
    texts = {run(*generate, *source) for source in same}
    assert len(texts) == 1 and texts.pop()[0] == 0
    scores = {run("evaluate", "--data", "text.txt", *source)[1].split(";")[0] for source in same}
    assert len(scores) == 1 and "nats a token" in scores.pop()
    assert len({run("info", *source) for source in same}) == 1
    for source in ("runs/1", str(tmp_path / "out")):
        out = tmp_path / "tuned" / source.replace("/", "")
        tune = ["train", "--init", source, "--data", "text.txt", "--steps", "1", "--out", str(out)]
        assert run(*tune, "--eval-batches", "1")[0] == 0 and (out / "checkpoint.npz").exists()


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


def test_a_home_folder_in_every_path(
    run: Run, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    shutil.copytree(folder, home)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    monkeypatch.chdir(tmp_path)
    train = ["train", "--data=~/text.txt", *FEW]
    assert run(*train, "--out=~/new", *TINY)[0] == 0 and (home / "new").is_dir()
    assert run("train", "--resume=~/new", "--steps", "3")[0] == 0
    assert run("train", "--init=~/new", "--data=~/text.txt", "--steps=1", "--out=~/tuned")[0] == 0
    for source in ("--run=~/new", "--model=~/new"):
        assert run("generate", source, "--tokens=1")[0] == 0
        assert run("evaluate", source, "--data=~/text.txt")[0] == 0
        assert run("info", source)[0] == 0
    assert (
        f"{home / 'text.txt'}: expected the-verdict.txt" in run("reproduce", "--data=~/text.txt")[2]
    )
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


@pytest.mark.parametrize(
    "args",
    [
        *(["train", f"--{name}="] for name in ("data", "out", "init", "resume")),
        *([command, f"--{name}="] for command in COMMANDS[1:3] for name in ("run", "model")),
        ["evaluate", "--data="],
        ["reproduce", "--data="],
        ["info", "--run="],
        ["info", "--model="],
        ["plot", "--out="],
    ],
)
def test_an_empty_path(args: list[str], run: Run, folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    code, out, err = run(*args)
    assert (code, out) == (2, "") and sorted(folder.rglob("*")) == before
    assert err.endswith(f"argument {args[1][:-1]}: expected a path, got an empty text\n")


def test_a_text_that_was_moved(run: Run, folder: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text(TEXT)
    out = str(tmp_path / "run")
    assert run("train", "--data", str(text), "--out", out, *TINY, *FEW)[0] == 0
    text.rename(tmp_path / "elsewhere.txt")
    assert "is not there any more" in run("train", "--resume", out, "--steps", "3")[2]
    moved = ["train", "--resume", out, "--data", str(tmp_path / "elsewhere.txt"), "--steps", "3"]
    assert run(*moved)[0] == 0
    assert load_run(out).training["state"]["step"] == 3
    code, _, err = run(*moved, "--seed", "3", "--init", "x")
    assert (
        code == 2
        and "every option but --steps and --data from the run: remove --init, --seed" in err
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", r"bad\.txt: expected a text, got an empty file"),
        (b" \n\n\t ", r"bad\.txt: expected a text, got an empty file"),
        (b"tiny", "the text is too short: expected more than 16 tokens"),
        (b"caf\xe9 " * 500, r"bad\.txt: expected UTF-8 text, .* 0xe9 in position 3"),
        (b"\x89PNG\r\n\x1a\n" * 100, r"bad\.txt: expected UTF-8 text"),
        ("été ".encode("utf-16") * 500, r"bad\.txt: expected UTF-8 text"),
        (b"<|endoftext|>" * 500, r"expected text to hold out, got nothing but <\|endoftext\|>"),
    ],
    ids=["empty", "blank", "tiny", "latin-1", "binary", "utf-16", "marks"],
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
        (["--n-layer=1000000000000"], "not enough memory: a model of 872,"),
        (["--n-embd=1000000000000"], "not enough memory: a model of [0-9,]{20,} parameters"),
        (["--context-length=1000000000000"], "not enough memory: a model of 8,000,"),
        (["--steps=99999999999999999999"], "expected a whole number below 2.63, got '9999999"),
        (["--n-layer=0"], "n_layer a whole number from 1, got 0"),
        (["--n-layer=-3"], "n_layer a whole number from 1, got -3"),
        (["--n-layer=two"], "argument --n-layer: expected a whole number below 2\\^63, got 'two'"),
        (["--init=runs/1"], "brings its own shape and tokenizer: remove --n-embd, --n-head"),
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
        (["--windows=documents"], r"--windows documents: expected a text .*endoftext.*, got one w"),
        (["--windows=document"], r"unknown kind of windows 'document': .*\(did you mean documents"),
        (["--windows="], "unknown kind of windows '': expected one of documents, random$"),
    ],
)
def test_wrong_options_of_train(args: list[str], message: str, run: Run, folder: Path) -> None:
    code, _, err = run("train", "--data", "text.txt", "--out", "wrong", *TINY, *FEW, *args)
    assert code == 2, err
    assert re.search(message, err), err
    assert "Traceback" not in err and len(err.rstrip("\n").split("numpygpt")[-1].splitlines()) == 1
    assert not (folder / "wrong").exists()  # nothing is begun


# -- info, and the others -------------------------------------------------------------------------


def test_info_of_a_run(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    shape = "--n-layer=1 --n-embd=8 --n-head=2 --vocab-size=280 --context-length=16"
    expected = run("info", *shape.split(), "--tokens=9")
    monkeypatch.setattr(np, "empty", None)  # no memory is taken for weights
    for option in ("--run", "--model"):
        assert run("info", option, "runs/1", "--tokens=9") == expected
    assert expected[0] == 0 and "2 heads of 4, 1 blocks" in expected[1]


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
        (["runs/1"], "unknown preset 'runs/1': .*; your own model is given with --run or --model"),
        (["gpt2", "--run=runs/1", "--n-layer=3"], "got both: remove gpt2, --n-layer$"),
        (["--model=runs/1", "--no-qkv-bias"], "got both: remove --qkv-bias$"),
        (["--run=runs"], "runs: expected the folder of a run, with a checkpoint.npz"),
        (["--tokens=17", "--run=runs/1"], "tokens from 1 to 16, .* got 4 and 17"),
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


def test_no_command_lists_them(run: Run) -> None:
    assert run() == run("--help")
    assert run("-h") == run("--help") and run("-V") == run("--version")
    assert main(["--help", "--steps"]) == 0


@pytest.mark.parametrize(
    ("line", "usage", "message"),
    [
        ("trian", "", "unknown command 'trian' (did you mean train?): expected train, generate, "),
        ("teach", "", "unknown command 'teach': expected train, generate, evaluate, look, "),
        ("Train --steps 3", "", "unknown command 'Train' (did you mean train?)"),
        ("-x", "", "unrecognized arguments: -x"),
        ("--info", "", "unrecognized arguments: --info (did you mean info?)"),
        ("--verison", "", "unrecognized arguments: --verison (did you mean --version?)"),
        ("--steps 3 train", "", "comes after its command: numpygpt train or practice --steps ..."),
        ("--seed=3 info", "", "--seed comes after its command: numpygpt train or generate --seed"),
        ("train --stesp 3", "train", "unrecognized arguments: --stesp (did you mean --steps?)"),
        ("train --Stesp=3", "train", "unrecognized arguments: --Stesp=3 (did you mean --steps?)"),
        ("train -steps 3", "train", "unrecognized arguments: -steps (did you mean --steps?)"),
        ("train --n_layer 3", "train", "--n_layer (did you mean --n-layer?)"),
        ("train --no-tied-weights", "train", "(did you mean --no-tie-weights or --tie-weights?)"),
        ("train --n 3", "train", "--n (did you mean --n-embd or --n-head or --n-layer?)"),
        ("train text.txt", "train", "unrecognized arguments: text.txt"),
        ("train --lr 1", "train", "unrecognized arguments: --lr"),
        ("generate --promt a", "generate", "--promt (did you mean --prompt?)"),
        ("generate --promt=two words", "generate", "--promt=two words (did you mean --prompt?)"),
        ("generate --prompt", "generate", "argument --prompt: expected one argument"),
        ("generate --prompt -x", "generate", "expected one argument (a value that begins with a "
         "dash: --prompt=-x)"),
        ("generate --run r --model r", "generate", "--model: not allowed with argument --run"),
        ("generate --no-qkv-bias", "generate", "unrecognized arguments: --no-qkv-bias"),
        ("evaluate --dta x", "evaluate", "--dta (did you mean --data?)"),  # not: --data is missing
        ("evaluate", "evaluate", "the following arguments are required: --data"),
        ("gradcheck --preset gtp2", "gradcheck", "unknown preset 'gtp2': expected one of gpt2, "
         "gpt2-medium, gpt2-large, gpt2-xl (did you mean gpt2?)"),
        ("gradcheck --preset gpt2 --sweep", "gradcheck", "not allowed with argument --preset"),
        ("reproduce ch3", "reproduce", "unknown chapter 'ch3': expected one of ch03, ch04, ch05 "
         "(did you mean ch03?)"),
        ("info gpt2-mediun", "info", "(did you mean gpt2-medium"),
    ],
)  # fmt: skip
def test_a_mistyped_word(line: str, usage: str, message: str, run: Run) -> None:
    code, out, err = run(*line.replace("two words", "two_words").split())
    *above, last = err.replace("two_words", "two words").splitlines()
    assert (code, out) == (2, "")
    assert message in last
    command = f"numpygpt {usage}".strip()
    assert last.startswith(f"{command}: error: ")  # the command's own usage, and one line of error
    assert above[0].startswith(f"usage: {command} [-h]")
    assert not any("error" in line for line in above)


def test_what_is_no_mistake(run: Run) -> None:
    for prompt in (["--prompt", "- a b"], ["--prompt", "-5"], ["--prompt=--seed"], ["--pro", "x"]):
        assert run("generate", *prompt, "--tokens", "0")[0] == 0
    assert "expected max_new_tokens" in run("generate", "--tokens", "-5")[2]


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_a_terminal(command: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    _, out, _ = run(*command.split(), "--help")
    assert max(map(len, out.splitlines())) < 80


# -- Ctrl-C ---------------------------------------------------------------------------------------


def test_ctrl_c_is_no_traceback(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("numpygpt.cli.info.describe", interrupted)
    assert run("info") == (130, "", "interrupted\n")
