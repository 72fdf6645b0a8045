"""The built-in stories: the same for the same seed, rich enough, and without repetitions."""

import re

import pytest

from numpygpt.text.stories import stories

MANY = stories(3000, seed=0)


def test_same_seed_same_stories() -> None:
    assert stories(50, seed=7) == stories(60, seed=7)[:50]
    assert not set(stories(50, seed=7)) & set(stories(50, seed=8))


def test_words() -> None:
    words = {word.lower() for story in MANY for word in re.findall("[A-Za-z]+", story)}
    assert 300 <= len(words) <= 500
    assert {"robin", "sparrow", "bluetit", "wing", "beak"} <= words
    text = " ".join(MANY)
    assert "manta ray" in text
    assert "parrot fish" in text


def test_hardly_a_story_comes_twice() -> None:
    assert len(set(MANY)) >= len(MANY) - 1


def test_several_sentences() -> None:
    counts = [len(re.findall(r"[.!?]", story)) for story in MANY]
    assert min(counts) >= 4
    assert max(len(story.split()) for story in MANY) <= 100


def test_negative_count() -> None:
    with pytest.raises(ValueError, match="at least 0, got -1"):
        stories(-1)
