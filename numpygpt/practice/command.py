"""What `numpygpt practice` does: start, check, hint, watch, train."""

import shlex
import textwrap
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from time import sleep

from numpygpt.practice.check import DONE, TO_DO, Result, check
from numpygpt.practice.exercises import EXERCISES, find_folder, write_exercises
from numpygpt.practice.hints import next_hint
from numpygpt.practice.reader import Mistake, ToDo, reading
from numpygpt.practice.train import runs, train

POLL = 0.3  # seconds between two looks at the files


def start(folder: Path) -> None:
    """Write the exercises that are not there, and say how to go on."""
    written, kept = write_exercises(folder)
    if written:
        print(f"written to {folder}: {', '.join(written)}")
    if kept:
        print(f"kept as they are: {', '.join(kept)}")
    if not kept:
        print(f"\nBegin with {folder / written[0]}: read its questions, and write its backward.")
    print(f"How far you are, and what comes next, says\n    {command(folder)}")


def practice(
    folder: str | None = None,
    name: str | None = None,
    hint: bool = False,
    watch: bool = False,
    steps: int | None = None,
) -> bool:
    """Check, or give a hint; when all is done, train. Returns whether what was asked is done.

    Parameters
    ----------
    folder : str, optional
        Of the exercises.
    name : str, optional
        One of them, or "train", to train again; without, all, up to the first that is not done.
    hint : bool
        Give a hint on it, or on the first that is not done, instead.
    watch : bool
        Check again whenever a file is saved, until all is done or Ctrl-C comes.
    steps : int, optional
        Of the training; without, as many as take a minute.
    """
    if steps is not None and steps < 1:
        raise ValueError(f"--steps: expected at least 1, got {steps}")
    where = find_folder(folder)
    names = [name] if name in EXERCISES else list(EXERCISES)
    if hint:
        return _hint(where, name)
    done = _watch(where, names) if watch else _round(where, names)
    if done and len(names) > 1:
        _finish(where, name == "train", steps)
    elif done:
        print(f"next   {_first_to_do(where) or 'a model of your layers'}: {command(where)}")
    return done


def command(folder: Path, words: str = "") -> str:
    """The command to be pasted for a folder."""
    usual = folder in (Path(), Path("practice"))
    option = "" if usual else f" --folder {shlex.quote(str(folder))}"
    return f"numpygpt practice{' ' if words else ''}{words}{option}"


def _round(folder: Path, names: Sequence[str]) -> bool:
    """Check one after the other, up to the first that is not done; whether all are."""
    with reading(folder):
        for i, name in enumerate(names):
            result = check(folder, name)
            print(_line(folder, result), flush=True)
            if result.status != DONE:
                if left := names[i + 1 :]:
                    print(f"then   {', '.join(left)}")
                return False
    return True


def _line(folder: Path, result: Result) -> str:
    """How an exercise stands."""
    if result.status == DONE:
        return f"done   {result.name}"
    hints = f"hints: {command(folder, f'{result.name} --hint')}"
    if result.status == TO_DO:
        return f"next   {result.name}: {result.text}\n       {hints}"
    said = textwrap.indent(f"{result.text}\n{hints}", "       ")
    return f"wrong  {result.name}\n{said}"


def _first_to_do(folder: Path) -> str | None:
    """The first exercise that is not done."""
    with reading(folder):
        return next((name for name in EXERCISES if check(folder, name).status != DONE), None)


def _hint(folder: Path, name: str | None) -> bool:
    """One more hint, on the exercise named, or on the first that is not done."""
    if name not in EXERCISES:
        name = _first_to_do(folder)
    if name is None:
        print("all is done: there is nothing to hint at")
        return True
    print(next_hint(folder, name, command(folder, f"{name} --hint")))
    return True


def _watch(folder: Path, names: Sequence[str]) -> bool:
    """Check now, and whenever a file of the folder is saved, until all is done or Ctrl-C comes."""
    try:
        for saved in _saves(folder):
            if saved:
                print(f"\n{datetime.now():%H:%M:%S}  {', '.join(saved)}")
            if _round(folder, names):
                return True
            print("watching: save a file, or end with Ctrl-C", flush=True)
    except KeyboardInterrupt:
        print("\nno longer watching")
    return False


def _saves(folder: Path) -> Iterator[list[str]]:
    """Nothing at first; then, whenever files are saved, their names."""
    before = _stamps(folder)
    yield []
    while True:
        sleep(POLL)
        now = _stamps(folder)
        if changed := sorted(file for file, stamp in now.items() if before.get(file) != stamp):
            before = now
            yield changed


def _stamps(folder: Path) -> dict[str, tuple[int, int]]:
    """When each file was last written, and its size."""
    stamps = {}
    for file in folder.glob("*.py"):
        try:
            stat = file.stat()
        except OSError:  # an editor is about to put the new one in its place
            continue
        stamps[file.name] = stat.st_mtime_ns, stat.st_size
    return stamps


def _finish(folder: Path, again: bool, steps: int | None) -> None:
    """Train, unless that was done."""
    if (there := runs(folder)) and not again:
        print(
            f"\nAll is done, and {there[-1].parent} holds a model that your layers trained:\n"
            f"    numpygpt generate --run {shlex.quote(str(there[-1].parent))}\n"
            f"To train another one: {command(folder, 'train')}"
        )
        return
    print("\nAll is done. Now your layers train a model.")
    with reading(folder):
        try:
            train(folder, steps)
        except (Mistake, ToDo) as error:
            raise ValueError(f"the training ended: {error}") from None
