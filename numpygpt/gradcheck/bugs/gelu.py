"""GELU's backward, and how it goes wrong."""

from numpygpt.gradcheck.bugs.bug import Bug

SOURCE = """
def gelu_backward(x: Array, s: Array, dy: Array, dx: Array) -> None:
    np.multiply(x, x, out=dx)
    dx *= 6 * K * A
    dx += 2 * K
    dx *= x
    slope = 1 - s
    slope *= s
    dx *= slope
    dx += s
    dx *= dy

def backward(self, dy: Array) -> Array:
    x, s = self.take_saved()
    dx = np.empty(x.shape, x.dtype)
    over_rows(gelu_backward, *(a.reshape(-1) for a in (x, s, dy, dx)))
    return dx
"""

ERF = """dx[...] = dy * (
        0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))
        + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    )
"""
BUGS = (
    Bug(
        "GELU",
        "derivative of the erf form",
        "dx *= dy\n",
        ERF,
        "x",
        "There are two GELUs, and papers differentiate the other one. They differ in the third "
        "digit, so training hides it.",
    ),
    Bug(
        "GELU",
        "3 became 2",
        "dx *= 6 * K * A",
        "dx *= 4 * K * A",
        "x",
        "x^3 has the derivative 3 x^2. The term is small: only a check in float64 shows it well.",
    ),
    Bug(
        "GELU",
        "2 forgotten",
        "dx *= 6 * K * A",
        "dx *= 3 * K * A",
        "x",
        "ds/du = 2 s (1 - s): s is half of 1 + tanh(u), and 1 - tanh(u)^2 is 4 s (1 - s).",
        also=("dx += 2 * K", "dx += K"),
    ),
    Bug(
        "GELU",
        "1 - s forgotten",
        "slope *= s",
        "pass",
        "x",
        "s' has both factors, s and 1 - s; one alone is right only where s is 1/2 or at the ends.",
    ),
    Bug(
        "GELU",
        "the slope of s forgotten",
        "dx += s\n",
        "dx[...] = s\n",
        "x",
        "y = x s has two x in it: by the product rule, dx = dy (s + x s').",
    ),
)
