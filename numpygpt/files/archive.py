"""Named arrays and texts in one .npz: a zip file, nothing compressed and nothing pickled.

`zipfile` and `numpy.lib.format` write it; `numpy.load` and any unzip program read it. What is read
may be damaged, or made to harm, so a file is believed in nothing: names, sizes, dtype and shape are
compared with what the model needs before memory is taken, and zip's checksums find what changed.
An array is read piece by piece into the memory where it belongs.
"""

import io
import math
import os
import struct
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

import numpy as np

from numpygpt.files.whole import CheckpointError, refuse_pointer
from numpygpt.layers.parameter import Array

DTYPE = np.dtype("<f4")
PIECE = 1 << 18  # bytes read at a time
MAX_READ = 8 << 20  # by zipfile, of a directory: 50,000 arrays
MAX_HEADER = 1024  # before an array's numbers; 128 is usual
UTF8_NAME = 0x800  # the only one of zip's flags that we may have set
# What zipfile raises about a file that is broken, or that needs what it cannot do.
BROKEN = (
    zipfile.BadZipFile,
    ValueError,
    RuntimeError,
    EOFError,
    KeyError,
    OverflowError,
    struct.error,
)
Shape = tuple[int, ...]


def write_archive(
    file: BinaryIO, texts: Mapping[str, bytes], arrays: Iterable[tuple[str, Array]]
) -> None:
    """Write texts and arrays under their names. The same contents give the same bytes."""
    with zipfile.ZipFile(file, "w") as archive:  # a ZipInfo's date is 1 January 1980
        for name, text in texts.items():
            archive.writestr(zipfile.ZipInfo(name), text)
        for name, array in arrays:
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                member.write(_header(array.shape))
                member.write(array.astype(DTYPE, copy=False).data)


@contextmanager
def open_archive(path: Path) -> Iterator["Archive"]:
    """For a `with` block: the archive in a file; a CheckpointError if it is none."""
    with _refusing(path):
        file = _Limited(path)
    with file:
        yield Archive(file, path)


class Archive:
    """An open archive, made by `open_archive`."""

    def __init__(self, file: io.FileIO, path: Path) -> None:
        self.path = path
        with _refusing(path):
            refuse_pointer(path, file.read(100))
            self.zip = zipfile.ZipFile(file)
        members, held = self.zip.infolist(), os.fstat(file.fileno()).st_size
        self.sizes = {m.filename: m.file_size for m in members}
        if len(self.sizes) < len(members):
            raise self.error("two members have one name")
        for m in members:
            stored = m.compress_type == zipfile.ZIP_STORED and m.compress_size == m.file_size
            if not stored or m.flag_bits & ~UTF8_NAME:
                raise self.error(f"{m.filename!r:.80}: expected it as it is, not compressed")
        if sum(self.sizes.values()) > held:
            raise self.error(f"its members claim more than the {held:,} bytes of the file")

    def text(self, name: str, limit: int) -> bytes:
        """A member of plain bytes, of at most `limit`."""
        if self.sizes.get(name, 0) > limit:
            raise self.error(f"{name}: expected at most {limit:,} bytes, got {self.sizes[name]:,}")
        with _refusing(self.path), self.zip.open(name) as member:
            return b"".join(iter(lambda: member.read(PIECE), b""))

    def expect(self, name: str, shape: Shape) -> None:
        """Raise unless there is a member as large as an array of this shape."""
        size, needed = self.sizes.get(f"{name}.npy", 0), math.prod(shape) * DTYPE.itemsize
        if not 0 < size - needed <= MAX_HEADER:
            raise self.error(f"{name}: expected the {needed:,} bytes of {shape}, got {size:,}")

    def read(self, name: str, shape: Shape, target: Array) -> None:
        """Fill a contiguous array from the one of this shape, or from its first rows."""
        flat, i = target.reshape(-1), 0
        with _refusing(self.path), self.zip.open(f"{name}.npy") as member:
            if _start(member) != _start(io.BytesIO(_header(shape))):
                raise self.error(f"{name}: expected an array of {DTYPE} of shape {shape}")
            while data := member.read(PIECE):  # to the end, where zipfile compares the checksum
                numbers = np.frombuffer(data, DTYPE)
                part = flat[i : i + len(numbers)]
                part[...] = numbers[: len(part)]
                i += len(numbers)
        if i != math.prod(shape):
            raise self.error(f"{name}: expected {math.prod(shape):,} numbers, got {i:,}")

    def error(self, reason: object) -> CheckpointError:
        """The error to raise about this file."""
        return CheckpointError(f"{self.path} is no whole checkpoint: {reason}")


class _Limited(io.FileIO):
    """A file that is not read in parts as large as a hostile directory may claim."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > MAX_READ:
            raise zipfile.BadZipFile(f"a part of it claims {size:,} bytes")
        return super().read(size)


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Let what is wrong with the file be one CheckpointError."""
    try:
        yield
    except CheckpointError:
        raise
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from None
    except BROKEN as error:
        raise CheckpointError(f"{path} is no whole checkpoint: {str(error)[:200]}") from None


def _header(shape: Shape) -> bytes:
    """What NumPy writes before the numbers of an array."""
    file, about = io.BytesIO(), {"descr": DTYPE.str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, about)
    return file.getvalue()


def _start(file: IO[bytes]) -> tuple[bytes, bytes]:
    """Read a header: its magic number, and its text without the blanks at the end (they vary)."""
    start = file.read(10)
    return start[:8], file.read(int.from_bytes(start[8:], "little")).rstrip()
