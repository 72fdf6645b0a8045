"""What launchers tell a process, and which part of the cores it takes for itself."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from numpygpt.launcher import Launched, launched, tasks_per_node, thread_variables

MPICH = {"PMI_SIZE": "6", "PMI_RANK": "4", "MPI_LOCALNRANKS": "2", "MPI_LOCALRANKID": "1"}
OPEN_MPI = {
    "OMPI_COMM_WORLD_SIZE": "6",
    "OMPI_COMM_WORLD_RANK": "4",
    "OMPI_COMM_WORLD_LOCAL_SIZE": "2",
    "OMPI_COMM_WORLD_LOCAL_RANK": "1",
}
SLURM = {
    "SLURM_STEP_NUM_TASKS": "6",
    "SLURM_PROCID": "4",
    "SLURM_STEP_TASKS_PER_NODE": "3,1,2",
    "SLURM_NODEID": "2",
    "SLURM_LOCALID": "1",
}


@pytest.mark.parametrize(
    ("by", "environment"), [("MPICH", MPICH), ("Open MPI", OPEN_MPI), ("Slurm", SLURM)]
)
def test_launchers(by: str, environment: dict[str, str]) -> None:
    assert launched(environment) == Launched(size=6, rank=4, here=2, here_rank=1, by=by)
    threads = thread_variables(environment, cores=9)
    names = ["NUMPYGPT_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"]
    assert threads == dict.fromkeys(names, "4")
    assert thread_variables(environment, cores=1) == dict.fromkeys(names, "1")


def test_mpiexec_within_a_slurm_job_is_what_counts() -> None:
    assert launched(SLURM | MPICH | {"PMI_SIZE": "3", "PMI_RANK": "0"}).size == 3


def test_alone() -> None:
    assert launched({}) == Launched()
    assert launched({"PMI_SIZE": "1", "PMI_RANK": "0"}) == Launched()
    assert launched({"SLURM_PROCID": "0", "SLURM_NTASKS": "8"}) == Launched()  # a batch script
    assert thread_variables({}, 8) == {}
    other_machines = MPICH | {"MPI_LOCALNRANKS": "1"}
    assert thread_variables(other_machines, 8) == {}  # this one is its own


def test_what_a_user_set_stays() -> None:
    mine = MPICH | {"OPENBLAS_NUM_THREADS": "7"}
    assert thread_variables(mine, 8) == {"NUMPYGPT_NUM_THREADS": "4", "MKL_NUM_THREADS": "4"}
    assert thread_variables(MPICH | {"OMP_NUM_THREADS": "7"}, 8) == {"NUMPYGPT_NUM_THREADS": "4"}
    assert "NUMPYGPT_NUM_THREADS" not in thread_variables(MPICH | {"NUMPYGPT_NUM_THREADS": "3"}, 8)


@pytest.mark.parametrize(
    ("text", "counts"),
    [("4(x2),3", [4, 4, 3]), ("2", [2]), ("1,2(x3)", [1, 2, 2, 2]), ("", [1]), ("many", [1])],
)
def test_tasks_per_node(text: str, counts: list[int]) -> None:
    assert tasks_per_node(text) == counts


def test_threads_are_set_before_numpy_loads(tmp_path: Path) -> None:
    """OpenBLAS reads its variable then."""
    program = """
import json, os, sys
seen = {}
class Seen:
    def find_spec(name, path, target=None):
        if name == "numpy":
            seen.update(os.environ)
sys.meta_path.insert(0, Seen)
import numpygpt.parallel
names = "OPENBLAS_NUM_THREADS", "NUMPYGPT_NUM_THREADS"
print(json.dumps([[seen.get(name) for name in names], numpygpt.parallel.num_threads()]))
"""
    clean = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    for more, expected in (
        (MPICH | {"MPI_LOCALNRANKS": "1000"}, [["1", "1"], 1]),
        (MPICH | {"MPI_LOCALNRANKS": "1000", "NUMPYGPT_NUM_THREADS": "3"}, [["1", "3"], 3]),
    ):
        run = subprocess.run(
            [sys.executable, "-c", program], env=clean | more, capture_output=True, text=True
        )
        assert run.stderr == "" and json.loads(run.stdout) == expected
