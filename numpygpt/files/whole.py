"""Files that are whole or not there: written beside the old one, flushed, checked, renamed."""

import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO


class CheckpointError(ValueError):
    """A file or folder is no whole part of a run; the message names it and says why."""


def write_whole(
    path: Path,
    write: bytes | Callable[[BinaryIO], object],
    check: Callable[[Path], object] | None = None,
) -> None:
    """Put a new file in the place of `path` in one instant: at every moment a whole one is there.

    Parameters
    ----------
    path : Path
        The file to make or replace.
    write : bytes or callable
        The contents, or what writes them to the open file that it gets.
    check : callable, optional
        Gets the path of the new file, after it was flushed; what it raises keeps the old one.

    Raises
    ------
    OSError
        If the disk refuses. The old file is untouched then, and nothing of the new one is left.
    """
    beside = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    try:
        with open(beside, "wb") as file:
            if isinstance(write, bytes):
                file.write(write)
            else:
                write(file)
            file.flush()
            os.fsync(file.fileno())
        if check is not None:
            check(beside)
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def remove_parts(path: Path) -> None:
    """Remove what a `write_whole` of `path` left that was killed. Only for its one writer."""
    for part in path.parent.glob(f"{path.name}.*.part"):
        part.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Flush a folder's list of names, without which a rename may not survive a power failure."""
    if os.name == "posix":  # elsewhere a folder cannot be opened, and needs no flushing
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
