"""A comparison as lines of text: the page's numbers, numpygpt's, the differences, the verdict.

3.4.2  context vectors, weights drawn by torch.rand, seed 123
     .2996  .8053  |  0.299606  0.805260  |  +6.0e-06  -4.0e-05  |  agrees
"""

from collections.abc import Sequence
from decimal import Decimal

from numpygpt.book.printed import Comparison

WIDTH = 100
FLOAT32_DIGITS = 9  # enough to tell any two float32 numbers apart


def computed_text(printed: str, value: float) -> str:
    """Write a computed number with two digits more than the page has, so that rounding shows."""
    number = Decimal(printed)
    if number.as_tuple().exponent == 0 and value == int(value):
        return str(int(value))
    digits = min(len(number.as_tuple().digits) + 2, FLOAT32_DIGITS)
    return f"{value:#.{digits}g}"


def difference_text(difference: float) -> str:
    """Write a difference with two digits; "0" is a true zero."""
    return f"{difference:+.1e}" if difference else "0"


def comparison_lines(comparison: Comparison, said: str | None = None) -> list[str]:
    """Lay a figure out in lines: each holds a row of the page, or an equal part of a long one.

    Parameters
    ----------
    comparison : Comparison
    said : str, optional
        The verdict to print; the printed precision decides unless it is given.
    """
    words, agree = comparison.printed.words, comparison.agree
    numbers = zip(words, comparison.computed.tolist(), comparison.difference.tolist(), strict=True)
    cells = [(word, computed_text(word, x), difference_text(by)) for word, x, by in numbers]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    n = len(comparison.printed.text.split(" / ")[0].split())
    per_line = max(k for k in range(1, n + 1) if n % k == 0 and (k == 1 or fits(k, widths)))
    lines = []
    for start in range(0, len(cells), per_line):
        part = slice(start, start + per_line)
        columns = [
            " ".join(cell.rjust(width) for cell in column)
            for column, width in zip(zip(*cells[part], strict=True), widths, strict=True)
        ]
        verdict = "agrees" if agree[part].all() else "DISAGREES"
        lines.append("     " + " | ".join([*columns, said or verdict]))
    return lines


def fits(k: int, widths: Sequence[int]) -> bool:
    """Whether k numbers a line, three times over, leave room for the verdict."""
    columns = sum(k * (width + 1) + 2 for width in widths)
    return len("     ") + columns + len("DISAGREES") <= WIDTH
