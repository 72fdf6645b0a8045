"""`numpygpt train --keep N`: which instants are kept, that they are whole, and whatever happens."""

import os
import signal
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest

from numpygpt import GPT
from numpygpt.cli import main
from numpygpt.files.archive import write_archive
from numpygpt.files.checkpoint import CHECKPOINT, open_checkpoint
from numpygpt.files.whole import CheckpointError
from numpygpt.pretrained import load_tokenizer
from numpygpt.training.folder import kept_checkpoints
from numpygpt.training.kept import steps_to_keep
from numpygpt.training.loop import TrainConfig, Trainer
from numpygpt.training.saved import load_run, resume_run

OPTIONS = "--data text.txt --tokenizer bytes --context-length 8 --n-embd 12 --n-head 3 --n-layer 2"
OPTIONS += " --dropout 0.2 --batch-size 5 --warmup 3 --eval-batches 1 --eval-every 4"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, but for a text."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("numpygpt.training.report.SAMPLE_TOKENS", 4)
    text = "".join(f"Line {i} says that {i * i} is {i} times {i}.\n" for i in range(60))
    Path("text.txt").write_text(text)
    return tmp_path


def train(more: str) -> int:
    return main(["train", *OPTIONS.split(), *more.split()])


def resume(more: str) -> int:
    return main(["train", "--resume", *more.split()])


def kept(folder: str) -> dict[int, bytes]:
    """All that a run kept: by the step, the weights of the model."""
    found = kept_checkpoints(folder)
    return {step: GPT.from_pretrained(path).flat.data.tobytes() for step, path in found}


def stop_before(monkeypatch: pytest.MonkeyPatch, n: int, how: int) -> None:
    """A signal just before step n; 0 is a crash."""
    step = Trainer.step

    def wrapped(self: Trainer) -> object:
        if self.steps_done == n - 1:
            if not how:
                raise RuntimeError("power failure")
            os.kill(os.getpid(), how)
        return step(self)

    monkeypatch.setattr(Trainer, "step", wrapped)


def test_the_instants_lie_as_squares() -> None:
    assert sorted(steps_to_keep(6, 1600)) == [0, 44, 177, 400, 711, 1111]
    assert sorted(steps_to_keep(1, 1600)) == [0]
    assert not steps_to_keep(0, 1600)
    assert sorted(steps_to_keep(4, 10)) == [0, 1, 2, 5]
    for keep, steps in ((7, 7), (9, 7), (10**12, 7)):
        assert sorted(steps_to_keep(keep, steps)) == [0, 1, 2, 3, 4, 5, 6]
    for steps in range(1, 60):
        for keep in range(1, steps + 1):
            due = steps_to_keep(keep, steps)
            assert len(due) == keep and min(due) == 0 and max(due) < steps


def test_each_is_the_model_of_its_step(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = {}
    step = Trainer.step

    def watched(self: Trainer) -> object:
        seen[self.steps_done] = self.model.flat.data.tobytes()
        return step(self)

    monkeypatch.setattr(Trainer, "step", watched)
    assert train("--steps 11 --out run --keep 3") == 0
    assert kept("run") == {i: seen[i] for i in (0, 1, 4)} and len(set(seen.values())) == 11
    assert sorted(os.listdir("run")) == [CHECKPOINT, "kept", "metrics.csv"]
    names = sorted(os.listdir("run/kept"))
    assert names == ["step-0000000.npz", "step-0000001.npz", "step-0000004.npz"]
    path = f"run/kept/{names[2]}"
    with open_checkpoint(path) as saved:
        assert saved.training["state"]["step"] == 4 and saved.training["options"]["keep"] == 3
    assert load_tokenizer(path).encode("été") == load_tokenizer("run").encode("été")
    weights = 4 * len(GPT.from_pretrained("run").flat.data)
    assert weights < os.path.getsize(path) < os.path.getsize(f"run/{CHECKPOINT}") - 2 * weights
    with pytest.raises(CheckpointError, match="only weights: it cannot be resumed"):
        resume_run(path)
    capsys.readouterr()
    for model in ("--run", "--model"):
        assert main(["generate", model, path, "--prompt", "Line", "--tokens", "5"]) == 0
    assert capsys.readouterr().out.startswith("Line")


def test_keeping_changes_nothing_that_is_learned(here: Path) -> None:
    assert train("--steps 6 --out plain") == 0
    assert train("--steps 6 --out run --keep 4") == 0
    plain, run = resume_run("plain"), resume_run("run")
    for a, b in zip((plain.model.flat.data, plain.m), (run.model.flat.data, run.m), strict=True):
        np.testing.assert_array_equal(a, b)
    assert plain.training["state"]["random"] == run.training["state"]["random"]
    assert sorted(os.listdir("plain")) == [CHECKPOINT, "metrics.csv"]
    assert not kept_checkpoints("plain") and not kept_checkpoints("nowhere")


@pytest.mark.parametrize("how", [signal.SIGTERM, 0], ids=["signal", "crash"])
@pytest.mark.parametrize("n", [1, 3, 7])
def test_a_run_that_was_cut_keeps_the_same(
    here: Path, n: int, how: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kept are 0 1 2 3 5; the checkpoint of a crash is of step 4 or 0, before what was kept."""
    assert train("--steps 9 --out straight --keep 5") == 0
    with monkeypatch.context() as patch:
        stop_before(patch, n, how)
        if how:
            assert train("--steps 9 --out cut --keep 5") == 0
        else:
            with pytest.raises(RuntimeError):
                train("--steps 9 --out cut --keep 5")
    part = here / "cut" / "kept" / "step-0000003.npz.0.part"
    part.parent.mkdir(exist_ok=True)
    part.write_bytes(b"half")
    assert resume("cut") == 0
    assert kept("cut") == kept("straight") and list(kept("cut")) == [0, 1, 2, 3, 5]
    assert len(os.listdir("cut/kept")) == 5


def test_what_lies_beyond_the_checkpoint_is_forgotten(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest of a run that is resumed with more steps has other weights, and other instants."""
    with monkeypatch.context() as patch:
        stop_before(patch, 8, 0)
        with pytest.raises(RuntimeError):
            train("--steps 9 --out run --keep 5")
    first = kept("run")
    assert list(first) == [0, 1, 2, 3, 5]
    assert load_run("run").training["state"]["step"] == 4
    assert resume("run --steps 40") == 0
    now = kept("run")
    assert list(now) == [0, 1, 2, 3, 6, 14, 25]
    assert all(now[i] == first[i] for i in (0, 1, 2, 3))


def test_what_lies_in_the_folder_of_a_new_run_is_not_its_own(here: Path) -> None:
    assert train("--steps 4 --out run --keep 4") == 0
    os.remove(f"run/{CHECKPOINT}")
    (here / "run" / "kept" / "notes.txt").write_text("mine")
    assert train("--steps 4 --out run --keep 2 --seed 1") == 0
    assert list(kept("run")) == [0, 1]
    os.remove(f"run/{CHECKPOINT}")
    assert train("--steps 4 --out run") == 0
    assert not kept("run")
    assert (here / "run" / "kept" / "notes.txt").exists()


def test_a_disk_that_fills_while_one_is_kept(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:

    def full(file: BinaryIO, *rest: Any) -> None:
        if "step-0000005" in file.name:
            raise OSError(28, "No space left on device")
        write_archive(file, *rest)

    assert train("--steps 9 --out straight --keep 5") == 0
    capsys.readouterr()
    with monkeypatch.context() as patch:
        patch.setattr("numpygpt.files.checkpoint.write_archive", full)
        assert train("--steps 9 --out run --keep 5") == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "step-0000005.npz cannot be written: No space left" in err
    assert "; run keeps the checkpoint of step 4" in err
    assert list(kept("run")) == [0, 1, 2, 3] and len(os.listdir("run/kept")) == 4
    assert resume("run") == 0
    assert kept("run") == kept("straight")


def test_a_place_that_is_taken_and_a_number_below_0(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "run").mkdir()
    (here / "run" / "kept").write_text("a file")
    assert train("--steps 4 --out run --keep 2") == 2
    assert "kept cannot be made: File exists; run keeps the checkpoint of step 0" in (
        capsys.readouterr().err
    )
    assert train("--steps 4 --out other --keep=-1") == 2
    assert "expected keep at least 0, got -1" in capsys.readouterr().err
    assert not os.path.exists("other")
    assert TrainConfig().keep == 0
