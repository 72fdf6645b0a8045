"""A run is a folder with two files: what was learned, and how it went.

    checkpoint.npz      all that belongs to one instant of a training:
        config.json         the model's GPTConfig, and about the training whatever it has to know
        tokenizer.json      the tokenizer's ranks and pattern
        weights/NAME.npy    every parameter by its name
        adamw_m/NAME.npy    AdamW's running means of its gradient
        adamw_v/NAME.npy    and of the gradient's square
    metrics.csv         the losses, step by step (training/metrics.py)

There is one file for one instant, so that weights can never meet another instant's optimiser. It is
a plain NumPy archive without pickle: `numpy.load` reads it, and `unzip -p checkpoint.npz
config.json` prints its configuration.

A model is loaded for generation from the file's first part alone, straight into the model's own
memory: no second copy of the weights exists, and AdamW's arrays are not read (nor checked).
"""

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeVar
from zipfile import ZipFile

import numpy as np
import tiktoken

from numpygpt.config import GPTConfig
from numpygpt.files.archive import Reader, Writer
from numpygpt.files.whole import CheckpointError, write_whole
from numpygpt.gpt import GPT
from numpygpt.layers.parameter import Array
from numpygpt.text.tokenizer import MAX_FILE_BYTES, encoding_from_json, encoding_to_json
from numpygpt.training.optim import AdamW

__all__ = ["CHECKPOINT", "CheckpointError", "SavedRun", "load_run", "resume_run", "save_run"]

CHECKPOINT = "checkpoint.npz"
MAX_CONFIG_BYTES = 1_000_000
WEIGHTS, MOMENTS = "weights", ("adamw_m", "adamw_v")
Config = TypeVar("Config")


class SavedRun(NamedTuple):
    """What a checkpoint holds.

    `training` is what `save_run` was told; `m` and `v` are AdamW's, None unless asked for.
    """

    model: GPT
    encoding: tiktoken.Encoding
    training: dict[str, Any]
    m: Array | None = None
    v: Array | None = None


def save_run(
    folder: str | Path,
    model: GPT,
    encoding: tiktoken.Encoding,
    training: dict[str, Any],
    optimizer: AdamW | None = None,
) -> None:
    """Write a run's checkpoint in the place of its last one, in one instant.

    Parameters
    ----------
    folder : str or Path
        Is there already.
    model, encoding
        What is needed to generate.
    training : dict
        What JSON can hold.
    optimizer : AdamW, optional
        Without it, the run can generate and not be resumed.

    Raises
    ------
    CheckpointError
        If it cannot be written, or what was written is not what is read back. The last
        checkpoint is whole then, and nothing of the new one is left.
    TypeError
        If the model is not float32, which a run's model is.
    """
    if model.flat.data.dtype != np.float32:
        raise TypeError(
            f"save_run: expected a model of dtype float32, got {model.flat.data.dtype}; "
            "use model.astype(np.float32)"
        )
    path = Path(folder) / CHECKPOINT
    flats = {WEIGHTS: model.flat.data}
    if optimizer is not None:
        flats |= dict(zip(MOMENTS, (optimizer.m, optimizer.v), strict=True))
    config = {"model": asdict(model.config), "training": training, "arrays": list(flats)}

    def write(file: BinaryIO) -> None:
        archive = Writer(file)
        archive.text("config.json", (json.dumps(config, indent=2) + "\n").encode())
        archive.text("tokenizer.json", encoding_to_json(encoding, f"{path}: tokenizer.json"))
        for group, flat in flats.items():
            parts = model.flat.split(flat)
            for name, p in model.named_parameters():
                archive.array(f"{group}/{name}", parts[name].reshape(-1), p.shape)
        archive.close()

    try:
        write_whole(path, write, check=_read_back)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be written: {error.strerror or error}") from error


def load_run(folder: str | Path) -> SavedRun:
    """A run's model, ready to generate, and its tokenizer; CheckpointError if they are not whole.

    Any damage to what is returned is found; AdamW's part of the file is not read.
    """
    saved = _load(Path(folder), moments=False)
    saved.model.eval()
    return saved


def resume_run(folder: str | Path) -> SavedRun:
    """As `load_run`, with AdamW's m and v, and every byte of the file checked."""
    return _load(Path(folder), moments=True)


def config_from(config: type[Config], values: Any) -> Config:
    """A dataclass of options from JSON's values: its fields, no others, in the right types."""
    types = {field.name: type(field.default) for field in fields(config)}  # type: ignore[arg-type]
    if not isinstance(values, dict) or set(values) != set(types):
        raise ValueError(f"expected the fields of {config.__name__}: {', '.join(types)}")
    for name, value in values.items():
        if type(value) is not types[name] and not (types[name] is float and type(value) is int):
            raise ValueError(f"expected {name} as {types[name].__name__}, got {value!r:.50}")
    return config(**values)


def _read_back(path: Path) -> None:
    """Raise unless zipfile finds each member's bytes to have the checksum they had in memory."""
    with ZipFile(path) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise CheckpointError(f"{path.parent}: {damaged} was written and came back changed")


def _load(folder: Path, moments: bool) -> SavedRun:
    path = folder / CHECKPOINT
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: expected the folder of a run, and there is none")
    if not path.is_file():
        raise CheckpointError(f"{folder}: expected the folder of a run, with a {CHECKPOINT}")
    try:
        with open(path, "rb") as file:
            return _read(Reader(file, path), moments)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from None


def _read(archive: Reader, moments: bool) -> SavedRun:
    try:
        config = json.loads(archive.text("config.json", MAX_CONFIG_BYTES))
        model_config = config_from(GPTConfig, config["model"])
        training, groups = config["training"], config["arrays"]
        if not isinstance(training, dict) or groups not in ([WEIGHTS], [WEIGHTS, *MOMENTS]):
            raise ValueError("unknown contents")
    except CheckpointError:
        raise
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise archive.error(f"config.json: {error}") from None
    if moments and len(groups) == 1:
        raise CheckpointError(f"{archive.path} holds only weights: it cannot be resumed")
    tokenizer = archive.text("tokenizer.json", MAX_FILE_BYTES)
    encoding = encoding_from_json(tokenizer, f"{archive.path}: tokenizer.json")
    if encoding.n_vocab > model_config.vocab_size:
        raise archive.error(
            f"its tokenizer has {encoding.n_vocab} tokens, its model only {model_config.vocab_size}"
        )
    _check_size(archive, model_config)
    model = GPT(model_config, rng=None).allocate()
    flats = [model.flat.data] + [np.empty_like(model.flat.data) for _ in MOMENTS if moments]
    names = list(model.named_parameters())
    arrays = [(f"{group}/{name}", p.shape) for group in groups for name, p in names]
    archive.expect_arrays(arrays, model.flat.data.dtype)
    for group, flat in zip(groups, flats, strict=False):
        parts = model.flat.split(flat)
        for name, p in names:
            archive.array(f"{group}/{name}", parts[name].reshape(-1), p.shape)
    if len(flats) == len(groups):
        archive.end()
    return SavedRun(model, encoding, training, *flats[1:])


def _check_size(archive: Reader, c: GPTConfig) -> None:
    """Raise if the file cannot hold such a model, before memory for one is asked for."""
    size = archive.path.stat().st_size
    C = c.n_embd
    at_least = 4 * ((c.vocab_size + c.context_length) * C + 12 * c.n_layer * C * C)
    at_least += 2000 * c.n_layer  # the headers of a block's arrays
    if size < at_least:
        raise archive.error(f"{size:,} bytes cannot hold the model that its config.json describes")
