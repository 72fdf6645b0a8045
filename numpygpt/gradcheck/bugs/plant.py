"""A layer with a bug in it, or certainly with none."""

import copy
import sys
import textwrap
from functools import cache
from types import CodeType
from typing import Any, TypeVar

from numpygpt.gradcheck.bugs import (
    attention,
    block,
    dropout,
    embedding,
    feedforward,
    gelu,
    gpt,
    head,
    layernorm,
    linear,
)
from numpygpt.gradcheck.bugs.bug import Bug
from numpygpt.layers.base import Layer

AnyLayer = TypeVar("AnyLayer", bound=Layer)

# Where a class is, its name, and those of its functions that have bugs.
SOURCES: dict[tuple[str, str], str] = {
    ("numpygpt.layers.linear", "Linear"): linear.SOURCE,
    ("numpygpt.layers.embedding", "Embedding"): embedding.SOURCE,
    ("numpygpt.layers.layernorm", "LayerNorm"): layernorm.SOURCE,
    ("numpygpt.layers.gelu", "GELU"): gelu.SOURCE,
    ("numpygpt.layers.dropout", "Dropout"): dropout.SOURCE,
    ("numpygpt.layers.attention", "CausalSelfAttention"): attention.SOURCE,
    ("numpygpt.layers.feedforward", "FeedForward"): feedforward.SOURCE,
    ("numpygpt.layers.block", "Block"): block.SOURCE,
    ("numpygpt.layers.head", "Head"): head.SOURCE,
    ("numpygpt.gpt", "GPT"): gpt.SOURCE,
}


def planted(layer: AnyLayer, bug: Bug | None = None) -> AnyLayer:
    """A copy of a layer in which numpygpt's own layers are as they should be, but for the bug.

    As they should be: with the functions that are kept here, whatever their files say today.
    """
    twin = copy.deepcopy(layer)
    for one in twin.layers():
        one.__class__ = _changed(type(one), bug)
    return twin


def known(layer: Layer) -> set[str]:
    """The names of the layers of numpygpt that it is, or is made of."""
    found = {_source_of(type(one)) for one in layer.layers()}
    return {key[1] for key in found if key is not None}


def _source_of(cls: type) -> tuple[str, str] | None:
    names = [(base.__module__, base.__name__) for base in cls.__mro__]
    return next((name for name in names if name in SOURCES), None)


def _changed(cls: type, bug: Bug | None) -> Any:
    """The class with the functions kept here, or itself if it has none."""
    key = _source_of(cls)
    if key is None:
        return cls
    name = key[1]
    namespace = dict(vars(sys.modules[key[0]]))
    before = dict(namespace)
    exec(_compiled(key, bug if bug is not None and bug.layer == name else None), namespace)
    functions = {
        name: new
        for name, new in namespace.items()
        if new is not before.get(name) and hasattr(cls, name)
    }
    return type(cls.__name__, (cls,), functions | {"__module__": cls.__module__})


@cache
def _compiled(key: tuple[str, str], bug: Bug | None) -> CodeType:
    source = textwrap.dedent(SOURCES[key])
    title = f"{key[1]}, as it should be" if bug is None else f"{key[1]} with the bug {bug.name!r}"
    return compile(source if bug is None else bug.plant(source), title, "exec")
