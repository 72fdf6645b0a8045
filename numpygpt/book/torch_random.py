"""PyTorch's random stream on the CPU, rebuilt in NumPy.

After ``torch.manual_seed(123)`` every weight, every dropped cell and every sampled token is fixed.
Two things make it so: a stream of 32-bit draws, and rules that turn draws into numbers.

The draws are the Mersenne twister's (Matsumoto and Nishimura, 1998). NumPy's ``RandomState`` runs
the same generator from the same seeding, so ``RandomState(seed)`` gives torch's draws in torch's
order. The rules:

==================  =====  ======================================================================
number              draws  rule
==================  =====  ======================================================================
float32 uniform       1    the low 24 bits over 2**24: as many bits as a float32 holds
float64 uniform       2    the low 53 bits of (first, second) over 2**53
int64                 2    the low 63 bits of (first, second)
normal, n >= 16       1    float32 Box-Muller in groups of 16; 16 draws more if 16 does not divide n
normal, n < 16        2    float64 Box-Muller in pairs, the second of a pair kept for the next call
one class of V       2V    a race: class i arrives after an exponential time of rate p_i
==================  =====  ======================================================================

Box and Muller (1958) turn two uniforms into two normals: a point of the plane whose angle is
uniform, and whose radius is sqrt(-2 ln u), has independent normal coordinates.

What comes out equals torch's bit for bit, except for normals of 16 or more: torch and NumPy each
approximate ln, cos and sin in float32, and differ by up to 4 units of the last of 24 bits. (Older
builds of torch with Intel's MKL drew dropout from another generator: pytorch issue 121595.)
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Shape = int | tuple[int, ...]

BLOCK = 1 << 14  # numbers made at a time: few enough to stay in cache, and a multiple of 16


class TorchRandom:
    """The numbers that torch's CPU generator gives after ``torch.manual_seed(seed)``.

    Parameters
    ----------
    seed : int
        Only its low 32 bits count, as in torch.

    Raises
    ------
    TypeError
        If seed is not an integer.
    """

    def __init__(self, seed: int) -> None:
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
            raise TypeError(f"TorchRandom: seed must be an integer, got {seed!r}")
        self._twister = np.random.RandomState(int(seed) & 0xFFFFFFFF)
        self._spare_normal: float | None = None

    def bits(self, n: int) -> npt.NDArray[np.uint32]:
        """Return the next n draws of 32 bits, shape (n,)."""
        return self._twister.randint(0, 2**32, size=n, dtype=np.uint32)

    def uniform(self, shape: Shape, low: float = 0.0, high: float = 1.0) -> npt.NDArray[np.float32]:
        """Return float32 numbers from [low, high): ``torch.rand``."""
        return self.fill_uniform(np.empty(shape, np.float32), low, high)

    def fill_uniform(
        self, out: npt.NDArray[np.float32], low: float = 0.0, high: float = 1.0
    ) -> npt.NDArray[np.float32]:
        """Fill a contiguous array with what `uniform` would return: ``Tensor.uniform_``."""
        if low > high:
            raise ValueError(f"uniform: expected low <= high, got {low} and {high}")
        low32 = np.float32(low)
        width = float(np.float32(high) - low32) * 2.0**-24
        for block in _blocks(out):
            # In float64, because torch multiplies and adds with a single rounding at the end.
            block[:] = (self.bits(block.size) & 0xFFFFFF) * width + float(low32)
        return out

    def random(self, shape: Shape, dtype: npt.DTypeLike = np.float64) -> npt.NDArray[np.float64]:
        """Return float64 numbers from [0, 1): what torch's dropout compares with 1 - p.

        Parameters
        ----------
        shape : int or tuple of int
        dtype : numpy dtype
            Accepted so that this can stand in for ``numpy.random.Generator.random``, and not
            used: torch decides in double precision, and rounding to float32 could flip a cell.

        Returns
        -------
        array of float64, of that shape
        """
        out = np.empty(shape, np.float64)
        for block in _blocks(out):
            first, second = self.bits(2 * block.size).reshape(-1, 2).T
            block[:] = ((first & 0x1FFFFF) * 2.0**32 + second) * 2.0**-53
        return out

    def normal(self, shape: Shape, mean: float = 0.0, std: float = 1.0) -> npt.NDArray[np.float32]:
        """Return float32 normal numbers: ``torch.randn``."""
        return self.fill_normal(np.empty(shape, np.float32), mean, std)

    def fill_normal(
        self, out: npt.NDArray[np.float32], mean: float = 0.0, std: float = 1.0
    ) -> npt.NDArray[np.float32]:
        """Fill a contiguous array with what `normal` would return: ``Tensor.normal_``."""
        if std < 0:
            raise ValueError(f"normal: expected std >= 0, got {std}")
        flat = _flat(out)
        if flat.size < 16:
            flat[:] = [self._next_normal() * std + mean for _ in range(flat.size)]
            return out
        remainder = flat.size % 16
        for block in _blocks(flat[: flat.size - remainder]):
            self._box_muller(block, mean, std)
        if remainder:
            # torch has drawn a uniform for every element by now; the last 16 elements, some of
            # them already made, are then made from 16 fresh draws.
            self.bits(remainder)
            self._box_muller(flat[-16:], mean, std)
        return out

    def choose(self, p: npt.NDArray[np.floating]) -> npt.NDArray[np.intp]:
        """Draw one class for every row of p: ``torch.multinomial(p, 1)``.

        Exponential arrival times q_i / p_i with q_i = -ln(1 - u) make class i the first to arrive
        with probability p_i / sum(p).

        Parameters
        ----------
        p : (..., V) array of weights >= 0; their dtype is the one torch would have seen

        Returns
        -------
        (...) array of indices into V; 0-dimensional for a single row
        """
        q = -np.log1p(-self.random(p.shape)).astype(p.dtype)
        return np.asarray(np.argmax(p / q, axis=-1))

    def random_int64(self) -> int:
        """Return an integer from [0, 2**63): ``torch.empty((), dtype=torch.int64).random_()``."""
        first, second = (int(draw) for draw in self.bits(2))
        return (first << 32 | second) % 2**63

    def epoch_order(self, n: int, shuffle: bool = True) -> npt.NDArray[np.int64]:
        """Return the order in which a ``DataLoader`` visits n samples in its next epoch.

        Every epoch takes a seed for worker processes from the stream, used or not. A shuffling
        one takes another, for a stream of its own that runs Fisher and Yates' shuffle.
        """
        self.random_int64()
        order = np.arange(n, dtype=np.int64)
        if shuffle:
            draws = TorchRandom(self.random_int64()).bits(max(n - 1, 0))
            for i, draw in enumerate(draws.tolist()):
                j = i + draw % (n - i)
                order[i], order[j] = order[j], order[i]
        return order

    def _box_muller(self, out: npt.NDArray[np.float32], mean: float, std: float) -> None:
        """Box-Muller in float32: of every 16 uniforms, 8 give radii and 8 give angles."""
        u = self.uniform(out.size).reshape(-1, 2, 8)
        # ravel: on runs of 8 numbers NumPy's float32 functions would be several times slower.
        radius = np.sqrt(np.float32(-2) * np.log(np.float32(1) - u[:, 0].ravel()))
        angle = np.float32(2 * np.pi) * u[:, 1].ravel()
        groups = out.reshape(-1, 2, 8)
        for half, direction in enumerate((np.cos(angle), np.sin(angle))):
            scaled = (radius * direction).astype(np.float64) * np.float32(std) + np.float32(mean)
            groups[:, half] = scaled.reshape(-1, 8)

    def _next_normal(self) -> float:
        """Box-Muller in float64, one number a call; every other call uses up the spare one."""
        if self._spare_normal is not None:
            value, self._spare_normal = self._spare_normal, None
            return value
        turn, u = self.random(2).tolist()
        radius, angle = math.sqrt(-2 * math.log1p(-u)), 2 * math.pi * turn
        self._spare_normal = radius * math.sin(angle)
        return radius * math.cos(angle)


def _blocks(out: npt.NDArray[Any]) -> Iterator[npt.NDArray[Any]]:
    """Yield a contiguous array in pieces of BLOCK elements, as views, in memory order."""
    flat = _flat(out)
    return (flat[start : start + BLOCK] for start in range(0, flat.size, BLOCK))


def _flat(out: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The array as one row, a view."""
    if not out.flags.c_contiguous:
        raise ValueError("TorchRandom: expected a contiguous array to fill, got a strided view")
    return out.reshape(-1)
