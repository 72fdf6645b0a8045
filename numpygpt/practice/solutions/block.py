"""Block: a layer of the GPT; tokens first exchange what they know, then each works on it.

It is made of the layers that you wrote, and asks for no new derivative: only for their order.

Forward
-------
    attention(x)   = proj(core(qkv(x)))             qkv, proj: Linears; core: your Attention
    feedforward(x) = proj(gelu(fc(x)))              fc, proj: Linears, to 4 C and back to C

    x1 = x  + dropout1(attention(norm1(x)))         all (B, T, C)
    y  = x1 + dropout2(feedforward(norm2(x1)))

Yours: three times backward
---------------------------
Given dy = dL/dy, return dx = dL/dx. Every layer's own backward takes the derivative by what came
out of it and returns the derivative by what went in (its parameters' gradients it adds by itself).

Questions
---------
1. y = f(g(x)). g's backward wants the derivative by g's output: who has that? So in which order are
   the backwards of proj, core and qkv called, and what does each get?
2. y = x1 + h(x1): x1 reaches y by two ways. What comes back by each, and what is done with two
   derivatives by the same array?
3. Which of the two sums of the forward is walked back first? dx1 = ? Then dx = ?

`numpygpt practice block` says whether it is right; with --hint, it helps.
"""

from numpygpt.config import GPTConfig
from numpygpt.layers import Layer
from numpygpt.layers.parameter import Array
from numpygpt.practice.solutions.attention import Attention
from numpygpt.practice.solutions.dropout import Dropout
from numpygpt.practice.solutions.gelu import GELU
from numpygpt.practice.solutions.layernorm import LayerNorm
from numpygpt.practice.solutions.linear import Linear


class CausalSelfAttention(Layer):
    """The matrices that make queries, keys and values; the core; the matrix behind it."""

    def __init__(self, config: GPTConfig) -> None:
        C = config.n_embd
        self.qkv = Linear(C, 3 * C)
        self.core = Attention(config.n_head)
        self.proj = Linear(C, C)

    def forward(self, x: Array) -> Array:
        """(B, T, C) -> (B, T, C)."""
        return self.proj.forward(self.core.forward(self.qkv.forward(x)))

    def backward(self, dy: Array) -> Array:
        """(B, T, C) -> (B, T, C)."""
        # Yours: make dx.
        # <answer>
        dx = self.qkv.backward(self.core.backward(self.proj.backward(dy)))
        # </answer>
        return dx


class FeedForward(Layer):
    """Linear to 4 C, GELU, Linear back to C."""

    def __init__(self, config: GPTConfig) -> None:
        C = config.n_embd
        self.fc = Linear(C, 4 * C)
        self.gelu = GELU()
        self.proj = Linear(4 * C, C)

    def forward(self, x: Array) -> Array:
        """(B, T, C) -> (B, T, C)."""
        return self.proj.forward(self.gelu.forward(self.fc.forward(x)))

    def backward(self, dy: Array) -> Array:
        """(B, T, C) -> (B, T, C)."""
        # Yours: make dx.
        # <answer>
        dx = self.fc.backward(self.gelu.backward(self.proj.backward(dy)))
        # </answer>
        return dx


class Block(Layer):
    """Attention and feed-forward, each behind a LayerNorm and added to what came in."""

    def __init__(self, config: GPTConfig) -> None:
        self.norm1 = LayerNorm(config.n_embd)
        self.attention = CausalSelfAttention(config)
        self.dropout1 = Dropout(config.dropout)
        self.norm2 = LayerNorm(config.n_embd)
        self.feedforward = FeedForward(config)
        self.dropout2 = Dropout(config.dropout)

    def forward(self, x: Array) -> Array:
        """(B, T, C) -> (B, T, C)."""
        x1 = x + self.dropout1.forward(self.attention.forward(self.norm1.forward(x)))
        return x1 + self.dropout2.forward(self.feedforward.forward(self.norm2.forward(x1)))

    def backward(self, dy: Array) -> Array:
        """(B, T, C) -> (B, T, C)."""
        # Yours: make dx.
        # <answer>
        branch = self.feedforward.backward(self.dropout2.backward(dy))
        dx1 = dy + self.norm2.backward(branch)
        branch = self.attention.backward(self.dropout1.backward(dx1))
        dx = dx1 + self.norm1.backward(branch)
        # </answer>
        return dx


# <hints>
HINTS = (
    """
Shapes. All that goes in and out of the three backwards is (B, T, C). Every forward that was called
has saved something, so every backward is called exactly once.
""",
    """
One step. For y = f(g(x)): df = f.backward(dy) is the derivative by f's input, which is g's output;
so dx = g.backward(df). The last layer of the forward comes first.
For y = x1 + h(x1): a small change of x1 changes y directly, which brings dy back as it is, and
through h, which brings h.backward(dy). Derivatives by the same array add up.
""",
    """
In order. attention: proj, core, qkv. feedforward: proj, gelu, fc. Block, from its end:
    dx1 = dy  + norm2.backward(feedforward.backward(dropout2.backward(dy)))
    dx  = dx1 + norm1.backward(attention.backward(dropout1.backward(dx1)))
""",
)
# </hints>
