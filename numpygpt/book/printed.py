"""Numbers on a page, and how a computed number is said to agree with one.

A printed number carries its own precision: .4421 stands for anything from .44205 to .44215, so a
computed number agrees if it is at most half a unit of the last digit away. The page's text is
therefore kept as text, and both the value and the unit are read off it. Two rules complete this:

- Whole numbers (token ids, counts) must be equal.
- float32 carries 7 digits, and a sum of float32 numbers depends on the order of its terms, which
  differs between torch and NumPy. So a millionth of the value is granted on top. It decides only
  where a true value lies on a rounding edge, or where the page prints more than 6 digits.
"""

from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt

FLOAT32_TOLERANCE = 1e-6  # relative; about eight rounding errors of float32


@dataclass(frozen=True)
class Printed:
    """What the book prints in one place.

    Attributes
    ----------
    name : str
        "ch03.v1": the chapter's name on the command line, then the figure's own.
    section : str
        Where, such as "3.4.2".
    what : str
        What the numbers are, in a few words.
    text : str
        The numbers as printed, apart by spaces; a slash between spaces ends a row.
    """

    name: str
    section: str
    what: str
    text: str

    @property
    def words(self) -> list[str]:
        """The numbers as printed, row after row."""
        return [word for word in self.text.split() if word != "/"]

    @property
    def values(self) -> npt.NDArray[np.float64]:
        """The numbers, flat, row after row."""
        return np.array([float(word) for word in self.words])

    @property
    def tolerance(self) -> npt.NDArray[np.float64]:
        """How far a computed number may be from each of `values`."""
        exponents = [int(Decimal(word).as_tuple().exponent) for word in self.words]
        half_unit = np.array([0.5 * 10.0**exponent for exponent in exponents])
        is_whole = np.array([exponent >= 0 for exponent in exponents])
        return np.where(is_whole, 0.0, half_unit + FLOAT32_TOLERANCE * np.abs(self.values))


@dataclass(frozen=True)
class Comparison:
    """A printed figure beside the computed numbers; made by `compare`."""

    printed: Printed
    computed: npt.NDArray[np.float64]

    @property
    def difference(self) -> npt.NDArray[np.float64]:
        """Computed minus printed, number by number."""
        return self.computed - self.printed.values

    @property
    def agree(self) -> npt.NDArray[np.bool_]:
        """Number by number, whether it agrees at the printed precision. NaN never does."""
        return np.abs(self.difference) <= self.printed.tolerance

    @property
    def agrees(self) -> bool:
        """Whether every number agrees."""
        return bool(self.agree.all())


def compare(printed: Printed, computed: npt.ArrayLike) -> Comparison:
    """Put computed numbers beside the printed ones.

    Parameters
    ----------
    printed : Printed
    computed : array of any shape, with as many numbers as are printed, in the page's order

    Raises
    ------
    ValueError
        If the number of numbers differs.
    """
    flat = np.asarray(computed, np.float64).reshape(-1)
    if flat.size != len(printed.words):
        raise ValueError(
            f"{printed.name}: the book prints {len(printed.words)} numbers, got {flat.size}"
        )
    return Comparison(printed, flat)
