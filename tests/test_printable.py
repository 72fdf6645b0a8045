"""What reaches a terminal: nothing that it would obey, all that a reader can see."""

import unicodedata

import pytest

from numpygpt.text.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x00\x07\x08\x7f", "␛[2J␀␇␈␡"),
        ("\x9b31m\x85", "\ufffd31m\ufffd"),  # the one-byte forms of ESC [ and of a new line
        ("a\tb\nc\r\nd", "a\tb\nc\nd"),
        ("wide\u3000space, hard\xa0space", "wide\u3000space, hard\xa0space"),
        ("👩\u200d🚀 ❤\ufe0f Où? 中文 \u202b\u05d0\u202c \ue000", None),
    ],
)
def test_what_is_shown(text: str, shown: str | None) -> None:
    assert printable(text) == (text if shown is None else shown)


def test_no_control_character_is_left_and_no_other_is_lost() -> None:
    every = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)]))
    shown = set(printable(every)) - {"\n", "\t"}
    assert shown == {c for c in every if unicodedata.category(c) != "Cc"}
