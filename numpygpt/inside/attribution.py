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

from numpygpt.inside.answer import Answer
from numpygpt.inside.traces import Trace
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
    value_bias, output_bias, feedforward_bias : ndarray (L,)
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
        raise NotImplementedError


def attribute(trace: Trace, answer: Answer) -> Attribution:
    """Which part says how much of the answer; IndexError if there is no such word or position."""
    raise NotImplementedError
