"""Attribution: which part of the model says a word, and which speaks against it.

The logit of word w at one position is linear in the residual stream, but for the final norm's rstd.
Taken as it is ("frozen"), with x = sum_i x_i the sum of all that was ever added,

    z[w] = norm(x) . W[w] = sum_i (x_i - mean(x_i)) rstd . (gain W[w])  +  bias . W[w]

one number for each part: token and position embedding, every head (without its value bias), every
feed-forward (without its last bias), and the biases, each kind a bar of its own:

    head h of block l       (o_h - b_v) W_o[h]
    value bias of block l   b_v W_o             rows of P sum to 1: it comes whatever is looked at
    output bias             b_o
    feed-forward of l       a W_2, and its bias b_2
    final norm's bias       bias . W[w]

For the difference of two words, W[w] - W[other] takes W[w]'s place. What is common to all words
cancels there: a difference is what decides.

Frozen means: how each part moves the words *at this scale*. To leave a part out also changes the
scale, and what later parts do: ablation.py does that, and the two differ.
"""

from dataclasses import dataclass

import numpy as np

from numpygpt.inside.answer import Answer
from numpygpt.inside.traces import Trace, biases, frozen
from numpygpt.layers.base import Array


@dataclass(frozen=True)
class Attribution:
    """A logit, or the difference of two, as a sum over the model's parts.

    Attributes
    ----------
    answer : Answer
        What it is the sum of.
    token, place : float
        The token and the position embedding.
    heads : ndarray (L, H)
    feedforward : ndarray (L,)
    value_bias : ndarray (L, H)
        b_v W_o, head by head; the bar is the sum over a block's heads.
    output_bias, feedforward_bias : ndarray (L,)
    norm_bias : float
    logit : float
        From the forward pass.
    remainder : float
        logit less the sum of all above: rounding.
    """

    answer: Answer
    token: float
    place: float
    heads: Array
    feedforward: Array
    value_bias: Array
    output_bias: Array
    feedforward_bias: Array
    norm_bias: float
    logit: float
    remainder: float

    def parts(self) -> list[tuple[str, float]]:
        """All of it in a row, by name ("token", "head 4.11", "feedforward 3", ...)."""
        L, H = self.heads.shape
        rows = [("token", self.token), ("position", self.place)]
        for l in range(L):
            rows += [(f"head {l}.{h}", float(self.heads[l, h])) for h in range(H)]
            rows += [
                (f"value bias {l}", float(self.value_bias[l].sum())),
                (f"output bias {l}", float(self.output_bias[l])),
                (f"feedforward {l}", float(self.feedforward[l])),
                (f"feedforward bias {l}", float(self.feedforward_bias[l])),
            ]
        return [*rows, ("norm bias", self.norm_bias)]


def attribute(seen: Trace, answer: Answer) -> Attribution:
    """Which part says how much of the answer; IndexError if there is no such word or position."""
    t, model = seen.at(answer.position), seen.model
    direction = answer.direction(model.head.W.data)  # (C,)

    def says(x: Array) -> Array:
        """How much parts (..., C) of the stream at t add: (...)."""
        return frozen(model.norm, x, t) @ direction

    heads, head_bias, output_bias, last_bias = [], [], [], []
    for l, block in enumerate(model.blocks):
        b_v = biases(block.attention.qkv).reshape(3, -1)[2]
        of_heads = b_v.reshape(model.config.n_head, 1, -1) @ seen.output_rows(l)  # (H, 1, C)
        heads.append(says(seen.heads(l)[:, t] - of_heads[:, 0]))
        head_bias.append(says(of_heads[:, 0]))
        output_bias.append(says(biases(block.attention.proj)))
        last_bias.append(says(biases(block.feedforward.proj)))
    parts = (
        float(says(seen.token[t])),
        float(says(seen.position[t])),
        np.stack(heads),
        says(seen.feedforward[:, t]) - np.array(last_bias),
        np.stack(head_bias),
        np.array(output_bias),
        np.array(last_bias),
        float(model.norm.bias.data @ direction),
    )
    logit = float(answer.read(seen.logits))
    return Attribution(answer, *parts, logit, logit - float(sum(np.sum(x) for x in parts)))
