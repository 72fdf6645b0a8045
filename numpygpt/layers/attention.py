"""Causal multi-head self-attention: each token looks back and takes what it needs from the others.

Every token asks a question (its query), offers a description of itself (its key) and carries a
message (its value). Where a query matches a key, the message is taken, in H heads side by side,
each on its own D = C/H of the numbers. No token sees a later one.

Forward
-------
    [q k v] = x [W_q W_k W_v] + [b_q b_k b_v]           x (B,T,C), [..] (C,3C), split: (B,H,T,D)
    S = q k^T / sqrt(D);  S[t,s] = -inf where s > t     (B,H,T,T)   t asks, s answers
    P = softmax(S) over s                               rows sum to 1
    o = P v                                             (B,H,T,D)
    y = merge(o) W_o + b_o                              heads side by side again: (B,T,C)

The softmax is taken in two steps, around the product with v:

    E[t,s] = exp(S[t,s] - top[t])           top = each row's largest, so that exp cannot overflow
    o = (E v) / total                       total[t] = sum_s E[t,s]

which takes D divisions per row instead of T. From top and total comes lse = top + log(total), each
row's log sum_s exp(S[t,s]); with it, P[t,s] = exp(S[t,s] - lse[t]) at any time.

Backward, for one head: from do (T,D) to dq, dk and dv; the Linears have passes of their own
--------------------------------------------------------------------------------------------
o[t] = sum_s P[t,s] v[s] is a product like Linear's:

    dv = P^T do             (T,T) (T,D) -> (T,D)
    dP = do v^T             (T,D) (D,T) -> (T,T)

In a softmax, d P[t,r] / d S[t,s] = P[t,r] ([r = s] - P[t,s]). Summed over r with weights dP[t,r]:

    dS[t,s] = P[t,s] (dP[t,s] - delta[t]),   delta[t] = sum_r P[t,r] dP[t,r] = do[t] . o[t]

where the last step puts dP = do v^T in and sums over r first: one number per row, from arrays of
width D instead of T. Where the mask is, P is 0, and so is dS. S = (q / sqrt(D)) k^T is a product
again:

    dq = dS k / sqrt(D)     (T,T) (T,D) -> (T,D)
    dk = dS^T q / sqrt(D)   (T,T) (T,D) -> (T,D)

With dropout, o = A v, where cell by cell A = P m, m = keep / (1 - p). So dv = A^T do, dA = do v^T
and, again cell by cell, dP = dA m; delta is the same, because m may stand with either factor:

    sum_r P[t,r] dP[t,r] = sum_r P[t,r] m[t,r] dA[t,r] = sum_r A[t,r] (do[t] . v[r]) = do[t] . o[t]

Saved: q, k, v (one array), o (which the last Linear's x is, too) and lse. Not P, which is one small
product and one exp away, and grows with T squared. With dropout, keep is saved as well, a byte for
each of its (B,H,T,T) cells, for it cannot be computed again.

Cost: the Linears' 8 B T C^2 flops forward and twice that backward; between them 4 B T^2 C forward
and 10 B T^2 C backward, masked cells included. Queries are taken in blocks of R rows, each against
the keys up to its last row only: in texts of many blocks, nearly half of that is never done.

Reference: Vaswani et al. 2017, eq. 1 and section 3.2.2; delta: Dao et al. 2022 (FlashAttention).
"""

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from numpygpt.config import GPTConfig
from numpygpt.layers.base import Array, Layer
from numpygpt.layers.dropout import Dropout
from numpygpt.layers.linear import Linear
from numpygpt.parallel import over_heads

Index = tuple[Any, ...]
QUERY_ROWS = 128  # rows of S computed at a time: smaller skips more of the mask, larger feeds BLAS


@lru_cache(maxsize=8)
def _causal_mask(R: int, dtype: np.dtype[np.generic]) -> Array:
    """-inf above the diagonal, 0 elsewhere: (R, R)."""
    return np.triu(np.full((R, R), -np.inf, dtype), 1)


class KeyValueCache:
    """The keys and values of the tokens so far, for one attention layer.

    Parameters
    ----------
    shape : tuple of int
        (B, H, longest T, D).
    """

    def __init__(self, shape: tuple[int, int, int, int], dtype: npt.DTypeLike) -> None:
        self.k: Array = np.empty(shape, dtype)
        self.v: Array = np.empty(shape, dtype)
        self.length = 0

    def extend(self, k: Array, v: Array) -> tuple[Array, Array]:
        """Append (B, H, T, D) keys and values; returns views of all so far."""
        start, stop, most = self.length, self.length + k.shape[2], self.k.shape[2]
        if stop > most:
            raise ValueError(f"KeyValueCache: expected at most {most} tokens, got {stop}")
        self.k[:, :, start:stop] = k
        self.v[:, :, start:stop] = v
        self.length = stop
        return self.k[:, :, : self.length], self.v[:, :, : self.length]


class CausalSelfAttention(Layer):
    """Multi-head self-attention in which no token sees a later one.

    Parameters
    ----------
    config : GPTConfig
        Its n_embd and n_head are C and H. Its dropout is the probability with which an entry of P
        is dropped. Its qkv_bias says whether q, k and v have biases. (The derivative by k's bias
        is 0: it adds one number to a whole row of S.) W_o starts with its proj_std, or as 0 with
        its zero_init_attention; the others with its init_std.
    """

    def __init__(self, config: GPTConfig) -> None:
        C = config.n_embd
        self.n_head = config.n_head
        self.qkv = Linear(C, 3 * C, bias=config.qkv_bias, std=config.init_std)
        self.dropout = Dropout(config.dropout)
        self.proj = Linear(C, C, std=0.0 if config.zero_init_attention else config.proj_std)

    def _third(self, i: int) -> Array:
        C = self.proj.W.shape[0]
        return self.qkv.W.data[:, i * C : (i + 1) * C]

    W_q = property(lambda self: self._third(0), doc="The query matrix (C, C), a view of qkv.W.")
    W_k = property(lambda self: self._third(1), doc="The key matrix (C, C), a view of qkv.W.")
    W_v = property(lambda self: self._third(2), doc="The value matrix (C, C), a view of qkv.W.")
    W_o = property(lambda self: self.proj.W.data, doc="The output matrix (C, C).")

    def _split(self, x: Array, n: int) -> Array:
        """(B, T, n C) -> (n, B, H, T, D), a view of x."""
        B, T, width = x.shape
        D = width // (n * self.n_head)
        return x.reshape(B, T, n, self.n_head, D).transpose(2, 0, 3, 1, 4)

    def forward(self, x: Array, cache: KeyValueCache | None = None, save_x: bool = True) -> Array:
        """(B, T, C) -> (B, T, C); with a cache, x holds the tokens that follow the cached ones."""
        B, T, _ = x.shape
        qkv = self.qkv.forward(x, save_x)
        q, k, v = self._split(qkv, 3)
        if cache is not None:
            if self.training:
                raise ValueError("caches are for eval mode (backward cannot use them): call eval()")
            k, v = cache.extend(k, v)
        K = k.shape[2]  # number of keys: the cached ones, which every query sees, and T new ones
        keep = self.dropout.draw_keep((B, self.n_head, T, K))
        o, lse = np.empty(x.shape, x.dtype), np.empty((B, self.n_head, T, 1), x.dtype)
        o_heads = self._split(o, 1)[0]  # a view: what heads write lies side by side in o
        over_heads(self._attend, q, k, v, keep, o_heads, lse, scratch=min(T, QUERY_ROWS) * K)
        self.save(qkv, o, lse, keep)
        return self.proj.forward(o)

    def _attend(
        self, q: Array, k: Array, v: Array, keep: Array | None, o: Array, lse: Array
    ) -> None:
        """Fills o and lse (..., T, 1) of some heads; q and o (..., T, D), k and v (..., K, D)."""
        for rows, keys, cells in _query_blocks(q.shape[-2], k.shape[-2]):  # R of the T queries
            S = _scores(q[rows], k[keys])
            top = S.max(-1, keepdims=True)
            S -= top
            E = np.exp(S, out=S)
            total = np.einsum("...s->...", E)[..., None]  # E.sum(-1), in less than half its time
            lse[rows] = top + np.log(total)
            Em = E if keep is None else self.dropout.apply(E, keep[cells])  # total times A
            np.matmul(Em, v[keys], out=o[rows])
            o[rows] /= total

    def backward(self, dy: Array, x: Array | None = None) -> Array:
        """(B, T, C) -> (B, T, C); adds to all gradients. x: needed after `save_x=False`."""
        qkv, o, lse, keep = self.take_saved()
        T = dy.shape[1]
        do, dqkv = self.proj.backward(dy), np.zeros_like(qkv)
        do_heads, o_heads = self._split(do, 1)[0], self._split(o, 1)[0]
        arrays = (self._split(qkv, 3), keep, o_heads, lse, do_heads, self._split(dqkv, 3))
        over_heads(self._attend_backward, *arrays, scratch=2 * min(T, QUERY_ROWS) * T)
        return self.qkv.backward(dqkv, x)

    def _attend_backward(
        self, qkv: Array, keep: Array | None, o: Array, lse: Array, do: Array, dqkv: Array
    ) -> None:
        """Fills dqkv (3, ..., T, D), which comes as zeros, for some heads; o, do (..., T, D)."""
        (q, k, v), (dq, dk, dv) = qkv, dqkv
        T, D = q.shape[-2:]
        delta = np.einsum("...td,...td->...t", do, o)[..., None]
        for rows, keys, cells in _query_blocks(T, T):
            S = _scores(q[rows], k[keys])
            S -= lse[rows]
            P = np.exp(S, out=S)
            A = P if keep is None else self.dropout.apply(P, keep[cells])
            dv[keys] += A.swapaxes(-1, -2) @ do[rows]
            dA = do[rows] @ v[keys].swapaxes(-1, -2)
            dP = dA if keep is None else self.dropout.apply(dA, keep[cells])
            dP -= delta[rows]
            dP *= P
            dS = dP
            dS /= math.sqrt(D)  # here already, once for dq and dk
            np.matmul(dS, k[keys], out=dq[rows])
            dk[keys] += dS.swapaxes(-1, -2) @ q[rows]


def _query_blocks(T: int, K: int) -> Iterator[tuple[Index, Index, Index]]:
    """Queries R at a time, all keys that they see, and both: the cells of (..., T, K)."""
    for start in range(0, T, QUERY_ROWS):
        stop = min(start + QUERY_ROWS, T)
        seen = K - T + stop  # K - T are cached
        yield np.s_[..., start:stop, :], np.s_[..., :seen, :], np.s_[..., start:stop, :seen]


def _scores(q: Array, k: Array) -> Array:
    """S, masked, of R queries and the keys up to the last of them: the last R keys are theirs."""
    R, D = q.shape[-2:]
    S: Array = (q / math.sqrt(D)) @ k.swapaxes(-1, -2)
    S[..., -R:] += _causal_mask(R, S.dtype)
    return S
