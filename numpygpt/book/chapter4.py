"""Chapter 4: why every block adds its input to its output, and what the untrained GPT says.

Section 4.4: five Linear layers, each followed by GELU, and the same with shortcuts: x + layer(x) in
place of layer(x), wherever both have one shape. On the way back through y = f(x) the gradient is
multiplied by f', which is small here, once a layer: after five layers little is left. Through
y = x + f(x) it is multiplied by 1 + f', and the 1 hands it on whole:

    dx = dy + (df/dx)^T dy

GPT's blocks do this twice each (layers/block.py), which is why 12 or 48 of them can be trained.

Sections 4.6 and 4.7: the small model, with the weights that ``model`` draws. Its parameters are
counted, its logits looked at while dropout is on, and its most probable tokens strung together.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from numpygpt.book.model import BOOK, SEED, book_model
from numpygpt.book.torch_init import draw_linear
from numpygpt.book.torch_random import TorchRandom
from numpygpt.config import GPTConfig
from numpygpt.generation import generate
from numpygpt.gpt import GPT
from numpygpt.layers.base import Layer
from numpygpt.layers.gelu import GELU
from numpygpt.layers.linear import Linear
from numpygpt.layers.parameter import Array

WIDTHS = (3, 3, 3, 3, 3, 1)  # five layers; only the last one changes the width
LARGER = ("gpt2-medium", "gpt2-large", "gpt2-xl")
MIB = 2**20

EFFORT_AND_DAY = [[6109, 3626, 6100, 345], [6109, 1110, 6622, 257]]  # "Every effort moves you" ...
HELLO = [15496, 11, 314, 716]  # "Hello, I am"


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
            draw_linear(linear, rng)

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
    model = FiveLayers(TorchRandom(SEED), shortcuts)
    y = model.forward(np.array([[1.0, 0.0, -1.0]], np.float32))
    model.backward(2 * y)
    return np.array([np.abs(linear.W.grad).mean() for linear in model.linears])


def number_of_parameters(preset: str) -> int:
    """Count the parameters of the book's model in another size."""
    config = GPTConfig.preset(preset, qkv_bias=BOOK.qkv_bias, tie_weights=BOOK.tie_weights)
    return GPT(config, rng=None).num_parameters()


def computed() -> Iterator[tuple[str, npt.ArrayLike]]:
    """Yield (name, numbers) for every figure of chapter 4."""
    yield "ch04.gradients-plain", mean_weight_gradients(shortcuts=False)
    yield "ch04.gradients-shortcuts", mean_weight_gradients(shortcuts=True)
    model = book_model(TorchRandom(SEED))
    logits = model.forward(EFFORT_AND_DAY)  # (B, T, V), in training mode: the masks are drawn now
    ends = [0, 1, 2, -3, -2, -1]
    yield "ch04.logits", np.stack([logits[0, 0, ends], logits[1, 3, ends]])
    total = model.num_parameters()
    yield "ch04.parameters", [total, total - model.head.num_parameters()]
    yield "ch04.mebibytes", model.flat.data.nbytes / MIB
    block = model.blocks[0]
    parts = (block.feedforward, block.attention)
    yield "ch04.parameters-block", [part.num_parameters() for part in parts]
    larger = [number_of_parameters(preset) for preset in LARGER]
    yield "ch04.parameters-larger", larger
    yield "ch04.mebibytes-larger", [4 * n / MIB for n in larger]
    yield "ch04.greedy", generate(model, [HELLO], 6, temperature=0)[0, len(HELLO) :]
