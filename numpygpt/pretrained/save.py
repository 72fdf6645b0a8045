"""Writes a GPT-2 as transformers keeps it: a folder with config.json and model.safetensors."""

import json
import os
import stat
from pathlib import Path
from typing import BinaryIO

import numpy as np

from numpygpt.files.whole import write_whole
from numpygpt.gpt import GPT
from numpygpt.layers.parameter import Array
from numpygpt.pretrained import layout
from numpygpt.pretrained.files import missing_extra
from numpygpt.pretrained.load import CONFIG, WEIGHTS


def save_pretrained(model: GPT, folder: str | Path, dtype: str | None = None) -> None:
    """Write config.json and model.safetensors into a folder, made if it is not there.

    In the model's own dtype if none is given. A model without the biases of queries, keys and
    values gets zeros there, for transformers always has them: the function is the same.
    """
    try:
        from safetensors import TensorSpec, serialize_file
    except ModuleNotFoundError:
        raise missing_extra("safetensors") from None
    dtype = dtype or str(model.flat.data.dtype)
    if dtype not in ("float64", "float32", "float16", "bfloat16"):
        raise ValueError(
            f"save_pretrained: expected float64, float32, float16 or bfloat16, got {dtype!r}"
        )
    parameters = dict(model.named_parameters())
    specs, arrays = {}, []
    for theirs, ours, shape in layout.tensors(model.config):
        p = parameters.get(ours)  # None: a bias of queries, keys and values that we do not have
        array = _stored(np.zeros(shape) if p is None else p.data, dtype)
        arrays.append(array)  # alive until the file is written
        specs["transformer." * (theirs != layout.HEAD) + theirs] = TensorSpec(
            dtype=dtype, shape=shape, data_ptr=array.ctypes.data, data_len=array.nbytes
        )
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(layout.their_config(model.config, dtype), indent=2) + "\n"

    def write(file: BinaryIO) -> None:
        # serialize_file puts a new file, for its owner's eyes alone, in the place of the open one.
        serialize_file(specs, file.name, metadata={"format": "pt"})
        os.chmod(file.name, stat.S_IMODE(os.fstat(file.fileno()).st_mode))
        with open(file.name, "rb") as written:
            os.fsync(written.fileno())

    write_whole(folder / WEIGHTS, write)
    write_whole(folder / CONFIG, text.encode())


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
