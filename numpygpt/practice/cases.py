"""What each exercise is checked with: the reader's layer, its input, and the package's own.

The package's does the same with parameters of the same names, so that a wrong gradient can be
compared with what known bugs make of it.
"""

from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from numpygpt import layers as package
from numpygpt.config import GPTConfig
from numpygpt.gradcheck.subject import Loss
from numpygpt.layers import CausalSelfAttention, KeyValueCache, Layer, Parameter
from numpygpt.layers.parameter import Array
from numpygpt.practice.exercises import EXERCISES
from numpygpt.practice.reader import Mistake

B, T, H, D, V = 2, 5, 3, 7, 11  # all different: no transposed axis can hide
C = H * D
P = 0.3
DLOSS = 0.7  # what the head's backward is handed; 1 would hide that it is forgotten


class Case(NamedTuple):
    """A layer to check, what goes in, and the package's layer; `dy`, where it is not drawn."""

    layer: Any
    x: Array
    like: Layer
    dy: float | None = None
    entries: int | None = None


class OwnLoss(Loss):
    """The reader's head as a layer from x to its loss."""

    def backward(self, dy: Array) -> Any:
        """() -> of x's shape."""
        return self.layer.backward(float(dy))


class PackageLoss(Loss):
    """The package's head, as it is when its loss counts DLOSS."""

    def forward(self, x: Array) -> Array:
        """Of any shape -> ()."""
        return np.asarray(self.layer.loss(x, self.targets, DLOSS))


class Core(CausalSelfAttention):
    """The package's attention between its Linears."""

    def __init__(self, n_head: int) -> None:
        self.n_head, self.dropout = n_head, package.Dropout(0)

    def forward(self, x: Array, cache: KeyValueCache | None = None, save_x: bool = True) -> Array:
        """(B, T, 3 C) -> (B, T, C)."""
        B, T, width = x.shape
        o, lse = np.empty((B, T, width // 3), x.dtype), np.empty((B, self.n_head, T, 1), x.dtype)
        q, k, v = self._split(x, 3)
        self._attend(q, k, v, None, self._split(o, 1)[0], lse)
        self.save(x, o, lse)
        return o

    def backward(self, dy: Array, x: Array | None = None) -> Array:
        """(B, T, C) -> (B, T, 3 C)."""
        qkv, o, lse = self.take_saved()
        dqkv: Array = np.zeros_like(qkv)
        do_heads, o_heads = self._split(dy, 1)[0], self._split(o, 1)[0]
        parts = self._split(qkv, 3), self._split(dqkv, 3)
        self._attend_backward(parts[0], None, o_heads, lse, do_heads, parts[1])
        return dqkv


def case(module: ModuleType, name: str) -> Case:
    """The case of an exercise's module, or of its solution's."""
    make = _class_of(module, name)
    rng = np.random.default_rng(0)
    x, ids = rng.standard_normal((B, T, C)), rng.integers(V, size=(B, T))
    if name == "linear":
        return Case(make(C, 13), x, package.Linear(C, 13))
    if name == "embedding":
        return Case(make(V, C), ids, package.Embedding(V, C))
    if name == "layernorm":
        return Case(make(C), x, package.LayerNorm(C))
    if name == "gelu":
        return Case(make(), x, package.GELU())
    if name == "dropout":
        return Case(make(P), x, package.Dropout(P))
    if name == "attention":
        return Case(make(H), rng.standard_normal((B, T, 3 * C)), Core(H))
    if name == "head":
        theirs = PackageLoss(package.Head(Parameter(V, C)), ids)
        return Case(OwnLoss(make(Parameter(V, C)), ids), x, theirs, dy=DLOSS)
    config = GPTConfig(V, T, C, H, 1, dropout=P)
    block = package.Block(config)
    block.attention.dropout.p = 0.0  # the exercise has none there
    return Case(make(config), x, block, entries=12)


def _class_of(module: ModuleType, name: str) -> Any:
    wanted = EXERCISES[name].layer
    found = getattr(module, wanted, None)
    if isinstance(found, type) and issubclass(found, Layer):
        return found
    raise Mistake(f"{name}.py: expected a class {wanted}(Layer), found none")
