"""The identities that every picture rests on, each computed, with what remains.

All in float64, on a copy of the model: what remains is rounding, or the picture is wrong.
"""

from dataclasses import dataclass

import numpy.typing as npt

from numpygpt.gpt import GPT

LIMIT = 1e-9


@dataclass(frozen=True)
class Identity:
    """One of them.

    Attributes
    ----------
    name : str
        What equals what.
    remainder : float
        The largest difference measured, relative where the numbers are large.
    limit : float
    """

    name: str
    remainder: float
    limit: float

    @property
    def holds(self) -> bool:
        """Whether the remainder is within the limit (NaN is not)."""
        return self.remainder <= self.limit


def identities(model: GPT, ids: npt.ArrayLike) -> list[Identity]:
    """Check them all for a model and a text of at least two tokens."""
    raise NotImplementedError
