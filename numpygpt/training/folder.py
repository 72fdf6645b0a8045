"""The folder of a run: a new one that nobody else has, or an old one; one training at a time.

    checkpoint.npz          the last instant: see files/checkpoint.py
    metrics.csv             the losses, step by step: see metrics.py
    kept/step-0000000.npz   with --keep: earlier instants (kept.py says which), named after the
    kept/step-0000041.npz   steps that were done

What is kept has the form of checkpoint.npz, without AdamW's arrays: its weights, the tokenizer and
the training's record. So it is a model as any other (`GPT.from_pretrained`, `load_tokenizer`,
`numpygpt generate --run runs/1/kept/step-0000041.npz`), a third as large, and cannot be resumed.
"""

import os
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from numpygpt.files.checkpoint import CHECKPOINT
from numpygpt.files.whole import CheckpointError, refused, remove_parts, sync_folder, user_path

try:
    import fcntl
except ImportError:  # Windows: two trainings in one folder go unnoticed
    fcntl = None  # type: ignore[assignment]

KEPT = "kept"


def option(name: str, value: str | Path) -> str:
    """`--name value` of a command that is printed to be pasted: quoted, so that it runs nothing."""
    text = shlex.quote(str(value))
    return f"--{name}={text}" if str(value).startswith("-") else f"--{name} {text}"


def resume_command(folder: Path) -> str:
    """What goes on with the run in a folder."""
    return f"numpygpt train {option('resume', folder)}"


@contextmanager
def new_folder(path: str | Path | None) -> Iterator[Path]:
    """Make and lock the folder, or a new one in runs/; one that stays empty is taken away again."""
    wanted = None if path is None else user_path(path)
    with refused(f"{path or 'runs'}: no folder for a run"):
        there = wanted is not None and wanted.is_dir()
        folder = _free_folder(Path("runs")) if wanted is None else wanted
        folder.mkdir(parents=True, exist_ok=True)
        sync_folder(folder.parent)
    try:
        with locked(folder):
            if (folder / CHECKPOINT).exists():
                raise CheckpointError(
                    f"{folder} holds a run already: continue it ({resume_command(folder)}), or "
                    "choose another folder"
                )
            yield folder
    finally:
        if not there:
            with suppress(OSError):  # it is not empty
                folder.rmdir()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Have the folder for this process alone, or raise. A killed process has it no longer."""
    folder = user_path(folder)
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: expected the folder of a run, and there is none")
    descriptor = os.open(folder, os.O_RDONLY) if fcntl else None
    try:
        if fcntl and descriptor is not None:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise CheckpointError(f"{folder}: another training is running there") from None
            except OSError:
                pass  # a file system without locks
        remove_parts(folder / CHECKPOINT)
        remove_parts(folder / KEPT / "step-*.npz")
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def newest_run() -> Path:
    """The folder in runs/ that was written last."""
    runs = sorted(Path("runs").glob(f"*/{CHECKPOINT}"), key=lambda path: path.stat().st_mtime)
    if not runs:
        raise ValueError("runs/ holds no run: train one first (numpygpt train), or give --run DIR")
    return runs[-1].parent


def kept_checkpoints(folder: str | Path) -> list[tuple[int, Path]]:
    """What a run kept, from the first on: after how many steps, and the file.

    The last checkpoint is not among them. Empty if it kept none, or if `folder` is none.
    """
    try:
        paths = list((user_path(folder) / KEPT).iterdir())
    except OSError:
        return []
    found = ((re.fullmatch(r"step-(\d{7,})\.npz", path.name), path) for path in paths)
    return sorted((int(name[1]), path) for name, path in found if name)


def _free_folder(parent: Path) -> Path:
    """Make parent/1, or the first number that is not taken."""
    parent.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        try:
            (parent / str(number)).mkdir()
        except FileExistsError:
            number += 1
        else:
            return parent / str(number)
