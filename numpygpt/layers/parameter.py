"""Parameters: what is learned, and the one array that all of a model's parameters lie in.

A `Parameter` is declared by its shape and how it starts. `initialize` then gives all parameters of
a layer (or of a whole model: GPT is a layer too) memory in ONE flat array, and one more for their
gradients; `p.data` and `p.grad` are views into the two. So zeroing, clipping, AdamW and saving are
each one pass over one array. The gradients' array is made when training first needs it: a model
that only generates costs its weights and no more.

Gradients are added, and the first one after `zero_grad` overwrites instead: no zeroing pass.
"""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


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
            self._grad = np.empty_like(self.data)
        return self._grad

    @property
    def grad(self) -> Array:
        """All gradients in one array, zeros where no backward has come."""
        for p in self.parameters:
            _ = p.grad  # fills an empty one with zeros
        return self.grad_memory
