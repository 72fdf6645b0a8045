"""What every layer shares: one slot for what backward needs, its parameters, and clear errors.

The protocol of every layer that computes (FeedForward, Block and GPT only chain others):

- `forward(x)` returns y and calls `self.save(...)` once: the arrays that backward will need.
- `backward(dy)` calls `self.take_saved()` once, adds to the `grad` of its parameters, and returns
  dx, if there is a derivative by x. `dX` always is the derivative of the loss by X, in X's
  shape.
- Taking empties the slot, so activations are freed while the backward pass walks down the model,
  and backward without forward, or twice, is an error instead of a wrong number.
- Arrays are saved without a copy: until backward, nobody may write into x or y. Nor does a layer
  write into what it is given (attention's cache apart: it grows). In eval mode it saves nothing.
- Some layers can make y again from what they saved (LayerNorm, GELU): `output()` does, before
  backward. The next layer, whose x this y is, need not save it: its forward is told `save_x=False`,
  and its backward is given x (in x's shape, or as rows).

The letters of shapes (B, T, C, ...) are those of `numpygpt/__init__.py`.
"""

import copy
from collections.abc import Iterator
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from numpygpt.layers.parameter import Array, FlatParameters, Parameter

__all__ = ["Array", "Layer", "Parameter"]

AnyLayer = TypeVar("AnyLayer", bound="Layer")


class Layer:
    """The base of all layers: finds parameters, saves for backward, switches modes."""

    training = True
    _saved: tuple[Any, ...] | None = None
    _flat: FlatParameters | None = None

    # -- saved for backward ---------------------------------------------------------------------

    def save(self, *arrays: Any) -> None:
        """Keep what backward needs. In eval mode, keep nothing."""
        self._saved = arrays if self.training else None

    @property
    def saved(self) -> tuple[Any, ...]:
        """What the last forward saved, without taking it."""
        if self._saved is None:
            raise RuntimeError(
                f"{type(self).__name__}.backward: nothing is saved. Run forward first, in training "
                "mode (eval mode saves nothing), and backward once after each forward"
            )
        return self._saved

    def take_saved(self) -> tuple[Any, ...]:
        """What the last forward saved; the slot is empty afterwards."""
        saved, self._saved = self.saved, None
        return saved

    # -- the tree of layers ---------------------------------------------------------------------

    def children(self) -> list[tuple[str, "Parameter | Layer"]]:
        """Every parameter and layer that is an attribute, or in a list, tuple or dict, by name."""
        return list(_find(vars(self), ""))

    def named_layers(self, prefix: str = "") -> Iterator[tuple[str, "Layer"]]:
        """(prefix, layer) of this one and all inside; a prefix is a path: "blocks.0.norm1."."""
        yield prefix, self
        for name, child in self.children():
            if isinstance(child, Layer):
                yield from child.named_layers(f"{prefix}{name}.")

    def layers(self) -> Iterator["Layer"]:
        """This layer and every layer inside it."""
        return (layer for _, layer in self.named_layers())

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """(name, parameter) for each parameter, once: a shared one goes by its first name."""
        seen: set[int] = set()
        for prefix, layer in self.named_layers():
            for name, child in layer.children():
                if isinstance(child, Parameter) and id(child) not in seen:
                    seen.add(id(child))
                    yield prefix + name, child

    def num_parameters(self) -> int:
        """How many numbers are learned; shared ones count once."""
        return sum(p.size for _, p in self.named_parameters())

    def train(self: AnyLayer, mode: bool = True) -> AnyLayer:
        """Training mode, or eval mode if False: see `eval`. What was saved is forgotten."""
        for layer in self.layers():
            layer.training, layer._saved = mode, None
        return self

    def eval(self: AnyLayer) -> AnyLayer:
        """Eval mode: no dropout, and forward saves nothing for a backward pass."""
        return self.train(False)

    def view(self: AnyLayer, training: bool = False) -> AnyLayer:
        """A layer of the same parameters, with a mode and saved slots of its own.

        What generates or evaluates takes a view, and so disturbs nobody who uses the layer at the
        same time. All that is no parameter is copied: a dropout's generator, too, which then draws
        what the original's would.
        """
        shared = {id(p): p for _, p in self.named_parameters()}
        view = copy.deepcopy(self, memo=shared).train(training)  # what the memo has is not copied
        view._flat = self._flat
        return view

    def __getstate__(self) -> dict[str, Any]:
        """What a copy gets: all but the flat array and what was saved for a backward pass."""
        return {name: x for name, x in vars(self).items() if name not in ("_saved", "_flat")}

    # -- memory and values ----------------------------------------------------------------------

    @property
    def flat(self) -> FlatParameters:
        """All parameters in one array: made, and their values moved there, if they are not yet."""
        parameters = dict(self.named_parameters())
        dtypes = {p.data.dtype: name for name, p in parameters.items()}
        if len(dtypes) > 1:
            raise TypeError(f"expected parameters of one dtype, got {dtypes}")
        if self._flat is None or not self._flat.holds(parameters):
            self._flat = FlatParameters(parameters, next(iter(dtypes), np.float32))
        return self._flat

    def allocate(self: AnyLayer, dtype: npt.DTypeLike = np.float32) -> AnyLayer:
        """Give all parameters memory in one flat array, and forget gradients.

        Values that are there already are kept, converted; without any they are undefined.
        """
        self.zero_grad()
        self._flat = FlatParameters(dict(self.named_parameters()), dtype)
        return self

    def initialize(
        self: AnyLayer, rng: int | np.random.Generator = 0, dtype: npt.DTypeLike = np.float32
    ) -> AnyLayer:
        """Allocate, and draw first values, parameter by parameter as `named_parameters` goes."""
        self.allocate(dtype)
        rng = np.random.default_rng(rng)
        for _, p in self.named_parameters():
            if not p.std:
                p.data[...] = p.mean
            elif p.data.dtype.kind == "f":
                rng.standard_normal(out=p.data, dtype=p.data.dtype.type)  # no second copy
                p.data *= p.std
                p.data += p.mean
            else:  # complex, which the generator does not draw
                p.data[...] = p.mean + p.std * rng.standard_normal(p.shape)
        return self

    def astype(self: AnyLayer, dtype: npt.DTypeLike) -> AnyLayer:
        """A copy with parameters of another dtype, in training mode, without gradients."""
        return copy.deepcopy(self).train().allocate(dtype)

    def zero_grad(self) -> None:
        """Forget all gradients (the next one added takes the old one's place)."""
        for _, p in self.named_parameters():
            p.zero_grad()

    # -- errors ---------------------------------------------------------------------------------

    def expect(self, x: Array, letter: str, width: int, like: Parameter) -> None:
        """Raise unless x is (..., width) in a parameter's dtype; the error calls width `letter`."""
        name, dtype = type(self).__name__, like.data.dtype
        if x.shape[-1:] != (width,):
            shape = f"(..., {letter}), {letter} = {width}"
            raise ValueError(f"{name}: expected x of shape {shape}, got {x.shape}")
        if x.dtype != dtype:
            raise TypeError(f"{name}: expected x of dtype {dtype} (use x.astype), got {x.dtype}")


def _find(values: Any, prefix: str) -> Iterator[tuple[str, Parameter | Layer]]:
    """The parameters and layers in a dict, list or tuple, and in those that it holds, by path."""
    for key, value in values.items() if isinstance(values, dict) else enumerate(values):
        if isinstance(value, (Parameter, Layer)):
            yield f"{prefix}{key}", value
        elif isinstance(value, (dict, list, tuple)):
            yield from _find(value, f"{prefix}{key}.")
