"""The model's backward, and how it goes wrong."""

from numpygpt.gradcheck.bugs.bug import Bug

SOURCE = """
def backward(self, dlogits: Array | None = None) -> None:
    with np.errstate(under="ignore"):
        dx = self.norm.backward(self.head.backward(dlogits))
        for block in reversed(self.blocks):
            dx = block.backward(dx)
        dx = self.dropout.backward(dx)
        self.position_embedding.backward(dx.sum(axis=0))
        self.token_embedding.backward(dx)
"""

NORM = "dx = self.norm.backward(self.head.backward(dlogits))"
BUGS = (
    Bug(
        "GPT",
        "tied gradient counted once",
        "self.token_embedding.backward(dx)",
        "pass",
        "token_embedding.W",
        "A tied matrix is used by the embedding and by the head, and both add to its gradient.",
    ),
    Bug(
        "GPT",
        "position embedding of one sequence",
        "dx.sum(axis=0)",
        "dx[0]",
        "position_embedding.W",
        "Every sequence of the batch reads the same positions: a batch of one hides it.",
    ),
    Bug(
        "GPT",
        "position embedding averaged",
        "dx.sum(axis=0)",
        "dx.mean(axis=0)",
        "position_embedding.W",
        "The mean belongs to the loss; what is read by all sequences sums over them.",
    ),
    Bug(
        "GPT",
        "a norm's gain off by 1.00001",
        NORM,
        NORM + "; self.norm.gain.grad[...] *= 1.00001",
        "norm.gain",
        "Nobody writes it: it shows how small an error the check still sees.",
    ),
)
