"""`numpygpt train`: whatever interrupts a run, it goes on to the same bits."""

import csv
import errno
import os
import resource
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from numpygpt.cli import main
from numpygpt.files.checkpoint import CHECKPOINT
from numpygpt.layers.parameter import Array
from numpygpt.training import folder as folders
from numpygpt.training.loop import Trainer
from numpygpt.training.run import Run
from numpygpt.training.saved import load_run, resume_run

SHAPE = "--context-length 8 --n-embd 12 --n-head 2 --n-layer 2 --dropout 0.2"
OPTIONS = f"--tokenizer bytes {SHAPE} --batch-size 3 --accumulate 2 --warmup 3 --eval-every 4"


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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_the_run_goes_on_bit_for_bit(
    here: Path, number: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("--steps 11 --out straight") == 0
    at_step(6, interrupt(number), monkeypatch)
    assert train("--steps 11 --out cut") == 0
    out = capsys.readouterr().out
    assert "stopped after 6 of 11 steps; what was learned is kept" in out
    assert "    numpygpt train --resume cut\n" in out
    assert len(rows("cut")) == 6
    assert resume("cut") == 0
    assert "after step 6 of 11" in capsys.readouterr().out
    assert_equal_runs("straight", "cut")
    assert [row["step"] for row in rows("cut")] == [str(i) for i in range(1, 12)]


def test_a_second_interrupt_ends_at_once(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert train("--steps 9 --out straight") == 0

    def twice(trainer: Trainer) -> None:
        interrupt()(trainer)
        interrupt()(trainer)

    with monkeypatch.context() as patch:
        at_step(7, twice, patch)
        assert train("--steps 9 --out cut") == 130
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
    code = resume("run --steps 3 --seed 0 --data text.txt --no-decay-all")
    refused(capsys, code, "but --steps from the run: remove --data, --decay-all, --seed")
    refused(capsys, resume("nowhere"), "nowhere: expected the folder of a run, and there is none")
    Path("empty").mkdir()
    refused(capsys, resume("empty"), "empty: expected the folder of a run, with a checkpoint.npz")
    with open("text.txt", "a") as file:
        file.write("One line more.\n")
    refused(capsys, resume("run --steps 3"), "run learned another text than is in")
    Path("text.txt").unlink()
    refused(capsys, resume("run --steps 3"), "text.txt")
    assert (here / "run" / CHECKPOINT).read_bytes() == before


def test_a_run_is_not_written_over(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train("--steps 2 --out run") == 0
    before = (here / "run" / CHECKPOINT).read_bytes()
    capsys.readouterr()
    refused(capsys, train("--steps 2 --out run"), "run holds a run already: continue it with")
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
    assert err.startswith("numpygpt: step 7: the loss is 5.")
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
    order = ["text  ", "model  ", "train  8 steps of 6 x 8 tokens", "before training:\n    Line"]
    order += ["after 2 steps:\n    Line", "step     4/8  loss ", "held out ", "after 4 steps:"]
    order += ["after 6 steps:", "step     8/8", "after training (", "    Line", "held-out text: "]
    order += ["written to run: checkpoint.npz", 'numpygpt generate --run run --prompt "Line"']
    place = 0
    for text in order:
        place = out.index(text, place)
    assert "\r" not in out and "\033" not in out
    table = rows("run")
    assert [bool(row["held_out_loss"]) for row in table] == [i == 4 for i in range(1, 9)]
    assert float(table[3]["bits_per_byte"]) == pytest.approx(
        float(table[3]["held_out_loss"]) / np.log(2), rel=1e-4
    )


def test_the_stories_are_judged(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("numpygpt.training.data.STORIES", 40)
    monkeypatch.setattr("numpygpt.training.report.FRESH", 2)
    assert train("--steps 2 --out run", data="") == 0
    assert "fresh stories: " in capsys.readouterr().out
    assert load_run("run").training["text"]["file"] is None
    assert not Run.resume(Path("run"), steps=3).complete


def test_a_run_generates(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train("--steps 2") == 0
    capsys.readouterr()
    assert main(["generate", "--tokens", "5", "--prompt", "Li"]) == 0
    assert capsys.readouterr().out.startswith("Li")
