"""Pictures for papers and READMEs: a run's losses, one head's attention, a map of embeddings.

matplotlib draws them (the extra [plot]); nothing else in numpygpt needs it. A file's ending, .png,
.svg or .pdf, is its format, and equal numbers give equal files.
"""

from numpygpt.plot.attention import draw_attention
from numpygpt.plot.embeddings import draw_embeddings
from numpygpt.plot.losses import draw_losses

__all__ = ["draw_attention", "draw_embeddings", "draw_losses"]
