"""metrics.csv: one row a step, there as soon as the step is done, whole or not at all."""

import csv
import io
from codecs import BOM_UTF8
from itertools import count
from pathlib import Path

import numpy as np

from numpygpt.files.whole import CheckpointError, flush_to_disk, refused, write_whole
from numpygpt.layers.parameter import Array
from numpygpt.training.progress import say

MEASURED = ["loss", "grad_norm", "learning_rate", "held_out_loss", "bits_per_byte"]
COLUMNS = ["step", "seconds", *MEASURED]
HEAD = (",".join(COLUMNS) + "\n").encode()


class Metrics:
    """The metrics.csv of a folder, open until it is closed.

    Parameters
    ----------
    folder : Path
        The run's.
    step : int
        Rows up to this one are kept: a run that is resumed there writes the others anew. A file
        that has not all of these (of somebody else, say, or damaged) is kept under another name.
        At step 0 all rows are another run's, and go.
    """

    def __init__(self, folder: Path, step: int = 0) -> None:
        self.path = folder / "metrics.csv"
        with refused(f"{self.path} cannot be written"):
            self.file = open(self.path, "ab+", buffering=0)  # noqa: SIM115
            self.file.seek(0)
            data = self.file.readall()
            self.size, last = kept_rows(data, step)
            if last < step and self.size < len(data):
                self._put_aside(data, step)
            self.file.truncate(self.size)
            if self.size == 0:
                self._append(HEAD)

    def write(self, row: dict[str, object]) -> None:
        """Append a row; a column that is not in it stays empty."""
        text = io.StringIO()
        csv.DictWriter(text, COLUMNS, lineterminator="\n").writerow(row)
        with refused(f"{self.path} cannot be written"):
            self._append(text.getvalue().encode())

    def flush(self) -> None:
        """Have all rows on the disk: before the checkpoint that they lead to."""
        with refused(f"{self.path} cannot be written"):
            flush_to_disk(self.file.fileno())

    def close(self) -> None:
        """Close the file."""
        self.file.close()

    def _put_aside(self, data: bytes, step: int) -> None:
        names = (self.path.with_name(f"metrics.{n}.csv") for n in count(1))
        aside = next(path for path in names if not path.exists())
        write_whole(aside, data)
        say(
            f"{self.path} lacks rows of the steps up to {step}, or another program has saved it: "
            f"as it was, it is now {aside}"
        )

    def _append(self, data: bytes) -> None:
        written = 0
        try:
            while written < len(data):  # a full disk may take a part, and only then refuse
                written += self.file.write(data[written:]) or 0
        except BaseException:
            self.file.truncate(self.size)
            raise
        self.size += len(data)


class NoMetrics(Metrics):
    """Of a process whose rows another one writes."""

    def __init__(self) -> None:
        """There is no file."""

    def write(self, row: dict[str, object]) -> None:
        """Leave it to the other one."""

    def flush(self) -> None:
        """Leave it to the other one."""

    def close(self) -> None:
        """Nothing was opened."""


def kept_rows(data: bytes, step: int) -> tuple[int, int]:
    """How many bytes of a metrics.csv are its head and whole rows up to a step; the last's step.

    With the head alone that is 0, without it -1.
    """
    lines = data.splitlines(keepends=True)
    if lines[:1] != [HEAD]:
        return 0, -1
    size, last = len(HEAD), 0
    for line in lines[1:]:
        cells = line.split(b",")
        if not (line.endswith(b"\n") and len(cells) == len(COLUMNS) and cells[0].isdigit()):
            break
        if int(cells[0]) > step:
            break
        size, last = size + len(line), int(cells[0])
    return size, last


def read_metrics(folder: Path) -> tuple[dict[str, Array], str]:
    """The columns of a folder's metrics.csv, NaN where a row has nothing, and what is damaged.

    A last row that is not whole is another one's beginning: a training that was cut, or goes on. A
    damaged row ends what is read, and is named. CheckpointError if there is no row.
    """
    path = folder / "metrics.csv"
    with refused(f"{path}: expected the losses of a run"):
        data = path.read_bytes().removeprefix(BOM_UTF8).replace(b"\r\n", b"\n")  # by an editor
    lines, rows, damage = data[: data.rfind(b"\n") + 1].splitlines(keepends=True), [], ""
    for number, line in enumerate(lines[1:], 2):
        try:
            row = [float(cell or b"nan") for cell in line.rstrip().split(b",")]
            if len(row) != len(COLUMNS) or not np.isfinite(row[: len(COLUMNS) - 2]).all():
                raise ValueError
        except ValueError:
            damage = f"{path}: line {number} is damaged; what comes before it is shown"
            break
        rows.append(row)
    if lines[:1] != [HEAD] or not rows:
        raise CheckpointError(f"{path}: expected the losses of a run, and at least one step's")
    return dict(zip(COLUMNS, np.array(rows).T, strict=True)), damage
