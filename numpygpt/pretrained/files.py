"""One safetensors file: which tensors it holds, and their numbers, a few at a time.

    8 bytes     N, the length of the header, little-endian
    N bytes     JSON: {name: {"dtype": "F32", "shape": [...], "data_offsets": [begin, end]}, ...}
    the rest    the numbers, end to end

The safetensors library checks the header: sizes, offsets without holes or overlaps, dtypes. We add
what it lets pass (a name that comes twice) and read the numbers ourselves, straight into the
model's memory in small pieces: a model is never in memory twice, and bfloat16, for which NumPy has
no type, is the upper half of a float32.

Reference: the format's description, huggingface/safetensors.
"""

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from numpygpt.files.whole import CheckpointError, refuse_pointer
from numpygpt.layers.parameter import Array
from numpygpt.pretrained.layout import quote

MAX_HEADER = 8_000_000  # bytes: gpt2-xl's has 50,000
PIECE = 1 << 20  # numbers read at a time
STORED = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}


@dataclass(frozen=True)
class Tensor:
    """Where a tensor lies: its file, its dtype (a key of STORED), its shape, its first byte."""

    path: Path
    dtype: str
    shape: tuple[int, ...]
    start: int

    def read(self, target: Array) -> None:
        """Copy the first numbers into a contiguous array, as many as it has, in its dtype."""
        flat = target.reshape(-1)
        with open(self.path, "rb") as file:
            file.seek(self.start)
            for i in range(0, len(flat), PIECE):
                part = flat[i : i + PIECE]
                stored = np.empty(part.shape, STORED[self.dtype])
                if file.readinto(stored.data) != stored.nbytes:
                    raise CheckpointError(f"{self.path}: the file ends within its numbers")
                if self.dtype == "BF16":
                    stored = (stored.astype("<u4") << 16).view("<f4")
                with np.errstate(over="ignore"):
                    part[...] = stored
                if not np.isfinite(part).all():
                    raise CheckpointError(
                        f"{self.path}: a number is infinite in {part.dtype}, or none at all (NaN)"
                    )

    def equals(self, other: "Tensor") -> bool:
        """Whether two tensors hold the same bytes."""
        if (self.dtype, self.shape) != (other.dtype, other.shape):
            return False
        left = math.prod(self.shape) * np.dtype(STORED[self.dtype]).itemsize
        with open(self.path, "rb") as a, open(other.path, "rb") as b:
            a.seek(self.start)
            b.seek(other.start)
            while left > 0:
                n = min(left, 1 << 22)
                if a.read(n) != b.read(n):
                    return False
                left -= n
        return True


def read_header(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by their names; a CheckpointError if it is no whole safetensors file.

    Nothing is read but the header, at most 8 MB of it.
    """
    try:
        _check(path)
        with open(path, "rb") as file:
            n = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(n), object_pairs_hook=_without_duplicates)
        header.pop("__metadata__", None)
        return {
            name: Tensor(path, t["dtype"], tuple(t["shape"]), 8 + n + t["data_offsets"][0])
            for name, t in header.items()
        }
    except CheckpointError:
        raise
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: no safetensors file: {error}") from None


def _check(path: Path) -> None:
    """Raise unless the header fits the file, by the library's own checks."""
    try:
        from safetensors import SafetensorError, safe_open
    except ModuleNotFoundError:
        raise missing_extra("safetensors") from None
    with open(path, "rb") as file:
        start = file.read(100)
        refuse_pointer(path, start)
        n = int.from_bytes(start[:8], "little")
        size = os.fstat(file.fileno()).st_size
    if not 2 <= n <= min(size - 8, MAX_HEADER):
        raise ValueError(
            f"expected a header of 2 to {MAX_HEADER:,} bytes, got one that claims {n:,} in a file "
            f"of {size:,}"
        )
    try:
        with safe_open(path, framework="numpy"):
            pass
    except SafetensorError as error:
        reason = str(error).removeprefix("Error while deserializing header: ")
        raise ValueError(reason) from None


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, in which no name may come twice."""
    names: dict[str, Any] = {}
    for name, value in pairs:
        if name in names:
            raise ValueError(f"the name {quote(name)} comes twice in its header")
        names[name] = value
    return names


def missing_extra(package: str) -> ImportError:
    """What to raise where an optional package is wanted and not there."""
    return ImportError(
        f"this needs the package {package}, which is not installed: pip install 'numpygpt[hf]'"
    )
