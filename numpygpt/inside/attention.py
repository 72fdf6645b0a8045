"""Attention: who looks at whom, what kind of head that makes, and what q.k found.

Patterns
--------
Attention saves q, k and each row's log-sum-exp, lse; from these, as its backward pass does,

    S = q k^T / sqrt(D), masked         (T, T)
    P = exp(S - lse)                    rows sum to 1

Kinds of heads
--------------
A score is a share of the mass of P, which is 1 a row:

    previous    sum_t P[t, t-1] / T                     of all mass, what lies on the token before
    first       sum_t P[t, 0] / T                       ... on the text's first token
    duplicate   mean_t sum_s P[t, s], ids[s] = ids[t]   ... on earlier tokens of the same id
    induction   mean_t sum_s P[t, s], ids[s-1] = ids[t] ... on what followed these

The last two take the mean over the rows t that have such an s < t, for in most texts few have. They
are best measured where nothing else can be of use: on random tokens, and then the same once more.
In the second half, what followed a token's twin is what comes next.

One score, split
----------------
The query of token t is a sum, if the norm's rstd is taken as it is ("frozen"), for all else is
linear: with x = sum_i x_i the parts of the residual stream before the block,

    q[t] = sum_i ((x_i - mean(x_i)) rstd gain) W_q  +  (bias W_q + b_q)             (D,)

and the key of token s likewise. So the score is a sum over pairs of parts,

    S[t, s] = sum_ij q_i[t] . k_j[s] / sqrt(D)

with i and j among token, position, every earlier half block (which is why only in block 0 the
score comes from token, position and bias alone), and bias, the last term.

Reference: the kinds of heads: Elhage et al. 2021, Olsson et al. 2022, Wang et al. 2022.
"""

from dataclasses import dataclass

from numpygpt.gpt import GPT
from numpygpt.inside.traces import Trace
from numpygpt.layers.base import Array

KINDS = ("previous", "first", "duplicate", "induction")


@dataclass(frozen=True)
class HeadScores:
    """How far each head is of each kind, 0 to 1; the formulas are above.

    Attributes
    ----------
    previous, first, duplicate, induction : ndarray (L, H)
        NaN where no row of the text has such a token.
    """

    previous: Array
    first: Array
    duplicate: Array
    induction: Array

    def strongest(self, kind: str, n: int = 5) -> list[tuple[int, int, float]]:
        """The n heads that are most of one of KINDS: (block, head, score), the best first."""
        raise NotImplementedError


@dataclass(frozen=True)
class ScoreSplit:
    """One score of one head, by what the query and the key are made of.

    Attributes
    ----------
    names : list of str
        The n parts: token, position, "attention 0", "feedforward 0", ..., bias.
    table : ndarray (n, n)
        [i, j]: what the query's part i finds in the key's part j.
    score : float
        S[t, s], from the q and k of the forward pass.
    remainder : float
        score - table.sum(): rounding.
    """

    names: list[str]
    table: Array
    score: float
    remainder: float


def patterns(trace: Trace) -> Array:
    """Every head's P: (L, H, T, T), [.., t, s]: how much of what token t takes comes from s."""
    raise NotImplementedError


def score_patterns(P: Array, ids: Array) -> HeadScores:
    """How far patterns (L, H, T, T) over a text of ids (T,) are of each kind."""
    raise NotImplementedError


def score_heads(
    model: GPT, begin: int | None = None, length: int = 50, texts: int = 4, seed: int = 0
) -> HeadScores:
    """The scores on random texts repeated, where only their kind can guide a head.

    Parameters
    ----------
    model : GPT
    begin : int or None
        A token before them, such as the end of text, with which the model's texts begin.
    length : int
        Of the part that is repeated, at most what fits the context twice; its tokens differ.
    texts : int
        How many are averaged.
    seed : int
    """
    raise NotImplementedError


def split_score(trace: Trace, block: int, head: int, t: int, s: int) -> ScoreSplit:
    """The score of query t and key s, s <= t, split; IndexError if one of them is not there."""
    raise NotImplementedError
