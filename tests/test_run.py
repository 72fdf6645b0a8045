"""`numpygpt train`: whatever interrupts a run, it goes on to the same bits."""

import csv
import errno
import io
import os
import re
import resource
import shlex
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from numpygpt import GPT, GPTConfig, generate
from numpygpt.cli import main
from numpygpt.files.checkpoint import CHECKPOINT
from numpygpt.files.whole import CheckpointError
from numpygpt.layers.parameter import Array
from numpygpt.text.tokenizer import byte_encoding
from numpygpt.training import folder as folders
from numpygpt.training.data import Data, Text, held_out_loss
from numpygpt.training.loop import TrainConfig, Trainer
from numpygpt.training.progress import LiveLine
from numpygpt.training.report import judge_stories
from numpygpt.training.run import Run
from numpygpt.training.saved import load_run, resume_run, save_run
from numpygpt.training.stop import STOPPING

SHAPE = "--context-length 8 --n-embd 12 --n-head 3 --n-layer 2 --dropout 0.2"
OPTIONS = f"--tokenizer bytes {SHAPE} --batch-size 5 --accumulate 2 --warmup 3 --eval-every 4"
OPTIONS += " --eval-batches 1"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, but for a text."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("numpygpt.training.report.SAMPLE_TOKENS", 4)
    text = "".join(f"Line {i} says that {i * i} is {i} times {i}.\n" for i in range(60))
    Path("text.txt").write_text(text)
    return tmp_path


def train(more: str, data: str = "--data text.txt") -> int:
    return main(["train", *f"{data} {OPTIONS} {more}".split()])


def resume(more: str) -> int:
    return main(["train", "--resume", *more.split()])


def at_step(n: int, act: Callable[[Trainer], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Do something just before step n."""
    step = Trainer.step

    def wrapped(self: Trainer) -> object:
        if self.steps_done == n - 1:
            act(self)
        return step(self)

    monkeypatch.setattr(Trainer, "step", wrapped)


def learned(folder: str) -> tuple[Array, ...]:
    """Everything that a run learned."""
    saved = resume_run(folder)
    assert saved.m is not None and saved.v is not None
    return saved.model.flat.data, saved.m, saved.v


def rows(folder: str) -> list[dict[str, str]]:
    with open(f"{folder}/metrics.csv", newline="") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def assert_equal_runs(a: str, b: str) -> None:
    for x, y in zip(learned(a), learned(b), strict=True):
        np.testing.assert_array_equal(x, y)
    assert rows(a) == rows(b)
    assert resume_run(a).training["state"]["random"] == resume_run(b).training["state"]["random"]


def interrupt(number: int = signal.SIGINT) -> Callable[[Trainer], None]:
    return lambda trainer: os.kill(os.getpid(), number)


def crash(trainer: Trainer) -> None:
    raise RuntimeError("power failure")


# -- to the same bits ---------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_saves_and_the_run_goes_on_bit_for_bit(
    here: Path, number: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("--steps 11 --out straight") == 0
    at_step(6, interrupt(number), monkeypatch)
    assert train("--steps 11 --out cut") == 0
    out, err = capsys.readouterr()
    assert err == STOPPING + "\n"
    assert "stopped after 6 of 11 steps; what was learned is kept" in out
    assert "    numpygpt train --resume cut\n" in out
    assert len(rows("cut")) == 6
    assert resume("cut") == 0
    assert "after step 6 of 11" in capsys.readouterr().out
    assert_equal_runs("straight", "cut")
    assert [row["step"] for row in rows("cut")] == [str(i) for i in range(1, 12)]


def test_a_second_interrupt_ends_at_once(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("--steps 9 --out straight") == 0

    def twice(trainer: Trainer) -> None:
        interrupt()(trainer)
        interrupt()(trainer)

    with monkeypatch.context() as patch:
        at_step(7, twice, patch)
        assert train("--steps 9 --out cut") == 130
    kept = "cut keeps the checkpoint of step 4; to go on: numpygpt train --resume cut"
    assert kept in capsys.readouterr().err.splitlines()
    assert load_run("cut").training["state"]["step"] == 4
    assert len(rows("cut")) == 6
    assert resume("cut") == 0
    assert_equal_runs("straight", "cut")


def test_a_crash_loses_the_steps_since_the_last_checkpoint(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert train("--steps 9 --save-every 1 --out straight") == 0

    with monkeypatch.context() as patch:
        at_step(7, crash, patch)
        with pytest.raises(RuntimeError):
            train("--steps 9 --save-every 1 --out cut")
    with open("cut/metrics.csv", "a") as file:
        file.write("7,0.1")  # a row that the crash cut
    (here / "cut" / f"{CHECKPOINT}.0.part").write_bytes(b"half")
    assert resume("cut") == 0
    assert_equal_runs("straight", "cut")
    assert sorted(os.listdir("cut")) == [CHECKPOINT, "metrics.csv"]


@pytest.mark.parametrize("change", ["line ends", "byte order mark", "damaged row", "another's"])
def test_rows_that_cannot_be_read_are_not_lost(
    change: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("--steps 4 --out run") == 0
    path = here / "run" / "metrics.csv"
    lines = path.read_bytes().splitlines(keepends=True)
    if change == "damaged row":
        lines[2] = b"2,oops\n"
    data = {
        "line ends": b"".join(lines).replace(b"\n", b"\r\n"),
        "byte order mark": b"\xef\xbb\xbf" + b"".join(lines),
        "another's": b"day,weight\n1,2\n",
    }.get(change, b"".join(lines))
    path.write_bytes(data)
    (here / "run" / "metrics.1.csv").write_bytes(b"of another time")
    capsys.readouterr()
    assert main(["train", "--resume", "run", "--steps", "6"]) == 0
    said = capsys.readouterr().err
    assert "run/metrics.csv lacks rows of the steps up to 4, or another program has saved" in said
    assert "it: as it was, it is now run/metrics.2.csv" in said
    assert (here / "run" / "metrics.2.csv").read_bytes() == data
    assert (here / "run" / "metrics.1.csv").read_bytes() == b"of another time"
    kept = ["1"] if change == "damaged row" else []
    assert [row["step"] for row in rows("run")] == [*kept, "5", "6"]


def test_a_run_is_whole_before_its_first_step(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert train("--steps 3 --out straight") == 0
    with monkeypatch.context() as patch:
        at_step(1, crash, patch)
        with pytest.raises(RuntimeError):
            train("--steps 3 --out cut")
    assert load_run("cut").training["state"]["step"] == 0
    assert resume("cut") == 0
    assert_equal_runs("straight", "cut")


def test_more_steps_follow_the_longer_schedule(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("--steps 4 --out run --learning-rate 0.003 --min-learning-rate 0.0001") == 0
    capsys.readouterr()
    assert resume("run") == 0
    assert (
        "run is complete: all 4 steps are done; for more, give --steps" in capsys.readouterr().out
    )
    assert resume("run --steps 6") == 0
    rates = [float(row["learning_rate"]) for row in rows("run")]
    assert len(rates) == 6 and rates[4] > rates[5]
    assert rates[4] == pytest.approx(1e-4 + 2.9e-3 * (1 + np.cos(np.pi / 3)) / 2, rel=1e-4)
    assert load_run("run").training["options"]["steps"] == 6
    assert resume("run --steps 5") == 2
    assert "--steps: expected at least 6, which run has done already" in capsys.readouterr().err


DOCUMENTS = "".join(f"Line {i} is {'long, ' * (i % 7)}so it is.<|endoftext|>" for i in range(60))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_windows_of_documents_go_on_bit_for_bit(
    here: Path, number: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("text.txt").write_text(DOCUMENTS)
    assert train("--steps 9 --out straight") == 0
    assert "tokens; windows begin at documents\n" in capsys.readouterr().out
    assert load_run("straight").training["options"]["windows"] == "documents"
    with monkeypatch.context() as patch, suppress(RuntimeError):
        at_step(6, crash if number == signal.SIGKILL else interrupt(number), patch)
        train("--steps 9 --out cut")
    assert resume("cut") == 0
    assert "tokens; windows begin at documents\n" in capsys.readouterr().out
    assert_equal_runs("straight", "cut")
    assert train("--steps 9 --out random --windows random") == 0
    assert "tokens; windows begin at random places\n" in capsys.readouterr().out
    assert (learned("random")[0] != learned("straight")[0]).any()


def test_a_run_from_before_documents_goes_on_at_random_places(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its text has documents; its record says nothing of windows."""
    Path("text.txt").write_text(DOCUMENTS)
    assert train("--steps 9 --out straight --windows random") == 0
    with monkeypatch.context() as patch:
        at_step(6, interrupt(), patch)
        assert train("--steps 9 --out cut --windows random") == 0
    saved, trainer = resume_run("cut"), Run.resume("cut").trainer
    del saved.training["options"]["windows"]
    save_run("cut", saved.model, saved.encoding, saved.training, trainer.optimizer)
    assert resume("cut") == 0
    assert_equal_runs("straight", "cut")
    assert load_run("cut").training["options"]["windows"] == "random"


def test_fine_tuning_on_documents(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train("--steps 2 --out plain") == 0
    Path("text.txt").write_text(DOCUMENTS)
    tune = ["train", "--init", "plain", "--data", "text.txt", "--steps", "2", "--out"]
    for windows in ("documents", "random"):
        more = ["--windows", "random"] * (windows == "random")
        assert main([*tune, windows, *more]) == 0
        options = load_run(windows).training["options"]
        assert (options["windows"], options["batch_size"]) == (windows, 1)


def test_the_stories_are_read_as_documents(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("numpygpt.training.data.STORIES", 40)
    monkeypatch.setattr("numpygpt.training.report.fresh_stories", lambda *_: [])
    monkeypatch.setattr("numpygpt.training.run.judge_stories", lambda *_: "")
    assert train("--steps 1 --out run", data="") == 0
    assert load_run("run").training["options"]["windows"] == "documents"


# -- refused ------------------------------------------------------------------------------------


def refused(capsys: pytest.CaptureFixture[str], code: int, reason: str) -> None:
    """The last command ended with one line that says why."""
    assert code == 2
    err = capsys.readouterr().err
    assert reason in err and err.count("\n") == 1 and err.startswith("numpygpt: ")


def test_what_resume_refuses(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train("--steps 2 --out run") == 0
    before = (here / "run" / CHECKPOINT).read_bytes()
    capsys.readouterr()
    refused(capsys, resume("run --steps 3 --seed 0 --no-decay-all"), "remove --decay-all, --seed")
    refused(capsys, resume("run --windows random"), "from the run: remove --windows")
    refused(capsys, resume("nowhere"), "nowhere: expected the folder of a run, and there is none")
    Path("empty").mkdir()
    refused(capsys, resume("empty"), "empty: expected the folder of a run, with a checkpoint.npz")
    with open("text.txt", "a") as file:
        file.write("One line more.\n")
    refused(capsys, resume("run --steps 3"), "run learned another text than is in")
    Path("text.txt").unlink()
    refused(capsys, resume("run --steps 3"), "text.txt, which run learned, is not there any more")
    assert (here / "run" / CHECKPOINT).read_bytes() == before


def test_a_record_of_windows_that_are_unknown(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("--steps 2 --out run") == 0
    saved, optimizer = resume_run("run"), Run.resume("run").trainer.optimizer
    saved.training["options"]["windows"] = "sentences"
    save_run("run", saved.model, saved.encoding, saved.training, optimizer)
    capsys.readouterr()
    reason = "describes no training: TrainConfig: expected windows one of documents, random, got "
    refused(capsys, resume("run --steps 3"), f"{reason}'sentences'")


def test_a_run_is_not_written_over(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train("--steps 2 --out run") == 0
    before = (here / "run" / CHECKPOINT).read_bytes()
    capsys.readouterr()
    refused(capsys, train("--steps 2 --out run"), "run holds a run already: continue it (")
    assert (here / "run" / CHECKPOINT).read_bytes() == before
    assert train("--steps 1") == 0 and train("--steps 1") == 0
    assert sorted(os.listdir("runs")) == ["1", "2"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no flock")
def test_the_second_training_in_a_folder_is_refused(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("--steps 2 --out run") == 0
    capsys.readouterr()
    with folders.locked(Path("run")):
        refused(capsys, resume("run --steps 3"), "run: another training is running there")
        refused(capsys, train("--steps 2 --out run"), "run: another training is running there")
    assert resume("run --steps 3") == 0


def test_a_file_system_or_system_without_locks(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "fcntl", None)
    assert train("--steps 2 --out run") == 0
    assert resume("run --steps 3") == 0


def test_where_nothing_can_be_written(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("file").touch()
    refused(capsys, train("--steps 2 --out file/run"), "file/run: no folder for a run: Not a dir")
    refused(capsys, train("--steps 2 --out file"), "file: no folder for a run: File exists")
    if os.getuid():  # root may write anywhere
        Path("locked").mkdir(mode=0o555)
        refused(capsys, train("--steps 2 --out locked/run"), "no folder for a run: Permission")
        refused(capsys, train("--steps 2 --out locked"), "cannot be written: Permission")


def test_a_folder_that_has_become_read_only(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    assert train("--steps 2 --out run") == 0
    capsys.readouterr()
    before = Path("run/checkpoint.npz").read_bytes()
    monkeypatch.setattr("numpygpt.files.whole.open", refuse, raising=False)
    assert resume("run --steps 3") == 2
    assert "cannot be written: Read-only file system" in capsys.readouterr().err
    assert Path("run/checkpoint.npz").read_bytes() == before
    assert sorted(os.listdir("run")) == ["checkpoint.npz", "metrics.csv"]


def test_a_text_too_short_leaves_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("short.txt").write_text("Too short.")
    refused(capsys, train("--steps 2", "--data short.txt"), "the text is too short")
    assert os.listdir("runs") == []


def test_the_empty_name_is_not_this_folder(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (
        pytest.raises(ValueError, match="the name of a file or a folder, got ''"),
        folders.new_folder(""),
    ):
        pass
    with pytest.raises(ValueError, match="the name of a file or a folder, got ''"):
        Run.resume("")
    assert os.listdir() == ["text.txt"]


def test_a_home_folder(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(here / "home"))
    with folders.new_folder("~/runs/1") as folder:
        assert folder == here / "home" / "runs" / "1"
        new_run(folder)
    with folders.locked(Path("~/runs/1")):
        assert Run.resume("~/runs/1").folder == folder


# -- the text, wherever it is now ---------------------------------------------------------------


def new_run(folder: Path, text: str = "text.txt", steps: int = 9, prompt: str = "Line") -> Run:
    """A run made in Python."""
    encoding = byte_encoding()
    model = GPT(GPTConfig(257, 8, 12, 3, 2, dropout=0.2), rng=0)
    config = TrainConfig(steps=steps, batch_size=5, eval_every=4, eval_batches=1)
    folder.mkdir(parents=True, exist_ok=True)
    return Run.create(folder, Text.load(text, prompt), encoding, model, config)


def test_a_text_that_was_moved_is_known_by_its_contents(here: Path) -> None:
    new_run(here / "straight").train()
    run = new_run(here / "run", steps=4)
    run.train()
    Path("text.txt").rename("moved.txt")
    with pytest.raises(
        CheckpointError, match=r"text\.txt, which .*run learned, is not there"
    ) as told:
        Run.resume("run", steps=9)
    assert str(told.value).endswith("numpygpt train --resume run --data FILE")
    Path("other.txt").write_text("Another text. " * 60)
    with pytest.raises(
        CheckpointError, match=r"run learned another text than is in other\.txt now"
    ):
        Run.resume("run", steps=9, data="other.txt")
    Run.resume("run", steps=5, data="moved.txt").train()
    assert Run.resume("run", steps=9).train()  # from now on it knows the place
    assert load_run("run").training["text"]["file"] == str(here / "moved.txt")
    table = [row for row in rows("run") if row["learning_rate"]]
    assert [row["step"] for row in table] == [str(i) for i in range(1, 10)]


def test_the_stories_are_no_other_text(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("numpygpt.training.data.STORIES", 40)
    encoding = byte_encoding()
    model = GPT(GPTConfig(257, 8, 12, 3, 2), rng=0)
    Path("run").mkdir()
    Run.create(Path("run"), Text.load(None), encoding, model, TrainConfig())
    with pytest.raises(CheckpointError, match=r"another text than is in text\.txt now"):
        Run.resume("run", data="text.txt")
    monkeypatch.setattr("numpygpt.training.data.STORIES", 50)
    with pytest.raises(CheckpointError, match="another text than is in the built-in stories now"):
        Run.resume("run")


def test_a_text_that_came_through_a_pipe(here: Path) -> None:
    new_run(here / "straight").train()
    contents = Path("text.txt").read_text()
    read, write = os.pipe()
    os.write(write, contents.encode())
    os.close(write)
    new_run(here / "run", text=f"/dev/fd/{read}")
    with pytest.raises(CheckpointError, match=rf"/dev/fd/{read}, which run learned, is not there"):
        Run.resume("run")  # and does not wait for what nobody writes
    os.close(read)
    assert Run.resume("run", data="text.txt").train()
    assert_equal_runs("straight", "run")


# -- an output that fails, or is none -----------------------------------------------------------


@contextmanager
def reader(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Inside, stdout is a pipe, whose reader goes away when this is called."""
    read, write = os.pipe()
    left = [read]
    with monkeypatch.context() as patch, suppress(BrokenPipeError), os.fdopen(write, "w") as stream:
        patch.setattr("sys.stdout", stream)
        yield lambda *_: os.close(left.pop()) if left else None


def test_a_reader_who_went_away_loses_nothing(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = new_run(here / "run", steps=8)
    with reader(monkeypatch) as goes:
        at_step(3, goes, monkeypatch)
        with pytest.raises(BrokenPipeError) as told:
            run.train()
    assert str(told.value) == (
        f"nobody reads the output any more; {here}/run keeps the checkpoint of step 4; to go on: "
        f"numpygpt train --resume {here}/run"
    )
    assert len(rows("run")) == 4 and rows("run")[3]["held_out_loss"]
    Run.resume("run").train()
    new_run(here / "straight", steps=8).train()
    assert_equal_runs("straight", "run")


def test_a_reader_who_goes_at_the_first_sample_or_the_last(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, first = new_run(here / "run", steps=1), new_run(here / "first")
    with reader(monkeypatch) as goes:
        at_step(1, goes, monkeypatch)
        with pytest.raises(BrokenPipeError, match=r"run keeps the checkpoint of step 1$"):
            run.train()
        with pytest.raises(BrokenPipeError, match=r"first keeps the checkpoint of step 0; to go"):
            first.train()


class Output:
    """A stream with a write method that can fail, and nothing else."""

    def __init__(self, *errors: OSError) -> None:
        self.text, self.errors = "", list(errors)

    def write(self, text: str) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.text += text


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EAGAIN])
def test_a_full_log_or_a_closed_terminal_does_not_end_a_training(
    here: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr("sys.stdout", Output(OSError(number, os.strerror(number))))
    with pytest.raises(OSError) as told:
        new_run(here / "run").train()
    assert str(told.value) == (
        f"the output cannot be written ({os.strerror(number)}); {here}/run keeps the checkpoint of "
        "step 9"
    )
    assert load_run("run").training["state"]["step"] == 9


@pytest.mark.parametrize("stream", [None, Output()])
def test_a_training_needs_no_output(
    here: Path, monkeypatch: pytest.MonkeyPatch, stream: object
) -> None:
    monkeypatch.setattr("sys.stdout", stream)
    monkeypatch.setattr("sys.stderr", stream)
    at_step(5, interrupt(), monkeypatch)
    assert not new_run(here / "run").train()
    assert load_run("run").training["state"]["step"] == 5
    if isinstance(stream, Output):
        assert "before training:" in stream.text and STOPPING in stream.text


def test_a_training_in_another_thread(here: Path) -> None:
    run = new_run(here / "run")
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(run.train).result()
    assert load_run("run").training["state"]["step"] == 9


def test_an_encoding_that_lacks_the_text(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("text.txt").write_text("\u4e2d\u6587 \xe9lan\n" * 60)
    data = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(data, "cp1252", errors="replace"))
    new_run(here / "run", prompt="\u4e2d\xe9").train()
    shown = data.getvalue().decode("cp1252")
    assert "    \\u4e2d\xe9" in shown and "?\xe9" not in shown


# -- while it runs ------------------------------------------------------------------------------


def limit_files(size: int) -> None:
    """Let no file grow beyond: what is longer is taken in part, then refused, as by a full disk."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))


@pytest.mark.parametrize("room", [1000, 10, 0])
def test_a_disk_that_fills(
    here: Path, room: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No room for a checkpoint; for a part of a row; for nothing."""

    def fill(trainer: Trainer) -> None:
        limit_files(os.path.getsize("run/metrics.csv") + room)

    assert train("--steps 9 --out straight") == 0
    capsys.readouterr()
    with monkeypatch.context() as patch:
        at_step(6, fill, patch)
        try:
            code = train("--steps 9 --out run")
        finally:
            limit_files(resource.RLIM_INFINITY)
    refused(capsys, code, "cannot be written: File too large; run keeps the checkpoint of step 4")
    assert sorted(os.listdir("run")) == [CHECKPOINT, "metrics.csv"]
    with open("run/metrics.csv") as file:
        assert file.read().count(",") == 6 * (len(rows("run")) + 1)  # whole rows
    assert resume("run") == 0
    assert_equal_runs("straight", "run")


def test_a_disk_that_is_full_from_the_start(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    limit_files(1000)
    try:
        code = train("--steps 9")
    finally:
        limit_files(resource.RLIM_INFINITY)
    refused(capsys, code, "cannot be written: File too large")
    assert os.listdir("runs") == []


def test_a_folder_that_is_lost(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    at_step(3, lambda trainer: shutil.rmtree("run"), monkeypatch)
    refused(
        capsys,
        train("--steps 9 --out run"),
        "checkpoint.npz cannot be written: No such file or directory; run is gone",
    )
    assert not Path("run").exists()


def test_numbers_that_are_not_finite(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def overflow(trainer: Trainer) -> None:
        trainer.model.blocks[1].feedforward.fc.W.data[...] = 1e30

    with monkeypatch.context() as patch:
        at_step(7, overflow, patch)
        code = train("--steps 9 --out run")
    err = capsys.readouterr().err
    assert code == 2 and err.count("\n") == 1
    assert re.match(r"numpygpt: step 7: the loss is \d", err)
    assert "gradient by the input of model.blocks.1.feedforward.gelu" in err
    assert err.endswith("; run keeps the checkpoint of step 4\n")
    assert np.isfinite(load_run("run").model.flat.data).all()


def test_weights_that_are_not_finite_are_not_saved(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    step = Trainer.step

    def spoil(self: Trainer) -> object:
        result = step(self)
        if self.steps_done == 8:
            self.model.norm.gain.data[3] = np.inf
        return result

    monkeypatch.setattr(Trainer, "step", spoil)
    refused(
        capsys, train("--steps 8 --out run"), "step 8: model.norm.gain is not finite; run keeps"
    )
    assert load_run("run").training["state"]["step"] == 4


# -- what is shown ------------------------------------------------------------------------------


def test_what_a_run_prints(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train("--steps 8 --out run --prompt Line") == 0
    out = capsys.readouterr().out
    order = ["text  ", "model  ", "train  8 steps of 10 x 8 tokens", "before training:\n    Line"]
    order += ["after 2 steps:\n    Line", "step     4/8  loss ", "held out ", "after 4 steps:"]
    order += ["after 6 steps:", "step     8/8", "after training (", "    Line", "held-out text: "]
    order += ["written to run: checkpoint.npz", "numpygpt generate --run run --prompt Line"]
    place = 0
    for text in order:
        place = out.index(text, place)
    assert "\r" not in out and "\033" not in out
    table = rows("run")
    assert [bool(row["held_out_loss"]) for row in table] == [i == 4 for i in range(1, 9)]
    assert float(table[3]["bits_per_byte"]) == pytest.approx(
        float(table[3]["held_out_loss"]) / np.log(2), rel=1e-4
    )


def held_out(folder: str, max_batches: int | None) -> float:
    """The loss of a saved run on its held-out text, in batches of 5 windows."""
    text = Text.load("text.txt")
    data = Data.encode(byte_encoding(), text.train, text.held_out)
    return held_out_loss(load_run(folder).model, data, 5, max_batches)


def test_the_losses_are_of_what_they_say(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Between steps, of the first 5 windows; at the end, of them all."""
    assert train("--steps 9 --out run") == 0
    whole, part = held_out("run", None), held_out("run", 1)
    assert abs(whole - part) > 0.002
    out = capsys.readouterr().out
    assert (
        f"\nheld-out text: {whole:.3f} nats a token, {whole / np.log(2):.3f} bits a byte\n" in out
    )
    with monkeypatch.context() as patch:
        at_step(5, crash, patch)
        with pytest.raises(RuntimeError):
            train("--steps 9 --out cut")
    part = held_out("cut", 1)
    assert abs(held_out("cut", None) - part) > 0.002
    assert float(rows("cut")[3]["held_out_loss"]) == pytest.approx(part, rel=1e-5)
    assert f"  held out {part:.3f}, {part / np.log(2):.3f} bits/byte\n" in capsys.readouterr().out


def test_the_commands_that_are_printed_can_be_pasted(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, prompt = "my $(touch pwned) run", 'Line 1\'s $(touch pwned) "end" '
    options = ["--data", "text.txt", *OPTIONS.split(), "--steps", "5"]
    with monkeypatch.context() as patch:
        at_step(3, interrupt(), patch)
        assert main(["train", "--out", folder, "--prompt", prompt, *options]) == 0
    for commands in (["train"], ["generate", "look"]):
        parts = capsys.readouterr().out.split("\n    numpygpt ")
        last = [shlex.split(part.split("\n")[0]) for part in parts[-len(commands) :]]
        assert [words[0] for words in last] == commands
        assert main(last[0]) == 0
    assert last[1] == ["look", "--run", folder]
    assert capsys.readouterr().out.startswith(prompt)
    assert main(["train", "--out", folder, *options]) == 2
    printed = capsys.readouterr().err.split("(numpygpt ", 1)[1].rpartition("),")[0]
    assert main([*shlex.split(printed), "--steps", "6"]) == 0
    assert sorted(os.listdir()) == [folder, "text.txt"]


def test_an_interrupt_of_the_first_sample(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> str:
        os.kill(os.getpid(), signal.SIGINT)
        return "a sample"

    monkeypatch.setattr("numpygpt.training.run.sample", interrupted)
    monkeypatch.setattr(Run, "finish", lambda *_: None)
    assert train("--steps 9 --out run") == 0
    out = capsys.readouterr().out
    assert out.endswith("before training:\na sample\n\n")  # no line of a step that was not done
    assert load_run("run").training["state"]["step"] == 0


def test_an_interrupt_of_the_last_measurement_loses_nothing(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(self: Trainer, whole: bool, progress: object) -> float:
        if whole:
            os.kill(os.getpid(), signal.SIGINT)
        return 1.0

    monkeypatch.setattr(Trainer, "held_out_loss", interrupted)
    assert train("--steps 9 --out run") == 130
    out = capsys.readouterr().out
    assert "\n    numpygpt generate --run run --prompt 'Line 55 says that 3025 is 55'\n" in out
    assert out.endswith("\n    numpygpt look --run run\n")
    assert load_run("run").training["state"]["step"] == 9


def test_a_long_last_measurement_gives_signs_of_life(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("numpygpt.training.progress.SILENCE", 0.0)
    assert train("--steps 2 --out run") == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "tokens  held-out" in line]
    of = (len(Text.load("text.txt").held_out) - 1) // 8 * 8
    assert lines == [f"{min(n, of)} of {of} tokens  held-out text" for n in range(40, of + 40, 40)]


def test_the_stories_are_judged(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("numpygpt.training.data.STORIES", 40)
    fresh = ["", "It was red.", "No"]  # report's own test says what is made of them
    monkeypatch.setattr("numpygpt.training.report.fresh_stories", lambda *_: fresh)
    assert train("--steps 2 --out run", data="") == 0
    run = Run.resume(Path("run"), steps=3)
    assert not run.complete and run.text.file is None
    judged = judge_stories(run.model, run.encoding, run.text, LiveLine(None))
    assert judged.startswith("3 fresh stories, drawn")
    assert f"\n{judged}\n" in capsys.readouterr().out


def test_a_run_generates(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train("--steps 2") == 0
    capsys.readouterr()
    assert main(["generate", "--tokens", "5", "--prompt", "Li", "--seed", "3"]) == 0
    saved = load_run("runs/1")
    row = generate(saved.model, [list(b"Li")], 5, 0.8, eos_id=256, rng=3)[0]
    text = bytes(i for i in row.tolist() if i != 256).decode(errors="replace")
    assert capsys.readouterr().out == text + "\n"


@pytest.mark.parametrize("windows", ["documents", "random"])
def test_samples_begin_as_the_windows_that_were_learned(
    here: Path, windows: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With documents from the mark, which is not shown."""
    Path("text.txt").write_text(DOCUMENTS)
    told: list[object] = []

    def noted(*arguments: object) -> str:
        told.extend(arguments[2:])
        return ""

    monkeypatch.setattr("numpygpt.training.run.sample", noted)
    assert train(f"--steps 1 --prompt Li --windows {windows}") == 0
    assert told == ["Li", windows] * 2
    saved, read = load_run("runs/1"), []

    def stream(model: GPT, ids: Array, *_: object, **__: object) -> Iterator[Array]:
        read.append(ids.tolist())
        return iter([np.array([ord("!")])])

    monkeypatch.setattr("numpygpt.generation.stream", stream)
    options = saved.training["options"]
    older = {name: value for name, value in options.items() if name != "windows"}
    for known in (options, older, None):
        training = saved.training | {"options": known}
        save_run("runs/1", saved.model, saved.encoding, training)
        capsys.readouterr()
        assert main(["generate", "--prompt", "Li"]) == 0
        assert capsys.readouterr().out == "Li!\n"
    mark = [256] * (windows == "documents")
    assert read == [[[*mark, *b"Li"]], [[*b"Li"]], [[*b"Li"]]]
