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

import numpy as np
import numpy.typing as npt

from numpygpt.config import GPTConfig
from numpygpt.files.whole import CheckpointError
from numpygpt.gpt import GPT
from numpygpt.pretrained import layout
from numpygpt.pretrained.files import STORED, Tensor, read_header

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
MAX_JSON = 8_000_000  # bytes


def load_pretrained(
    path: Path,
    dtype: npt.DTypeLike = np.float32,
    context_length: int | None = None,
    dropout: float | None = None,
) -> GPT:
    """The model in a folder, or in a file with config.json beside it, in eval mode.

    Parameters
    ----------
    path : Path
        The folder or the safetensors file.
    dtype : numpy dtype
        Of the parameters, whatever the file's.
    context_length : int, optional
        A shorter context than the model's: its first positions are kept.
    dropout : float, optional
        Another one than the model's, for training.

    Raises
    ------
    CheckpointError
        If it is no GPT-2, or the files are damaged; the message names the file and the reason.
    ImportError
        Without the optional packages.
    """
    folder = path if path.is_dir() else path.parent
    theirs = read_object(folder / CONFIG)
    try:
        config = layout.our_config(theirs)
    except (ValueError, TypeError) as error:
        raise CheckpointError(f"{folder / CONFIG}: {error}") from None
    found = find_tensors(weight_files(folder) if path.is_dir() else [path])
    config = _tie(config, found)
    _compare(path, config, found)
    model = GPT(_changed(config, context_length, dropout), rng=None).allocate(dtype)
    parameters = dict(model.named_parameters())
    for theirs_name, ours, _ in layout.tensors(config):
        found[theirs_name].read(parameters[ours].data)
    return model.eval()


def read_object(path: Path) -> dict[str, Any]:
    """A file that holds one JSON object."""
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_JSON + 1)
        if len(data) > MAX_JSON:
            raise ValueError(f"longer than {MAX_JSON:,} bytes")
        value = json.loads(data)
        if not isinstance(value, dict):
            raise ValueError("not a JSON object")
        return value
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
    """All tensors of the files by transformers' names, without the prefix that some have."""
    found: dict[str, Tensor] = {}
    for path in paths:
        if not path.is_file():
            raise CheckpointError(f"{path}: expected a safetensors file, and there is none")
        for full_name, tensor in read_header(path).items():
            name = full_name.removeprefix("transformer.")
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


def _compare(path: Path, config: GPTConfig, found: dict[str, Tensor]) -> None:
    """Raise unless the tensors are those of this model; ends at the first that is not there."""
    wanted = set()
    for name, _, shape in layout.tensors(config):
        if name not in found:
            raise CheckpointError(f"{path}: the tensor {name} of shape {shape} is missing")
        if found[name].shape != shape:
            raise CheckpointError(
                f"{found[name].path}: {name}: expected shape {shape}, got {found[name].shape}"
            )
        wanted.add(name)
    if extra := sorted(found.keys() - wanted):
        raise CheckpointError(
            f"{path}: a GPT-2 of this shape has no tensor {', '.join(map(layout.quote, extra[:5]))}"
            + (f" (and {len(extra) - 5} more)" if len(extra) > 5 else "")
        )


def _changed(config: GPTConfig, context_length: int | None, dropout: float | None) -> GPTConfig:
    """The settings with the changes that a caller may ask for."""
    if dropout is not None:
        config = replace(config, dropout=dropout)
    if context_length is not None:
        if context_length > config.context_length:
            raise ValueError(
                f"expected context_length at most {config.context_length}, the model's own, got "
                f"{context_length}"
            )
        config = replace(config, context_length=context_length)
    return config
