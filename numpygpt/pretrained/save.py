"""Writes a GPT-2 as transformers keeps it: a folder with config.json and model.safetensors."""

import json
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import tiktoken

from numpygpt.config import GPTConfig
from numpygpt.files.whole import flush_to_disk, made_folder, user_path, write_whole
from numpygpt.layers.parameter import Array
from numpygpt.pretrained import layout
from numpygpt.pretrained.files import missing_extra
from numpygpt.pretrained.load import CONFIG, WEIGHTS
from numpygpt.pretrained.tokenizer import tokenizer_files


def save_pretrained(
    config: GPTConfig,
    arrays: Mapping[str, Array],
    folder: str | Path,
    dtype: npt.DTypeLike,
    encoding: tiktoken.Encoding | None = None,
) -> None:
    """Write config.json and model.safetensors into a folder, made if it is not there.

    `arrays` are the parameters by their names. A model without the biases of queries, keys and
    values gets zeros there, for transformers always has them: the function is the same. With an
    encoding, its tokenizer.json too, and what transformers wants beside it.
    """
    try:
        from safetensors import TensorSpec, serialize_file
    except ModuleNotFoundError:
        raise missing_extra("safetensors") from None
    kind = str(dtype)
    with suppress(TypeError):  # what NumPy has not: bfloat16, or what is refused below
        kind = np.dtype(dtype).name
    if kind not in ("float64", "float32", "float16", "bfloat16"):
        raise ValueError(
            f"save_pretrained: expected float64, float32, float16 or bfloat16, got {kind!r}"
        )
    texts = _texts(config, kind, encoding)
    specs, alive = {}, []
    for theirs, ours in layout.names(config):
        # What is not there is a bias of queries, keys and values.
        array = _stored(arrays.get(ours, np.zeros(3 * config.n_embd)), kind)
        alive.append(array)  # until the file is written
        specs["transformer." * (theirs != layout.HEAD) + theirs] = TensorSpec(
            dtype=kind, shape=array.shape, data_ptr=array.ctypes.data, data_len=array.nbytes
        )

    def write(file: BinaryIO) -> None:
        # serialize_file puts a new file, for its owner's eyes alone, in the place of the open one.
        serialize_file(specs, file.name, metadata={"format": "pt"})
        os.chmod(file.name, stat.S_IMODE(os.fstat(file.fileno()).st_mode))
        with open(file.name, "rb") as written:
            flush_to_disk(written.fileno())

    with made_folder(user_path(folder)) as there:
        # config.json goes once the new weights are whole on the disk. Until it is there again, the
        # last of all, this is no model: an interrupted one could have the weights of one and the
        # heads or the tokens of another.
        config_file = there / CONFIG
        old = config_file.read_bytes() if config_file.is_file() else None
        try:
            write_whole(there / WEIGHTS, write, lambda _: config_file.unlink(missing_ok=True))
        except PermissionError:  # to replace the old weights, which are there still
            if old is not None and not config_file.exists():
                write_whole(config_file, old)
            raise
        for name, text in texts.items():
            write_whole(there / name, text)


def _texts(config: GPTConfig, dtype: str, encoding: tiktoken.Encoding | None) -> dict[str, bytes]:
    """All files but the weights."""
    end = 50256 if config.vocab_size == 50257 else None
    files = {}
    if encoding is not None:
        if encoding.n_vocab > config.vocab_size:
            raise ValueError(
                f"save_pretrained: expected an encoding of at most the model's {config.vocab_size} "
                f"tokens, got {encoding.n_vocab}"
            )
        files, end = tokenizer_files(encoding), encoding.eot_token
    settings = layout.their_config(config, dtype, end)
    return files | {CONFIG: (json.dumps(settings, indent=2) + "\n").encode()}


def _stored(x: Array, dtype: str) -> Array:
    """The numbers as they lie in the file, little-endian: a view where they already do."""
    kind = "<f4" if dtype == "bfloat16" else np.dtype(dtype).newbyteorder("<")
    with np.errstate(over="ignore"):
        stored: Array = np.ascontiguousarray(x, kind)
    finite = np.isfinite(stored).all()
    if dtype == "bfloat16":  # the upper half of a float32, rounded to nearest, ties to even
        bits = stored.view("<u4")
        stored = ((bits + (0x7FFF + ((bits >> 16) & 1))) >> 16).astype("<u2")
        finite &= (stored & 0x7F80 != 0x7F80).all()
    if not finite:
        raise ValueError(f"save_pretrained: the model has numbers that {dtype} cannot hold")
    return stored
