"""Embedding's backward, and how it goes wrong."""

from numpygpt.gradcheck.bugs.bug import Bug

SOURCE = """
def backward(self, dy: Array) -> None:
    (ids,) = self.take_saved()
    dW = self.W.grad
    for v, row in zip(ids.reshape(-1).tolist(), dy.reshape(-1, self.W.shape[1]), strict=True):
        dW[v] += row
"""

BUGS = (
    Bug(
        "Embedding",
        "repeated ids lost",
        "dW[v] += row",
        "dW[v] = row",
        "W",
        "grad[ids] += dy looks like adding, and keeps one row for each id: try ids with a repeat. "
        "np.add.at adds all.",
    ),
    Bug(
        "Embedding",
        "rows of the wrong order",
        "dy.reshape(-1, self.W.shape[1])",
        "dy.reshape(-1, self.W.shape[1])[::-1]",
        "W",
        "Ids and rows of dy must be walked in the same order.",
    ),
)
