"""The lens: what each block would predict, were it the last.

The final norm and the head read the residual stream after the last block. They can as well be
asked to read it earlier, after block l (0: before any), in two ways:

    anew        z_l = norm(x_l) W_head^T                            its own mean and rstd
    frozen      z_l = ((x_l - mean(x_l)) rstd_L gain + bias) W_head^T     the last block's rstd

Anew, each block's words are scaled to what the head is used to, so that its probabilities can be
compared; but then a block may seem to change its mind where it has only made x longer. Frozen, z_l
is linear in x_l: what is between two blocks is exactly what the one adds (attribution.py), and
early ones, whose x is short, seem undecided. After the last block both are the model's own.

Reference: nostalgebraist 2020 ("the logit lens").
"""

from dataclasses import dataclass

from numpygpt.inside.traces import Trace
from numpygpt.layers.base import Array


@dataclass(frozen=True)
class Reading:
    """What the head reads after each block: 0 is before any, L the model's own prediction.

    Attributes
    ----------
    top : ndarray (L + 1, T, k)
        The ids of the most probable words, the best first.
    top_probability : ndarray (L + 1, T, k)
    probability : ndarray (L + 1, T)
        Of the true next word.
    rank : ndarray (L + 1, T)
        Its rank, from 1.
    """

    top: Array
    top_probability: Array
    probability: Array
    rank: Array


@dataclass(frozen=True)
class Lens:
    """Both readings of one text.

    Attributes
    ----------
    words : ndarray (T,)
        The true next word at each position; at the last one, what was asked for.
    anew, frozen : Reading
    remainder : float
        The largest difference of the last block's probabilities to the model's own.
    """

    words: Array
    anew: Reading
    frozen: Reading
    remainder: float


def predictions(trace: Trace, word: int | None = None, k: int = 5) -> Lens:
    """Read every block; `word` is the last position's true one (None: what the model says)."""
    raise NotImplementedError
