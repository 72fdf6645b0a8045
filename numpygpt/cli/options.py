"""Command-line options: values, read strictly, and help, from a dataclass's docstring."""

import argparse
import inspect
import math
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

from numpygpt.cli.usage import meant
from numpygpt.config import PRESETS


def whole(text: str) -> int:
    """An option's whole number, which an array could count."""
    try:
        value = int(text)
    except ValueError:
        value = 2**63
    if abs(value) < 2**63:
        return value
    raise argparse.ArgumentTypeError(f"expected a whole number below 2^63, got {text[:40]!r}")


def number(text: str) -> float:
    """An option's number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if math.isfinite(value):
        return value
    raise argparse.ArgumentTypeError(f"expected a finite number, got {text[:40]!r}")


def path(text: str) -> str:
    """An option's path, or the name of a model; a shell leaves the ~ in --data=~/text.txt."""
    if not text:
        raise argparse.ArgumentTypeError("expected a path, got an empty text")
    return os.path.expanduser(text)


def one_of(what: str, names: Sequence[str], else_: str = "") -> Callable[[str], str]:
    """What reads one of these names."""

    def read(text: str) -> str:
        if text in names:
            return text
        expected = f"expected one of {', '.join(names)}{meant(text, names)}{else_}"
        raise argparse.ArgumentTypeError(f"unknown {what} {text!r}: {expected}")

    return read


def layer_and_head(text: str) -> tuple[int, int]:
    """A head's name, such as 4.11: block 4, head 11."""
    if named := re.fullmatch(r"([0-9]{1,9})\.([0-9]{1,9})", text):
        return int(named[1]), int(named[2])
    raise argparse.ArgumentTypeError(f"expected BLOCK.HEAD, such as 0.3, got {text[:40]!r}")


VALUES: dict[Any, Any] = {int: whole, float: number}
STANDS_FOR: dict[Any, str] = {whole: "N", number: "X"}  # a value, in a help text
preset = one_of("preset", list(PRESETS))


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Adds the default to an option's help where there is one; a number is N or X."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default in (None, False, ""):
            return action.help
        return super()._get_help_string(action)

    def _get_default_metavar_for_optional(self, action: argparse.Action) -> str:
        return STANDS_FOR.get(action.type, "TEXT")


def add_fields(parser: Any, config: Any, but: Sequence[str] = ()) -> None:
    """An option for each field of a dataclass instance; one that is not given is not in `args`."""
    about = described_fields(type(config))
    for field in fields(config):
        if field.name in but:
            continue
        option, value = "--" + field.name.replace("_", "-"), getattr(config, field.name)
        kind: dict[str, Any] = {"type": VALUES.get(type(value))}
        if isinstance(value, bool):
            kind = {"action": argparse.BooleanOptionalAction}
        text = f"{about.get(field.name, '')} (default: {value})"
        parser.add_argument(option, default=argparse.SUPPRESS, help=text, **kind)


def add_path(parser: Any, name: str, metavar: str, help: str, **more: Any) -> None:
    """An option, or a word, that is a path."""
    parser.add_argument(name, metavar=metavar, type=path, help=help, **more)


def add_model(parser: Any, without: str = "; without, the newest of runs/") -> Any:
    """The two options that say which model to use; returns their group, of which one is given."""
    group = parser.add_mutually_exclusive_group()
    add_path(group, "--run", "DIR", f"a trained run's folder{without}", dest="folder")
    any_model = "any model: a run's folder, one of pretrained weights, or a name such as gpt2"
    add_path(group, "--model", "M", any_model)
    return group


def described_fields(config: type) -> dict[str, str]:
    """What the "Attributes" section of a dataclass's docstring says of each field."""
    entry = r"^(\w+) : \w+.*\n((?:    .+\n?)+)"
    found = re.findall(entry, inspect.getdoc(config) or "", re.MULTILINE)
    texts = {name: " ".join(text.split()).rstrip(".") for name, text in found}
    return {name: text[0].lower() + text[1:].replace("%", "%%") for name, text in texts.items()}
