"""Which words of a command line are not known, and which ones were meant."""

import argparse
import difflib
from collections.abc import Iterable, Mapping, Sequence


def meant(word: str, known: Iterable[str]) -> str:
    """What a mistyped word is likely to mean, as the end of an error; empty if nothing is near."""
    bare = {name.lstrip("-"): name for name in known}
    word = word.lstrip("-").lower()
    near = [name for name in bare if word and name.startswith(word)]
    near = near or difflib.get_close_matches(word, bare)
    return f" (did you mean {' or '.join(bare[name] for name in near[:3])}?)" if near else ""


def chosen_command(
    parser: argparse.ArgumentParser,
    commands: Mapping[str, argparse.ArgumentParser],
    words: Sequence[str],
) -> argparse.ArgumentParser:
    """The command that the first word names; without any word, the list of commands is printed."""
    if not words:
        parser.print_help()
        parser.exit()
    first, option = words[0], words[0].partition("=")[0]
    if first in commands:
        return commands[first]
    if not first.startswith("-"):
        names = ", ".join(commands)
        parser.error(f"unknown command {first!r}{meant(first, commands)}: expected {names}")
    if any(own.startswith(option) for own in options_of(parser)):
        parser.parse_args(words)  # help or the version, and the end
    if of := [name for name, command in commands.items() if option in options_of(command)]:
        parser.error(f"{option} comes after its command: numpygpt {' or '.join(of)} {option} ...")
    parser.error(f"unrecognized arguments: {first}{meant(option, [*options_of(parser), *commands])}")


def options_of(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    """A command's options by their names."""
    return parser._option_string_actions


def check_options(parser: argparse.ArgumentParser, words: Sequence[str]) -> None:
    """End with the command's usage at the first word that looks like an option and is none."""
    options = options_of(parser)
    waiting = ""  # for its value
    for word in words:
        name, equals, _ = word.partition("=")
        if name == "--":
            return
        if not looks_like_option(name):
            waiting = ""
            continue
        matches = [option for option in options if option.startswith(name)]
        if name in options or len(matches) == 1:
            action = options[name if name in options else matches[0]]
            waiting = name if action.nargs is None and not equals else ""
        elif waiting:
            parser.error(
                f"argument {waiting}: expected one argument (a value that begins with a dash: "
                f"{waiting}={word})"
            )
        else:
            parser.error(f"unrecognized arguments: {word}{meant(name, options)}")


def looks_like_option(word: str) -> bool:
    """Whether argparse would read it as one, and not as a number or a text."""
    if len(word) < 2 or not word.startswith("-") or " " in word:
        return False
    try:
        float(word)
    except ValueError:
        return True
    return False
