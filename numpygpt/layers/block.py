"""Block: one layer of the GPT; tokens first exchange what they know, then each works on it.

Forward
-------
    x1 = x  + dropout(attention(norm1(x)))          all (B, T, C)
    y  = x1 + dropout(feedforward(norm2(x1)))

The norms sit inside the branches ("pre-LN"), so x itself runs through all blocks unhindered: each
block only adds to it. It is called the residual stream.

Backward
--------
A sum passes its derivative to both sides. The branches' own backward passes, last layer first, take
it on to what went into them:

    dx1 = dy  + (branch 2).backward(dy)
    dx  = dx1 + (branch 1).backward(dx1)                all (B, T, C)

The lone dy and dx1 are why deep models train: whatever the branches do, the gradient arrives.

Saved: nothing here. The sums need nothing, and what a norm hands on the next layer need not save:
the norm makes it again for the backward pass (before its own, which empties its slot).

Cost: 24 B T C^2 flops forward, and attention's 4 B T^2 C; backward 48 B T C^2 and 10 B T^2 C.

Reference: He et al. 2016 (residuals); Radford et al. 2019, section 2.3 (the norm's place).
"""

from numpygpt.config import GPTConfig
from numpygpt.layers.attention import CausalSelfAttention, KeyValueCache
from numpygpt.layers.base import Array, Layer
from numpygpt.layers.dropout import Dropout
from numpygpt.layers.feedforward import FeedForward
from numpygpt.layers.layernorm import LayerNorm


class Block(Layer):
    """Attention and feed-forward, each behind a LayerNorm and added to the residual stream.

    Parameters
    ----------
    config : GPTConfig
        Of the GPT that it is a block of.
    """

    def __init__(self, config: GPTConfig) -> None:
        self.norm1 = LayerNorm(config.n_embd)
        self.attention = CausalSelfAttention(config)
        self.dropout1 = Dropout(config.dropout)
        self.norm2 = LayerNorm(config.n_embd)
        self.feedforward = FeedForward(config)
        self.dropout2 = Dropout(config.dropout)

    def forward(self, x: Array, cache: KeyValueCache | None = None) -> Array:
        """(B, T, C) -> (B, T, C)."""
        branch = self.attention.forward(self.norm1.forward(x), cache, save_x=False)
        x1 = x + self.dropout1.forward(branch)
        branch = self.feedforward.forward(self.norm2.forward(x1), save_x=False)
        return x1 + self.dropout2.forward(branch)

    def backward(self, dy: Array) -> Array:
        """(B, T, C) -> (B, T, C)."""
        dbranch = self.dropout2.backward(dy)
        dx1 = dy + self.norm2.backward(self.feedforward.backward(dbranch, self.norm2.output()))
        dbranch = self.dropout1.backward(dx1)
        return dx1 + self.norm1.backward(self.attention.backward(dbranch, self.norm1.output()))
