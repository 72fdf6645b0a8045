"""The benchmark of many processes: its rows are what they say."""

from dataclasses import replace

import pytest
from test_distributed import needs_mpi

from benchmarks import machine, processes
from benchmarks.work import TRAINING, shrink


@needs_mpi
def test_rows_of_a_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in machine.THREAD_VARIABLES:
        monkeypatch.setenv(name, "2")
    work = replace(shrink(TRAINING[0]), batch=2)
    works = [work, replace(work, batch=4)]
    one, whole, dealt_out = processes.measure(works, "a trial", [1, 2], 1)
    assert [row["what"] for row in (one, whole, dealt_out)] == [
        "a trial, 1 x 1 threads",
        "a trial, 1 x 2 threads",
        "a trial, 2 x 1 threads",
    ]
    assert one["speed"] == one["efficiency"] == 1 and one["sent MB"] == 0
    speed = float(dealt_out["speed"])
    assert speed == pytest.approx(float(dealt_out["tokens/s"]) / float(one["tokens/s"]))
    assert dealt_out["efficiency"] == pytest.approx(speed / 2)
    n = work.num_parameters()
    assert dealt_out["sent MB"] == pytest.approx(4 * n / 1e6)  # half of the gradients, and weights
    assert float(dealt_out["peak MB"]) > 20


def test_without_mpi_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name, path: None)
    with pytest.raises(ValueError, match=r"pip install -e '\.\[mpi\]'"):
        processes.run(True, 1, "", lambda line: None)
