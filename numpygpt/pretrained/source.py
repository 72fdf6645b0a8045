"""What a model is filled from: a run of ours, a folder as transformers keeps it, or the hub."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from numpygpt.config import GPTConfig
from numpygpt.files.checkpoint import open_checkpoint
from numpygpt.layers.parameter import Array
from numpygpt.pretrained.hub import find, is_run
from numpygpt.pretrained.load import Pretrained


class Source(Protocol):
    """The stored numbers of a model.

    Attributes
    ----------
    config : GPTConfig
        The model's.
    """

    @property
    def config(self) -> GPTConfig: ...

    def expect(self, shapes: dict[str, tuple[int, ...]]) -> None:
        """Raise a CheckpointError unless it holds parameters of these names and shapes."""

    def fill(self, arrays: dict[str, Array]) -> None:
        """After `expect`: read the parameters. An array with fewer rows gets the first ones."""


@contextmanager
def open_source(source: str | Path) -> Iterator[Source]:
    """For a `with` block: what a path or name means; see GPT.from_pretrained."""
    path = find(source)
    if is_run(path):
        with open_checkpoint(path) as checkpoint:
            yield checkpoint
    else:
        yield Pretrained(path)


def changed(
    config: GPTConfig, context_length: int | None = None, dropout: float | None = None
) -> GPTConfig:
    """The settings with the changes that a caller may ask for; None keeps the model's own."""
    if dropout is not None:
        config = replace(config, dropout=dropout)
    if context_length is not None:
        most, config = config.context_length, replace(config, context_length=context_length)
        if config.context_length > most:
            raise ValueError(
                f"expected context_length at most {most}, the model's own, got {context_length}"
            )
    return config
