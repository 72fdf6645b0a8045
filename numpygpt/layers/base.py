"""What every layer shares: one slot for what backward needs, its parameters, and clear errors.

The protocol of every layer that computes (Block and FeedForward only chain others):

- `forward(x)` returns y and calls `self.save(...)` once: the arrays that backward will need.
- `backward(dy)` begins with one `self.take_saved()`, adds to the `grad` of its parameters, and
  returns dx, if x can be differentiated by. `dX` always is the derivative of the loss by X, in X's
  shape.
- Taking empties the slot, so activations are freed while the backward pass walks down the model,
  and backward without forward, or twice, is an error instead of a wrong number.
- A layer never writes into its arguments. In eval mode it saves nothing.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from numpygpt.layers.parameter import Array, FlatParameters, HasMemory, Parameter

AnyLayer = TypeVar("AnyLayer", bound="Layer")


class Layer(HasMemory):
    """The base of all layers: finds parameters, saves for backward, switches modes."""

    training = True
    _saved: tuple[Any, ...] | None = None

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

    def children(self) -> Iterator[tuple[str, "Parameter | Layer"]]:
        """Every parameter and layer that is an attribute, or in a list that is one, by name."""
        for name, value in vars(self).items():
            if isinstance(value, Parameter | Layer):
                yield name, value
            elif isinstance(value, list):
                for i, item in enumerate(value):
                    if isinstance(item, Parameter | Layer):
                        yield f"{name}.{i}", item

    def layers(self) -> Iterator["Layer"]:
        """This layer and every layer inside it."""
        yield self
        for _, child in self.children():
            if isinstance(child, Layer):
                yield from child.layers()

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """(name, parameter) for each parameter, once: a shared one goes by its first name."""
        seen: set[int] = set()
        for name, parameter in self._walk(""):
            if id(parameter) not in seen:
                seen.add(id(parameter))
                yield name, parameter

    def _walk(self, prefix: str) -> Iterator[tuple[str, Parameter]]:
        for name, child in self.children():
            if isinstance(child, Parameter):
                yield prefix + name, child
            else:
                yield from child._walk(f"{prefix}{name}.")

    def num_parameters(self) -> int:
        """How many numbers are learned; shared ones count once."""
        return sum(p.size for _, p in self.named_parameters())

    def train(self: AnyLayer, mode: bool = True) -> AnyLayer:
        """Training mode: dropout drops, and forward saves for backward."""
        for layer in self.layers():
            layer.training, layer._saved = mode, None
        return self

    def eval(self: AnyLayer) -> AnyLayer:
        """Eval mode: no dropout, nothing saved."""
        return self.train(False)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """For a `with` block: eval mode inside it, and afterwards the mode that was before."""
        was_training = self.training
        if was_training:
            self.eval()
        try:
            yield
        finally:
            if was_training:
                self.train()

    # -- memory and values ----------------------------------------------------------------------

    def allocate(self: AnyLayer, dtype: npt.DTypeLike = np.float32) -> AnyLayer:
        """Give all parameters memory (values undefined) in one flat array of their own."""
        self.flat = FlatParameters([p for _, p in self.named_parameters()], dtype)
        return self

    def initialize(
        self: AnyLayer, rng: int | np.random.Generator = 0, dtype: npt.DTypeLike = np.float32
    ) -> AnyLayer:
        """Allocate, and draw every parameter's first values in the order of their names."""
        self.allocate(dtype)
        rng = np.random.default_rng(rng)
        draw_dtype = np.float32 if self.flat.data.dtype == np.float32 else np.float64
        for _, p in self.named_parameters():
            data = p.data
            if p.std and data.dtype == draw_dtype:
                rng.standard_normal(out=data, dtype=draw_dtype)  # in place: no second copy
                data *= p.std
                data += p.mean
            else:
                data[...] = p.mean + (p.std * rng.standard_normal(p.shape) if p.std else 0.0)
        return self

    def astype(self: AnyLayer, dtype: npt.DTypeLike) -> AnyLayer:
        """A copy with parameters of another dtype, in training mode, with empty gradients."""
        twin = copy.deepcopy(self).train()
        twin.allocate(dtype)
        twin.flat.data[...] = self.flat.data
        twin.zero_grad()
        return twin

    def zero_grad(self) -> None:
        """Forget all gradients (the next one added overwrites the old)."""
        for _, p in self.named_parameters():
            p.empty = True

    # -- errors ---------------------------------------------------------------------------------

    def expect(self, x: Array, letter: str, width: int, like: Parameter) -> None:
        """Raise unless x is (..., width), called `letter`, in the parameters' dtype."""
        name = type(self).__name__
        if x.ndim < 1 or x.shape[-1] != width:
            raise ValueError(
                f"{name}: expected x of shape (..., {letter}), {letter} = {width}, got {x.shape}"
            )
        if x.dtype != like.flat.data.dtype:
            raise TypeError(
                f"{name}: expected x of dtype {like.flat.data.dtype}, the parameters', got "
                f"{x.dtype}; convert it with x.astype"
            )
