"""A whole model's gradient, along a direction: one number instead of a hundred million.

Checking the entries of GPT-2 small one by one would take 250 million losses. But with v a random
direction in the space of all parameters, the slope of the loss along v is known twice over:

    grad . v        and        (L(p + h v) - L(p - h v)) / 2h       or  imag L(p + i h v) / h

So two losses check all gradients at once: whatever is wrong in `grad`, grad . v is wrong with it,
unless the error is at right angles to v, which for a random v has probability 0.

The numbers of v are drawn as large as the parameter's own (root mean square), because a model's
weights are small: h = 1e-5 then moves each by about 1e-5 of itself, and both errors of central
differences are small. Measured at GPT-2 small, the error is 1e-7 for h = 1e-4, 1e-9 for 1e-5 and
1e-6, and 1e-8 for 1e-7. It is relative to the norm of grad * v, the size that grad . v has for most
v: the slope itself may happen to be near 0.

Tolerance: 1e-7, a hundred times that measured noise, and a ten-thousandth of what the mildest real
bug makes (one forgotten bias of one block is 1e-3). An error confined to one small array could
still hide in the sum, so `by_parameter=True` takes one direction for each array, and names it. Such
an array's derivative may drown in the noise, which is 1e-9 of the whole: central differences
measure it relative to at least a tenth of the whole, and only the complex step (1e-11) sees it
sharply.
"""

import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from numpygpt.config import GPTConfig
from numpygpt.gpt import GPT
from numpygpt.gradcheck.layer import NEGLIGIBLE
from numpygpt.gradcheck.oracles import COMPLEX_H, H, rewinder
from numpygpt.gradcheck.report import Report, Row
from numpygpt.layers.parameter import Array

TOLERANCE, COMPLEX_TOLERANCE = 1e-7, 1e-11
RESOLVED = 0.1  # the part of the whole gradient that central differences resolve to the tolerance
SMALL = 0.02  # v where a parameter is 0 throughout (biases at first): GPT-2's usual size


class Line:
    """A model's loss along a direction; the model is as before after every call."""

    def __init__(self, model: GPT, ids: npt.ArrayLike, targets: npt.ArrayLike, seed: int) -> None:
        self.model, self.ids, self.targets, self.seed = model, ids, targets, seed
        self.start = model.flat.split(model.flat.data.copy())
        self.parameters = dict(model.named_parameters())
        self.rewind = rewinder(model)

    def direction(self, name: str) -> Array:
        """v's part for one parameter: drawn again at every call, never kept (it is as large)."""
        p = self.parameters[name]
        values = self.start[name].real.reshape(-1)
        rms = math.sqrt(float(values @ values) / p.size) or SMALL
        numbers = np.random.default_rng([self.seed, *name.encode()]).standard_normal(p.shape)
        numbers *= rms
        return numbers

    def loss(self, names: Iterable[str] = (), step: complex = 0.0) -> complex:
        """The loss, where the named parameters are moved by `step` times the direction."""
        for name in names:
            self.parameters[name].data[...] += step * self.direction(name)
        self.rewind()
        loss = self.model.loss(self.ids, self.targets)
        for name in names:
            self.parameters[name].data[...] = self.start[name]
        return loss

    def slopes(self) -> dict[str, tuple[float, float]]:
        """By name: backward's slope along the direction, and the norm of grad * v.

        Two passes, halved, over memory that holds NaN: adding to leftovers, or overwriting, shows.
        """
        self.model.flat.grad[...] = np.nan
        self.model.zero_grad()
        for _ in range(2):
            self.loss()
            self.model.backward()
        found = {}
        for name, p in self.parameters.items():
            parts = self.direction(name)
            parts *= p.grad
            norm = math.sqrt(float(np.vdot(parts, parts)))
            found[name] = (float(parts.sum()) / 2, norm / 2)
        self.model.zero_grad()
        return found


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

    Needs the memory of 3.2 float64 models (the parameters, a copy, gradients); with complex steps,
    three times that.

    Parameters
    ----------
    model : GPT
        In float64. Its parameters are as before afterwards; gradients are set to zero.
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
    TypeError
        If the model is not float64.
    """
    if model.flat.data.dtype != np.float64:
        raise TypeError(
            f"check_model: expected a model of dtype float64, got {model.flat.data.dtype}; use "
            "model.astype(np.float64)"
        )
    seed = int(np.random.default_rng(rng).integers(2**32))
    was_training = model.training
    real = Line(model.train(), ids, targets, seed)
    exact = Line(model.astype(np.complex128), ids, targets, seed) if complex_step else None
    slopes = real.slopes()
    whole = math.hypot(*(norm for _, norm in slopes.values()))
    if by_parameter:
        rows = [_row(name, [name], slopes, whole, real, exact) for name in slopes]
    else:
        rows = [_row("all parameters", list(slopes), slopes, whole, real, exact)]
    title = f"GPT, {model.num_parameters():,} parameters, loss {complex(real.loss()).real:.4f}"
    real.rewind()
    model.zero_grad()
    model.train(was_training)
    return Report(title, rows)


def _row(
    title: str,
    names: list[str],
    slopes: dict[str, tuple[float, float]],
    whole: float,
    real: Line,
    exact: Line | None,
) -> Row:
    """The comparison along the direction in which only the named parameters move."""
    analytic = math.fsum(slopes[name][0] for name in names)
    norm = math.hypot(*(slopes[name][1] for name in names))
    numeric = ((real.loss(names, H) - real.loss(names, -H)) / (2 * H)).real
    error = _relative(analytic, numeric, norm, RESOLVED * whole)
    exact_error = None
    if exact is not None:
        numeric = complex(exact.loss(names, COMPLEX_H * 1j)).imag / COMPLEX_H
        exact_error = _relative(analytic, numeric, norm, NEGLIGIBLE * whole)
    passed = error <= TOLERANCE and (exact_error is None or exact_error <= COMPLEX_TOLERANCE)
    size = sum(p.size for p in real.parameters.values())
    shape = real.parameters[title].shape if title in real.parameters else (size,)
    return Row(title, shape, error, exact_error, None, analytic, numeric, passed)


def _relative(analytic: float, numeric: float, norm: float, floor: float) -> float:
    error = abs(analytic - numeric) / (max(norm, abs(numeric), floor) or 1.0)
    return math.inf if math.isnan(error) else error


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
    model = GPT(config, rng, np.float64)
    tokens = rng.integers(config.vocab_size, size=(1, 33))
    return check_model(model, tokens[:, :-1], tokens[:, 1:], rng)
