"""The `numpygpt` command: parser has the options, commands what they do, entry runs it."""

from numpygpt.cli.entry import main

__all__ = ["main"]
