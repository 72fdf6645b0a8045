"""How PyTorch starts a Linear layer, drawn from ``TorchRandom`` in torch's order.

``torch.nn.Linear(n_in, n_out)`` draws its weight, then its bias, both uniform between
-1/sqrt(n_in) and 1/sqrt(n_in): a sum over n_in inputs then keeps a spread that does not depend on
n_in. (The code behind it calls this Kaiming initialisation with a = sqrt(5); the square roots
cancel.) torch stores the weight as (out, in) and computes ``x @ weight.T``; numpygpt keeps weights
as (in, out), so the numbers are drawn in torch's layout, row by row, and transposed.
"""

import math

import numpy as np
import numpy.typing as npt

from numpygpt.book.torch_random import TorchRandom
from numpygpt.layers.linear import Linear


def linear_bound(n_in: int) -> float:
    """Return the largest size of a number that ``torch.nn.Linear`` of n_in inputs starts with."""
    if n_in < 1:
        raise ValueError(f"Linear: expected n_in of at least 1, got {n_in}")
    return 1 / math.sqrt(n_in)


def linear_weight(rng: TorchRandom, n_in: int, n_out: int) -> npt.NDArray[np.float32]:
    """Draw the weight of ``torch.nn.Linear(n_in, n_out)``.

    Returns
    -------
    (n_in, n_out) float32: a transposed view, for ``x @ W``
    """
    bound = linear_bound(n_in)
    return rng.uniform((n_out, n_in), -bound, bound).T


def linear_bias(rng: TorchRandom, n_in: int, n_out: int) -> npt.NDArray[np.float32]:
    """Draw the bias of ``torch.nn.Linear(n_in, n_out)``, shape (n_out,); it follows the weight."""
    bound = linear_bound(n_in)
    return rng.uniform(n_out, -bound, bound)


def draw_linear(linear: Linear, rng: TorchRandom) -> None:
    """Give a layer the weight, and the bias if it has one, that torch's would start with."""
    n_in, n_out = linear.W.shape
    linear.W.data[...] = linear_weight(rng, n_in, n_out)
    if linear.b is not None:
        linear.b.data[...] = linear_bias(rng, n_in, n_out)
