"""Reads a GPT-2 as transformers keeps it: a folder with config.json and model.safetensors.

Everything is compared before memory is taken: the settings with what our layers compute, the names
and shapes of the tensors with what the settings ask for. A large model may be cut over several
files, "shards", which model.safetensors.index.json lists.
"""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from numpygpt.config import GPTConfig
from numpygpt.files.checkpoint import CHECKPOINT
from numpygpt.files.whole import CheckpointError, refuse_pointer
from numpygpt.layers.parameter import Array
from numpygpt.pretrained import layout
from numpygpt.pretrained.files import STORED, Tensor, read_header

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
MAX_JSON = 8_000_000  # bytes


class Pretrained:
    """A GPT-2 in a folder, or in a file with config.json beside it.

    Parameters
    ----------
    path : Path
        The folder or the safetensors file.

    Attributes
    ----------
    config : GPTConfig
        The model's, in our words.

    Raises
    ------
    CheckpointError
        If it is no GPT-2, or the files are damaged; the message names the file and the reason.
    ImportError
        Without the optional packages.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        folder = path if path.is_dir() else path.parent
        config = read_config(folder)
        self.found = find_tensors(weight_files(folder) if path.is_dir() else [path])
        self.config = _tie(config, self.found)
        wanted = set()
        for name, _ in layout.names(self.config):
            if name not in self.found:  # of a billion blocks, the first that is not there
                raise CheckpointError(f"{path}: the tensor {name} is missing")
            wanted.add(name)
        if extra := sorted(self.found.keys() - wanted):
            more = f" (and {len(extra) - 5} more)" if len(extra) > 5 else ""
            raise CheckpointError(
                f"{path}: a GPT-2 of this shape has no tensor "
                f"{', '.join(map(layout.quote, extra[:5]))}{more}"
            )

    def expect(self, shapes: dict[str, tuple[int, ...]]) -> None:
        """Raise unless the tensors have the shapes of our parameters."""
        for name, ours in layout.names(self.config):
            if (got := self.found[name].shape) != shapes[ours]:
                raise CheckpointError(
                    f"{self.found[name].path}: {name}: expected shape {shapes[ours]}, got {got}"
                )

    def fill(self, arrays: dict[str, Array]) -> None:
        """After `expect`: read the tensors; an array with fewer rows gets the first."""
        for name, ours in layout.names(self.config):
            self.found[name].read(arrays[ours])


def read_config(folder: Path) -> GPTConfig:
    """What the folder's config.json says, in our words."""
    if not (folder / CONFIG).exists():
        raise CheckpointError(f"{folder}: expected {CONFIG} and {WEIGHTS}, or a run's {CHECKPOINT}")
    theirs = read_object(folder / CONFIG)
    try:
        return layout.our_config(theirs)
    except (ValueError, TypeError) as error:
        raise CheckpointError(f"{folder / CONFIG}: {error}") from None


def read_object(path: Path, limit: int = MAX_JSON) -> dict[str, Any]:
    """A file that holds one JSON object, in at most `limit` bytes."""
    try:
        with open(path, "rb") as file:
            data = file.read(limit + 1)
        refuse_pointer(path, data)
        if len(data) > limit:
            raise ValueError(f"longer than {limit:,} bytes")
        value = json.loads(data)
        if not isinstance(value, dict):
            raise ValueError("not a JSON object")
        return value
    except CheckpointError:
        raise
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: no JSON object: {error}") from None


def weight_files(folder: Path) -> list[Path]:
    """The folder's safetensors files: one, or the shards that the index lists."""
    if not (folder / INDEX).is_file() or (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    names = read_object(folder / INDEX).get("weight_map")
    if not isinstance(names, dict) or not names:
        raise CheckpointError(
            f"{folder / INDEX}: expected an object weight_map, got {layout.quote(names)}"
        )
    for name in names.values():
        plain = isinstance(name, str) and name and Path(name).name == name and "\0" not in name
        if not plain:
            raise CheckpointError(
                f"{folder / INDEX}: {layout.quote(name)} is no name of a file in the folder"
            )
    return [folder / name for name in sorted(set(names.values()))]


def find_tensors(paths: Iterable[Path]) -> dict[str, Tensor]:
    """All tensors of the files by transformers' names, without what may stand before."""
    found: dict[str, Tensor] = {}
    for path in paths:
        if not path.is_file():
            raise CheckpointError(f"{path}: expected a safetensors file, and there is none")
        for full_name, tensor in read_header(path).items():
            name = layout.PREFIX.sub("", full_name, count=1)
            if layout.MASKS.fullmatch(name):
                continue
            if name in found:
                raise CheckpointError(f"{path}: the tensor {layout.quote(name)} is there twice")
            if tensor.dtype not in STORED:
                kinds = ", ".join(STORED)
                raise CheckpointError(
                    f"{path}: {layout.quote(name)}: expected one of {kinds}, got {tensor.dtype}"
                )
            found[name] = tensor
    return found


def _tie(config: GPTConfig, found: dict[str, Tensor]) -> GPTConfig:
    """Untie a head that the settings call tied and the file gives other numbers than the embedding.

    A head that only repeats the embedding is taken out of `found`.
    """
    if not config.tie_weights or layout.HEAD not in found:
        return config
    embedding = found.get(layout.TOKEN_EMBEDDING)
    if embedding is None or not found[layout.HEAD].equals(embedding):
        return replace(config, tie_weights=False)
    del found[layout.HEAD]
    return config
