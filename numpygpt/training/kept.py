"""`train --keep N`: earlier checkpoints of a run, to see how it came to know what it knows.

Kept are N instants of a run of S steps, i = 0 .. N - 1, after step S (i / N)^2, rounded down, and
the checkpoint itself is the instant i = N. Of 1,500 steps and N = 6: 0, 41, 166, 375, 666, 1041
(and 1500). The first is of the model that knows nothing yet.

Why squares. Most is learned first: the second of evenly spaced instants would show a model that
knows its words already. With powers of two (1/2, 1/4, 1/8 of the run) half of the training, and all
that comes late, such as to copy a name, would lie between the last two; and more of them than a run
has doublings could not be had. Squares lie between: half of the instants are in the first quarter
of a run, and three in ten in its second half. Measured on a run of 1,600 steps with N = 12, by
the cosines between all pairs of the stories' words: between the instants 11 and 44 these are made
(they correlate by 0.18), and from then on neighbouring instants correlate by 0.91 to 0.997.

The steps follow from S and N alone, so a run that is resumed keeps the same ones, with the same
weights. One that is resumed with more steps (`--steps`) leaves what it kept and goes on with the
instants of the longer run. Where they lie: folder.py.
"""

from functools import lru_cache
from pathlib import Path

from numpygpt.files.whole import refused, sync_folder
from numpygpt.training.folder import KEPT, kept_checkpoints


@lru_cache(maxsize=1)
def steps_to_keep(keep: int, steps: int) -> frozenset[int]:
    """After which steps of a run a checkpoint is kept: `keep` of them, or all before the last."""
    n = min(keep, steps)
    return frozenset(max(i, steps * i * i // n**2) for i in range(n))  # in few steps, each once


def kept_path(folder: Path, step: int) -> Path:
    """The file for a step, in a folder that is made where it is not there."""
    with refused(f"{folder / KEPT} cannot be made"):
        (folder / KEPT).mkdir(exist_ok=True)
        sync_folder(folder)
    return folder / KEPT / f"step-{step:07}.npz"


def forget_later(folder: Path, step: int) -> None:
    """Remove what was kept beyond a step, from which the run goes on, perhaps to other weights.

    At step 0 nothing is kept yet: what lies there is another run's.
    """
    for kept, path in kept_checkpoints(folder):
        if kept > step or not step:
            path.unlink(missing_ok=True)
