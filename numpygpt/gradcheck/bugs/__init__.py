"""The classic bugs of each layer: the line as it should be, and as it goes wrong.

    for bug in BUGS: print(bug, bug.right, bug.wrong, bug.why)
    planted(LayerNorm(7), bug)      a copy of the layer that has the bug

Each file has the functions of one layer that the bugs are in, as they stand in the layer's own
file (tests hold them to that, but for docstrings and comments). They are kept here a second time
because a reader may have changed the layer: which mistake it is can then be told by what the bugs
do to a layer that is right.
"""

from numpygpt.gradcheck.bugs import (
    attention,
    block,
    dropout,
    embedding,
    feedforward,
    gelu,
    gpt,
    head,
    layernorm,
    linear,
)
from numpygpt.gradcheck.bugs.bug import Bug
from numpygpt.gradcheck.bugs.plant import SOURCES, known, planted

BUGS: tuple[Bug, ...] = (
    *linear.BUGS,
    *embedding.BUGS,
    *layernorm.BUGS,
    *gelu.BUGS,
    *dropout.BUGS,
    *attention.BUGS,
    *feedforward.BUGS,
    *block.BUGS,
    *head.BUGS,
    *gpt.BUGS,
)

__all__ = ["BUGS", "SOURCES", "Bug", "known", "planted"]
