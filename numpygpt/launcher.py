"""Whether this process was started with others, by mpiexec or srun: as its environment says.

A launcher tells each process by variables how many there are, which of them it is, and how many
share its machine. That is known before anything else is imported, so each process can take its part
of the machine's cores: read when NumPy loads, the number of BLAS's threads comes too late after.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

# How many processes there are and which one this is; the same among those on this machine.
VARIABLES = {
    "MPICH": ("PMI_SIZE", "PMI_RANK", "MPI_LOCALNRANKS", "MPI_LOCALRANKID"),
    "Open MPI": (
        "OMPI_COMM_WORLD_SIZE",
        "OMPI_COMM_WORLD_RANK",
        "OMPI_COMM_WORLD_LOCAL_SIZE",
        "OMPI_COMM_WORLD_LOCAL_RANK",
    ),
    "Slurm": ("SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_STEP_TASKS_PER_NODE", "SLURM_LOCALID"),
}
BLAS_THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")  # OMP_NUM_THREADS stands for both


@dataclass(frozen=True)
class Launched:
    """Process `rank` of `size`, `here_rank` of the `here` on this machine; `by` is the launcher."""

    size: int = 1
    rank: int = 0
    here: int = 1
    here_rank: int = 0
    by: str = ""


def launched(environment: Mapping[str, str] = os.environ) -> Launched:
    """Which of how many processes this is; one, by itself, where no launcher says otherwise."""

    def number(name: str, otherwise: int = 0) -> int:
        text = environment.get(name, "")
        return int(text) if text.isdecimal() else otherwise

    for by, (size, rank, here, here_rank) in VARIABLES.items():
        if number(size) > 1 and rank in environment:
            counts = tasks_per_node(environment.get(here, ""))
            count = counts[min(number("SLURM_NODEID"), len(counts) - 1)]
            return Launched(number(size), number(rank), count, number(here_rank), by)
    return Launched()


def tasks_per_node(text: str) -> list[int]:
    """Slurm's list "4(x2),3" as [4, 4, 3]; a number as a list of one; [1] if it is neither."""
    found = re.findall(r"(\d+)(?:\(x(\d+)\))?(?:,|$)", text)
    counts = [int(n) for n, times in found for _ in range(int(times or 1))]
    return counts if counts and min(counts) > 0 else [1]


def cores() -> int:
    """The cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def thread_variables(environment: Mapping[str, str], cores: int) -> dict[str, str]:
    """Variables that give this process its part of the cores; a user's own are not among them."""
    here = launched(environment).here
    if here == 1:
        return {}
    names = ["NUMPYGPT_NUM_THREADS"]
    if "OMP_NUM_THREADS" not in environment:
        names += BLAS_THREADS
    return {name: str(max(1, cores // here)) for name in names if name not in environment}
