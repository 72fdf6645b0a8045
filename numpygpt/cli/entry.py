"""Runs a command. What a user got wrong ends in one line and exit code 2, without a traceback."""

import argparse
import sys
from collections.abc import Sequence

from numpygpt.cli.parser import build_parser
from numpygpt.cli.streams import Output, standard_streams
from numpygpt.cli.usage import check_options, chosen_command
from numpygpt.parallel import use_threads
from numpygpt.text.printable import printable

MISTAKES = (ValueError, TypeError, IndexError, OSError, ImportError, ArithmeticError, MemoryError)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit code is 0, 1: a check failed, 2: wrong input, 130: Ctrl-C.

    A reader of the output who has enough (`| head`) ends a command early and quietly; one that
    lost something by it says so, and the code is 1.
    """
    code, message = 0, ""
    with standard_streams() as out:
        try:
            code = run(sys.argv[1:] if argv is None else argv)
            out.flush()
        except BrokenPipeError as error:
            # Not the system's own words, or of another pipe than the output.
            if error.filename not in (None, Output.name) or (error.errno is None and str(error)):
                code, message = 1, f"numpygpt: {explained(error)}"
        except KeyboardInterrupt:
            code, message = 130, "interrupted"
        except MISTAKES as error:
            code, message = 2, f"numpygpt: {explained(error)}"
        if out.warning and not message:
            code, message = code or 2, f"numpygpt: {out.warning}"
        if message:
            out.end_line()
            print(" ".join(printable(message).splitlines()), file=sys.stderr)
    return code


def run(words: Sequence[str]) -> int:
    """Read the command line and do what it says; returns the exit code."""
    try:
        parser, commands = build_parser()
        command = chosen_command(parser, commands, words)
        check_options(command, words[1:])
        args: argparse.Namespace = command.parse_args(words[1:])
    except SystemExit as exit:  # help was printed, or what is wrong
        return int(exit.code or 0)
    if "threads" in args:
        use_threads(args.threads)
        del args.threads
    code: int = args.run(args)
    return code


def explained(error: BaseException) -> str:
    """What went wrong, for a user."""
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, MemoryError):
        return f"not enough memory: {error}".removesuffix(": ")
    return str(error)
