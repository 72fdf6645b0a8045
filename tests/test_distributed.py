"""Training by many processes: what one process would do, to rounding, from the first step on.

This file is also the program that the processes run: `mpiexec -n P python tests/test_distributed.py
WHAT FILE`.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numpygpt import GPT, AdamW, GPTConfig
from numpygpt.layers.parameter import Array
from numpygpt.training import data_parallel, distributed, joining
from numpygpt.training.data import Data
from numpygpt.training.distributed import ALONE, Alone, Processes, part
from numpygpt.training.joining import joined
from numpygpt.training.loop import TrainConfig, Trainer

ROOT = Path(__file__).parent.parent
MPIEXEC = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}")
HAS_MPI = MPIEXEC is not None and importlib.util.find_spec("mpi4py") is not None
needs_mpi = pytest.mark.skipif(not HAS_MPI, reason="needs the extra [mpi]: mpi4py and an mpiexec")

SHAPE = GPTConfig(vocab_size=13, context_length=6, n_embd=12, n_head=3, n_layer=2)
STEPS = TrainConfig(steps=20, batch_size=7, warmup=3, learning_rate=0.01, eval_batches=2)
CASES: dict[str, tuple[GPTConfig, TrainConfig]] = {
    "plain": (SHAPE, replace(STEPS, clip=0)),
    "accumulated": (SHAPE, replace(STEPS, accumulate=3, batch_size=4)),
    "clipped": (SHAPE, replace(STEPS, clip=0.05)),
    "untied, all decay": (replace(SHAPE, tie_weights=False), replace(STEPS, decay_all=True)),
    "dropout": (replace(SHAPE, dropout=0.3), STEPS),
    "dropout, even": (replace(SHAPE, dropout=0.1), replace(STEPS, batch_size=12, accumulate=2)),
}


def make_trainer(name: str, group: Alone, dtype: Any = np.float64) -> Trainer:
    shape, config = CASES[name]
    tokens = np.random.default_rng(1).integers(13, size=400)
    return Trainer(GPT(shape, 0, dtype), Data(tokens[:300], tokens[300:], 100), config, group)


def outcome(trainer: Trainer) -> dict[str, Array]:
    """All that 20 steps leave behind."""
    results = [trainer.step() for _ in range(20)]
    measured = [(r.loss, r.grad_norm, r.learning_rate) for r in results]
    held_out = [trainer.held_out_loss(), trainer.held_out_loss(whole=True)]
    moments = trainer.moments()
    return {
        "steps": np.array(measured),
        "held out": np.array(held_out),
        "weights": trainer.model.flat.data.copy(),
        "m": np.array(moments.m),
        "v": np.array(moments.v),
    }


def all_outcomes(group: Alone, dtype: Any = np.float64) -> dict[str, Array]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data_parallel, "LEAST_ROWS", 12)  # so that there are several shares
        patch.setattr(distributed, "PIECE", 500)  # and pieces, the last of them uneven
        found: dict[str, Array] = {}
        for name in CASES:
            trainer = make_trainer(name, group, dtype)
            found |= {f"{name}/{what}": x for what, x in outcome(trainer).items()}
        return found


def mpiexec(n: int, *arguments: str | Path, **more: Any) -> "subprocess.CompletedProcess[str]":
    """Run this file by n processes."""
    assert MPIEXEC
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | more
    command = [MPIEXEC, "-n", str(n), sys.executable, __file__, *map(str, arguments)]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600
    )


@pytest.fixture(scope="module")
def expected() -> dict[str, Array]:
    return all_outcomes(ALONE)


@needs_mpi
@pytest.mark.parametrize("n", [2, 3])  # 4: see long_mpi_exact.py
def test_many_processes_learn_what_one_does(
    n: int, expected: dict[str, Array], tmp_path: Path
) -> None:
    run = mpiexec(n, "learn", tmp_path / "found.npz")
    assert run.returncode == 0, run.stderr
    with np.load(tmp_path / "found.npz") as found:
        for name, x in expected.items():
            assert np.abs(found[name] - x).max() <= 1e-12 * np.abs(x).max(), name
        sizes = found["sizes"]  # of AdamW's arrays, in all processes
        total = GPT(SHAPE, None).num_parameters()
        assert sizes.sum() == total and sizes.max() - sizes.min() <= 1 and len(sizes) == n
        assert found["same bits"].all() and len(found["same bits"]) == n


@needs_mpi
def test_a_number_that_is_not_finite_anywhere_stops_all(tmp_path: Path) -> None:
    """The layer of the process where it came up is named by all of them."""
    run = mpiexec(3, "not finite", tmp_path / "said")
    assert run.returncode == 0, run.stderr
    words = (tmp_path / "said").read_text().splitlines()
    assert len(words) == 3 and len(set(words)) == 1
    assert words[0].startswith("step 2: the loss is nan")
    assert words[0].endswith("is the output of model.blocks.1.feedforward.gelu")


@needs_mpi
def test_one_that_fails_ends_all() -> None:
    run = mpiexec(2, "fails in one")
    assert run.returncode in (2, 9)  # its own code, or that of whom mpiexec killed for it
    assert "numpygpt: process 1 of 2, on " in run.stderr
    assert "only here" in run.stderr and "not reached" not in run.stdout


@needs_mpi
def test_what_fails_everywhere_is_said_once() -> None:
    run = mpiexec(2, "fails in all")
    assert run.returncode != 0
    # Python's own traceback of each; but once one has ended, mpiexec may end the other unheard.
    assert {run.stderr.count(f"ValueError: the same {rank}") for rank in (0, 1)} in ({1}, {0, 1})
    assert "Abort" not in run.stderr


def test_a_part_of_adamw_is_the_part_of_the_whole() -> None:
    whole, parts = GPT(SHAPE, 0), GPT(SHAPE, 0)
    n = whole.num_parameters()
    g = np.random.default_rng(2).standard_normal(n, dtype=np.float32)
    optimizers = [AdamW(parts, own=part(n, r, 3)) for r in range(3)]
    alone = AdamW(whole)
    for _ in range(3):
        whole.flat.grad[:] = g
        alone.step(0.5)
        parts.flat.grad[:] = g
        for optimizer in optimizers:
            optimizer.step(0.5)
    np.testing.assert_array_equal(parts.flat.data, whole.flat.data)
    np.testing.assert_array_equal(np.concatenate([o.m for o in optimizers]), alone.m)
    np.testing.assert_array_equal(np.concatenate([o.v for o in optimizers]), alone.v)


def test_parts_are_array_splits() -> None:
    for n, parts in ((7, 3), (3, 3), (2, 3), (12, 5), (1, 1)):
        split = [list(x) for x in np.array_split(np.arange(n), parts)]
        assert [list(range(n))[part(n, i, parts)] for i in range(parts)] == split


def test_too_few_sequences_are_refused_with_what_would_do() -> None:
    group = Alone()
    group.size = 8
    with pytest.raises(ValueError, match=r"each of 8 processes, got 7.*at most 7.*8, 16, 24"):
        make_trainer("plain", group)


def learn(group: Alone, file: Path, dtype: str = "float64") -> None:
    """The program of the first test."""
    found = all_outcomes(group, dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data_parallel, "LEAST_ROWS", 12)
        again = outcome(make_trainer("dropout", group, dtype))
    same = all(np.array_equal(found[f"dropout/{what}"], x) for what, x in again.items())
    sizes = group.everyone(len(make_trainer("plain", group).optimizer.m))
    everywhere = group.everyone(same)
    if group.rank == 0:
        arrays: dict[str, Any] = {"sizes": sizes, "same bits": everywhere, **found}
        np.savez(file, **arrays)


def not_finite(group: Alone, file: Path) -> None:
    """The program of the second: the last process computes a wrong number in its second step."""
    trainer = make_trainer("plain", group)
    trainer.step()
    before = trainer.model.flat.data.copy()
    gelu = trainer.model.blocks[1].feedforward.gelu
    forward = type(gelu).forward

    def wrong(self: Any, x: Array) -> Array:
        return forward(self, x) * (np.nan if self is gelu and group.rank == 2 else 1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(gelu), "forward", wrong)
        said = failure(trainer)
    np.testing.assert_array_equal(trainer.model.flat.data, before)
    everyone = group.everyone(said)
    if group.rank == 0:
        file.write_text("\n".join(everyone))


def exchange(group: Alone) -> None:
    """The best seconds of a step's two exchanges, and the bandwidth of a plain message's halves."""
    assert isinstance(group, Processes)
    n = 2_000_000
    grad, half = np.ones(n, np.float32), np.ones(n // 2, np.float32)
    exchanges, messages = [], []
    for _ in range(20):
        group.everyone(None)
        start = time.perf_counter()
        group.comm.Sendrecv(grad[: n // 2], 1 - group.rank, recvbuf=half)
        messages.append(time.perf_counter() - start)
        group.everyone(None)
        start = time.perf_counter()
        group.sum_part(grad)
        group.share_parts(grad)
        exchanges.append(time.perf_counter() - start)
    if group.rank == 0:
        print([n, half.nbytes / min(messages), min(exchanges)])


def failure(trainer: Trainer) -> str:
    with pytest.raises(FloatingPointError) as raised:
        trainer.step()
    return str(raised.value)


def main() -> None:
    what, *file = sys.argv[1:]
    with joined() as group:
        if what == "learn":
            learn(group, Path(file[0]), *file[1:])
        elif what == "not finite":
            not_finite(group, Path(file[0]))
        elif what == "exchange":
            exchange(group)
        elif what == "fails in one":
            if group.rank == 1:
                raise ValueError("only here")
            group.everyone("and this is never heard")
            print("not reached")
        elif what == "fails in all":
            joining.PATIENCE = 60.0  # however busy the machine is
            raise ValueError(f"the same {group.rank}")


if __name__ == "__main__":
    main()
