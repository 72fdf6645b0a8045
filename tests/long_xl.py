"""GPT-2 XL, 1.56 billion parameters, generates in little more memory than its weights take.

    python tests/long_xl.py

Needs Linux and 7 GB of free memory, and says so where they are not. Exit code 1 if it took more.
"""

import sys
import time

import numpy as np

from numpygpt import GPT, GPTConfig, generate

WEIGHTS = 1_557_611_200 * 4  # bytes
LIMIT = 1.10


def kernel_says(file: str, name: str) -> int:
    """Bytes in a line such as `VmHWM:   123 kB` of /proc."""
    with open(file) as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name + ":"))


def main() -> int:
    """Build, generate, compare the peak of resident memory with the weights."""
    if sys.platform != "linux":
        print("NOT RUN: the peak of resident memory is read from Linux's /proc")
        return 0
    free = kernel_says("/proc/meminfo", "MemAvailable")
    if free < 1.15 * WEIGHTS:
        print(f"NOT RUN: needs {1.15 * WEIGHTS / 1e9:.1f} GB of memory, {free / 1e9:.1f} are free")
        return 0
    start = time.perf_counter()
    model = GPT(GPTConfig.preset("gpt2-xl"), rng=0)
    assert model.flat.data.nbytes == WEIGHTS
    built = time.perf_counter()
    ids = generate(model, [[15496, 11, 314, 716]], 8, rng=0)
    spent = time.perf_counter() - built
    assert ids.shape == (1, 12) and np.isin(ids, range(50_257)).all()
    peak = kernel_says("/proc/self/status", "VmHWM")
    print(f"built in {built - start:.1f} s, 8 tokens after a prompt of 4 in {spent:.1f} s")
    print(f"weights {WEIGHTS / 1e6:,.0f} MB, peak {peak / 1e6:,.0f} MB: {peak / WEIGHTS:.3f} times")
    print("passed" if peak < LIMIT * WEIGHTS else f"FAILED: more than {LIMIT} times the weights")
    return int(peak >= LIMIT * WEIGHTS)


if __name__ == "__main__":
    sys.exit(main())
