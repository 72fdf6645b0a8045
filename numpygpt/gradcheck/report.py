"""What a gradient check found: a table with one row an array."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """The check of one array (a parameter, or the input x).

    Attributes
    ----------
    name : str
        The parameter's name, or "x".
    shape : tuple of int
        The array's shape.
    differences : float
        The worst relative error against central differences.
    complex_step : float or None
        The worst relative error against the complex step; None where it was not asked for.
    index : tuple of int or None
        Where the worst of all is; None where a whole direction was checked.
    analytic, numeric : float
        What backward says there, and what the forward says.
    passed : bool
        Whether both errors are within their tolerances.
    """

    name: str
    shape: tuple[int, ...]
    differences: float
    complex_step: float | None
    index: tuple[int, ...] | None
    analytic: float
    numeric: float
    passed: bool

    def __str__(self) -> str:
        exact = "-" if self.complex_step is None else f"{self.complex_step:.1e}"
        line = f"  {self.name:<28} {self.shape!s:<14} {self.differences:>11.1e} {exact:>12}  "
        if self.passed:
            return line + "ok"
        where = f" at {self.index}" if self.index is not None else ""
        return line + f"WRONG{where}: backward {self.analytic:.9g}, forward {self.numeric:.9g}"


@dataclass(frozen=True)
class Report:
    """The check of a layer or a model: `passed`, `worst`, `rows`, and a table as text."""

    title: str
    rows: list[Row]

    @property
    def passed(self) -> bool:
        """Whether every array passed."""
        return all(row.passed for row in self.rows)

    @property
    def worst(self) -> Row:
        """The row that is furthest off: a wrong one, if there is any."""
        return max(self.rows, key=lambda row: (not row.passed, row.differences))

    @property
    def wrong(self) -> list[str]:
        """The names of the arrays that failed."""
        return [row.name for row in self.rows if not row.passed]

    def __str__(self) -> str:
        head = f"  {'relative error of':<28} {'shape':<14} {'differences':>11} {'complex step':>12}"
        return "\n".join([self.title, head, *map(str, self.rows)])
