"""kill -9 of one of two processes at a random moment, 20 times, a checkpoint written every step.

Each time the whole job ends within seconds, with a message and an exit code; every restart resumes;
and the last weights, AdamW's arrays, random streams and metrics are those of two processes that
nobody killed, bit for bit. A script for CI.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from long_kill import same, start, steps_done
from test_distributed import HAS_MPI, MPIEXEC
from test_distributed_run import processes

KILLS, STEPS, SECONDS = 20, 600, 15.0


def mpi(folder: Path, text: Path) -> list[str]:
    """Two processes that begin the run in the folder, or go on with it."""
    return [str(MPIEXEC), "-n", "2", *start(folder, text, STEPS)]


def kill_one(folder: Path, text: Path, rng: random.Random) -> tuple[float, int, str] | None:
    """Kill one process at random; seconds until all ended, the exit code and the last words."""
    metrics = folder / "metrics.csv"
    before = metrics.stat().st_size if metrics.exists() else 0
    command = mpi(folder, text)
    with subprocess.Popen(
        command, cwd=folder.parent, stdout=-1, stderr=subprocess.STDOUT, text=True
    ) as process:
        while process.poll() is None and (not metrics.exists() or metrics.stat().st_size <= before):
            time.sleep(0.001)
        time.sleep(rng.random() * 0.3)
        victims = processes(folder.parent)
        if process.poll() is not None or len(victims) != 2:
            return None
        os.kill(rng.choice(victims), signal.SIGKILL)
        begin = time.monotonic()
        words, _ = process.communicate()
        return time.monotonic() - begin, process.returncode, words


def main() -> int:
    """Kill 20 times, then let it end; 1 if anything is not as without."""
    if not HAS_MPI:
        print("skipped: no mpi4py or no mpiexec here (pip install 'numpygpt[mpi]')")
        return 0
    rng = random.Random(0)
    root = str(Path(__file__).parent.parent)
    os.environ |= {"OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": root}
    with tempfile.TemporaryDirectory() as name:
        # Resolved: a process's folder is compared with what the system says.
        folder, straight, text = (
            Path(name).resolve() / part for part in ("killed", "straight", "text.txt")
        )
        text.write_text("".join(f"{i} times {i} is {i * i}.\n" for i in range(300)))
        seconds: list[float] = []
        where: list[int] = []
        while len(seconds) < KILLS:
            killed = kill_one(folder, text, rng)
            if killed is None:
                print(f"it ended after {len(seconds)} kills: give it more steps")
                return 1
            took, code, words = killed
            if code == 0 or "Killed" not in words or took > SECONDS or processes(folder.parent):
                print(f"after a kill: {took:.1f} s, exit code {code}, {words[-300:]}")
                return 1
            seconds.append(took)
            where.append(steps_done(folder))
        for each in folder, straight:
            subprocess.run(mpi(each, text), cwd=name, check=True, stdout=subprocess.DEVNULL)
        print(f"killed one of two processes {KILLS} times, after steps {where};")
        print(f"all had ended {min(seconds):.2f} to {max(seconds):.2f} s later, with an exit code;")
        if not same(folder, straight):
            print("the killed run ended differently from the straight one")
            return 1
        print(f"then ended as the run that was not killed, after {steps_done(folder)} steps")
    return 0


if __name__ == "__main__":
    sys.exit(main())
