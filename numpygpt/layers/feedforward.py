"""FeedForward: after looking around (attention), each token thinks for itself.

Forward, the same for every token
---------------------------------
    h = x W_1 + b_1         x (..., C), W_1 (C, F), h (..., F), F = 4 C
    a = GELU(h)             (..., F)
    y = a W_2 + b_2         W_2 (F, C), y (..., C)

Backward: the three layers' own, in reverse
-------------------------------------------
    da = dy W_2^T           (..., F)        and dW_2 = a^T dy
    dh = da GELU'(h)        (..., F)
    dx = dh W_1^T           (..., C)        and dW_1 = x^T dh

Saved: by GELU, h and its gate s, from which it makes a again, for dW_2; by the first Linear x,
unless the caller can make it again, too.

Cost: 16 N C^2 flops forward (N = B T rows), twice that backward: two thirds of a block's matrices.

Reference: Vaswani et al. 2017, section 3.3, with GELU for ReLU as in GPT-2.
"""

from numpygpt.config import GPTConfig
from numpygpt.layers.base import Array, Layer
from numpygpt.layers.gelu import GELU
from numpygpt.layers.linear import Linear


class FeedForward(Layer):
    """Linear to F = 4 C, GELU, Linear back to C.

    Parameters
    ----------
    config : GPTConfig
        Its n_embd is C; its init_std is how W_1 (`fc`) starts, its proj_std how W_2 (`proj`) does.
    """

    def __init__(self, config: GPTConfig) -> None:
        C = config.n_embd
        self.fc = Linear(C, 4 * C, std=config.init_std)
        self.gelu = GELU()
        self.proj = Linear(4 * C, C, std=config.proj_std)

    def forward(self, x: Array, save_x: bool = True) -> Array:
        """(..., C) -> (..., C)."""
        h = self.fc.forward(x, save_x)
        return self.proj.forward(self.gelu.forward(h), save_x=False)

    def backward(self, dy: Array, x: Array | None = None) -> Array:
        """(..., C) -> (..., C); x is needed after `save_x=False`."""
        da = self.proj.backward(dy, self.gelu.output())
        return self.fc.backward(self.gelu.backward(da), x)
