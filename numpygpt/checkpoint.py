"""Files in and out: a run is a folder that holds all that is needed to use a trained model.

    config.json      the model's GPTConfig and how it was trained
    weights.npz      every parameter by its name, a plain NumPy archive without pickle
    tokenizer.json   the tokenizer's ranks and pattern
    metrics.csv      the losses, step by step

A file is written beside the old one, flushed to the disk and renamed over it: at every instant a
whole one exists.
"""

import json
import os
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import tiktoken

from numpygpt.gpt import GPT, GPTConfig
from numpygpt.text.tokenizer import load_encoding, save_encoding


class CheckpointError(ValueError):
    """A file or folder that is no whole checkpoint; the message names it and says why."""


def write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Call `write` on a new file, then put that in the place of `path` in one instant."""
    beside = path.with_name(path.name + ".part")
    try:
        with open(beside, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def save_run(
    folder: str | Path, model: GPT, encoding: tiktoken.Encoding, training: dict[str, Any]
) -> None:
    """Write model, tokenizer and configuration into the folder, made if it is not there."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    config = {"model": asdict(model.config), "training": training}
    text = json.dumps(config, indent=2) + "\n"
    write_whole(folder / "config.json", lambda file: file.write(text.encode()))
    save_encoding(encoding, folder / "tokenizer.json")
    arrays = {name: p.data for name, p in model.named_parameters()}
    write_whole(folder / "weights.npz", lambda file: np.savez(file, **arrays))  # type: ignore[arg-type]


def load_run(folder: str | Path) -> tuple[GPT, tiktoken.Encoding, dict[str, Any]]:
    """A run's model, tokenizer, and what `save_run` was told about the training."""
    folder = Path(folder)
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: expected the folder of a run, and there is none")
    path = folder / "config.json"
    try:
        config = json.loads(path.read_bytes())
        model_config = GPTConfig(**config["model"])
        training = dict(config["training"])
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{path}: no configuration of a run: {error}") from None
    model = GPT(model_config, rng=None)
    load_weights(model, folder / "weights.npz")
    encoding = load_encoding(folder / "tokenizer.json")
    if encoding.n_vocab > model_config.vocab_size:
        raise CheckpointError(
            f"{folder}: the tokenizer has {encoding.n_vocab} tokens, the model only "
            f"{model_config.vocab_size}"
        )
    return model, encoding, training


def load_weights(model: GPT, path: Path) -> None:
    """Fill the model's parameters from a weights.npz; names and shapes have to be the model's."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            names = dict(model.named_parameters())
            if set(arrays.files) != set(names):
                wrong = sorted(set(arrays.files) ^ set(names))
                raise CheckpointError(f"{path}: missing or needless arrays: {', '.join(wrong[:5])}")
            for name, p in names.items():
                array = arrays[name]
                if array.shape != p.shape or array.dtype != p.data.dtype:
                    raise CheckpointError(
                        f"{path}: {name}: expected {p.data.dtype} of shape {p.shape}, got "
                        f"{array.dtype} of shape {array.shape}"
                    )
                p.data[...] = array
    except CheckpointError:
        raise
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile, NotImplementedError) as error:
        raise CheckpointError(f"{path}: no archive of weights: {error}") from None
