"""Parameters: what is learned, and the one array that all of a model's parameters lie in.

A `Parameter` is declared by its shape and how it starts; `initialize` gives it its values, `data`.
Backward passes add to its gradient, `grad`. They may compute what they add in `take_room()`, the
memory of the gradient that `zero_grad` forgot: the first since then becomes `grad` where it lies,
instead of being added to zeros, which saves two passes over memory.

What treats all numbers of a model alike (AdamW, clipping, saving) wants them in ONE array, and
their gradients in another, so that each is one loop: `model.flat.data` and `model.flat.grad`.
Asking for `model.flat` moves all values into the first, unless they lie there; asking for
`flat.grad` does so with gradients. From then on `p.data` and `p.grad` are views into these two, and
arrays that were taken from them before are out of date.
"""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
DTYPES = ("float32", "float64", "complex64", "complex128")  # the last two for complex steps


class Parameter:
    """One learned array, `data`, and the derivative of the loss by it, `grad`.

    Parameters
    ----------
    *shape : int
        Its shape. Matrices are (in, out), but for embeddings and heads, which are (rows, C).
    mean, std : float
        Its first values are drawn from N(mean, std^2).
    """

    data: Array
    __array_ufunc__ = None  # x @ W without .data is an error that names Parameter

    def __init__(self, *shape: int, mean: float = 0.0, std: float = 0.0) -> None:
        if not all(isinstance(n, (int, np.integer)) for n in shape):
            raise TypeError(f"expected sizes, as in Parameter(3, 4), got {[*map(type, shape)]}")
        self.shape, self.size = shape, math.prod(shape)
        self.mean, self.std = mean, std
        self._grad: Array | None = None  # None: nothing was added since zero_grad
        self._room: Array | None = None  # memory of a gradient, which nobody uses

    if not TYPE_CHECKING:  # to a type checker, every name would exist

        def __getattr__(self, name):  # called for what is not there, or raised AttributeError
            if name not in ("data", "grad"):  # the property grad raises it where data is not
                raise AttributeError(f"Parameter has no {name}; its array is its data")
            remedy = "call initialize() on the layer or model that it belongs to"
            raise AttributeError(f"Parameter of shape {self.shape} has no values yet: {remedy}")

    @property
    def grad(self) -> Array:
        """The derivative of the loss by `data`, of its shape, summed since `zero_grad`."""
        if self._grad is None:
            self._grad = self.take_room()
            self._grad[...] = 0
        return self._grad

    @grad.setter
    def grad(self, grad: Array) -> None:
        if grad is not self._grad:  # after `p.grad += dW` it is: already added
            self.grad[...] = grad

    def zero_grad(self) -> None:
        """Forget the gradient. The next one is computed in its memory: copy what you keep."""
        if self._grad is not None:
            self._room, self._grad = self._grad, None

    def take_room(self) -> Array:
        """Memory for a gradient, with anything in it; from now on the caller's alone."""
        room, self._room = self._room, None
        return np.empty_like(self.data) if room is None else room

    def add_grad(self, grad: Array, in_room: bool = False) -> None:
        """Add to the gradient. The first, if computed in the room, becomes it; others are added."""
        if grad.shape != self.shape:
            raise ValueError(f"Parameter: expected dW of shape {self.shape}, got {grad.shape}")
        if in_room and self._grad is None:
            self._grad = grad
        else:
            self.grad += grad

    def add_product(self, a: Array, b: Array) -> None:
        """Add `a @ b` to the gradient."""
        self.add_grad(np.matmul(a, b, out=self.take_room()), in_room=True)

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_room": None}  # a copy makes its own when it needs it


class FlatParameters:
    """The memory of many parameters: one array for values, one (made when needed) for gradients.

    Matrices (and embeddings) come first, then the vectors: weight decay applies to the first
    `n_matrix` numbers of `data`.

    Parameters
    ----------
    parameters : dict of str to Parameter
        By name. The values that they have move here; those that have none find them undefined.
    dtype : numpy dtype
        One of DTYPES.
    """

    def __init__(self, parameters: dict[str, Parameter], dtype: npt.DTypeLike) -> None:
        dtype = np.dtype(dtype).newbyteorder("=")  # this machine's
        if dtype.name not in DTYPES:
            raise TypeError(f"expected parameters of {', '.join(DTYPES)}, got {dtype}")
        matrices = {name: p for name, p in parameters.items() if len(p.shape) >= 2}
        self.parameters = matrices | parameters  # a dict keeps the order of first coming
        self.n_matrix = sum(p.size for p in matrices.values())
        self.data: Array = np.empty(sum(p.size for p in parameters.values()), dtype)
        self._grad: Array | None = None
        for name, part in self.split(self.data).items():
            p = parameters[name]
            if "data" in vars(p):
                part[...] = p.data
            p.data, p._room = part, None

    def split(self, flat: Array) -> dict[str, Array]:
        """An array of all parameters' numbers, in parts, one for each name: views."""
        parts, start = {}, 0
        for name, p in self.parameters.items():
            parts[name] = flat[start : start + p.size].reshape(p.shape)
            start += p.size
        return parts

    def holds(self, named: dict[str, Parameter]) -> bool:
        """Whether it is of these parameters, and all their values lie here."""
        return self.parameters == named and all(p.data.base is self.data for p in named.values())

    def make_room(self) -> None:
        """For AdamW: gradients to come are computed where `grad` wants them."""
        self._grad = np.empty_like(self.data)
        for name, part in self.split(self._grad).items():
            self.parameters[name]._room = part

    @property
    def grad(self) -> Array:
        """All gradients in one array, zeros where no backward has come."""
        flat, parameters = self._grad, self.parameters
        if flat is None or any(p.grad.base is not flat for p in parameters.values()):
            flat = self._grad = np.empty_like(self.data)
            for name, part in self.split(flat).items():
                part[...] = parameters[name].grad
                parameters[name]._grad, parameters[name]._room = part, None
        return flat
