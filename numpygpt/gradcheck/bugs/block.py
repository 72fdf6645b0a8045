"""Block's backward, and how it goes wrong."""

from numpygpt.gradcheck.bugs.bug import Bug

SOURCE = """
def backward(self, dy: Array) -> Array:
    dbranch = self.dropout2.backward(dy)
    dx1 = dy + self.norm2.backward(self.feedforward.backward(dbranch, self.norm2.output()))
    dbranch = self.dropout1.backward(dx1)
    return dx1 + self.norm1.backward(self.attention.backward(dbranch, self.norm1.output()))
"""

LOWER = "x norm1.gain norm1.bias attention.qkv.W attention.qkv.b attention.proj.W attention.proj.b"
BUGS = (
    Bug(
        "Block",
        "second residual dropped",
        "dx1 = dy + self.norm2",
        "dx1 = self.norm2",
        LOWER,
        "x1 is used twice in y = x1 + branch(x1), so two derivatives come back and are added.",
    ),
    Bug(
        "Block",
        "first residual dropped",
        "return dx1 + self.norm1",
        "return self.norm1",
        "x",
        "x is used twice in x1 = x + branch(x), so two derivatives come back and are added.",
    ),
    Bug(
        "Block",
        "dy for dx1",
        "return dx1 + self.norm1",
        "return dy + self.norm1",
        "x",
        "All parameters are right, and only dx is wrong: what goes past the first branch is x1's "
        "whole derivative, dx1, not dy.",
    ),
    Bug(
        "Block",
        "first residual twice",
        "return dx1 + self.norm1",
        "return dx1 + dx1 + self.norm1",
        "x",
        "One derivative for each use: x is used once outside the branch.",
    ),
)
