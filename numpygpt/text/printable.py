"""What of a text may be sent to a terminal, whoever wrote it: a file, a user or a model."""

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
