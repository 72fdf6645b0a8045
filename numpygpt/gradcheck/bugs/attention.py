"""Attention's passes between its two Linears, and how they go wrong."""

from numpygpt.gradcheck.bugs.bug import Bug

SOURCE = """
def _attend(
    self, q: Array, k: Array, v: Array, keep: Array | None, o: Array, lse: Array
) -> None:
    for rows, keys, cells in _query_blocks(q.shape[-2], k.shape[-2]):
        S = _scores(q[rows], k[keys])
        top = S.max(-1, keepdims=True)
        S -= top
        E = np.exp(S, out=S)
        total = np.einsum("...s->...", E)[..., None]
        lse[rows] = top + np.log(total)
        Em = E if keep is None else self.dropout.apply(E, keep[cells])
        np.matmul(Em, v[keys], out=o[rows])
        o[rows] /= total

def _attend_backward(
    self, qkv: Array, keep: Array | None, o: Array, lse: Array, do: Array, dqkv: Array
) -> None:
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
        dS /= math.sqrt(D)
        np.matmul(dS, k[keys], out=dq[rows])
        dk[keys] += dS.swapaxes(-1, -2) @ q[rows]
"""

QKV = "x qkv.W qkv.b"
SCORES = "S = _scores(q[rows], k[keys])\n        "
UNMASKED = "S = q[rows] / math.sqrt(q.shape[-1]) @ k[keys].swapaxes(-1, -2)\n        "
TOP = "top = S.max(-1, keepdims=True)\n"
TOTAL = "        lse[rows] = top + np.log(total)\n"
LATE_MASK = TOTAL + "        E[..., -E.shape[-2] :] *= _causal_mask(E.shape[-2], E.dtype) == 0\n"
BUGS = (
    Bug(
        "CausalSelfAttention",
        "dk transposed",
        "dS.swapaxes(-1, -2) @ q[rows]",
        "dS @ q[rows]",
        QKV,
        "dS is square, so the product runs without its transpose. dk[s] sums over t, dS's first "
        "index: so dS^T.",
    ),
    Bug(
        "CausalSelfAttention",
        "dv transposed",
        "A.swapaxes(-1, -2) @ do[rows]",
        "A @ do[rows]",
        QKV,
        "P is square, so the product runs without its transpose. dv[s] sums over t, P's first "
        "index: so P^T.",
    ),
    Bug(
        "CausalSelfAttention",
        "scale forgotten",
        "        dS /= math.sqrt(D)\n",
        "",
        QKV,
        "The forward divides the scores by sqrt(D), so both dq and dk are divided by it, too.",
    ),
    Bug(
        "CausalSelfAttention",
        "softmax's row sum forgotten",
        "        dP -= delta[rows]\n",
        "",
        QKV,
        "Softmax is taken number by number, but each score lowers all others of its row. A right "
        "dS sums to 0 in each row.",
    ),
    Bug(
        "CausalSelfAttention",
        "softmax's own slope alone",
        "        dP -= delta[rows]\n        dP *= P\n",
        "        dP *= P\n        dP *= 1 - P\n",
        QKV,
        "dS = P (1 - P) dP: only P[t,s]'s own slope by S[t,s] is used. S[t,s] also moves every "
        "other P[t,r] of its row by -P[t,r] P[t,s]: sum over r.",
    ),
    Bug(
        "CausalSelfAttention",
        "row sum of dP alone",
        "dP -= delta[rows]",
        "dP -= dP.sum(-1, keepdims=True)",
        QKV,
        "What is subtracted is the row's sum of P dP: each dP[t,r] counts as much as it is looked "
        "at. With dP alone, dS does not sum to 0 in each row.",
    ),
    Bug(
        "CausalSelfAttention",
        "P forgotten",
        "        dP *= P\n",
        "",
        QKV,
        "dS = P (dP - delta): a token that is hardly looked at hardly matters, and a masked one "
        "not at all.",
    ),
    Bug(
        "CausalSelfAttention",
        "no mask in backward",
        SCORES + "S -= lse",
        UNMASKED + "S -= lse",
        QKV,
        "Where scores are computed again they must be masked again: change a later token, and no "
        "earlier derivative may move.",
    ),
    Bug(
        "CausalSelfAttention",
        "dq and dk swapped",
        "(dq, dk, dv) = qkv, dqkv",
        "(dk, dq, dv) = qkv, dqkv",
        QKV,
        "Both have one shape, so nothing complains when they are stored in each other's place.",
    ),
    Bug(
        "CausalSelfAttention",
        "dropout forgotten for dv",
        "A = P if keep is None else self.dropout.apply(P",
        "A = P if True else self.dropout.apply(P",
        QKV,
        "o = A v with A = P after dropout: dv takes A, not P. Without dropout it is right.",
    ),
    Bug(
        "CausalSelfAttention",
        "dropout forgotten for dP",
        "dP = dA if keep is None",
        "dP = dA if True",
        QKV,
        "A = P m, so dP = dA m: where a weight was dropped, nothing comes back to it.",
    ),
    Bug(
        "CausalSelfAttention",
        "mask after the softmax",
        SCORES + TOP,
        UNMASKED + TOP,
        QKV,
        "Zeros after the softmax leave rows that do not sum to 1: the mask belongs before it, as "
        "-inf.",
        also=(TOTAL, LATE_MASK),
    ),
)
