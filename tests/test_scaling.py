"""The model of a step that many processes share: by hand, and beside what is measured here."""

import json
import re

import numpy as np
import pytest
from test_distributed import mpiexec, needs_mpi

from numpygpt.cli import main
from numpygpt.cli.info import activation_floats, forward_flops, num_parameters
from numpygpt.cli.scaling import Scaling, matrix_speed, scaling_of
from numpygpt.config import GPTConfig

CONFIG = GPTConfig(vocab_size=11, context_length=8, n_embd=12, n_head=3, n_layer=2)


def test_by_hand() -> None:
    s = Scaling(n=1000, flops=6e6, B=10, P=4, speed=2e6, bandwidth=500.0, latency=0.25)
    assert s.compute == 9.0  # three of ten sequences
    assert s.sent == 6000  # three quarters of 4,000 bytes, twice
    assert s.exchange == 6 * 0.25 + 12
    assert s.efficiency == pytest.approx(30 / 4 / (9 + 13.5))
    assert s.memory(activations=7) == 4 * (1000 + 1000 + 500 + 7)
    assert s.memory(activations=7, sharded=False) == 4 * (1000 + 1000 + 2000 + 7)


def test_one_process_exchanges_nothing() -> None:
    s = scaling_of(CONFIG, B=3, T=8, P=1, bandwidth=1.0, latency=50.0, gflops=2.0)
    assert s.exchange == 0 and s.sent == 0 and s.efficiency == 1
    assert s.compute == pytest.approx(3 * 3 * 8 * forward_flops(CONFIG, 8) / 2e9)
    n = num_parameters(CONFIG)
    assert s.memory(activation_floats(CONFIG, 3, 8)) == 4 * (
        4 * n + activation_floats(CONFIG, 3, 8)
    )


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    words = "info gpt2 --batch-size 8 --processes 4 --bandwidth 1 --latency 100 --gflops 50"
    assert main(words.split()) == 0
    out = capsys.readouterr().out

    def value(row: str) -> float:
        (found,) = re.findall(rf"^  {row} +([\d,.]+) ", out, re.MULTILINE)
        return float(found.replace(",", ""))

    n = 124_439_808
    assert value("sent by each process") == pytest.approx(1.5 * 4 * n / 2**20, abs=0.01)
    assert value("exchange") == pytest.approx(0.6 + 6 * n / 1e6, abs=0.01)
    saved = value("the same, all m and v in each") - value("memory of a process")
    assert saved == pytest.approx(1.5 * 4 * n / 2**20, abs=0.02)
    times = value("faster than one process")
    assert times == pytest.approx(4 * value("efficiency") / 100, abs=0.01)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("--processes 0", "expected a number of processes of at least 1, got 0"),
        ("--processes 5 --batch-size 4", "expected a batch size of at least 5, got 4"),
        ("--processes 2 --bandwidth 0", "expected a bandwidth and gflops above 0"),
        ("--processes 2 --latency -1", "a latency from 0, got"),
        ("--processes 2 --gflops 0", "gflops above 0 and a latency from 0, got 1.25, 0 and 50"),
    ],
)
def test_what_cannot_be(more: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(f"info --gflops 1 {more}".split()) == 2
    assert said in capsys.readouterr().err


def test_the_speed_of_products_is_that_of_a_product() -> None:
    assert 1e8 < matrix_speed(0.05, size=256) < 1e13


@needs_mpi
def test_measured_here() -> None:
    """Two processes exchange as fast as the model says of what a plain message takes."""
    run = mpiexec(2, "exchange")
    assert run.returncode == 0, run.stderr
    n, bandwidth, exchange = json.loads(run.stdout)
    model = Scaling(int(n), 1.0, 2, 2, 1.0, bandwidth, 0.0).exchange
    # Half of what is exchanged is added up as well. Beside other tests, two processes may wait for
    # each other ten times as long as they work; a wrong unit would be a thousand.
    assert 0.2 < exchange / model < 100
    assert np.isfinite(model)
