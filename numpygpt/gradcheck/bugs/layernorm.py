"""LayerNorm's passes, and how they go wrong."""

from numpygpt.gradcheck.bugs.bug import Bug

SOURCE = """
def forward(self, x: Array) -> Array:
    (C,) = self.gain.shape
    self.expect(x, "C", C, like=self.gain)

    def normalise(x: Array, x_hat: Array, rstd: Array, y: Array) -> None:
        mean = np.einsum("nc->n", x)[:, None] / C
        np.subtract(x, mean, out=x_hat)
        variance = np.einsum("nc,nc->n", x_hat, x_hat) / C
        rstd[:, 0] = 1 / np.sqrt(variance + self.eps)
        x_hat *= rstd
        self._scale(x_hat, y)

    rows = x.reshape(-1, C)
    x_hat, y = np.empty_like(rows), np.empty_like(rows)
    rstd = np.empty((len(rows), 1), x.dtype)
    over_rows(normalise, rows, x_hat, rstd, y)
    self.save(x_hat, rstd)
    return y.reshape(x.shape)

def backward(self, dy: Array) -> Array:
    x_hat, rstd = self.take_saved()
    (C,) = self.gain.shape
    gain = self.gain.data

    def differentiate(dy: Array, x_hat: Array, rstd: Array, dx: Array, dgains: Array) -> None:
        np.multiply(dy, x_hat, out=dgains)
        g = np.multiply(dy, gain, out=dx)
        mean_g = np.einsum("nc->n", g)[:, None] / C
        mean_g_x_hat = np.einsum("nc,nc->n", g, x_hat)[:, None] / C
        dx -= mean_g
        dx -= x_hat * mean_g_x_hat
        dx *= rstd

    rows = dy.reshape(-1, C)
    dx, dgains = np.empty_like(rows), np.empty_like(rows)
    over_rows(differentiate, rows, x_hat, rstd, dx, dgains)
    ones = np.ones(len(rows), dy.dtype)
    self.gain.add_product(ones, dgains)
    self.bias.add_product(ones, rows)
    return dx.reshape(dy.shape)
"""

BUGS = (
    Bug(
        "LayerNorm",
        "mean of g forgotten",
        "dx -= mean_g",
        "pass",
        "x",
        "The mean is taken for a constant, but it moves with every x[c] of its row. A right dx "
        "sums to 0 in each row.",
    ),
    Bug(
        "LayerNorm",
        "x_hat's term forgotten",
        "dx -= x_hat * mean_g_x_hat",
        "pass",
        "x",
        "rstd is taken for a constant, but it moves with every x[c] of its row. (dx * x_hat) "
        "should be nearly 0 when summed over a row.",
    ),
    Bug(
        "LayerNorm",
        "sums for means",
        "g)[:, None] / C",
        "g)[:, None]",
        "x",
        "The factor 1/C is forgotten: mean and variance divide by C, so x[i] moves each of them by "
        "1/C only.",
        also=("g, x_hat)[:, None] / C", "g, x_hat)[:, None]"),
    ),
    Bug(
        "LayerNorm",
        "gain forgotten",
        "g = np.multiply(dy, gain, out=dx)",
        "g = dx[...] = dy",
        "x",
        "g = dy gain. While all gains are 1, as at the start, nobody would notice; this check "
        "draws other gains.",
    ),
    Bug(
        "LayerNorm",
        "rstd forgotten",
        "        dx *= rstd\n",
        "",
        "x",
        "x_hat = (x - mean) rstd, so what comes back goes through rstd, too. Rows of variance 1 "
        "hide it.",
    ),
    Bug(
        "LayerNorm",
        "dgain without x_hat",
        "np.multiply(dy, x_hat, out=dgains)",
        "dgains[...] = dy",
        "gain",
        "Copied from dbias: the gain multiplies x_hat, so its derivative is dy x_hat.",
    ),
    Bug(
        "LayerNorm",
        "dbias is dgain",
        "self.bias.add_product(ones, rows)",
        "self.bias.add_product(ones, dgains)",
        "bias",
        "Copied from dgain: the bias is added, so its derivative is dy alone.",
    ),
    Bug(
        "LayerNorm",
        "variance by C - 1",
        "x_hat, x_hat) / C",
        "x_hat, x_hat) / (C - 1)",
        "x",
        "Statistics divides by C - 1, this layer by C. Forward and backward must agree on it.",
    ),
)
