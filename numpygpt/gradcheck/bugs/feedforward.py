"""FeedForward's backward, and how it goes wrong."""

from numpygpt.gradcheck.bugs.bug import Bug

SOURCE = """
def backward(self, dy: Array, x: Array | None = None) -> Array:
    da = self.proj.backward(dy, self.gelu.output())
    return self.fc.backward(self.gelu.backward(da), x)
"""

BUGS = (
    Bug(
        "FeedForward",
        "GELU skipped",
        "self.gelu.backward(da)",
        "da",
        "x fc.W fc.b",
        "It has no parameters, so no optimizer misses it: every layer of the forward has its "
        "place in the backward.",
    ),
    Bug(
        "FeedForward",
        "second matrix skipped",
        "da = self.proj.backward(dy, self.gelu.output())",
        "self.proj.backward(dy, self.gelu.output()); da = dy.repeat(4, -1)",
        "x fc.W fc.b",
        "What backward returns is the dy of the layer before, and must not be dropped.",
    ),
)
