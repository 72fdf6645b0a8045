"""AdamW: every number gets its own step size, from how steady and how large its gradient was.

One step, for each parameter p with gradient g
----------------------------------------------
    p <- p - lr wd p                        weight decay, apart from the gradient ("decoupled")
    m <- b1 m + (1 - b1) g                  running mean of g
    v <- b2 v + (1 - b2) g^2                running mean of g^2
    p <- p - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)

m and v start at 0 and are too small at first by the factors 1 - b^t, which the divisions undo.
m / sqrt(v) is near 1 or -1 where gradients agree from step to step, near 0 where they cancel.

Weight decay applies to matrices only (pulling a gain to 0 would undo LayerNorm), or to all.

A model's parameters lie in one array and its gradients in another, so a step is one loop over
blocks that fit the cache: each number of p, g, m and v travels from memory once.

Reference: Loshchilov and Hutter 2019, algorithm 2; Kingma and Ba 2015.
"""

import math
from typing import NamedTuple

import numpy as np

from numpygpt.layers.base import Layer
from numpygpt.layers.parameter import Array
from numpygpt.parallel import over_rows

NORM_BLOCK = 1 << 20  # so many squares are added in float32, the rest in double


def grad_norm(model: Layer) -> float:
    """The Euclidean norm of all gradients of the model together."""
    return norm(model.flat.grad)


def norm(g: Array) -> float:
    """The Euclidean norm of an array (n,)."""
    blocks = (g[i : i + NORM_BLOCK] for i in range(0, len(g), NORM_BLOCK))
    with np.errstate(under="ignore"):
        return math.sqrt(sum(float(block @ block) for block in blocks))


def clip_scale(norm: float, max_norm: float) -> float:
    """What to multiply gradients by so that their norm is at most `max_norm`."""
    return min(1.0, max_norm / (norm + 1e-6))


class Moments(NamedTuple):
    """AdamW's m and v, of all parameters."""

    m: Array
    v: Array


class AdamW:
    """AdamW over all parameters of a model.

    Parameters
    ----------
    model : Layer
        GPT, or any layer that was initialised. Its parameters are gathered in one flat array.
    lr : float
        The learning rate; `lr` may be set anew before each step.
    betas : (float, float)
        b1 and b2.
    eps : float
        Keeps the division finite.
    weight_decay : float
        wd.
    decay_all : bool
        Decay every parameter, and not only those with two axes.
    own : slice, optional
        Which of the parameters it updates, as they lie in the flat array: all, if not given. m and
        v are of these alone.
    """

    def __init__(
        self,
        model: Layer,
        lr: float = 3e-4,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.1,
        decay_all: bool = False,
        own: slice | None = None,
    ) -> None:
        if not isinstance(model, Layer):
            raise TypeError(f"AdamW: expected a model, or a layer, got {type(model).__name__}")
        in_range = all(0 <= x < math.inf for x in (lr, eps, weight_decay))
        if not in_range or len(betas) != 2 or not all(0 <= b < 1 for b in betas):
            raise ValueError(
                "AdamW: expected lr, eps and weight_decay at least 0 and two betas in [0, 1), got "
                f"lr={lr}, eps={eps}, weight_decay={weight_decay}, betas={betas}"
            )
        self.model, self.lr, self.betas, self.eps = model, lr, betas, eps
        self.weight_decay, self.decay_all = weight_decay, decay_all
        self.t = 0
        self.parameters = model.flat.parameters
        self.own = slice(0, len(model.flat.data)) if own is None else own
        self.m: Array = np.zeros_like(model.flat.data[self.own])
        self.v: Array = np.zeros_like(self.m)
        model.flat.make_room()

    def step(self, scale: float = 1.0) -> None:
        """Update its parameters from their gradients, each multiplied by `scale` (clipping)."""
        flat = self.model.flat
        if flat.parameters != self.parameters:
            raise ValueError(
                "AdamW.step: the model has other parameters than when AdamW was made (a new "
                "head?): make a new AdamW"
            )
        self.t += 1
        p, g = flat.data[self.own], flat.grad[self.own]
        n = len(p) if self.decay_all else min(max(0, flat.n_matrix - self.own.start), len(p))
        for part, decay in ((slice(0, n), self.weight_decay), (slice(n, len(p)), 0.0)):
            self._update(p[part], g[part], self.m[part], self.v[part], scale, decay)

    def _update(
        self, p: Array, g: Array, m: Array, v: Array, scale: float, weight_decay: float
    ) -> None:
        # Python's numbers: NumPy's would have the loops below compute in float64, and convert.
        b1, b2, lr, eps = map(float, (*self.betas, self.lr, self.eps))
        decay, scale = float(weight_decay), float(scale)
        m_share, v_share = 1 - b1**self.t, 1 - b2**self.t

        def update(p: Array, g: Array, m: Array, v: Array) -> None:
            step = g * ((1 - b1) * scale)
            m *= b1
            m += step
            np.multiply(g, g, out=step)
            step *= (1 - b2) * scale**2
            v *= b2
            v += step
            np.sqrt(v, out=step)
            step *= 1 / math.sqrt(v_share)
            step += eps
            np.divide(m, step, out=step)
            step *= lr / m_share
            p *= 1 - lr * decay
            p -= step

        over_rows(update, p, g, m, v)
