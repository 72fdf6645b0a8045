"""The `numpygpt` command: parser reads the options, commands does what they ask for."""

from numpygpt.cli.parser import main

__all__ = ["main"]
