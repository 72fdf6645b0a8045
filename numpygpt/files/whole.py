"""Files that are whole or not there: written beside the old one, flushed, checked, renamed."""

import errno
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

# What file systems answer that have no flushing (of folders): there is nothing to be done then.
CANNOT_FLUSH = {
    errno.EINVAL,
    errno.ENOTSUP,
    errno.EOPNOTSUPP,
    errno.ENOSYS,
    errno.EBADF,
    errno.EACCES,
    errno.EPERM,
}
LFS_POINTER = b"version https://git-lfs.github.com/spec/"


class CheckpointError(ValueError):
    """A file or folder is no whole part of a run; the message names it and says why."""


@contextmanager
def refused(what: str) -> Iterator[None]:
    """For a `with` block: what the system refuses is a CheckpointError, `what` and the reason."""
    try:
        yield
    except OSError as error:
        raise CheckpointError(f"{what}: {error.strerror or error}") from error


def user_path(path: str | Path) -> Path:
    """A path as users write it: a leading ~ is their home; '', Path's `.`, is refused."""
    if not str(path):
        raise ValueError("expected the name of a file or a folder, got ''")
    return Path(os.path.expanduser(path))


def refuse_pointer(path: Path, start: bytes) -> None:
    """Raise if a file that starts with these bytes only stands for one that git-LFS has."""
    if start.startswith(LFS_POINTER):
        raise CheckpointError(
            f"{path}: expected the file itself, got git-LFS's pointer to it; fetch it with "
            "git lfs pull"
        )


def expect_writable(file: str | Path) -> Path:
    """The path, as users write it; raise, before work is done, if no file can be written there."""
    path = user_path(file)
    if path.is_dir():
        raise IsADirectoryError(f"{path}: expected a file to write, got a folder")
    if is_device(path) and not os.access(path, os.W_OK):
        raise ValueError(f"{path} cannot be written: no permission")
    folder = (Path(os.path.realpath(path)) if path.is_symlink() else path).parent
    if not is_device(path) and not (folder.is_dir() and os.access(folder, os.W_OK)):
        raise ValueError(f"{path} cannot be written: {folder} is no folder to write into")
    return path


def is_device(path: Path) -> bool:
    """Whether there is something that is written into, and not replaced: /dev/stdout, a pipe."""
    return path.exists() and not path.is_file() and not path.is_dir()


def write_whole(
    path: Path,
    write: bytes | Callable[[BinaryIO], object],
    check: Callable[[Path], object] | None = None,
) -> None:
    """Put a new file in the place of `path` in one instant: at every moment a whole one is there.

    A link stays, and what it leads to is replaced. A device or a pipe is written into.

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
    try:
        if is_device(path):
            with open(path, "wb") as file:
                _write(file, write)
        else:
            _replace(Path(os.path.realpath(path)), write, check)
    except OSError as error:
        if error.strerror and (not error.filename or str(error.filename).endswith(".part")):
            error.filename = str(path)  # the name that was asked for
        raise


def _replace(
    path: Path,
    write: bytes | Callable[[BinaryIO], object],
    check: Callable[[Path], object] | None,
) -> None:
    beside = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    try:
        with open(beside, "wb") as file:
            _write(file, write)
            flush_to_disk(file.fileno())
        if check is not None:
            check(beside)
        os.replace(beside, path)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise
    sync_folder(path.parent)


def _write(file: BinaryIO, write: bytes | Callable[[BinaryIO], object]) -> None:
    if isinstance(write, bytes):
        file.write(write)
    else:
        write(file)
    file.flush()


def remove_parts(path: Path) -> None:
    """Remove what a `write_whole` of `path` left that was killed. Only for its one writer.

    The name may be a pattern, such as `step-*.npz`.
    """
    real = Path(os.path.realpath(path))
    for part in real.parent.glob(f"{real.name}.*.part"):
        part.unlink(missing_ok=True)


@contextmanager
def made_folder(folder: Path) -> Iterator[Path]:
    """Make a folder, with those above it; what was made and is empty goes if the block fails."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
    except BaseException:
        for path in made:
            with suppress(OSError):  # it is not empty, or was not made
                path.rmdir()
        raise


def sync_folder(folder: Path) -> None:
    """Flush a folder's list of names, without which a rename may not survive a power failure."""
    if os.name != "posix":  # a folder cannot be opened there, and needs no flushing
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:  # one may write into a folder that one may not read
        return
    try:
        flush_to_disk(descriptor)
    finally:
        os.close(descriptor)


def flush_to_disk(descriptor: int) -> None:
    """fsync, where the file system has it (some in networks, and in user space, have not)."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in CANNOT_FLUSH:
            raise
