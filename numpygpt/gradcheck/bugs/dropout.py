"""Dropout's backward, and how it goes wrong."""

from numpygpt.gradcheck.bugs.bug import Bug

SOURCE = """
def backward(self, dy: Array) -> Array:
    (keep,) = self.take_saved()
    return self.apply(dy, keep)
"""

BUGS = (
    Bug(
        "Dropout",
        "new mask in backward",
        "(keep,) = self.take_saved()",
        "self.take_saved(); keep = self.draw_keep(dy.shape)",
        "x",
        "Backward must use the forward's mask: what was dropped has derivative 0.",
    ),
    Bug(
        "Dropout",
        "not scaled in backward",
        "return self.apply(dy, keep)",
        "return dy * keep",
        "x",
        "y = x keep / (1 - p): the scale is part of the forward, so of the backward.",
    ),
    Bug(
        "Dropout",
        "mask forgotten",
        "return self.apply(dy, keep)",
        "return dy / (1 - self.p)",
        "x",
        "Only what was kept passes its derivative on.",
    ),
)
