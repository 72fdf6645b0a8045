"""The check's README: its Python prints what it shows, its commands are understood."""

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import pytest

import numpygpt.gradcheck
from numpygpt.cli import main

FOLDER = Path(numpygpt.gradcheck.__file__).parent
README = (FOLDER / "README.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(.*?)```\n```\n(.*?)```\n", README, re.DOTALL)
COMMANDS = re.findall(r"^\$ numpygpt (.*)$", README, re.MULTILINE)


def test_python_prints_what_it_shows() -> None:
    """One block after the other, as a reader would run them."""
    assert len(PYTHON) == README.count("```python") >= 5
    names: dict[str, Any] = {}
    for code, printed in PYTHON:
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            exec(compile(code, "README.md", "exec"), names)
        assert output.getvalue() == printed


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_understood(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    came: list[Any] = []

    def run(*arguments: Any) -> bool:
        came.append(arguments)
        return True

    monkeypatch.setattr(numpygpt.gradcheck, "gradcheck_command", run)
    assert main(command.split()) == 0
    expected = {"gradcheck": (False, None), "gradcheck --sweep": (True, None)}
    assert came == [expected.get(command, (False, "gpt2"))]


def test_files_that_are_named_exist() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert len(COMMANDS) == 3 and len(links) >= 4
    assert all((FOLDER / link).exists() for link in links)
