"""The reader's files: loaded anew at every check, with every mistake in them told by file and line.

They import each other by name (`from linear import Linear`), so while they run a finder of
ours answers for the names that the folder has. Nothing of it stays in `sys.modules`, and no
bytecode is kept: a file that is saved twice within a second could be taken for unchanged.
"""

import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any


class Mistake(Exception):
    """Something is wrong in the reader's files; the text says what and where."""


class ToDo(Exception):
    """A backward is not written yet; the text is the name of its file."""


class _Source(SourceFileLoader):
    """Reads the source each time."""

    def path_stats(self, path: Any) -> Any:
        """No date, and so no bytecode to look for or to keep."""
        raise OSError


class _Finder:
    """Finds the modules in a folder, but for those that have the name of one of Python's own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """What `import name` asks."""
        file = self.folder / f"{name}.py"
        if path is not None or name in sys.stdlib_module_names or not file.is_file():
            return None
        return spec_from_file_location(name, file, loader=_Source(name, str(file)))


@contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Inside, the folder's files can be imported, as they are now, whatever had their names."""
    finder = _Finder(folder.resolve())
    names = [file.stem for file in folder.glob("*.py") if finder.find_spec(file.stem)]
    hidden = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in names:
            sys.modules.pop(name, None)
        sys.modules.update(hidden)


def load(folder: Path, name: str) -> ModuleType:
    """A file of the folder, as a module; within `reading`."""
    if not (folder / f"{name}.py").is_file():
        raise Mistake(
            f"{folder / name}.py is not there: `numpygpt practice start {folder}` writes it anew"
        )
    try:
        with told(folder):
            return import_module(name)
    except (SyntaxError, ValueError) as error:  # of no line: bytes that are no text
        raise Mistake(f"{folder / name}.py: {error}") from None


@contextmanager
def told(folder: Path) -> Iterator[None]:
    """Inside runs the reader's code: what goes wrong in it becomes a Mistake, or ToDo."""
    try:
        yield
    except (Exception, SystemExit) as error:
        frames = _frames(folder, error)
        if isinstance(error, SyntaxError) and error.filename and _is_in(folder, error.filename):
            place = f"{_shown(folder, error.filename)}, line {error.lineno}: {error.msg}"
            raise Mistake(f"{place}\n    {(error.text or '').strip()}".rstrip()) from None
        if not frames or isinstance(error, Mistake | ToDo):
            raise
        if isinstance(error, NotImplementedError):
            raise ToDo(Path(frames[-1].filename).stem) from None
        raise Mistake("\n".join(_lines(folder, error, frames))) from None


def _frames(folder: Path, error: BaseException) -> Sequence[traceback.FrameSummary]:
    """The error's way through the reader's files."""
    found = traceback.extract_tb(error.__traceback__)
    return [frame for frame in found if _is_in(folder, frame.filename)]


def _lines(
    folder: Path, error: BaseException, frames: Sequence[traceback.FrameSummary]
) -> Iterator[str]:
    """The error, and under it the reader's own lines, the innermost last."""
    yield f"{type(error).__name__}: {error}"
    for frame in frames[-5:]:
        yield f"    {_shown(folder, frame.filename)}, line {frame.lineno}, in {frame.name}"
        if frame.line:
            yield f"        {frame.line}"


def _is_in(folder: Path, file: str) -> bool:
    return folder.resolve() in Path(file).parents


def _shown(folder: Path, file: str) -> str:
    """A file's path, as the reader would write it."""
    return str(folder / Path(file).relative_to(folder.resolve()))
