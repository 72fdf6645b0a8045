"""One exercise checked: is it done, still to do, or wrong, and what is?

First the forward is compared with the solution's, number by number: a changed one would be
differentiated faithfully, and would be another layer. Then `check_layer` compares backward with
the forward's derivatives.
"""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from numpygpt.config import GPTConfig
from numpygpt.gradcheck import check_layer
from numpygpt.gradcheck.oracles import draw_parameters
from numpygpt.gradcheck.subject import Loss
from numpygpt.layers import Layer, Parameter
from numpygpt.layers.parameter import Array
from numpygpt.practice.exercises import EXERCISES, SOLUTIONS
from numpygpt.practice.reader import Mistake, ToDo, load, told

B, T, H, D, V = 2, 5, 3, 7, 11  # all different: no transposed axis can hide
C = H * D
ENTRIES = 20  # of each array that are checked, in a block

DONE, TO_DO, WRONG = "done", "to do", "wrong"


class HeadLoss(Loss):
    """The head as a layer from x to its loss, whose backward is handed dloss."""

    def backward(self, dy: Array) -> Any:
        """() -> of x's shape."""
        return self.layer.backward(dy)


@dataclass(frozen=True)
class Result:
    """How an exercise stands; `text` says more, if it is not done."""

    name: str
    status: str
    text: str = ""


def check(folder: Path, name: str) -> Result:
    """Check the reader's file of that name, within `reading`."""
    try:
        module = load(folder, name)
        with told(folder):
            text = _compare(module, name) or _differentiate(module, name)
        return Result(name, WRONG if text else DONE, text)
    except ToDo as first:
        what = f"{folder / str(first)}.py has a backward to be written"
        return Result(name, TO_DO, what if str(first) == name else f"{what} first")
    except (Mistake, TypeError, ValueError) as error:  # the last two: what check_layer cannot check
        return Result(name, WRONG, str(error))


def case(module: ModuleType, name: str) -> tuple[Any, Array]:
    """The layer of an exercise's module, or of its solution's, and what to put in."""
    rng = np.random.default_rng(0)
    x, ids = rng.standard_normal((B, T, C)), rng.integers(V, size=(B, T))
    found = getattr(module, EXERCISES[name].layer, None)
    if not (isinstance(found, type) and issubclass(found, Layer)):
        raise Mistake(f"{name}.py: expected a class {EXERCISES[name].layer}(Layer), found none")
    make: Any = found
    if name == "linear":
        return make(C, 13), x
    if name == "embedding":
        return make(V, C), ids
    if name == "layernorm":
        return make(C), x
    if name == "gelu":
        return make(), x
    if name == "dropout":
        return make(0.3), x
    if name == "attention":
        return make(H), rng.standard_normal((B, T, 3 * C))
    if name == "head":
        return HeadLoss(make(Parameter(V, C)), ids), x
    return make(GPTConfig(V, T, C, H, 1, dropout=0.3)), x


def _compare(module: ModuleType, name: str) -> str:
    """What the forward does that the solution's does not; empty if they are the same."""
    outputs, parameters = [], []
    for source in (import_module(f"{SOLUTIONS}.{name}"), module):
        layer, x = case(source, name)
        layer.initialize(0, np.float64)
        draw_parameters(layer, np.random.default_rng(1))
        parameters.append({n: p.shape for n, p in layer.named_parameters()})
        if parameters[-1] == parameters[0]:
            outputs.append(np.asarray(layer.forward(x)))
    anew = f"to have it written anew, move {name}.py away and run `numpygpt practice start`"
    if len(outputs) == 1:
        return f"the parameters should be {parameters[0]}, and are {parameters[1]}; {anew}"
    expected, got = outputs
    if got.shape != expected.shape:
        return f"forward should return an array of shape {expected.shape}, not {got.shape}; {anew}"
    if not np.allclose(got, expected, rtol=1e-9, atol=1e-9):
        return f"forward returns other numbers than it did as it was given; {anew}"
    return ""


def _differentiate(module: ModuleType, name: str) -> str:
    """The report of the check, if it failed."""
    report = check_layer(*case(module, name), entries=ENTRIES if name == "block" else None)
    return "" if report.passed else str(report)
