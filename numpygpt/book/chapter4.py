"""Chapter 4: why every block adds its input to its output.

Five Linear layers, each followed by GELU, and the same with shortcuts: x + layer(x) in place of
layer(x), wherever both have one shape. On the way back through y = f(x) the gradient is multiplied
by f', which is small here, once a layer: after five layers little is left. Through y = x + f(x)
it is multiplied by 1 + f', and the 1 hands it on whole:

    dx = dy + (df/dx)^T dy

GPT's blocks do this twice each (layers/block.py), which is why 12 or 48 of them can be trained.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from numpygpt.book.torch_init import linear_bias, linear_weight
from numpygpt.book.torch_random import TorchRandom
from numpygpt.layers.base import Array, Layer
from numpygpt.layers.gelu import GELU
from numpygpt.layers.linear import Linear

WIDTHS = (3, 3, 3, 3, 3, 1)  # five layers; only the last one changes the width


class FiveLayers(Layer):
    """Five times Linear and GELU, from three numbers to one.

    Parameters
    ----------
    rng : TorchRandom
        Draws each layer's weight and bias as torch does.
    shortcuts : bool
        Whether a layer's input is added to its output.
    """

    def __init__(self, rng: TorchRandom, shortcuts: bool) -> None:
        self.shortcuts = shortcuts
        self.linears = [Linear(n_in, n_out) for n_in, n_out in pairwise(WIDTHS)]
        self.gelus = [GELU() for _ in self.linears]
        self.allocate(np.float32)
        for linear in self.linears:
            n_in, n_out = linear.W.shape
            linear.W.data[...] = linear_weight(rng, n_in, n_out)
            assert linear.b is not None
            linear.b.data[...] = linear_bias(rng, n_in, n_out)

    def forward(self, x: Array) -> Array:
        """(N, 3) -> (N, 1)."""
        for linear, gelu in zip(self.linears, self.gelus, strict=True):
            y = gelu.forward(linear.forward(x))
            x = x + y if self.has_shortcut(linear) else y
        return x

    def backward(self, dy: Array) -> Array:
        """(N, 1) -> (N, 3)."""
        for linear, gelu in zip(self.linears[::-1], self.gelus[::-1], strict=True):
            dx = linear.backward(gelu.backward(dy))
            dy = dy + dx if self.has_shortcut(linear) else dx
        return dy

    def has_shortcut(self, linear: Linear) -> bool:
        """Whether x + y can be formed: the layer keeps the width."""
        n_in, n_out = linear.W.shape
        return self.shortcuts and n_in == n_out


def mean_weight_gradients(shortcuts: bool) -> npt.NDArray[np.float64]:
    """Return mean |dL/dW| of each layer, (5,), for L = y^2 at x = (1, 0, -1) and seed 123."""
    model = FiveLayers(TorchRandom(123), shortcuts)
    y = model.forward(np.array([[1.0, 0.0, -1.0]], np.float32))
    model.backward(2 * y)
    return np.array([np.abs(linear.W.grad).mean() for linear in model.linears])


def computed() -> Iterator[tuple[str, npt.NDArray[np.float64]]]:
    """Yield (name, numbers) for the figures of section 4.4."""
    yield "ch04.gradients-plain", mean_weight_gradients(shortcuts=False)
    yield "ch04.gradients-shortcuts", mean_weight_gradients(shortcuts=True)
