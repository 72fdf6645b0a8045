"""Trace: all that one forward pass left behind.

The layers save for backward what there is to look at, so no second forward pass is written here:
the model's own runs once, in training mode (dropout apart), and what it saved is read.

    x_0     = token + position                              (T, C)
    x_2l+1  = x_2l   + attention_l                          l = 0 .. L-1
    x_2l+2  = x_2l+1 + feedforward_l
    logits  = norm(x_2L) W_head^T                           (T, V)

x is the residual stream: x_2l enters block l, x_2l+1 stands between its halves, x_2L is what the
final norm reads. It is not saved (LayerNorm keeps only x_hat and rstd), but it is the sum of what
was added to it, and these are one product away from what is saved:

    attention_l   = o W_o + b_o             o is saved                  (T, C)
    feedforward_l = a W_2 + b_2             a = GELU's output again     (T, F) (F, C)

W_o has one group of D rows for each head, so the product with it is a sum over heads:

    o W_o = sum_h o_h W_o[h],       o_h (T, D), W_o[h] (D, C)

and o_h W_o[h] is what head h adds by itself. Since rows of P sum to 1, a head's value bias goes
through whatever it looks at: o_h = P_h (v_h - b_v) + b_v.

Blocks and heads are counted from 0; head 11 of block 4 is written 4.11.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from numpygpt.gpt import GPT
from numpygpt.layers.base import Array
from numpygpt.layers.dropout import Dropout
from numpygpt.layers.layernorm import LayerNorm
from numpygpt.layers.linear import Linear
from numpygpt.training.data_parallel import replica


@dataclass(frozen=True)
class Trace:
    """One forward pass over one text.

    Attributes
    ----------
    model : GPT
        A replica of the model, with what its layers saved in this pass.
    ids : ndarray (T,)
    token, position : ndarray (T, C)
        The two embeddings.
    attention, feedforward : ndarray (L, T, C)
        What each half of each block added to the residual stream, biases included.
    stream : ndarray (2L + 1, T, C)
        The residual stream, before and after each of these.
    logits : ndarray (T, V)
    """

    model: GPT
    ids: Array
    token: Array
    position: Array
    attention: Array
    feedforward: Array
    stream: Array
    logits: Array

    @property
    def blocks(self) -> Array:
        """The residual stream before the first block and after each: (L + 1, T, C)."""
        return self.stream[::2]

    def qkv(self, block: int) -> Array:
        """Queries, keys and values of a block's heads: (3, H, T, D)."""
        saved, _, _, _ = self.model.blocks[block].attention.saved
        T, H = len(self.ids), self.model.config.n_head
        parts: Array = saved.reshape(T, 3, H, -1).transpose(1, 2, 0, 3)
        return parts

    def mixed(self, block: int) -> Array:
        """o, the values that each head mixed: (H, T, D)."""
        _, o, _, _ = self.model.blocks[block].attention.saved
        heads: Array = o.reshape(len(self.ids), self.model.config.n_head, -1).swapaxes(0, 1)
        return heads

    def heads(self, block: int) -> Array:
        """What each head of a block adds to the residual stream: o_h W_o[h], (H, T, C)."""
        return self.mixed(block) @ self.output_rows(block)

    def output_rows(self, block: int) -> Array:
        """The rows of W_o that belong to each head: (H, D, C)."""
        W_o: Array = self.model.blocks[block].attention.W_o
        return W_o.reshape(self.model.config.n_head, -1, W_o.shape[1])

    def expect_block(self, block: int, head: int = 0) -> None:
        """Raise IndexError unless there is this block, and this head in it."""
        c = self.model.config
        if not (0 <= block < c.n_layer and 0 <= head < c.n_head):
            raise IndexError(
                f"no head {block}.{head} (block.head): blocks are 0 to {c.n_layer - 1}, heads 0 "
                f"to {c.n_head - 1}"
            )

    def at(self, position: int) -> int:
        """A position of the text, from its end if negative; IndexError unless it is there."""
        return position_in(self.ids, position)


def one_text(model: GPT, ids: npt.ArrayLike) -> Array:
    """The ids of a text, (T,); ValueError unless they are such, and fit the context."""
    array = np.asarray(ids)
    if array.shape == (0,):
        raise ValueError("expected at least one token to look at, got an empty text")
    if array.ndim != 1:
        raise ValueError(f"expected the ids of one text, of shape (T,), got {array.shape}")
    if len(array) > model.config.context_length:
        raise ValueError(
            f"expected at most {model.config.context_length} tokens, the context length, got "
            f"{len(array)}"
        )
    if array.dtype.kind not in "iu":
        raise TypeError(f"expected whole-number ids, got dtype {array.dtype}")
    return array.astype(np.int64)  # in 8 bits, say, no other token could be put among them


def position_in(ids: Array, position: int) -> int:
    """A position of a text, from its end if negative; IndexError unless it is there."""
    T = len(ids)
    if not -T <= position < T:
        raise IndexError(f"no position {position}: the text's tokens are 0 to {T - 1}")
    return position % T


def biases(linear: Linear) -> Array:
    """Of a Linear that may have none: (O,)."""
    O = linear.W.shape[1]
    return np.zeros(O, linear.W.data.dtype) if linear.b is None else linear.b.data


def frozen(norm: LayerNorm, x: Array, t: int | slice = slice(None)) -> Array:
    """What a norm makes of parts x (..., C) of the token(s) t, at the scale that it had there.

    (x - mean(x)) rstd gain: linear in x, so parts may be summed before or after. Its bias comes
    once, whatever the parts.
    """
    _, rstd = norm.saved
    y: Array = (x - x.mean(-1, keepdims=True)) * rstd[t] * norm.gain.data
    return y


def replica_without_dropout(model: GPT) -> GPT:
    """The same parameters with gradients and saved slots of their own; nothing is drawn."""
    other = replica(model)
    for layer in other.layers():
        if isinstance(layer, Dropout):
            layer.training = False
    return other


def trace(model: GPT, ids: npt.ArrayLike) -> Trace:
    """Run the model over a text of ids (T,), and keep what it saved.

    Raises
    ------
    ValueError
        If the text is empty, or longer than the context.
    IndexError
        If an id is not in the model's vocabulary.
    """
    ids = one_text(model, ids)
    seen = replica_without_dropout(model)
    logits = seen.forward(ids[None])[0]
    token, position = seen.token_embedding.W.data[ids], seen.position_embedding.W.data[: len(ids)]
    attention, feedforward = [], []
    stream = [token + position]
    for block in seen.blocks:
        o, proj = block.attention.saved[1][0], block.attention.proj
        attention.append(o @ proj.W.data + biases(proj))
        proj = block.feedforward.proj
        feedforward.append(block.feedforward.gelu.output()[0] @ proj.W.data + biases(proj))
        stream.append(stream[-1] + attention[-1])
        stream.append(stream[-1] + feedforward[-1])
    parts = np.stack(attention), np.stack(feedforward), np.stack(stream)
    return Trace(seen, ids, token, position, *parts, logits)
