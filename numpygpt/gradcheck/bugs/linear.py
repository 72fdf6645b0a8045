"""Linear's backward, and how it goes wrong."""

from numpygpt.gradcheck.bugs.bug import Bug

SOURCE = """
def backward(self, dy: Array, x: Array | None = None) -> Array:
    (saved,) = self.take_saved()
    x = saved if x is None else x
    if x is None:
        raise ValueError("Linear.backward: expected x, for forward was told not to save it")
    I, O = self.W.shape
    dy_rows = dy.reshape(-1, O)
    self.W.add_product(x.reshape(-1, I).T, dy_rows)
    if self.b is not None:
        self.b.add_product(np.ones(len(dy_rows), dy.dtype), dy_rows)
    return (dy_rows @ self.W.data.T).reshape(*dy.shape[:-1], I)
"""

DW = "self.W.add_product(x.reshape(-1, I).T, dy_rows)"
BUGS = (
    Bug(
        "Linear",
        "dW transposed",
        DW,
        "self.W.add_product(dy_rows.T, x.reshape(-1, I))",
        "W",
        "dy^T x is as easily written as x^T dy, and a square W lets it pass: use I and O that "
        "differ, and dW must have W's shape.",
    ),
    Bug(
        "Linear",
        "dW off by 1.00001",
        DW,
        "self.W.add_product(x.reshape(-1, I).T, 1.00001 * dy_rows)",
        "W",
        "Nobody writes it: it shows how small an error the check still sees.",
    ),
    Bug(
        "Linear",
        "dW overwritten",
        DW,
        "self.W.grad[...] = x.reshape(-1, I).T @ dy_rows",
        "W",
        "Right for one pass. A second pass before the gradients are set back to 0 must add "
        "to the first (+=), as a matrix that is used twice needs.",
    ),
    Bug(
        "Linear",
        "dW added to leftovers",
        DW,
        "self.W._grad = self.W.take_room() if self.W._grad is None else self.W._grad; " + DW,
        "W",
        "Memory for a gradient (np.empty, room) holds anything: the first pass must set it, not "
        "add to it.",
    ),
    Bug(
        "Linear",
        "db forgotten",
        "self.b.add_product(np.ones(len(dy_rows), dy.dtype), dy_rows)",
        "pass",
        "b",
        "b is easily overlooked, for it starts as 0 and training goes on without its gradient: "
        "every parameter of the forward needs a line in the backward.",
    ),
    Bug(
        "Linear",
        "db averaged",
        "np.ones(len(dy_rows), dy.dtype)",
        "np.ones(len(dy_rows)) / len(dy_rows)",
        "b",
        "The mean over the batch belongs to the loss, whose 1/N is in dy already: here the rows "
        "are summed.",
    ),
    Bug(
        "Linear",
        "W not transposed for dx",
        "dy_rows @ self.W.data.T",
        "dy_rows @ self.W.data",
        "x",
        "It runs if W is square. dx[n,i] sums over o, W's second index: so W^T.",
    ),
)
