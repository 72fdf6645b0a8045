"""Command-line options and their help: made from a dataclass, explained by its docstring."""

import argparse
import inspect
import re
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

STANDS_FOR: dict[Any, str] = {int: "N", float: "X"}  # a value, in a help text


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
        kind: dict[str, Any] = {"type": type(value)}
        if isinstance(value, bool):
            kind = {"action": argparse.BooleanOptionalAction}
        text = f"{about.get(field.name, '')} (default: {value})"
        parser.add_argument(option, default=argparse.SUPPRESS, help=text, **kind)


def add_model(parser: argparse.ArgumentParser) -> None:
    """The two options that say which model to use."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--run", dest="folder", metavar="DIR", help="a trained run; without, the newest of runs/"
    )
    group.add_argument(
        "--model", metavar="M", help="pretrained weights: a folder, or a name such as gpt2"
    )


def described_fields(config: type) -> dict[str, str]:
    """What the "Attributes" section of a dataclass's docstring says of each field."""
    entry = r"^(\w+) : \w+\n((?:    .+\n?)+)"
    found = re.findall(entry, inspect.getdoc(config) or "", re.MULTILINE)
    texts = {name: " ".join(text.split()).rstrip(".") for name, text in found}
    return {name: text[0].lower() + text[1:].replace("%", "%%") for name, text in texts.items()}
