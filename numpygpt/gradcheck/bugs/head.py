"""The head's passes, and how they go wrong."""

from numpygpt.gradcheck.bugs.bug import Bug

SOURCE = """
def accumulate_dW(dW: Array, dz: Array, x: Array, first: bool) -> None:
    if first:
        np.matmul(dz.T, x, out=dW)
        return
    for v in range(0, len(dW), VOCAB_ROWS):
        dW[v : v + VOCAB_ROWS] += dz[:, v : v + VOCAB_ROWS].T @ x

def backward(self, dz: Array | None = None) -> Array:
    x, dx, dW = self.saved
    V, C = self.W.shape
    if (dz is None) != (x is None):
        raise ValueError("Head.backward: expected dlogits after forward, and none after loss")
    if dz is not None:
        self._check_dlogits(dz, x)
    self.take_saved()
    if dz is None:
        self.W.add_grad(dW, in_room=True)
        return cast(Array, dx)
    dz_rows = dz.reshape(-1, V)
    self.W.add_product(dz_rows.T, x.reshape(-1, C))
    return (dz_rows @ self.W.data).reshape(x.shape)

def loss(self, x: Array, targets: Array, weight: float = 1.0) -> float:
    V, C = self.W.shape
    self._check_targets(x, targets)
    rows, ids = x.reshape(-1, C), targets.reshape(-1)
    N = len(rows)

    def cross_entropy(z: Array, ids: Array, losses: Array) -> None:
        n = np.arange(len(z))
        z -= z.max(-1, keepdims=True)
        losses[:] = -z[n, ids]
        np.exp(z, out=z)
        total = z.sum(-1, keepdims=True)
        losses += np.log(total[:, 0])
        z *= weight / (N * total)
        z[n, ids] -= weight / N

    losses = np.empty(N, x.dtype)
    dx: Any = np.empty(x.shape, x.dtype) if self.training else None
    dW: Any = self.W.take_room() if self.training else None
    logits = np.empty((min(ROWS, N), V), x.dtype)
    for start in range(0, N, ROWS):
        part = slice(start, min(start + ROWS, N))
        z = logits[: part.stop - start]
        np.matmul(rows[part], self.W.data.T, out=z)
        over_rows(cross_entropy, z, ids[part], losses[part])
        if self.training:
            np.matmul(z, self.W.data, out=dx.reshape(-1, C)[part])
            accumulate_dW(dW, z, rows[part], first=start == 0)
    self.save(None, dx, dW)
    return cast(float, losses.mean(dtype=np.result_type(x.dtype, np.float64)).item() * weight)
"""

BUGS = (
    Bug(
        "Head",
        "dW counts twice",
        "self.W.add_product(dz_rows.T,",
        "self.W.add_product(2 * dz_rows.T,",
        "W",
        "A tied matrix gets two gradients, one from each use; neither is counted twice.",
    ),
    Bug(
        "Head",
        "dx divided by V",
        "return (dz_rows @ self.W.data)",
        "return (dz_rows @ self.W.data / V)",
        "x",
        "A mean where a sum belongs: x reaches the loss through all V logits.",
    ),
    Bug(
        "Head",
        "target not subtracted",
        "        z[n, ids] -= weight / N\n",
        "",
        "x W",
        "dz is p less the one-hot target. Without it the loss of every token is pushed, the "
        "right one's too. A right dz sums to 0 in each row.",
    ),
    Bug(
        "Head",
        "1 / N forgotten",
        "z *= weight / (N * total)",
        "z *= weight / total",
        "x W",
        "The loss is a mean over N tokens; p and the target are both divided by N.",
    ),
    Bug(
        "Head",
        "later rows overwrite dW",
        "first=start == 0",
        "first=True",
        "W",
        "Cut into parts, each part's dW is added; with a text of one part it is right.",
    ),
    Bug(
        "Head",
        "dW not added",
        "self.W.add_grad(dW, in_room=True)",
        "pass",
        "W",
        "What was computed in forward must be handed out in backward.",
    ),
)
