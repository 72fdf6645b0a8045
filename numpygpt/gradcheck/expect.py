"""What can be checked: a layer, its parameters found, and arrays of numbers."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from numpygpt.layers.base import Layer
from numpygpt.layers.parameter import Array, Parameter


def expect_layer(layer: Any) -> None:
    """Raise unless it is a layer that can be checked."""
    if not isinstance(layer, Layer):
        raise TypeError(f"expected a layer, made of a subclass of Layer, got {layer!r:.80}")
    for method in ("forward", "backward"):
        if not callable(getattr(layer, method, None)):
            raise TypeError(f"{type(layer).__name__}: expected forward and backward, no {method}")
    found = {id(p) for _, p in layer.named_parameters()}
    for one in layer.layers():
        for name, value in (vars(type(one)) | vars(one)).items():
            if name not in ("_flat", "_saved") and any(id(p) not in found for p in _held(value)):
                raise TypeError(
                    f"{type(one).__name__}: the attribute {name!r} has a Parameter where none is "
                    "looked for; expected parameters, and layers, that are set in __init__ as "
                    "attributes of the layer, or in lists, tuples and dicts"
                )


def _held(value: Any, depth: int = 6) -> Iterator[Parameter]:
    """The parameters in an object, and in those that it holds."""
    if isinstance(value, Parameter):
        yield value
    elif depth and not callable(value):
        inside = value.values() if isinstance(value, dict) else value
        if not isinstance(inside, Iterable) or isinstance(inside, str | bytes | np.ndarray):
            inside = vars(value).values() if hasattr(value, "__dict__") else ()
        if not isinstance(inside, Iterator):  # which would be used up
            for one in inside:
                yield from _held(one, depth - 1)


def as_numbers(name: str, value: npt.ArrayLike) -> Array:
    """The value as an array of finite real or whole numbers, or an error that begins with name."""
    try:
        array: Array = np.asarray(value)
    except ValueError:
        raise ValueError(f"{name}: expected an array, got rows of different lengths") from None
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name}: expected real or whole numbers, got dtype {array.dtype}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: expected finite numbers, got nan or inf")
    return array
