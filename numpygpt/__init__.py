"""GPT-2 in plain NumPy: every layer with a hand-written forward and backward pass.

The letters that all files share:

    B  sequences in a batch         C  numbers a token (channels, the embedding's width)
    T  tokens in a sequence         F  numbers inside the feed-forward, 4 C
    N  B T, all rows at once        H  attention heads
    V  tokens in the vocabulary     D  C / H, numbers a head
    L  blocks
"""

import numpygpt.parallel  # noqa: F401  (before NumPy: see there)
from numpygpt.alternatives import explain
from numpygpt.config import GPTConfig
from numpygpt.generation import generate
from numpygpt.gpt import GPT
from numpygpt.training.optim import AdamW

__all__ = ["GPT", "AdamW", "GPTConfig", "explain", "generate"]
__version__ = "0.1.0"
