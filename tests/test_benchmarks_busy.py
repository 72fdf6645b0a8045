"""Benchmarks of a busy machine and of the order of imports: what they promise is what they do."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from benchmarks import busy, machine
from benchmarks.__main__ import main
from benchmarks.work import TRAINING, shrink
from benchmarks.worker import OURS, Result, import_first, workers

TRAIN = shrink(TRAINING[0])
ROOT = Path(__file__).parent.parent


def test_rows_of_a_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in machine.THREAD_VARIABLES:  # what `main` sets is taken back
        monkeypatch.setenv(name, "1")
    monkeypatch.setattr(busy, "cores", lambda: 1)
    only = ["--only=busy", "--only=imports"]
    kept = tmp_path / "run.json"
    assert main(["--quick", "--threads=1", "--busy=2", *only, f"--json={kept}"]) == 0
    assert "goals" not in capsys.readouterr().out  # a trial has none
    tables = {t["name"]: t["rows"] for t in json.loads(kept.read_text())["tables"]}
    training, generating = tables["busy"]
    assert training["what"] == "2 blocks of width 32, 1x16"
    assert generating["what"] == "2 blocks of width 32, 16 tokens after 32"
    for row in tables["busy"]:
        assert row["slower"] == pytest.approx(row["busy s"] / row["alone s"])
        assert row["fair"] == 3 and row["pairs"] == 1
    assert training["busy tokens/s"] == pytest.approx(16 / training["busy s"])
    assert generating["busy tokens/s"] == pytest.approx(1 / generating["busy s"])
    (row,) = tables["imports"]  # of workers that start without NumPy, or this would have raised
    assert row["what"] == "2 blocks of width 32, 1x16"
    assert row["slower"] == pytest.approx(row["numpy first s"] / row["numpygpt first s"])


def test_busy_processes_compute_and_end_with_an_error() -> None:
    with pytest.raises(KeyboardInterrupt), busy.busy(2) as processes:
        assert [process.poll() for process in processes] == [None, None]
        raise KeyboardInterrupt
    assert [process.returncode for process in processes] == [-signal.SIGKILL] * 2


def test_a_busy_process_that_ended_is_no_measurement() -> None:
    message = "ended too soon, with exit code -15"
    with pytest.raises(RuntimeError, match=message), busy.busy(1) as (process,):
        process.terminate()
        process.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_goes_on_when_the_benchmark_is_ended(number: signal.Signals) -> None:
    """Ctrl-C comes to all at once; a killed benchmark can end nothing itself."""
    program = """
import signal, time
from benchmarks.busy import busy
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    with busy(2):
        print(flush=True)
        time.sleep(60)
except KeyboardInterrupt:
    pass
"""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=-1, stderr=-1, start_new_session=True
    ) as process:
        assert process.stdout
        process.stdout.readline()
        os.killpg(process.pid, number) if number == signal.SIGINT else process.kill()
        _, errors = process.communicate(timeout=30)  # the busy ones have the same stderr
        assert errors == b""


def test_a_fair_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(busy, "cores", lambda: 4)
    assert busy.fair(4, 4) == 2
    assert busy.fair(2, 2) == 1  # a core for each
    assert busy.fair(2, 4) == 1.5
    assert busy.fair(8, 4) == 1.5  # alone, 8 threads have 4 cores; then 4 * 8 / 12


def test_slow_steps_end_the_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    class Steady:
        """A worker of which each turn takes a second."""

        def __init__(self) -> None:
            self.results: list[Result] = []

        def turn(self, least: float = 0.0) -> None:
            self.results.append(Result(1.0, [], 1.0))

    monkeypatch.setattr(busy, "workers", lambda modules, work: nullcontext([Steady()]))
    monkeypatch.setattr(busy, "busy", lambda n: nullcontext())
    for enough, pairs in ((60.0, 3), (0.0, 1)):
        monkeypatch.setattr(busy, "ENOUGH", enough)
        (row,) = busy.measure(TRAIN, {"": OURS}, 1, 3, 0.0)
        assert row["pairs"] == pairs


def test_a_turn_of_at_least_some_seconds() -> None:
    with workers([OURS], TRAIN) as (worker,):
        first = worker.turn().numbers
        mean = worker.turn(least=0.3).seconds
        assert mean < 0.3  # of one step, not of all
        last = worker.turn().numbers
    with workers([OURS], TRAIN) as (worker,):
        assert worker.turn().numbers == first
        worker.turn()
        assert worker.turn().numbers != last  # many more steps lay in between


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs the extra [bench]")
def test_other_libraries_are_beside_busy_processes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in machine.THREAD_VARIABLES:
        monkeypatch.setenv(name, "1")
    names = [row["what"] for row in busy.run(True, 1, 1, True, "", lambda line: None).rows]
    assert names == [
        "2 blocks of width 32, 1x16",
        "2 blocks of width 32, 1x16, PyTorch",
        "2 blocks of width 32, 16 tokens after 32",
        "2 blocks of width 32, 16 tokens after 32, transformers",
    ]


@pytest.mark.parametrize("first", ["numpy", "numpygpt"])
def test_the_order_of_imports_is_what_it_says(first: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenBLAS reads the environment as NumPy is loaded: what is there then, is what counts."""
    program = f"""
import os, sys
order = []
class Seen:
    def find_spec(name, path, target=None):
        if name in ("numpy", "numpygpt"):
            order.append((name, "{machine.SET_BY_NUMPYGPT}" in os.environ))
sys.meta_path.insert(0, Seen)
import benchmarks.worker
benchmarks.worker.import_first("{first}")
print(order)
"""
    monkeypatch.setenv(machine.SET_BY_NUMPYGPT, "7")  # as a parent that has set it hands it down
    command = [sys.executable, "-c", program]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    expected = [("numpy", False)] if first == "numpy" else [("numpygpt", False), ("numpy", True)]
    assert run.stdout == f"{expected}\n"


def test_an_import_that_is_not_the_first_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(machine.SET_BY_NUMPYGPT, "7")  # taken back
    with pytest.raises(RuntimeError, match="expected to import numpygpt first, but numpy is here"):
        import_first("numpygpt")
