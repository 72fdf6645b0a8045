"""How exactly 2, 3 and 4 processes learn what one does: the table, and 1e-12 in float64 held to.

A script for CI. The cases are those of test_distributed.py: accumulation, clipping, tied and untied
weights, dropout, batches that P does not divide; each is trained for 20 steps.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from test_distributed import CASES, HAS_MPI, all_outcomes, mpiexec

from numpygpt.training.distributed import ALONE

PROMISED = {"float64": 1e-12, "float32": 1e-3}  # of the largest number


def main() -> int:
    """Print the largest differences; 1 if one is larger than promised."""
    if not HAS_MPI:
        print("skipped: no mpi4py or no mpiexec here (pip install 'numpygpt[mpi]')")
        return 0
    failed = False
    for dtype, promised in PROMISED.items():
        expected = all_outcomes(ALONE, dtype)
        print(f"{dtype}: largest difference from one process, relative to the largest number")
        print(f"{'':22}{'loss':>11}{'norm':>11}{'held out':>11}{'weights':>11}{'m':>11}{'v':>11}")
        for n in 2, 3, 4:
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / "found.npz"
                mpiexec(n, "learn", file, dtype).check_returncode()
                found = dict(np.load(file))
            if not found["same bits"].all():
                print(f"P = {n}: a second training has other bits")
                failed = True
            for case in CASES:
                pairs = [
                    (found[f"{case}/steps"][:, i], expected[f"{case}/steps"][:, i]) for i in (0, 1)
                ]
                names = "held out", "weights", "m", "v"
                pairs += [(found[f"{case}/{what}"], expected[f"{case}/{what}"]) for what in names]
                errors = [np.abs(a - b).max() / np.abs(b).max() for a, b in pairs]
                failed |= max(errors) > promised
                print(f"P = {n}  {case:15}" + "".join(f"{error:11.1e}" for error in errors))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
