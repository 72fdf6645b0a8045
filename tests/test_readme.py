"""The README's Python sessions print what they say."""

import doctest
from pathlib import Path


def test_the_sessions_run_as_printed() -> None:
    readme = Path(__file__).parent.parent / "README.md"
    failures, tried = doctest.testfile(str(readme), module_relative=False)
    assert tried >= 10 and failures == 0
