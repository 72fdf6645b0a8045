"""The parser: it accepts every story of the generator and rejects planted mistakes."""

from hypothesis import given, settings
from hypothesis import strategies as st

from numpygpt.text.parser import sentence_error, sentences, share_well_formed
from numpygpt.text.stories import stories


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32))
def test_every_story_is_well_formed(seed: int) -> None:
    for story in stories(10, seed):
        for sentence in sentences(story):
            assert sentence_error(sentence) is None, sentence


def test_share() -> None:
    assert share_well_formed(["It flew home. Cat the flew home."]) == 0.5
    assert share_well_formed([]) == 0.0
