"""Where a number stopped being finite: the forward and backward pass once more, watched.

Training checks two numbers a step, the loss and the gradient's norm; to check every array would
cost time at every step. Only when one of the two is not finite is the same batch run again, with
the same dropout, and with each layer's `forward` and `backward` wrapped in a check.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from numpygpt.layers.base import Layer
from numpygpt.layers.parameter import Parameter
from numpygpt.training.distributed import ALONE, Alone


class Found(Exception):
    """Ends the second pass; says where the first number was that is not finite."""


def named_layers(layer: Layer, name: str) -> Iterator[tuple[str, Layer]]:
    """A layer and all inside it, by the paths of their attributes."""
    yield name, layer
    for child_name, child in layer.children():
        if isinstance(child, Layer):
            yield from named_layers(child, f"{name}.{child_name}")


def where_not_finite(
    models: Sequence[Layer], run: Callable[[], object], group: Alone = ALONE
) -> str:
    """Repeat what went wrong, and say in which layer it began.

    Parameters
    ----------
    models : sequence of Layer
        The model and its replicas, with the parameters and random streams that they had before.
    run : callable
        The same forward and backward passes.
    group : Alone
        The processes that all do so, each with its own sequences: any may have found it.

    Returns
    -------
    str
        Such as "the output of model.blocks.3.feedforward.fc".
    """
    found = [where for where in group.everyone(_found(models, run)) if where]
    return found[0] if found else _largest_gradient(models[0])


def _found(models: Sequence[Layer], run: Callable[[], object]) -> str | None:
    """Where this process finds the first number that is not finite."""
    if parameter := parameter_not_finite(models[0]):
        return parameter
    try:
        with _watched(models):
            run()
    except Found as found:
        return str(found)
    return None


def parameter_not_finite(model: Layer) -> str | None:
    """The first parameter with a number that is not finite, such as "model.norm.gain"."""
    for name, p in model.named_parameters():
        if not _finite(p.data):
            return f"model.{name}"
    return None


def _largest_gradient(model: Layer) -> str:
    """Every number is finite, so only the sum of the gradient's squares is not."""
    name, _ = max(model.named_parameters(), key=lambda item: float(np.abs(item[1].grad).max()))
    return f"the gradient's norm, whose largest part is model.{name}'s"


@contextmanager
def _watched(models: Sequence[Layer]) -> Iterator[None]:
    """Inside, the first array that is not finite raises Found."""
    names = [named for model in models for named in named_layers(model, "model")]
    try:
        for name, layer in names:
            for method in ("forward", "loss", "backward"):
                if hasattr(layer, method):
                    # Set on the instance, it hides the class's own method until it is deleted.
                    setattr(layer, method, _checked(name, layer, method))
        yield
    finally:
        for _, layer in names:
            for method in ("forward", "loss", "backward"):
                vars(layer).pop(method, None)


def _checked(name: str, layer: Layer, method: str) -> Callable[..., Any]:
    """The layer's method, with a check of what goes in and what comes out."""
    call = getattr(layer, method)
    before, after = "the input of", "the output of"
    if method == "backward":
        before, after = "the gradient by the output of", "the gradient by the input of"

    @functools.wraps(call)
    def checked(*args: Any, **kwargs: Any) -> Any:
        if (
            args and args[0] is not None and not _finite(args[0])
        ):  # the layers before were fine: what is between them?
            raise Found(f"{before} {name}")
        result = call(*args, **kwargs)
        if method == "backward":
            for parameter_name, p in layer.children():
                if isinstance(p, Parameter) and not _finite(p.grad):
                    raise Found(f"the gradient by {name}.{parameter_name}")
        if result is not None and not _finite(result):
            raise Found(f"{after} {name}")
        return result

    return checked


def _finite(x: Any) -> bool:
    return bool(np.isfinite(x).all())
