"""A training's model, tokenizer, optimiser and state: written into its folder, and read again.

Also any other model with its tokenizer, where both are wanted (`load_with_tokenizer`).
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tiktoken

from numpygpt.files.checkpoint import (
    MOMENTS,
    WEIGHTS,
    checkpoint_path,
    open_checkpoint,
    write_checkpoint,
)
from numpygpt.files.whole import CheckpointError
from numpygpt.gpt import GPT
from numpygpt.layers.parameter import Array
from numpygpt.pretrained import load_tokenizer
from numpygpt.training.optim import AdamW, Moments


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
    path: str | Path,
    model: GPT,
    encoding: tiktoken.Encoding,
    training: dict[str, Any],
    optimizer: AdamW | Moments | None = None,
) -> None:
    """Write a run's checkpoint in the place of its last one, in one instant.

    Parameters
    ----------
    path : str or Path
        Its folder, which is there already, or a file in it.
    model, encoding
        What is needed to generate.
    training : dict
        What JSON can hold.
    optimizer : AdamW or Moments, optional
        Has AdamW's m and v. Without it, the run can generate and not be resumed.

    Raises
    ------
    CheckpointError
        If it cannot be written, or what was written is not what is read back. The last
        checkpoint is whole then, and nothing of the new one is left.
    TypeError
        If the model is not float32, which a run's model is.
    ValueError
        If it has other parameters than its config describes.
    """
    model.expect_as_configured()
    flat = model.flat.data
    if flat.dtype != np.float32:
        raise TypeError(
            f"save_run: expected a model of dtype float32, got {flat.dtype}; "
            "use model.astype(np.float32)"
        )
    flats = [flat] if optimizer is None else [flat, optimizer.m, optimizer.v]
    groups = {g: model.flat.split(a) for g, a in zip((WEIGHTS, *MOMENTS), flats, strict=False)}
    write_checkpoint(checkpoint_path(path), model.config, encoding, training, groups)


def load_run(folder: str | Path) -> SavedRun:
    """A run's model, ready to generate, and its tokenizer; CheckpointError if they are not whole.

    Any damage to what is returned is found; AdamW's part of the file is not read.
    """
    with open_checkpoint(folder) as saved:
        encoding = saved.encoding()
        return SavedRun(GPT.filled_from(saved).eval(), encoding, saved.training)


def resume_run(folder: str | Path) -> SavedRun:
    """As `load_run`, with AdamW's m and v, in training mode: every byte of the file is checked."""
    with open_checkpoint(folder) as saved:
        if len(saved.groups) == 1:
            raise CheckpointError(f"{folder} holds only weights: it cannot be resumed")
        encoding = saved.encoding()
        model = GPT.filled_from(saved)
        moments = [np.empty_like(model.flat.data) for _ in MOMENTS]
        for group, flat in zip(MOMENTS, moments, strict=True):
            saved.fill(model.flat.split(flat), group)
        return SavedRun(model, encoding, saved.training, *moments)


def load_with_tokenizer(
    source: str | Path,
    dtype: npt.DTypeLike = np.float32,
    rng: int | np.random.Generator = 0,
    **changes: Any,
) -> tuple[GPT, tiktoken.Encoding]:
    """The model that a path or name means, as `GPT.from_pretrained`, and what makes its ids."""
    encoding = load_tokenizer(source)  # first: it is small, and more often missing
    return GPT.from_pretrained(source, dtype, rng, **changes), encoding
