"""Chapter 5: from logits to one token, by temperature and top-k.

Nine words, with made-up logits for what follows "every effort moves you". Dividing logits by a
temperature before the softmax widens their gaps (below 1) or closes them (above); top-k rules out
all but the k largest. ``numpygpt.generation`` does both for whole batches, and top-p too.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from numpygpt.book.chapter3 import Float32, softmax
from numpygpt.book.torch_random import TorchRandom


def top_k(logits: Float32, k: int) -> Float32:
    """Return the logits with all but the k largest of each row at -inf."""
    V = logits.shape[-1]
    if not 1 <= k <= V:
        raise ValueError(f"top_k: expected k from 1 to V = {V}, got {k}")
    smallest_kept = np.sort(logits, axis=-1)[..., V - k, None]
    return np.where(logits < smallest_kept, np.float32(-np.inf), logits)


def count_draws(
    logits: Float32, temperature: float, draws: int, rng: TorchRandom
) -> npt.NDArray[np.intp]:
    """Draw tokens from softmax(logits / temperature), and count each.

    Parameters
    ----------
    logits : (V,) float32
    temperature : float
        Above 0.
    draws : int
    rng : TorchRandom

    Returns
    -------
    (V,) counts, which sum to draws
    """
    if temperature <= 0:
        raise ValueError(f"count_draws: expected a temperature above 0, got {temperature}")
    p = softmax(logits / np.float32(temperature))
    tokens = rng.choose(np.broadcast_to(p, (draws, p.size)))
    return np.bincount(tokens, minlength=p.size)


def example_logits() -> Float32:
    """Return the chapter's logits, one for each of V = 9 words."""
    return np.array([4.51, 0.89, -1.90, 6.75, 1.63, -1.62, -1.89, 6.28, 1.79], np.float32)


def computed() -> Iterator[tuple[str, npt.NDArray[np.generic]]]:
    """Yield (name, numbers) for the figures of section 5.3."""
    logits = example_logits()
    for name, temperature in (("1", 1.0), ("0.1", 0.1), ("5", 5.0)):
        counts = count_draws(logits, temperature, 1000, TorchRandom(123))
        yield f"ch05.counts-temperature-{name}", counts
    yield "ch05.top-3", softmax(top_k(logits, 3))
