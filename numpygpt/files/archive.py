"""The .npz archive that a checkpoint is: arrays one after another, and not a byte unaccounted for.

An .npz is a zip file, and in an uncompressed one each member is its bytes with a header before:

    header  bytes     header  bytes     ...     directory
    name, size, CRC-32 of the bytes             all headers again, and where they are

`Writer` makes that and `numpy.load`, `zipfile` and any unzip program read it. `Reader` reads only
what `Writer` makes. It knows from the model which arrays must come, so it takes no size and no
offset from the file (but the size of JSON texts, up to a limit). It reads each member straight into
the array where it belongs, *makes* the header that the member should have, checksum included, and
compares it with the one that is there; likewise the directory. So every changed bit is found, and
a hostile file can claim what it likes.

Reference: PKWARE APPNOTE.TXT 6.3.10, sections 4.3.7 to 4.3.16; numpy.lib.format, version 1.0.
"""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from numpygpt.files.whole import CheckpointError
from numpygpt.layers.parameter import Array

BLOCK = 1 << 20  # bytes read, and summed while the cache holds them, at a time
VERSION = 45  # of zip, the first with 64-bit sizes, which are used always
DATE = 1 << 5 | 1  # 1 January 1980: the same contents give the same file
ELSEWHERE, ELSEWHERE_16 = 0xFFFFFFFF, 0xFFFF  # "see the 64-bit field"


class Entry(NamedTuple):
    """What zip notes of a member."""

    name: bytes
    crc: int
    size: int


def header(e: Entry) -> bytes:
    """What stands before a member's bytes."""
    extra = struct.pack("<2H2Q", 1, 16, e.size, e.size)
    fields = (VERSION, 0, 0, 0, DATE, e.crc, ELSEWHERE, ELSEWHERE, len(e.name), len(extra))
    return struct.pack("<4s5H3I2H", b"PK\3\4", *fields) + e.name + extra


def directory(entries: list[Entry]) -> bytes:
    """What stands at the end of an archive of these members."""
    listed, start = b"", 0
    for e in entries:
        extra = struct.pack("<2H3Q", 1, 24, e.size, e.size, start)
        fields = (VERSION, VERSION, 0, 0, 0, DATE, e.crc, ELSEWHERE, ELSEWHERE)
        lengths = (len(e.name), len(extra), 0, 0, 0, 0, ELSEWHERE)
        listed += struct.pack("<4s6H3I5H2I", b"PK\1\2", *fields, *lengths) + e.name + extra
        start += len(header(e)) + e.size
    n, size = len(entries), len(listed)
    end64 = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, VERSION, VERSION, 0, 0, n, n, size, start)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, start + size, 1)
    many = (ELSEWHERE_16, ELSEWHERE_16, ELSEWHERE, ELSEWHERE)
    return listed + end64 + locator + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, *many, 0)


def npy_header(shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> bytes:
    """What stands before an array's numbers."""
    text = f"{{'descr': {dtype.str!r}, 'fortran_order': False, 'shape': {shape!r}, }}"
    text += " " * (-(len(text) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


class Writer:
    """Writes an archive to an open file, member by member; `close` ends it."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.entries: list[Entry] = []

    def text(self, name: str, data: bytes) -> None:
        """A member of plain bytes."""
        self._member(name, data)

    def array(self, name: str, values: Array, shape: tuple[int, ...]) -> None:
        """An array, given as contiguous values, of this shape."""
        data = values.data.cast("B")
        self._member(f"{name}.npy", npy_header(shape, values.dtype), data)

    def close(self) -> None:
        """Write the directory."""
        self.file.write(directory(self.entries))

    def _member(self, name: str, *parts: bytes | memoryview) -> None:
        crc = size = 0
        for part in parts:
            crc, size = zlib.crc32(part, crc), size + len(part)
        self.entries.append(Entry(name.encode(), crc, size))
        self.file.write(header(self.entries[-1]))
        for part in parts:
            self.file.write(part)


class Reader:
    """Reads an archive that `Writer` made, in the same order; anything else: CheckpointError.

    Parameters
    ----------
    file : BinaryIO
        Open, at its start.
    path : Path
        Its name, for messages.
    """

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self.file, self.path = file, path
        self.entries: list[Entry] = []

    def text(self, name: str, limit: int) -> bytes:
        """A member of plain bytes, of at most `limit`."""
        found = self._read(len(header(Entry(name.encode(), 0, 0))))
        (size,) = struct.unpack("<Q", found[-8:])
        if size > limit:
            raise self.error(f"{name}: expected at most {limit:,} bytes, its header says {size:,}")
        data = self._read(size)
        self._check(Entry(name.encode(), zlib.crc32(data), size), found)
        return data

    def array(self, name: str, values: Array, shape: tuple[int, ...]) -> None:
        """Fill contiguous `values` from an array of that dtype and this shape."""
        entry = self._array_entry(name, values.nbytes, shape, values.dtype)
        found = self._read(len(header(entry)))
        start = npy_header(shape, values.dtype)
        if self._read(len(start)) != start:
            raise self.error(f"{name}: expected an array of {values.dtype} of shape {shape}")
        crc = zlib.crc32(start)
        for block in _blocks(values.data.cast("B")):
            if self.file.readinto(block) != len(block):  # type: ignore[attr-defined]
                raise self.error(f"it ends within {name}")
            crc = zlib.crc32(block, crc)
        self._check(entry._replace(crc=crc), found)

    def expect_arrays(
        self, arrays: list[tuple[str, tuple[int, ...]]], dtype: np.dtype[np.generic]
    ) -> None:
        """Raise unless the file is as long as one in which these arrays follow, and then end."""
        rest = [
            self._array_entry(
                name, int(np.prod(shape, dtype=object)) * dtype.itemsize, shape, dtype
            )
            for name, shape in arrays
        ]
        members = self.entries + rest
        expected = sum(len(header(e)) + e.size for e in members) + len(directory(members))
        if (size := self.path.stat().st_size) != expected:
            raise self.error(f"expected {expected:,} bytes, got {size:,}")

    def end(self) -> None:
        """Check the directory, and that nothing follows."""
        expected = directory(self.entries)
        if self.file.read(len(expected) + 1) != expected:
            raise self.error("its directory does not match its members")

    def error(self, reason: str) -> CheckpointError:
        """The error to raise about this file."""
        return CheckpointError(f"{self.path} is no whole checkpoint: {reason}")

    @staticmethod
    def _array_entry(
        name: str, n_bytes: int, shape: tuple[int, ...], dtype: np.dtype[np.generic]
    ) -> Entry:
        return Entry(f"{name}.npy".encode(), 0, len(npy_header(shape, dtype)) + n_bytes)

    def _read(self, size: int) -> bytes:
        data = self.file.read(size)
        if len(data) < size:
            raise self.error(f"it ends after {self.file.tell():,} bytes")
        return data

    def _check(self, entry: Entry, found: bytes) -> None:
        if found != header(entry):
            name = entry.name.decode()
            raise self.error(f"{name}: its header does not match what follows (damaged, or no run)")
        self.entries.append(entry)


def _blocks(data: memoryview) -> Iterator[memoryview]:
    for i in range(0, len(data), BLOCK):
        yield data[i : i + BLOCK]
