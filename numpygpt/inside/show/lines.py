"""What the panels' texts have in common."""

import textwrap

from numpygpt.inside.show.findings import Findings
from numpygpt.inside.show.terminal import Screen
from numpygpt.inside.words import token_text

ROWS = 10  # of a panel, at most: the page has all


def wrapped(screen: Screen, text: str, indent: str = "") -> str:
    """A text in lines of the screen's width."""
    return textwrap.fill(text, screen.width, initial_indent=indent, subsequent_indent=indent)


def tokens(look: Findings, screen: Screen) -> list[str]:
    """The prompt's."""
    return [screen.token(token_text(look.encoding, i)) for i in look.ids]
