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

Here only names are known, and no model. Who has one to fill (GPT.filled_from) reads the
configuration, asks with `expect` whether the file holds such a model, takes memory for one, and has
it filled: no second copy of the weights exists, and AdamW's arrays are read only where a training
goes on (training/saved.py).
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import tiktoken

from numpygpt.config import GPTConfig
from numpygpt.files.archive import Archive, Shape, open_archive, write_archive
from numpygpt.files.whole import CheckpointError, refused, user_path, write_whole
from numpygpt.layers.parameter import Array
from numpygpt.text.encoding_json import MAX_FILE_BYTES, encoding_from_json, encoding_to_json

CHECKPOINT = "checkpoint.npz"
CONFIG, TOKENIZER, MAX_CONFIG_BYTES = "config.json", "tokenizer.json", 1_000_000
WEIGHTS, MOMENTS = "weights", ("adamw_m", "adamw_v")
Config = TypeVar("Config")


def write_checkpoint(
    path: Path,
    config: GPTConfig,
    encoding: tiktoken.Encoding,
    training: dict[str, Any],
    groups: Mapping[str, Mapping[str, Array]],
) -> None:
    """Put a checkpoint in the place of the last one, in one instant.

    Parameters
    ----------
    path : Path
        The file, in a folder that is there.
    config, encoding
        What is needed to generate.
    training : dict
        What JSON can hold.
    groups : mapping
        By "weights" and perhaps "adamw_m" and "adamw_v": arrays by their names.

    Raises
    ------
    CheckpointError
        If it cannot be written, or what was written is not what is read back. The last
        checkpoint is whole then, and nothing of the new one is left.
    """
    about = {"model": asdict(config), "training": training, "arrays": list(groups)}
    texts = {
        CONFIG: (json.dumps(about, indent=2) + "\n").encode(),
        TOKENIZER: encoding_to_json(encoding, f"{path}: {TOKENIZER}"),
    }

    def write(file: BinaryIO) -> None:
        arrays = ((f"{g}/{name}", a) for g, group in groups.items() for name, a in group.items())
        write_archive(file, texts, arrays)

    with refused(f"{path} cannot be written"):
        write_whole(path, write, check=_read_back)


def checkpoint_path(path: str | Path) -> Path:
    """The file of a checkpoint, given that or the folder of a run."""
    path = user_path(path)
    return path / CHECKPOINT if path.is_dir() or path.suffix != ".npz" else path


@contextmanager
def open_checkpoint(path: str | Path) -> Iterator["Checkpoint"]:
    """For a `with` block: the checkpoint of a run, given its folder or the file itself."""
    path = checkpoint_path(path)
    if not path.parent.is_dir():
        raise CheckpointError(f"{path.parent}: expected the folder of a run, and there is none")
    if not path.is_file():  # a pipe, say, would be waited for
        raise CheckpointError(f"{path.parent}: expected the folder of a run, with a {path.name}")
    with open_archive(path) as archive:
        yield Checkpoint(archive)


class Checkpoint:
    """An open checkpoint, made by `open_checkpoint`. Whatever is wrong in it: CheckpointError.

    Attributes
    ----------
    config : GPTConfig
        The model's.
    training : dict
        What was told about it.
    groups : list of str
        Which arrays there are: "weights", and "adamw_m" and "adamw_v" or not.
    """

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        try:
            about = json.loads(archive.text(CONFIG, MAX_CONFIG_BYTES))
            self.config = config_from(GPTConfig, about["model"])
            self.training, self.groups = about["training"], about["arrays"]
            if not isinstance(self.training, dict) or self.groups not in (
                [WEIGHTS],
                [WEIGHTS, *MOMENTS],
            ):
                raise ValueError("unknown contents")
        except CheckpointError:
            raise
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise archive.error(f"{CONFIG}: {error}") from None
        if self.config.n_layer > len(archive.sizes):  # each would take memory, to find none there
            raise archive.error(f"it has not the arrays of {self.config.n_layer:,} blocks")

    def encoding(self) -> tiktoken.Encoding:
        """What makes ids for the model."""
        data = self.archive.text(TOKENIZER, MAX_FILE_BYTES)
        encoding = encoding_from_json(data, f"{self.archive.path}: {TOKENIZER}")
        if encoding.n_vocab > self.config.vocab_size:
            raise self.archive.error(
                f"its tokenizer has {encoding.n_vocab} tokens, its model only "
                f"{self.config.vocab_size}"
            )
        return encoding

    def expect(self, shapes: dict[str, Shape]) -> None:
        """Raise unless it holds arrays of these shapes by these names, and no others."""
        self.shapes = shapes
        arrays = {
            f"{group}/{name}": shape for group in self.groups for name, shape in shapes.items()
        }
        for name, shape in arrays.items():
            self.archive.expect(name, shape)
        wanted = {CONFIG, TOKENIZER, *(f"{name}.npy" for name in arrays)}
        if extra := sorted(self.archive.sizes.keys() - wanted):
            raise self.archive.error(f"such a model has no {extra[0]!r:.80}")

    def fill(self, arrays: Mapping[str, Array], group: str = WEIGHTS) -> None:
        """After `expect`: read the arrays; one with fewer rows than were written gets the first."""
        for name, array in arrays.items():
            self.archive.read(f"{group}/{name}", self.shapes[name], array)


def config_from(config: type[Config], values: Any) -> Config:
    """A dataclass of options, which look at their types themselves, from JSON's values.

    A field that is not there, as in a file from before it was thought of, has its default; one
    that is not known is an error, for what it asks for would not be done.
    """
    if not isinstance(values, dict):
        raise ValueError(f"expected the fields of {config.__name__}, got {values!r:.50}")
    known = {field.name for field in fields(config)}  # type: ignore[arg-type]
    if unknown := sorted(values.keys() - known):
        raise ValueError(
            f"{config.__name__} has no field {', '.join(unknown)!r:.80}: was it written by a newer "
            "numpygpt?"
        )
    return config(**values)


def _read_back(path: Path) -> None:
    """Raise unless each member's bytes have the checksum that they had in memory."""
    with open_archive(path) as archive:
        damaged = archive.zip.testzip()
    if damaged is not None:
        raise CheckpointError(f"{path.parent}: {damaged} was written and came back changed")
