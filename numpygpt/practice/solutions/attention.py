"""Attention's core: each token looks back and takes what it needs from the others.

Every token asks a question (its query q), offers a description of itself (its key k) and carries a
message (its value v). Where a query matches a key, the message is taken. This happens in H heads
side by side, each on its own D = C/H numbers; no token sees a later one. (Where q, k and v come
from, and where o goes, are matrices like Linear's: block.py adds them.)

Forward, for one head of one sequence
-------------------------------------
    S = q k^T / sqrt(D)                     q, k, v (T, D), S (T, T): t asks, s answers
    S[t,s] = -inf where s > t               the mask: no token sees a later one
    P[t,s] = exp(S[t,s]) / sum_r exp(S[t,r])        softmax: each row of P sums to 1
    o = P v                                 (T, T) (T, D) -> (T, D)

Yours: backward
---------------
Given do = dL/do (T, D) of every head, find dq, dk and dv, (T, D) each. (L is the loss; linear.py
says more about such names.) All arrays here are (B, H, T, D) or (B, H, T, T), one matrix for each
sequence and head: `a @ b` multiplies the matrices at the end, `a.swapaxes(-1, -2)` transposes them,
so you can think of a single one.

Questions
---------
1. o = P v is a product like Linear's x W. One number: o[t,d] = sum_s P[t,s] v[s,d]. In which o is
   v[s,d], and with what factor? P[t,s]? So dv = ? and dP = ? (P is square, so for dv the shapes do
   not tell whether it is to be transposed: a mistake runs without an error. The indices tell: over
   which of P's is summed?)
2. Softmax, in one row t: what is the derivative of P[t,r] by S[t,s], first for r = s, then for
   another r? Both can be written with P alone (no exp); write them as one, with [r = s] for 1 where
   r = s and 0 elsewhere.
3. S[t,s] reaches L through every P[t,r] of its row: dS[t,s] = sum_r dP[t,r] times what you found.
   Do the sum: it leaves P[t,s] times a difference, and what is subtracted is the same for the whole
   row. What is it? To see for yourself: what must each row of dS sum to? (Add the same to all S of
   a row: P does not change.)
4. Behind the mask P is exactly 0. Look at your dS there: does the mask need a line of its own?
5. S[t,s] = sum_d q[t,d] k[s,d] / sqrt(D). In which S is q[t,d]? k[s,d]? One of dq and dk takes dS
   as it is and the other transposed: which? (dS is square, too.) Where does sqrt(D) go?

`numpygpt practice attention` says whether it is right; with --hint, it helps.
"""

import math

import numpy as np

from numpygpt.layers import Layer
from numpygpt.layers.parameter import Array


def split(x: Array, n: int, n_head: int) -> Array:
    """(B, T, n C) -> (n, B, H, T, D): n arrays, each in heads."""
    B, T, width = x.shape
    return x.reshape(B, T, n, n_head, width // (n * n_head)).transpose(2, 0, 3, 1, 4)


def merge(*parts: Array) -> Array:
    """What split undoes: n arrays (B, H, T, D) -> (B, T, n C)."""
    B, H, T, D = parts[0].shape
    return np.stack(parts).transpose(1, 3, 0, 2, 4).reshape(B, T, len(parts) * H * D)


class Attention(Layer):
    """From queries, keys and values, side by side in one array, to what each token takes."""

    def __init__(self, n_head: int) -> None:
        self.n_head = n_head

    def forward(self, qkv: Array) -> Array:
        """(B, T, 3 C) -> (B, T, C)."""
        q, k, v = split(qkv, 3, self.n_head)  # (B, H, T, D) each
        T, D = q.shape[-2:]
        S = q @ k.swapaxes(-1, -2) / math.sqrt(D)  # (B, H, T, T)
        S = np.where(np.tri(T, dtype=bool), S, -np.inf)  # tri: True where s <= t
        E = np.exp(S - S.max(axis=-1, keepdims=True))  # the largest is exp(0): none overflows
        P = E / E.sum(axis=-1, keepdims=True)
        self.save(q, k, v, P)
        return merge(P @ v)

    def backward(self, dy: Array) -> Array:
        """(B, T, C) -> (B, T, 3 C)."""
        q, k, v, P = self.take_saved()
        (do,) = split(dy, 1, self.n_head)  # (B, H, T, D)
        D = q.shape[-1]
        # Yours: make dq, dk and dv, (B, H, T, D) each.
        # <answer>
        dv = P.swapaxes(-1, -2) @ do
        dP = do @ v.swapaxes(-1, -2)
        dS = P * (dP - (dP * P).sum(axis=-1, keepdims=True))
        dq = dS @ k / math.sqrt(D)
        dk = dS.swapaxes(-1, -2) @ q / math.sqrt(D)
        # </answer>
        return merge(dq, dk, dv)


# <hints>
HINTS = (
    """
Shapes, for one head. q, k, v, o and their derivatives (T, D); S, P, dS, dP (T, T); what is
subtracted in dS is one number a row, (T, 1): a sum over axis -1 with keepdims=True.
    dv (T, D) from P (T, T) and do (T, D)           dP (T, T) from do (T, D) and v (T, D)
    dq (T, D) from dS (T, T) and k (T, D)           dk (T, D) from dS (T, T) and q (T, D)
Only for dP do the shapes say where the transpose is; for the others ask over which index is summed.
""",
    """
One index.
    o[t,d] = sum_s P[t,s] v[s,d]:
        dv[s,d] = sum_t P[t,s] do[t,d]      v[s,d] is in o[t,d] of every t
        dP[t,s] = sum_d do[t,d] v[s,d]      P[t,s] is in o[t,d] of every d
    Softmax: P[t,r] = exp(S[t,r]) / total, total = sum_s exp(S[t,s]):
        r = s:  exp(S[t,s]) / total - exp(S[t,s])^2 / total^2   = P[t,s] - P[t,s]^2
        else:   -exp(S[t,r]) exp(S[t,s]) / total^2              = -P[t,r] P[t,s]
        both:   d P[t,r] / d S[t,s] = P[t,r] ([r = s] - P[t,s])
    dS[t,s] = sum_r dP[t,r] P[t,r] ([r = s] - P[t,s]). Which part of it is left for r = s alone?
    S[t,s] = sum_d q[t,d] k[s,d] / sqrt(D):
        dq[t,d] = sum_s dS[t,s] k[s,d] / sqrt(D)
        dk[s,d] = sum_t dS[t,s] q[t,d] / sqrt(D)
""",
    """
Matrix form. A product sums over the last index of the first and the first index of the second; in
dv and dk the sum is over t, the first index of P and of dS, so those are transposed:
    dv = P^T do             (T, T) (T, D) -> (T, D)
    dP = do v^T             (T, D) (D, T) -> (T, T)
    dS[t,s] = P[t,s] (dP[t,s] - delta[t]),   delta[t] = sum_r dP[t,r] P[t,r]        (T, 1)
    dq = dS k / sqrt(D)     (T, T) (T, D) -> (T, D)
    dk = dS^T q / sqrt(D)   (T, T) (T, D) -> (T, D)
Where P is 0, so is dS: the mask takes care of itself.
""",
)
# </hints>
