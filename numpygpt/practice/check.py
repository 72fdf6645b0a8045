"""One exercise checked: is it done, still to do, or wrong, and what is?

First the forward is compared with the solution's, number by number: a changed one would be
differentiated faithfully, and would be another layer. Then `check_layer` compares backward with
the forward's derivatives.
"""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np

from numpygpt.gradcheck import check_layer
from numpygpt.gradcheck.oracles import draw_parameters
from numpygpt.practice.cases import case
from numpygpt.practice.exercises import SOLUTIONS
from numpygpt.practice.explain import explained
from numpygpt.practice.reader import Mistake, ToDo, load, told

DONE, TO_DO, WRONG = "done", "to do", "wrong"


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
        with told(folder), np.errstate(all="ignore"):  # the report says what is not finite
            text = _compare(module, name) or _differentiate(module, name)
        return Result(name, WRONG if text else DONE, text)
    except ToDo as first:
        what = f"its backward is to be written, in {folder / name}.py"
        if str(first) != name:
            what = f"first comes the backward of {folder / str(first)}.py, which it uses"
        return Result(name, TO_DO, what)
    except (Mistake, TypeError, ValueError) as error:  # the last two: what check_layer cannot check
        return Result(name, WRONG, str(error))


def _compare(module: ModuleType, name: str) -> str:
    """What the forward does that the solution's does not; empty if they are the same."""
    outputs, parameters = [], []
    for source in (import_module(f"{SOLUTIONS}.{name}"), module):
        layer, x, *_ = case(source, name)
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
    layer, x, like, dy, entries = case(module, name)
    report = check_layer(layer, x, dy=dy, entries=entries, like=like)
    return "" if report.passed else explained(name, report)
