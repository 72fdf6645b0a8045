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

import math
from dataclasses import dataclass

import numpy as np

from numpygpt.gpt import GPT
from numpygpt.inside.traces import Trace, biases, frozen, trace
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
        if kind not in KINDS:
            raise ValueError(f"expected one of {', '.join(KINDS)}, got {kind!r}")
        if n < 1:
            raise ValueError(f"expected at least 1 head, got {n}")
        scores = np.nan_to_num(getattr(self, kind))
        best = np.argsort(-scores, axis=None, kind="stable")[:n]
        found = zip(*np.unravel_index(best, scores.shape), strict=True)
        return [(int(l), int(h), float(scores[l, h])) for l, h in found]


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


def patterns(seen: Trace) -> Array:
    """Every head's P: (L, H, T, T), [.., t, s]: how much of what token t takes comes from s."""
    T = len(seen.ids)
    P = np.zeros((seen.model.config.n_layer, seen.model.config.n_head, T, T), seen.logits.dtype)
    for l, block in enumerate(seen.model.blocks):
        q, k, _ = seen.qkv(l)
        _, _, lse, _ = block.attention.saved
        S = (q / math.sqrt(q.shape[-1])) @ k.swapaxes(-1, -2)
        np.exp(S - lse[0], out=P[l], where=np.tri(T, dtype=bool))
    return P


def score_patterns(P: Array, ids: Array) -> HeadScores:
    """How far patterns (..., T, T) over a text of ids (T,) are of each kind; scores are (...)."""
    T = len(ids)
    if P.shape[-2:] != (T, T):
        raise ValueError(f"expected patterns of shape (..., {T}, {T}) for {T} ids, got {P.shape}")
    t, s = np.indices((T, T))
    twin = (ids[:, None] == ids) & (s < t)
    after_twin = np.zeros((T, T), bool)
    after_twin[:, 1:] = twin[:, :-1] & (s < t)[:, 1:]
    shares = [P[..., mask].sum(-1) / T for mask in (s == t - 1, s == 0)]
    for mask in (twin, after_twin):
        rows = np.count_nonzero(mask.any(1))
        shares.append(P[..., mask].sum(-1) / rows if rows else np.full(P.shape[:-2], np.nan))
    return HeadScores(*shares)


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
    c, rng = model.config, np.random.default_rng(seed)
    first = [] if begin is None else [begin]
    others = np.setdiff1d(np.arange(c.vocab_size), first)
    length = min(length, (c.context_length - len(first)) // 2, len(others))
    if length < 2 or texts < 1:
        raise ValueError(
            f"expected at least one text, and room for 2 tokens and the same again, got {texts} "
            f"texts of {length} tokens, context {c.context_length}, vocabulary {c.vocab_size}"
        )
    scores = []
    for _ in range(texts):
        part = rng.choice(others, length, replace=False)
        seen = trace(model, np.concatenate([np.array(first, int), part, part]))
        scores.append(score_patterns(patterns(seen), seen.ids))
    return HeadScores(*(np.mean([getattr(x, kind) for x in scores], 0) for kind in KINDS))


def split_score(seen: Trace, block: int, head: int, t: int, s: int) -> ScoreSplit:
    """The score of query t and key s, s <= t, split; IndexError if one of them is not there."""
    seen.expect_block(block, head)
    t, s = seen.at(t), seen.at(s)
    if s > t:
        raise IndexError(f"token {t} does not see token {s}, which comes later")
    linear, H = seen.model.blocks[block].attention.qkv, seen.model.config.n_head
    W, b = (
        x.reshape(*x.shape[:-1], 3, H, -1)[..., head, :] for x in (linear.W.data, biases(linear))
    )
    root = math.sqrt(W.shape[-1])
    names, queries = _inputs(seen, block, t)
    _, keys = _inputs(seen, block, s)
    q, k = queries @ W[:, 0], keys @ W[:, 1]  # (n, D)
    q[-1] += b[0]
    k[-1] += b[1]
    table = q @ k.T / root
    all_q, all_k, _ = seen.qkv(block)[:, head]
    score = float(all_q[t] @ all_k[s]) / root
    return ScoreSplit(names, table, score, score - float(table.sum()))


def _inputs(seen: Trace, block: int, t: int) -> tuple[list[str], Array]:
    """What a block's attention reads of token t, by its parts: (n, C), the norm's bias last."""
    parts = {"token": seen.token[t], "position": seen.position[t]}
    for l in range(block):
        parts[f"attention {l}"] = seen.attention[l, t]
        parts[f"feedforward {l}"] = seen.feedforward[l, t]
    norm = seen.model.blocks[block].norm1
    scaled = frozen(norm, np.stack(list(parts.values())), t)
    return [*parts, "bias"], np.concatenate([scaled, norm.bias.data[None]])
