"""`numpygpt generate --explain`: a line for each token drawn, and then the text.

      drawn                   p  it could have been
      ' found'           >99.9%
    * ' goat'             20.1%  ' robin' 62.3%  ' owl' 9.8%  ... 7.8%

A token is written as Python writes a text, or bytes where it is only a part of a character: spaces
and control characters are seen, and nothing acts on a terminal. The star marks a token that was
not the most probable one; behind the three dots is what all others have together.
"""

import shutil
import textwrap
from collections.abc import Callable, Iterable, Iterator
from itertools import tee

import tiktoken

from numpygpt.alternatives import Drawn
from numpygpt.text.printable import columns_of, percent

MOST = 12  # other tokens, where a terminal is wide enough
NARROW = 60  # columns, below which a token has less room
ROUNDED = 0.0005  # what is less would be shown as 0.0%
REST = len("  ... 99.9%")  # for which a wide line keeps room


def print_explained(
    steps: Iterator[Drawn],
    samples: int,
    encoding: tiktoken.Encoding,
    prompt: str,
    show: Callable[[str], str],
    what_p_is: str,
) -> None:
    """Print the first sequence's tokens as they come, then its text; then the others."""
    columns = max(30, shutil.get_terminal_size().columns) - 1  # writing in the last may move on
    print(textwrap.fill(what_p_is, columns))
    for row in range(samples):
        own, steps = tee(steps)  # the first row's come as they are drawn, and are kept for others
        if row:
            print("---")
        print(_line("  drawn", "p", "it could have been", columns)[:columns])
        tokens = _print_lines(own, row, encoding, columns)
        text = encoding.decode([i for i in tokens if i != encoding.eot_token], errors="replace")
        print(show(f"\n{prompt}{text}"), flush=True)


def _print_lines(
    steps: Iterable[Drawn], row: int, encoding: tiktoken.Encoding, columns: int
) -> list[int]:
    """One sequence's lines, up to its end; returns its tokens."""
    tokens: list[int] = []
    for step in steps:
        if tokens[-1:] != [encoding.eot_token]:  # else another sequence goes on
            tokens.append(int(step.ids[row]))
            print(explained(step, row, encoding, columns), flush=True)
    return tokens


def describe_p(temperature: float, top_k: int | None, top_p: float | None) -> str:
    """Of which distribution the probabilities are."""
    if temperature == 0:
        return "temperature 0 takes the most probable token; p is what the model itself says"
    given = {"temperature": temperature, "top-k": top_k, "top-p": top_p}
    after = ", ".join(f"{name} {x:g}" for name, x in given.items() if x is not None)
    return f"p is what tokens were drawn from: the model's, after {after}"


def explained(step: Drawn, row: int, encoding: tiktoken.Encoding, columns: int) -> str:
    """A line of at most that many columns: the drawn token, and as many others as fit."""
    own, p = int(step.ids[row]), float(step.p[row])
    room = _room(columns)
    mark = "* " if p < step.candidates_p[row, 0] else "  "
    line, left = _line(mark + _cut(written(encoding, own), room), percent(p), "", columns), 1 - p
    for other, its_p in zip(step.candidates[row], step.candidates_p[row].tolist(), strict=True):
        if its_p < ROUNDED:
            break
        if other == own:
            continue
        more = f"{_cut(written(encoding, int(other)), room)} {percent(its_p)}  "
        if columns_of(line + more) + REST * (columns >= NARROW) > columns + 2:  # two spaces may go
            break
        line, left = line + more, left - its_p
    rest = f"... {percent(left)}"
    return (
        line + rest if left >= ROUNDED and columns_of(line + rest) <= columns else line
    ).rstrip()


def written(encoding: tiktoken.Encoding, token: int) -> str:
    """A token, so that all of it is seen."""
    data = encoding.decode_single_token_bytes(token)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return repr(data)
    return text if token in encoding._special_tokens.values() else repr(text)


def _room(columns: int) -> int:
    """How many columns there are for a token."""
    return 10 if columns < NARROW else 18


def _line(token: str, p: str, others: str, columns: int) -> str:
    padding = " " * (_room(columns) + 2 - columns_of(token))
    return f"{token}{padding} {p:>6}  {others}"


def _cut(text: str, room: int) -> str:
    """The text, or its beginning and three dots."""
    if columns_of(text) <= room:
        return text
    while columns_of(text) > room - 3:
        text = text[:-1]
    return text + "..."
