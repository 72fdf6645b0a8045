"""Pictures of text: bars, heat maps and tables, of any width, with or without UTF-8, uncoloured.

All of them measure a text by the columns that it takes on a terminal: two for wide letters, none
for those that are put over others.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from numpygpt.layers.base import Array
from numpygpt.text.printable import columns_of

EIGHTHS = " ▏▎▍▌▋▊▉█"
LEVELS = (0.03, 0.12, 0.3, 0.6)  # from where on a share has the next darker shade
SHADES, PLAIN_SHADES = " ░▒▓█", " .:*#"


@dataclass(frozen=True)
class Screen:
    """A terminal of so many columns; plain: one that has ASCII only."""

    width: int
    plain: bool = False

    def fit(self, text: str, width: int, right: bool = False) -> str:
        """The text in exactly so many columns, cut or filled up."""
        if columns_of(text) > width:
            end = "~" if self.plain else "…"
            while columns_of(text) > width - 1:
                text = text[:-1]
            text += end
        room = " " * (width - columns_of(text))
        return room + text if right else text + room

    def token(self, text: str) -> str:
        """A token, so that its space and its line ends can be seen."""
        space, line, tab = "_\\\\" if self.plain else "·⏎⇥"
        bare = text.lstrip(" ")
        shown = space * (len(text) - len(bare)) + bare
        if self.plain:
            shown = shown.replace("\ufffd", "?").encode("ascii", "backslashreplace").decode()
        return shown.replace("\n", line + "n" * self.plain).replace("\t", tab + "t" * self.plain)

    def bar(self, share: float, width: int) -> str:
        """A bar that takes a share of so many columns."""
        eighths = round(max(0.0, min(1.0, share)) * width * 8)
        if self.plain:
            return ("#" * round(eighths / 8)).ljust(width)
        full, rest = divmod(eighths, 8)
        return ("█" * full + EIGHTHS[rest] * (rest > 0)).ljust(width)

    def bars(self, rows: Sequence[tuple[str, float, str]], most: float | None = None) -> list[str]:
        """Name, bar and number in each line; where some are below 0, bars grow from the middle."""
        names = min(max(columns_of(name) for name, _, _ in rows), self.width // 3)
        numbers = max(len(number) for _, _, number in rows)
        room = max(4, min(44, self.width - names - numbers - 4))
        top = most or max(max(abs(value) for _, value, _ in rows), 1e-12)
        below = any(value < 0 for _, value, _ in rows)
        half = (room - 1) // 2
        lines = []
        for name, value, number in rows:
            bar = self.bar(abs(value) / top, half if below else room)
            if below:
                middle, blank = "|" if self.plain else "│", " " * half
                left = self.bar(-value / top, half).rstrip()
                left = ("#" if self.plain else "█") * len(left)  # eighths would grow rightwards
                bar = f"{left.rjust(half)}{middle}{blank}" if value < 0 else blank + middle + bar
            lines.append(f"  {self.fit(name, names)} {bar} {number.rjust(numbers)}")
        return lines

    def heat(self, rows: Array, names: Sequence[str]) -> list[str]:
        """A line for each row of shares, a character for each; the last ones, if too many."""
        label = min(max(map(columns_of, names)), 10)
        room = self.width - label - 4
        shades = PLAIN_SHADES if self.plain else SHADES
        edge = "|" if self.plain else "│"
        lines = []
        for name, row in zip(names, rows[:, -room:], strict=True):
            cells = "".join(shades[i] for i in np.searchsorted(LEVELS, row, side="right"))
            lines.append(f"  {self.fit(name, label)}{edge}{cells}{edge}")
        return lines

    def table(self, rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
        """Columns as wide as they need; the first `left` of them begin at the left, and may be cut.

        Columns for which there is no room are left out, the last ones first.
        """
        widths = [max(columns_of(row[i]) for row in rows) for i in range(len(rows[0]))]
        shortest = min(widths[0], 12)
        while shortest + 2 + sum(w + 2 for w in widths[1:]) > self.width and len(widths) > 2:
            widths.pop()
        widths[0] = min(widths[0], max(1, self.width - 2 - sum(w + 2 for w in widths[1:])))
        widths[1] = min(widths[1], self.width - 4 - widths[0])
        return [
            "  "
            + "  ".join(
                self.fit(cell, width, right=i >= left)
                for i, (cell, width) in enumerate(zip(row, widths, strict=False))
            ).rstrip()
            for row in rows
        ]
