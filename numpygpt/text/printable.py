"""What of a text may be sent to a terminal, whoever wrote it, and how much room it takes there."""

import unicodedata

# A terminal obeys control characters (ESC begins a command), so each is shown as the symbol that
# Unicode has for it, such as ␛. Lines and tabs stay; the CR of a Windows text's CR LF is dropped.
_SHOWN: dict[int, int | None] = {c: 0x2400 + c for c in range(32)}
_SHOWN |= {127: 0x2421} | dict.fromkeys(range(128, 160), 0xFFFD)
_SHOWN |= {ord("\n"): ord("\n"), ord("\t"): ord("\t"), ord("\r"): None}


def printable(text: str) -> str:
    """The text without what would act on a terminal instead of being seen there.

    All else stays: letters of every script, wide spaces, the invisible joiners inside an emoji.
    Each character is judged alone, so a text may be shown piece by piece.
    """
    return text.translate(_SHOWN)


def columns_of(text: str) -> int:
    """How many columns it takes: wide letters two, what is put over others or unseen none."""
    return sum(
        0
        if unicodedata.combining(c) or unicodedata.category(c) in ("Cf", "Mn")
        else 1 + (unicodedata.east_asian_width(c) in "WF")
        for c in text
    )


def percent(p: float) -> str:
    """A share in at most six columns; one that is not 0 or 1 does not look so."""
    if 0 < p < 0.0005:
        return "<0.1%"
    return ">99.9%" if 0.9995 <= p < 1 else f"{p:.1%}"
