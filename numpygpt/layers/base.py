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
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from numpygpt.layers.parameter import Array, FlatParameters, Parameter

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

    def children(self) -> Iterator[tuple[str, "Parameter | Layer"]]:
        """Every parameter and layer that is an attribute, or in a list or dict that is, by name."""
        return _named("", self.__getstate__())

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

    def view(self: AnyLayer, training: bool = False) -> AnyLayer:
        """The same parameters, in a mode and with saved slots of its own.

        What generates or evaluates takes a view, and so disturbs nobody who uses the layer at the
        same time. (Its dropout layers draw from the same `rng`; a view in eval mode draws nothing.)
        """
        view: AnyLayer = copy.copy(self)
        for name, value in vars(self).items():
            setattr(view, name, _views(value, training))
        view.training, view._flat = training, self._flat
        return view

    def __getstate__(self) -> dict[str, Any]:
        """What a copy has: neither what was saved for a backward pass, nor the same flat array."""
        return {name: x for name, x in vars(self).items() if name not in ("_saved", "_flat")}

    # -- memory and values ----------------------------------------------------------------------

    @property
    def flat(self) -> FlatParameters:
        """All parameters in one array, all gradients in another: gathered there if they are not."""
        parameters = dict(self.named_parameters())
        flat = self._flat
        if flat is None or flat.parameters != parameters or not flat.holds_all():
            flat = FlatParameters(parameters, self.dtype)
            flat.gather()
            self._flat = flat
        return flat

    @property
    def dtype(self) -> np.dtype[Any]:
        """The parameters'."""
        first = next(self.named_parameters(), None)
        return np.dtype(np.float32) if first is None else first[1].data.dtype

    def allocate(self: AnyLayer, dtype: npt.DTypeLike = np.float32) -> AnyLayer:
        """Give all parameters memory (values undefined) in one flat array of their own."""
        self._flat = FlatParameters(dict(self.named_parameters()), dtype)
        self._flat.allocate()
        return self

    def initialize(
        self: AnyLayer, rng: int | np.random.Generator = 0, dtype: npt.DTypeLike = np.float32
    ) -> AnyLayer:
        """Allocate, and draw every parameter's first values in the order of their names."""
        self.allocate(dtype)
        rng = np.random.default_rng(rng)
        for _, p in self.named_parameters():
            data = p.data
            if p.std and data.dtype in (np.float32, np.float64):
                rng.standard_normal(out=data, dtype=data.dtype.type)  # in place: no second copy
                data *= p.std
                data += p.mean
            else:
                data[...] = p.mean + (p.std * rng.standard_normal(p.shape) if p.std else 0.0)
        return self

    def astype(self: AnyLayer, dtype: npt.DTypeLike) -> AnyLayer:
        """A copy with parameters of another dtype, in training mode, without gradients."""
        twin = copy.deepcopy(self).train().allocate(dtype)
        for (_, p), (_, own) in zip(twin.named_parameters(), self.named_parameters(), strict=True):
            p.data[...] = own.data
        return twin

    def zero_grad(self) -> None:
        """Forget all gradients (the next one added takes the old one's place)."""
        for _, p in self.named_parameters():
            p.zero_grad()

    # -- errors ---------------------------------------------------------------------------------

    def expect(self, x: Array, letter: str, width: int, like: Parameter) -> None:
        """Raise unless x is (..., width), called `letter`, in the parameters' dtype."""
        name = type(self).__name__
        if x.ndim < 1 or x.shape[-1] != width:
            raise ValueError(
                f"{name}: expected x of shape (..., {letter}), {letter} = {width}, got {x.shape}"
            )
        if x.dtype != like.data.dtype:
            raise TypeError(
                f"{name}: expected x of dtype {like.data.dtype}, the parameters', got "
                f"{x.dtype}; convert it with x.astype"
            )


def _named(prefix: str, values: dict[Any, Any]) -> Iterator[tuple[str, Parameter | Layer]]:
    """The parameters and layers in a dict, and in what it holds, by their paths."""
    for key, value in values.items():
        if isinstance(value, Parameter | Layer):
            yield f"{prefix}{key}", value
        elif isinstance(value, list | tuple):
            yield from _named(f"{prefix}{key}.", dict(enumerate(value)))
        elif isinstance(value, dict):
            yield from _named(f"{prefix}{key}.", value)


def _views(value: Any, training: bool) -> Any:
    """An attribute as a view has it: a layer's view, or a list, tuple or dict of such."""
    if isinstance(value, Layer):
        return value.view(training)
    if isinstance(value, list):
        return [_views(one, training) for one in value]
    if isinstance(value, tuple):
        return tuple(_views(one, training) for one in value)
    if isinstance(value, dict):
        return {key: _views(one, training) for key, one in value.items()}
    return value
