"""What counts as agreeing with a printed number, and that the figures are well formed."""

import numpy as np
import pytest

from numpygpt.book.figures import CHAPTERS, compare_all
from numpygpt.book.printed import Printed, compare


def agrees(text: str, computed: float) -> bool:
    return compare(Printed("ch00.x", "0.0", "a number", text), computed).agrees


@pytest.mark.parametrize(
    "text, inside, outside",
    [
        (".4421", 0.442149, 0.442152),
        ("-.0739", -0.073851, -0.073849),
        ("-.0739", -0.073949, -0.073951),
        (".0000", 0.000049, 0.000051),
        ("0.390", 0.3904, 0.3906),  # a trailing zero is printed precision, too
        ("7.4541e-05", 7.45414e-05, 7.45417e-05),
        ("48725.82", 48725.87, 48725.88),  # more digits than float32 carries
        (".20694106817245483", 0.2069412, 0.2069415),
        ("-.20694106817245483", -0.2069412, -0.2069415),
        ("163009536", 163009536, 163009537),
        ("0", 0, 1),
    ],
)
def test_half_a_unit_of_the_last_digit(text: str, inside: float, outside: float) -> None:
    assert agrees(text, inside)
    assert not agrees(text, outside)


def test_whole_numbers_are_equal_or_wrong() -> None:
    assert not agrees("582", 582.4)


def test_nan_never_agrees() -> None:
    assert not agrees(".5000", float("nan"))


def test_one_wrong_number_is_found() -> None:
    printed = Printed("ch00.x", "0.0", "a matrix", ".10 -.20 / 3 4")
    comparison = compare(printed, np.array([[0.104, -0.21], [3, 4]]))
    assert not comparison.agrees
    assert comparison.agree.tolist() == [True, False, True, True]
    assert (printed.words[1], comparison.computed[1]) == ("-.20", -0.21)
    assert comparison.difference[1] == pytest.approx(-0.01)


def test_errors_name_the_figure() -> None:
    with pytest.raises(ValueError, match=r"ch03\.scores: the book prints 6 numbers, got 2"):
        list(compare_all([("ch03.scores", [1.0, 2.0])]))
    with pytest.raises(ValueError, match=r"printed figure, got 'ch03\.nothing'"):
        list(compare_all([("ch03.nothing", [1.0])]))


def test_figures_are_well_formed() -> None:
    figures = [(chapter, f) for chapter, printed in CHAPTERS.items() for f in printed]
    assert len({figure.name for _, figure in figures}) == len(figures)
    for chapter, figure in figures:
        assert figure.name.startswith(chapter + ".")
        assert np.isfinite(figure.values).all()
        rows = [row.split() for row in figure.text.split(" / ")]
        assert len({len(row) for row in rows}) == 1, figure.name
