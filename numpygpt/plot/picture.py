"""What all pictures share: how matplotlib is found, colours, fonts, and a file that is whole."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from numpygpt.files.whole import user_path, write_whole

FORMATS = (".png", ".svg", ".pdf")
DPI, FONT = 160, "DejaVu Sans"  # which comes with matplotlib
# Okabe and Ito's colours, which differ to colour-blind eyes, too, without the two palest.
BLUE, ORANGE, GREEN, RED, PURPLE, SKY = COLOURS = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9",
)  # fmt: skip
INK, GREY, PALE = "#222222", "#5c6770", "#d9dde0"
STYLE = {
    "font.family": FONT,
    "font.size": 10,
    "text.color": INK,
    "text.parse_math": False,  # a token may be a dollar
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "savefig.dpi": "figure",
    "svg.hashsalt": "numpygpt",
    "svg.fonttype": "path",
}


def format_of(path: str | Path) -> str:
    """The ending of a picture's file; ValueError unless it is one of FORMATS."""
    ending = user_path(path).suffix.lower()
    if ending not in FORMATS:
        raise ValueError(f"{path}: expected a file's name that ends in {', '.join(FORMATS)}")
    return ending


@contextmanager
def picture(path: str | Path, size: tuple[float, float]) -> Iterator[Any]:
    """For a `with` block: an empty figure of a size in inches, which is written at the end."""
    ending = format_of(path)
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"a picture needs matplotlib ({error}): pip install 'numpygpt[plot]', or in its source "
            "folder pip install -e '.[plot]'"
        ) from None
    with matplotlib.rc_context(STYLE):
        figure = Figure(size, DPI, layout="constrained")  # without pyplot: no window
        yield figure
        undated = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(ending)
        data = io.BytesIO()
        figure.savefig(data, format=ending[1:], facecolor="white", metadata=undated)
    write_whole(user_path(path), data.getvalue())


def shown(text: str) -> str:
    r"""A text in which the font has every character; others come as \u4e2d."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    font = get_font(findfont(FontProperties(family=FONT)))
    lacks = {c for c in text if not (c.isprintable() and font.get_char_index(ord(c)))}
    return "".join(ascii(c)[1:-1] if c in lacks else c for c in text)
