"""Two machines, as network namespaces: a run over both, and what its exchanges cost.

Each namespace has an address and a name of its own; between them is one link, whose bandwidth `tc`
sets. MPI starts its processes there as it would over ssh. Measured: the two
exchanges of a step, beside the model of `numpygpt info --processes`. A script for CI; it needs
root, and Linux's ip and tc (iproute2).
"""

import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from test_distributed import HAS_MPI, MPIEXEC, ROOT

from numpygpt.cli.scaling import Scaling
from numpygpt.training.joining import joined

HOSTS = {"10.77.3.1": "ngpt-a", "10.77.3.2": "ngpt-b"}
NUMBERS, ROUNDS = 1_000_000, 7  # exchanged: 4 MB; and how often
GBIT = 0.1  # the link's: so slow that a busy machine still fills it
SHAPE = "--tokenizer bytes --context-length 16 --n-embd 24 --n-head 2 --n-layer 2 --dropout 0.2"
OPTIONS = f"{SHAPE} --batch-size 6 --steps 8 --eval-every 4"

LAUNCHER = """#!/bin/sh
# As mpiexec calls ssh: options, a host, and what to run there.
while [ "${1#-}" != "$1" ]; do shift; done
case $1 in ADDRESSES esac
shift
exec ip netns exec $name unshare --uts --mount sh -c "
    hostname $name && mount -t tmpfs none /dev/shm && mount -t tmpfs none PRIVATE && exec $*"
"""


def sh(command: str) -> None:
    """Run a command, or raise with what it said."""
    run = subprocess.run(command.split(), capture_output=True, text=True)
    if run.returncode:
        raise OSError(f"{command}: {run.stderr.strip() or run.returncode}")


@contextmanager
def two_hosts(folder: Path) -> Iterator[list[str]]:
    """The beginning of an mpiexec command that starts processes on both."""
    private = folder / "private"
    private.mkdir()
    cases = " ".join(f"{address}) name={name};;" for address, name in HOSTS.items())
    launcher = folder / "launcher.sh"
    launcher.write_text(LAUNCHER.replace("ADDRESSES", cases).replace("PRIVATE", str(private)))
    launcher.chmod(0o755)
    try:
        for name in HOSTS.values():
            sh(f"ip netns add {name}")
        sh("ip link add ngpt0 type veth peer name ngpt1")
        for i, (address, name) in enumerate(HOSTS.items()):
            sh(f"ip link set ngpt{i} netns {name}")
            sh(f"ip -n {name} addr add {address}/24 dev ngpt{i}")
            sh(f"ip -n {name} link set ngpt{i} up")
            sh(f"ip -n {name} link set lo up")
            limit = f"rate {GBIT:g}gbit burst 256kb latency 50ms"
            sh(f"ip netns exec {name} tc qdisc add dev ngpt{i} root tbf {limit}")
        first = next(iter(HOSTS.values()))
        how = ["-launcher", "ssh", "-launcher-exec", str(launcher)]
        named = f'hostname {first} && exec "$@"'  # here mpiexec starts processes by itself
        host = ["ip", "netns", "exec", first, "unshare", "--uts", "sh", "-c", named, "sh"]
        yield [*host, str(MPIEXEC), *how]
    finally:
        for name in HOSTS.values():
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


def run_on(start: list[str], each: int, words: list[str], folder: Path) -> tuple[int, str, str]:
    """Exit code, output and errors of `each` processes on each host."""
    hosts = ",".join(f"{address}:{each}" for address in HOSTS)
    # Both namespaces are one kernel's, and MPI would find that out, and not use the network.
    environment = os.environ | {"PYTHONPATH": str(ROOT), "UCX_TLS": "tcp,self"}
    command = [*start, "-hosts", hosts, "-n", str(2 * each), sys.executable, *words]
    run = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600
    )
    return run.returncode, run.stdout, run.stderr


def exchange() -> None:
    """The program that is timed: the exchanges of a step, and one number's way there and back."""
    with joined() as group:
        grad = np.ones(NUMBERS, np.float32)
        seconds, short = [], []
        for _ in range(ROUNDS):
            group.everyone(None)
            begin = time.perf_counter()
            grad[group.own(NUMBERS)] = group.sum_part(grad) / group.size
            group.share_parts(grad)
            seconds.append(time.perf_counter() - begin)
            begin = time.perf_counter()
            group.everyone(None)
            short.append(time.perf_counter() - begin)
        assert (grad == 1).all()
        if group.rank == 0:
            print(json.dumps([min(seconds), min(short)]))


def rows(folder: Path) -> list[list[float]]:
    """metrics.csv without its times."""
    with open(folder / "metrics.csv", newline="") as file:
        return [
            [float(x or 0) for k, x in row.items() if k != "seconds"]
            for row in csv.DictReader(file)
        ]


def measured(start: list[str], folder: Path) -> bool:
    """Exchanges beside the model's; whether they agree."""
    fine = True
    print(f"{NUMBERS * 4 / 1e6:g} MB over a link of {GBIT:g} Gbit/s, the best of {ROUNDS}:")
    for each in 1, 2:
        code, out, err = run_on(start, each, [__file__, "exchange"], folder)
        if code:
            print(err)
            return False
        seconds, short = json.loads(out.splitlines()[-1])
        bandwidth = GBIT / 8 * 1e9 / each  # processes of one host share its link
        model = Scaling(NUMBERS, 1.0, 2 * each, 2 * each, 1.0, bandwidth, 1e-4).exchange
        print(
            f"2 hosts of {each}: measured {seconds * 1e3:.0f} ms, model {model * 1e3:.0f} ms "
            f"({seconds / model:.2f}); a word to everyone {short * 1e3:.2f} ms"
        )
        fine &= 0.3 < seconds / model < 2
    return fine


def trained(start: list[str], folder: Path, text: Path) -> bool:
    """A run over both hosts is the run of one process; one whose folder only one sees is none."""
    words = ["-m", "numpygpt", "train", "--data", str(text), *OPTIONS.split(), "--out"]
    code, out, err = run_on(start, 2, [*words, str(folder / "two")], folder)
    print(next((line for line in out.splitlines() if line.startswith("MPI")), err))
    alone = subprocess.run([sys.executable, *words, str(folder / "one")], capture_output=True)
    if code or alone.returncode:
        return False
    a, b = np.array(rows(folder / "one")), np.array(rows(folder / "two"))
    difference = np.abs(a / np.where(a == 0, 1, a) - b / np.where(a == 0, 1, a)).max()
    print(f"a run of 8 steps: its losses differ from one process's by {difference:.1e}, relatively")
    code, out, err = run_on(start, 2, [*words, str(folder / "private" / "run")], folder)
    print(f"a folder that one host does not see: exit code {code}: {err.strip()}")
    return bool(difference < 1e-4 and code == 2 and "ngpt-b, does not see" in err)


def main() -> int:
    """Two hosts, or the reason why there are none; 1 if something is wrong."""
    if not HAS_MPI:
        print("skipped: no mpi4py or no mpiexec here (pip install 'numpygpt[mpi]')")
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        text = folder / "text.txt"
        text.write_text("".join(f"{i} times {i} is {i * i}.\n" for i in range(300)))
        try:
            with two_hosts(folder) as start:
                return 0 if measured(start, folder) and trained(start, folder, text) else 1
        except OSError as error:
            print(f"skipped: no network namespaces here: {error}")
            return 0


if __name__ == "__main__":
    if sys.argv[1:] == ["exchange"]:
        exchange()
    else:
        sys.exit(main())
