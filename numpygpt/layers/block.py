"""Block: one layer of the GPT; tokens first exchange what they know, then each works on it.

Forward
-------
    x1 = x  + dropout(attention(norm1(x)))          all (B, T, C)
    y  = x1 + dropout(feedforward(norm2(x1)))

The norms sit inside the branches ("pre-LN"), so x itself runs through all blocks unhindered: each
block only adds to it. It is called the residual stream.

Backward
--------
A sum passes its derivative to both sides. With f the second branch and g the first:

    dx1 = dy  + f'(x1)^T dy
    dx  = dx1 + g'(x)^T dx1

The lone dy and dx1 are why deep models train: whatever the branches do, the gradient arrives.

Saved: nothing here; the sum needs none, and what a norm gives to a branch is computed again.

Cost: 24 N C^2 flops forward, and attention's 4 B T^2 C.

Reference: He et al. 2016 (residuals); Radford et al. 2019, section 2.3 (the norm's place).
"""

from numpygpt.layers.attention import CausalSelfAttention, KeyValueCache
from numpygpt.layers.base import Layer
from numpygpt.layers.dropout import Dropout
from numpygpt.layers.feedforward import FeedForward
from numpygpt.layers.layernorm import LayerNorm
from numpygpt.layers.parameter import Array


class Block(Layer):
    """Attention and feed-forward, each behind a LayerNorm and added to the residual stream.

    Parameters
    ----------
    n_embd, n_head : int
        C and H.
    dropout : float
        For the attention weights and both branches.
    qkv_bias : bool
        Whether q, k and v have biases.
    proj_std : float
        Both branches' last matrices start as N(0, proj_std^2).
    """

    def __init__(
        self,
        n_embd: int,
        n_head: int,
        dropout: float = 0.0,
        qkv_bias: bool = True,
        proj_std: float = 0.02,
    ) -> None:
        self.norm1 = LayerNorm(n_embd)
        self.attention = CausalSelfAttention(
            n_embd, n_head, dropout, qkv_bias, proj_std, recompute=self.norm1.recompute
        )
        self.dropout1 = Dropout(dropout)
        self.norm2 = LayerNorm(n_embd)
        self.feedforward = FeedForward(n_embd, proj_std, recompute=self.norm2.recompute)
        self.dropout2 = Dropout(dropout)

    def forward(self, x: Array, cache: KeyValueCache | None = None) -> Array:
        """(B, T, C) -> (B, T, C)."""
        x = x + self.dropout1.forward(self.attention.forward(self.norm1.forward(x), cache))
        return x + self.dropout2.forward(self.feedforward.forward(self.norm2.forward(x)))

    def backward(self, dy: Array) -> Array:
        """(B, T, C) -> (B, T, C)."""
        dx = dy + self.norm2.backward(self.feedforward.backward(self.dropout2.backward(dy)))
        return dx + self.norm1.backward(self.attention.backward(self.dropout1.backward(dx)))
