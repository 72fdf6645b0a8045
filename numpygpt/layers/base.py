"""What every layer shares: parameters, one slot for what backward needs, and clear errors.

The protocol, which every layer in this folder keeps:

- `forward(x)` returns y and ends in one `self.save(...)`: the arrays that backward will need.
- `backward(dy)` begins with one `self.take_saved()`, adds to the `grad` of its parameters, and
  returns dx. `dX` always is the derivative of the loss by X, in X's shape.
- Taking empties the slot, so activations are freed while the backward pass walks down the model,
  and backward without forward, or twice, is an error instead of a wrong number.
- A layer never writes into its arguments. In eval mode it saves nothing.

A `Parameter` is declared by its shape and how it starts. `initialize` then gives all parameters of
a layer (or of a whole model: GPT is a layer too) memory in ONE flat array, and one more for their
gradients; `p.data` and `p.grad` are views into the two. So zeroing, clipping, AdamW and saving are
each one pass over one array. The gradients' array is made when training first needs it: a model
that only generates costs its weights and no more.
"""

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from numpygpt.parallel import keep_freed_memory

Array = npt.NDArray[Any]
AnyLayer = TypeVar("AnyLayer", bound="Layer")


class HasMemory:
    """`flat` is there once `initialize` or `allocate` was called; before, the error says so."""

    flat: "FlatParameters"

    if not TYPE_CHECKING:

        def __getattr__(self, name):  # called only for what is not there
            if name == "flat":
                raise AttributeError(
                    f"{type(self).__name__} has no memory yet: call initialize() on the layer or "
                    "model that it is, or belongs to"
                )
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")


class Parameter(HasMemory):
    """One learned array, `data`, and the derivative of the loss by it, `grad`.

    Parameters
    ----------
    *shape : int
        Its shape. Matrices are (in, out).
    mean, std : float
        Its first values are drawn from N(mean, std^2).
    """

    start: int

    def __init__(self, *shape: int, mean: float = 0.0, std: float = 0.0) -> None:
        self.shape = shape
        self.size = math.prod(shape)
        self.mean, self.std = mean, std
        self.empty = True  # nothing was added to grad since zero_grad: its memory holds leftovers
        self._prepared: Array | None = None

    def _view(self, flat: Array) -> Array:
        return flat[self.start : self.start + self.size].reshape(self.shape)

    @property
    def data(self) -> Array:
        """The values: a view of the model's flat array."""
        return self._view(self.flat.data)

    @property
    def grad(self) -> Array:
        """The derivative of the loss by `data`, summed since `zero_grad`: a view, of its shape."""
        grad = self._view(self.flat.grad_memory)
        if self.empty:
            if self._prepared is not None:  # it lies where the zeros go
                self._prepared = self._prepared.copy()
            grad[...] = 0
            self.empty = False
        return grad

    def add_grad(self, grad: Array) -> None:
        """Add to the gradient. The first time after `zero_grad`, overwrite: no zeroing pass."""
        if self.empty and self._prepared is None:
            self._view(self.flat.grad_memory)[...] = grad
            self.empty = False
        else:
            self.grad[...] += grad

    def add_product(self, a: Array, b: Array) -> None:
        """Add `a @ b` to the gradient; the first time, the product is written straight into it."""
        if self.empty and self._prepared is None:
            np.matmul(a, b, out=self._view(self.flat.grad_memory))
            self.empty = False
        else:
            self.grad[...] += a @ b

    def prepare_grad(self) -> Array:
        """Memory to compute a gradient in during *forward*: the gradient's own, while it is empty.

        It counts only once `add_prepared` is called: nobody else sees it in `grad` before.
        """
        own = self._view(self.flat.grad_memory)
        self._prepared = own if self.empty else np.empty_like(own)
        return self._prepared

    def add_prepared(self) -> None:
        """Add what was computed in `prepare_grad`'s array to the gradient."""
        prepared, self._prepared = self._prepared, None
        if prepared is None:
            raise RuntimeError("add_prepared without prepare_grad")
        if self.empty and np.may_share_memory(prepared, self.flat.grad_memory):
            self.empty = False  # it is in place already
        else:
            self.grad[...] += prepared


class FlatParameters:
    """The memory of many parameters: one array for values, one (made when needed) for gradients.

    Matrices (and embeddings) come first, then the vectors: `flat.data[: flat.n_matrix]` is what
    weight decay applies to.
    """

    def __init__(self, parameters: list[Parameter], dtype: npt.DTypeLike) -> None:
        self.parameters = sorted(parameters, key=lambda p: len(p.shape) < 2)
        dtype = np.dtype(dtype).newbyteorder("=")
        if dtype.kind not in "fc":
            raise TypeError(
                f"expected parameters of a real or complex dtype such as float32, got {dtype}"
            )
        start = 0
        for p in self.parameters:
            p.flat, p.start = self, start
            start += p.size
        self.n_matrix = sum(p.size for p in parameters if len(p.shape) >= 2)
        self.data: Array = np.empty(start, dtype)
        self._grad: Array | None = None

    @property
    def grad_memory(self) -> Array:
        """The gradients' memory, made at first use; empty parameters' parts hold leftovers."""
        if self._grad is None:
            keep_freed_memory()  # training begins
            self._grad = np.empty_like(self.data)
        return self._grad

    @property
    def grad(self) -> Array:
        """All gradients in one array, zeros where no backward has come."""
        for p in self.parameters:
            _ = p.grad  # fills an empty one with zeros
        return self.grad_memory


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
