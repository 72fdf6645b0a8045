"""Facts about the machine and this process: cores, threads, versions, memory."""

import contextlib
import importlib.metadata
import os
import platform
import resource
import sys
from pathlib import Path

THREAD_VARIABLES = (
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMPYGPT_NUM_THREADS",
)
SET_BY_NUMPYGPT = "OPENBLAS_THREAD_TIMEOUT"  # unless the environment has it
STEERING = ("OPENBLAS_", "MKL_", "OMP_")  # these change what is measured, too


def cores() -> int:
    """The cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def threads() -> int:
    """How many `set_threads` gave everybody; before it, the cores."""
    return int(os.environ.get("NUMPYGPT_NUM_THREADS", cores()))


def set_threads(n: int) -> None:
    """Let every library use n threads, here and in all workers. Comes before NumPy's import."""
    for name in THREAD_VARIABLES:
        os.environ[name] = str(n)
    import numpygpt.parallel  # noqa: F401  (it sets a variable, too: now, and for all workers)


def forget_peak() -> None:
    """Let `peak_memory` begin anew, where the system can (Linux)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory() -> float:
    """The most memory that was resident in this process, in MB (10^6 bytes).

    Linux's VmHWM begins anew with the program; ru_maxrss, which other systems have, may count the
    parent's memory at the time of the fork.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) * 1024 / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e6


def total_memory() -> int:
    """The machine's memory in bytes."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _cpu() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        fields: dict[str, str] = {}
        for line in cpuinfo.read_text().splitlines():
            name, _, value = line.partition(":")
            fields.setdefault(name.strip(), value.strip())
        if "model name" in fields:
            family, model = fields.get("cpu family", "?"), fields.get("model", "?")
            return f"{fields['model name']} (family {family}, model {model})"
    return platform.processor() or platform.machine()


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _kernels() -> str:
    """The processor that NumPy's BLAS takes this one for; each has its own matrix products."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return "unknown (install threadpoolctl to see)"
    found = [library.get("architecture", "unknown") for library in threadpool_info()]
    return " and ".join(found) or "unknown"


def facts(packages: tuple[str, ...] = (), quick: bool = False) -> dict[str, str]:
    """What a reader has to know to read the numbers; `packages` are those compared with."""
    import numpy as np

    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    known = {
        "sizes": "tiny (--quick)" if quick else "real",
        "cpu": _cpu(),
        "cores": str(cores()),
        "threads": str(threads()),
        "memory": f"{total_memory() / 1e9:.1f} GB",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "blas": f"{blas.get('name')} {blas.get('version')}",
        "kernels": _kernels(),
        "variables": " ".join(
            f"{name}={value}"
            for name, value in sorted(os.environ.items())
            if name.startswith(STEERING) and name not in THREAD_VARIABLES
        )
        or "none",
    }
    return known | {package: _version(package) for package in packages}
