"""A whole model's gradient, along a direction: one number instead of a hundred million.

Checking the entries of GPT-2 small one by one would take 250 million losses. But with v a random
direction in the space of all parameters, the slope of the loss along v is known twice over:

    grad . v        and        (L(p + h v) - L(p - h v)) / 2h       or  imag L(p + i h v) / h

So two losses check all gradients at once: whatever is wrong in `grad`, grad . v is wrong with it,
unless the error is at right angles to v, which for a random v has probability 0.

The numbers of v are drawn as large as the parameter's own (root mean square), because a model's
weights are small: h = 1e-5 then moves them by about 1e-5 of their size, and both errors of central
differences are small. Measured at GPT-2 small, the error is 1e-7 for h = 1e-4, 1e-9 for 1e-5 and
1e-6, and 1e-8 for 1e-7. It is relative to the norm of grad * v, the size that grad . v has for most
v (the slope itself may happen to be near 0), and at least to a hundredth of the loss, below which
its rounding is seen.

The tolerance, 1e-7, is a hundred times that, and a ten-thousandth of what the mildest real bug
makes (one forgotten bias of one block is 1e-3). An error confined to one small array could still
hide in the sum, so `by_parameter=True` takes one direction for each array, and names it. Such an
array's slope may drown in the rounding of the loss: then only the complex step sees it sharply.
"""

import math

import numpy as np
import numpy.typing as npt

from numpygpt.config import GPTConfig
from numpygpt.gpt import GPT
from numpygpt.gradcheck.oracles import Move, oracles_of, rms
from numpygpt.gradcheck.report import RESOLVED, Report, compare
from numpygpt.gradcheck.subject import Loss, Subject
from numpygpt.layers.base import Layer
from numpygpt.layers.parameter import Array

SMALL = 0.02  # v where a parameter is 0 throughout (biases at first): GPT-2's usual size


class Direction:
    """A random v for a model: its parts are drawn again at every use, v being as large as it."""

    def __init__(self, model: GPT, seed: int) -> None:
        self.start = {name: p.data for name, p in model.named_parameters()}
        self.seed = seed

    def part(self, name: str) -> Array:
        """That of one parameter."""
        theta = self.start[name]
        numbers = np.random.default_rng([self.seed, *name.encode()]).standard_normal(theta.shape)
        numbers *= rms(theta) or SMALL
        return numbers

    def move(self, subject: Subject, names: list[str]) -> Move:
        """The named parameters of the subject, along v."""

        def move(step: complex) -> None:
            for name in names:
                subject.arrays[name][...] = self.start[name]
                if step:
                    subject.arrays[name] += step * self.part(name)

        return move

    def slope(self, gradients: dict[str, Array], names: list[str]) -> tuple[float, float]:
        """grad . v, and the norm of grad * v."""
        slope = squares = 0.0
        for name in names:
            products = self.part(name)
            products *= gradients[name]
            slope += float(products.sum())
            squares += float(np.vdot(products, products))
        return slope, math.sqrt(squares)


@np.errstate(all="ignore")  # the report says what is not finite
def check_model(
    model: GPT,
    ids: npt.ArrayLike,
    targets: npt.ArrayLike,
    rng: int | np.random.Generator = 0,
    *,
    by_parameter: bool = False,
    complex_step: bool = False,
) -> Report:
    """Compare a model's gradient with the slope of its loss along random directions.

    A copy of the model in float64 and training mode is checked. Beside the model itself this takes
    the memory of 2.7 float64 models (the copy, its gradients, a part of the direction), with
    complex steps 6.

    Parameters
    ----------
    model : GPT
        It is copied, not changed.
    ids, targets : array (B, T)
        Whole numbers.
    rng : int or numpy.random.Generator
        Draws the direction.
    by_parameter : bool
        One direction and one row for each parameter, instead of one for all together.
    complex_step : bool
        Also by complex step, on a copy of dtype complex128.

    Returns
    -------
    Report
        `report.passed`, `report.worst`, and a table: `print(report)`.

    Raises
    ------
    TypeError, ValueError
        If it is no model, or one that was not initialised, or cannot be run with these ids.
    """
    if not isinstance(model, Layer) or not hasattr(model, "loss"):
        raise TypeError(f"check_model: expected a GPT, got {model!r:.80}")
    for name, p in model.named_parameters():
        if not hasattr(p, "data"):
            raise ValueError(f"check_model: {name} has no values yet: call initialize() first")
    v = Direction(model, int(np.random.default_rng(rng).integers(2**32)))
    real = Subject(Loss(model, targets), ids, np.float64)
    exact = Subject(Loss(model, targets), ids, np.complex128) if complex_step else None
    loss, dy = float(real.forward()), np.ones(())
    gradients = real.backward(dy)
    oracles = oracles_of(real, exact)
    groups = {"all parameters": list(real.arrays)}
    if by_parameter:
        groups = {name: [name] for name in real.arrays}
    rows = []
    for title, names in groups.items():
        slope, norm = v.slope(gradients, names)
        found = [oracle(one, v.move(one, names), dy, h) for oracle, one, h in oracles]
        scale = max(norm, abs(found[-1]), RESOLVED * abs(loss))
        shape = gradients[title].shape if by_parameter else (model.num_parameters(),)
        rows.append(compare(title, shape, np.array([slope]), np.array(found)[:, None], scale))
    return Report(f"GPT, {model.num_parameters():,} parameters, loss {loss:.4f}", rows)


def check_preset(name: str = "gpt2", rng: int | np.random.Generator = 0) -> Report:
    """The directional derivative of a full-size GPT-2, in float64, on 32 random tokens.

    Parameters
    ----------
    name : str
        A preset of GPTConfig. gpt2 needs 3 GiB of memory, gpt2-medium 9.
    rng : int or numpy.random.Generator
        Draws parameters, tokens and the direction.
    """
    rng = np.random.default_rng(rng)
    config = GPTConfig.preset(name)
    model = GPT(config, rng)
    tokens = rng.integers(config.vocab_size, size=(1, 33))
    return check_model(model, tokens[:, :-1], tokens[:, 1:], rng)
