"""`mpiexec -n P numpygpt train`: one run, whoever is signalled, killed or wrong."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from test_distributed import MPIEXEC, ROOT, needs_mpi

from numpygpt.cli import main
from numpygpt.files.checkpoint import CHECKPOINT
from numpygpt.training.saved import resume_run

SHAPE = "--context-length 8 --n-embd 12 --n-head 3 --n-layer 2 --dropout 0.2"
OPTIONS = f"--tokenizer bytes {SHAPE} --batch-size 5 --accumulate 2 --warmup 3 --eval-batches 3"
FOREVER = f"train --data text.txt {OPTIONS} --eval-every 1000 --steps 1000000 --out run"
TRAIN = ["-m", "numpygpt"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, but for a text."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("numpygpt.training.report.SAMPLE_TOKENS", 4)
    text = "".join(f"Line {i} says that {i * i} is {i} times {i}.\n" for i in range(60))
    Path("text.txt").write_text(text)
    return tmp_path


@contextmanager
def started(n: int, words: str, *others: str) -> Iterator["subprocess.Popen[str]"]:
    """numpygpt with these words, by n processes; or the first by n, others by one each."""
    assert MPIEXEC
    command = [MPIEXEC, "-n", str(n), sys.executable, *TRAIN, *words.split()]
    for other in others:
        command += [":", "-n", "1", sys.executable, *TRAIN, *other.split()]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environment, text=True, stdout=-1, stderr=-1) as process:
        try:
            yield process
        finally:
            process.kill()


def ended(n: int, words: str, *others: str) -> tuple[int, str, str]:
    """Exit code, output and errors of such processes."""
    with started(n, words, *others) as process:
        out, err = process.communicate(timeout=300)
        return process.returncode, out, err


def processes(folder: Path) -> list[int]:
    """The processes that train in this folder, in no particular order."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if (
                b"numpygpt" in words
                and b"-n" not in words
                and os.readlink(entry / "cwd") == str(folder)
            ):
                found.append(int(entry.name))
        except OSError:
            pass
    return found


def rows(folder: str) -> list[dict[str, str]]:
    with open(f"{folder}/metrics.csv", newline="") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def wait_for_rows(folder: Path, n: int) -> None:
    end = time.monotonic() + 200
    while time.monotonic() < end:
        file = folder / "metrics.csv"
        if file.exists() and file.read_bytes().count(b"\n") > n:
            return
        time.sleep(0.01)
    raise AssertionError("it does not train")


@needs_mpi
def test_a_run_of_any_number_of_processes_is_one_run(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Two begin, three go on, and it is what one would have done."""
    options = f"train --data text.txt {OPTIONS} --eval-every 4"
    code, out, err = ended(2, f"{options} --steps 6 --out many")
    assert (code, err) == (0, "")
    assert out.count("train  6 steps") == 1 and "MPI    2 processes (2 on " in out
    with zipfile.ZipFile(f"many/{CHECKPOINT}") as saved:
        saved_by_two = json.loads(saved.read("config.json"))
    code, out, err = ended(3, "train --resume many --steps 10")
    assert (code, err) == (0, "") and "after step 6 of 10" in out
    assert main([*options.split(), "--steps", "6", "--out", "one"]) == 0
    with zipfile.ZipFile(f"one/{CHECKPOINT}") as saved:
        saved_by_one = json.loads(saved.read("config.json"))
    for about in (saved_by_one, saved_by_two):
        del about["training"]["state"]["seconds"]
    assert saved_by_one == saved_by_two  # no trace of how many processes there were
    assert main(["train", "--resume", "one", "--steps", "10"]) == 0
    one, many = resume_run("one"), resume_run("many")
    for a, b in ((one.model.flat.data, many.model.flat.data), (one.m, many.m), (one.v, many.v)):
        assert a is not None and b is not None
        # Where a true gradient is 0 (a key's bias), AdamW takes steps along what is rounding.
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-4 * np.abs(a).max())
    for a_row, b_row in zip(rows("one"), rows("many"), strict=True):
        numbers = [[float(x or 0) for x in row.values()] for row in (a_row, b_row)]
        np.testing.assert_allclose(numbers[0], numbers[1], rtol=1e-4)
    assert sorted(path.name for path in Path("many").iterdir()) == [CHECKPOINT, "metrics.csv"]


@needs_mpi
@pytest.mark.parametrize("whom", ["mpiexec", "a process"])
def test_a_signal_to_anyone_ends_all_after_the_same_step(here: Path, whom: str) -> None:
    with started(2, FOREVER) as process:
        wait_for_rows(here / "run", 3)
        pid = process.pid if whom == "mpiexec" else max(processes(here))
        os.kill(pid, signal.SIGTERM)
        out, _ = process.communicate(timeout=100)
    assert process.returncode == 0
    (done,) = re.findall(r"stopped after (\d+) of 1000000 steps; what was learned is kept", out)
    assert resume_run("run").training["state"]["step"] == int(done) == len(rows("run"))
    assert processes(here) == []


@needs_mpi
def test_a_killed_process_ends_all_and_the_run_goes_on(here: Path) -> None:
    with started(
        3, FOREVER.replace("--eval-every 1000", "--eval-every 1000 --save-every 2")
    ) as process:
        wait_for_rows(here / "run", 5)
        start = time.monotonic()
        os.kill(max(processes(here)), signal.SIGKILL)
        out, err = process.communicate(timeout=100)
    assert process.returncode != 0 and time.monotonic() - start < 20
    assert "Killed (signal 9)" in out + err
    assert processes(here) == []
    done = resume_run("run").training["state"]["step"]
    assert done >= 4
    code, out, err = ended(2, f"train --resume run --steps {done + 3}")
    assert code == 0, err
    assert f"after step {done} of {done + 3}" in out and len(rows("run")) == done + 3


@needs_mpi
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("text.txt", "other.txt"), "another text than process 0: expected sha256"),
        (
            ("--batch-size 5", "--batch-size 6"),
            "another option batch_size than process 0: expected 5, got 6",
        ),
        (
            ("--n-layer 2", "--n-layer 1"),
            "another model option n_layer than process 0: expected 2, got 1",
        ),
    ],
)
def test_one_with_another_text_or_option_is_refused(
    here: Path, change: tuple[str, str], said: str
) -> None:
    Path("other.txt").write_text(Path("text.txt").read_text().replace("Line 7", "Line 8"))
    code, out, err = ended(1, FOREVER, FOREVER.replace(*change))
    assert code == 2 and out == ""
    assert re.match(r"numpygpt: process 1, on \S+, has ", err) and said in err
    assert err.count("\n") == 1 and not Path("run").exists()


@needs_mpi
def test_what_is_wrong_everywhere_is_told_once(here: Path) -> None:
    code, out, err = ended(3, FOREVER.replace("--batch-size 5", "--batch-size 2"))
    assert code == 2 and out == ""
    assert err.startswith("numpygpt: batch_size: expected at least one sequence for each of 3")
    assert err.count("\n") == 1 and not Path("run").exists()
    code, out, err = ended(2, "train --resume nowhere")
    assert (code, out) == (2, "")
    assert err == "numpygpt: nowhere: expected the folder of a run, and there is none\n"


def alone(program: str, **more: str) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | more
    return subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True
    )


def test_many_without_mpi4py_are_no_many_trainings(here: Path) -> None:
    program = f"""
import sys
sys.modules["mpi4py"] = None
from numpygpt.cli import main
sys.exit(main({FOREVER.split()!r}))
"""
    for rank in "0", "1":
        mpich = {"PMI_SIZE": "2", "PMI_RANK": rank, "MPI_LOCALNRANKS": "2", "MPI_LOCALRANKID": rank}
        run = alone(program, **mpich)
        assert run.returncode == 2 and run.stdout == "" and not Path("run").exists()
        if rank == "0":
            assert run.stderr.startswith("numpygpt: this is one of 2 processes that MPICH started")
            assert "pip install 'numpygpt[mpi]'" in run.stderr and run.stderr.count("\n") == 1
        else:
            assert run.stderr == ""


def test_one_process_never_imports_mpi4py(here: Path) -> None:
    words = FOREVER.replace("1000000", "1").split()
    program = f"""
import sys
from numpygpt.cli import main
assert main({words!r}) == 0
assert "mpi4py" not in sys.modules and "numpygpt.training.distributed" in sys.modules
"""
    run = alone(program)
    assert run.returncode == 0, run.stderr
