"""The parser: it accepts every story of the generator, and rejects every mistake planted in one."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numpygpt.text.parser import (
    sentence_error,
    sentences,
    share_well_formed,
    share_well_formed_stories,
    story_error,
)
from numpygpt.text.stories import stories

LOST = (
    "One windy day, Lily lost her silver key in the forest. "
    "She was sad and looked for it under the bush. "
    "A robin heard her. "
    '"I have two wings, so I can fly over the hill," said the robin. '
    "The robin flew over the hill, found the key near the gate and brought it back to her. "
    "Lily thanked it and gave it some seeds. "
    "Soon, she opened the box with the silver key."
)
BORROWED = (
    "One cold day, Tom wanted to paint the wall, but he had no brush. "
    "He asked his cousin Ruth for help. "
    '"Can I borrow your brush?" he asked. '
    '"Yes," said Ruth, "but bring it back before dinner." '
    "She gave him an old brush. "
    "Tom used the brush to paint the wall. "
    "That night, he gave the old brush back to her. "
    "Ruth made a soup with beans and carrots, and they ate it together."
)
RIDDLE = (
    "Mia walked to the sea with her uncle. "
    '"I am thinking of an animal," said Mia. '
    '"It has fins," said Mia, "and it eats seaweed." '
    '"Is it a sparrow?" asked her uncle. '
    '"No, a sparrow has no fins," she said. '
    '"Then it is a parrot fish," said her uncle. '
    '"Yes, you are right," said Mia, and they laughed.'
)
HURT = (
    "One warm day, Omar found a little bluetit in the garden. "
    "It had a hurt wing and could not fly. "
    "He took the bluetit to his aunt. "
    "Every day, he washed the wing and gave the bluetit some nuts. "
    "After a week, its wing was strong again, and the bluetit could fly. "
    "It flew over the roof, and Omar was happy."
)
HERD = (
    "A farmer named Ada had three cows and a dog. "
    "One rainy night, the gate was open, and the cows were gone. "
    "The dog ran through the forest and found them by the river. "
    "The farmer thanked the dog and gave it some bones. "
    "Then she mended the gate with a hammer."
)
# A story, what is changed in it into what, the sentence that is wrong then, and why.
MISTAKES = [
    (LOST, "lost her", "lost his", 1, r"expected a pronoun of she \(Lily\), got he"),
    (LOST, "She was", "He was", 2, "got he"),
    (LOST, "She was", "They was", 2, "expected a verb, got was"),
    (LOST, "A robin", "An robin", 3, "fits 'an', got robin"),
    (LOST, "A robin", "A dragon", 3, "expected a noun, got dragon"),
    (LOST, "A robin", "The robin", 3, "got robin"),
    (LOST, "heard her.", "heard her", 3, 'got "'),
    (LOST, "heard her", "hears her", 3, "expected a verb, got hears"),
    (LOST, "I have two wings", "I have fins", 4, r"what a robin has \(wing, .*\), got fin"),
    (LOST, "I have two wings", "I have four wings", 4, "got 'four'"),
    (LOST, "I have two wings", "I has two wings", 4, "got has"),
    (LOST, "I have two wings", "I have a beak", 4, "a part to fly with, got beak"),
    (LOST, "robin flew over the hill", "robin swam across the sea", 5, "can do .*got swim"),
    (LOST, "The robin flew", "The sparrow flew", 5, r"of the story \(robin\), got sparrow"),
    (LOST, "found the key", "found the hat", 5, r"of the story \(key\), got hat"),
    (LOST, "back to her", "back to him", 5, "got he"),
    (LOST, "Lily thanked", "Nora thanked", 6, "expected one of Lily, got Nora"),
    (LOST, "some seeds", "some bones", 6, "food for a robin, got bones"),
    (LOST, "the silver key", "the golden key", 7, "expected the silver key, got the golden key"),
    (LOST, "opened the box", "painted the door", 7, "expected a tool to paint the door, got key"),
    (LOST, "near the gate and brought it back to her", "near the gate", 7, "robin to have the key"),
    (BORROWED, "an old brush", "a old brush", 5, "fits 'a', got old"),
    (BORROWED, "She gave him", "He gave her", 6, "expected Ruth to have the brush, got Tom"),
    (BORROWED, "the brush to paint", "the brush to sweep", 6, "got wall"),
    (BORROWED, "with beans", "with honey", 8, "a part of a soup, got honey"),
    (BORROWED, "ate it", "ate her", 8, "got her"),
    (RIDDLE, "a parrot fish", "a manta ray", 6, "food for a manta ray, got seaweed"),
    (RIDDLE, "a parrot fish", "a turtle", 6, "what a turtle has .* got fin"),
    (
        RIDDLE,
        "a sparrow has no fins",
        "a robin has no fins",
        5,
        r"the guess \(sparrow\), got robin",
    ),
    (RIDDLE, "a sparrow has no fins", "a sparrow has no beak", 5, "a sparrow lacks .* got beak"),
    (RIDDLE, "said her uncle", "said his uncle", 6, r"of she \(Mia\), .* got he"),
    (HURT, "little bluetit in the garden", "little bluetit in the sea", 1, "bluetit lives"),
    (HURT, "hurt wing", "hurt tail", 2, "a part to fly with, got tail"),
    (HURT, "its wing", "its beak", 5, "got beak"),
    (HURT, "washed the wing", "washed the tail", 4, "expected the wing, got tail"),
    (HURT, "It flew", "It hopped", 6, "got over"),
    (HERD, "the cows were", "the cows was", 2, "got was"),
    (HERD, "the cows were", "the horses were", 2, "got horse"),
    (HERD, "found them", "found him", 3, "got him"),
    (HERD, "The dog ran", "The dogs ran", 3, "expected 1 dog, got 2 dog"),
    (HERD, "The farmer", "The baker", 4, "got baker"),
    (HERD, "with a hammer", "with a needle", 5, "expected a tool to mend the gate, got needle"),
]


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32))
def test_every_story_is_well_formed(seed: int) -> None:
    for story in stories(20, seed):
        assert story_error(story) is None


@pytest.mark.parametrize("story", [LOST, BORROWED, RIDDLE, HURT, HERD])
def test_these_stories_are_well_formed(story: str) -> None:
    assert story_error(story) is None


@pytest.mark.parametrize(("story", "old", "new", "number", "reason"), MISTAKES)
def test_planted_mistake_is_named(story: str, old: str, new: str, number: int, reason: str) -> None:
    assert story.count(old) >= 1
    mistake = story_error(story.replace(old, new, 1))
    assert mistake is not None, new
    assert mistake.number == number, mistake
    with pytest.raises(ValueError, match=reason):
        raise ValueError(mistake.reason)


def test_a_changed_sentence_is_named() -> None:
    rng = random.Random(0)
    for story in stories(100, seed=3):
        told = sentences(story)
        number = rng.randrange(len(told))
        told[number] = "The the robin flew."
        mistake = story_error(" ".join(told))
        assert mistake is not None
        assert mistake.number == number + 1


def test_shuffled_words_are_rejected() -> None:
    rng = random.Random(0)
    accepted = 0
    told = [sentence for story in stories(150, seed=4) for sentence in sentences(story)]
    for sentence in told:
        words = sentence[:-1].split()
        shuffled = words.copy()
        while shuffled == words and len(set(words)) > 2:
            rng.shuffle(shuffled)
        text = " ".join(shuffled)
        accepted += sentence_error(text[0].upper() + text[1:] + sentence[-1]) is None
    assert accepted <= 0.02 * len(told), f"{accepted} of {len(told)}"


@pytest.mark.parametrize(
    "text",
    ["", " ", ".", '"', "?", "A", "One", "\n", "it flew home.", "It flew home", "It flew  home.",
     "It flew home .", " It flew home.", "It flew home..", '"It flew home.', "It Flew home.",
     "\ufffd", "It flew home.\n", "IT FLEW HOME.", '"I can fly" said Tom.', "Ж."],
)  # fmt: skip
def test_no_sentence(text: str) -> None:
    assert sentence_error(text) is not None
    assert story_error(text) is not None


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=60))
def test_any_text_is_judged(text: str) -> None:
    errors, mistake = [sentence_error(sentence) for sentence in sentences(text)], story_error(text)
    assert share_well_formed([text]) == errors.count(None) / len(errors)
    assert share_well_formed_stories([text]) == (mistake is None)
    if any(errors):  # the first sentence that is wrong by itself, or one before that fits no story
        first = next(number for number, error in enumerate(errors, 1) if error)
        assert mistake is not None and mistake.number <= first


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 999), st.data())
def test_a_story_cut_anywhere_is_judged(seed: int, data: st.DataObject) -> None:
    story = stories(1, seed)[0]
    cut = data.draw(st.integers(0, len(story) - 1))
    half = sentences(story[:cut])
    whole = sentences(story)
    unfinished = len(half) if half[-1] not in whole else 0
    mistake = story_error(story[:cut])
    if unfinished:
        assert mistake is not None
        assert mistake.number == unfinished


def test_shares() -> None:
    assert share_well_formed(["It flew home. Cat the flew home.", LOST]) == 8 / 9
    assert share_well_formed([""]) == 0.0
    assert share_well_formed([]) == 0.0
    assert share_well_formed_stories([LOST, HURT, HURT.replace("He took", "She took")]) == 2 / 3
    assert share_well_formed_stories([]) == 0.0


def test_what_is_lost_must_be_found() -> None:
    mistake = story_error(" ".join(sentences(LOST)[:3]))
    assert str(mistake) == "sentence 4, '': expected the key to be found, got the end"


@pytest.mark.parametrize(
    ("story", "old", "new", "about"),
    [
        (HURT, "It flew", "It hopped", "a sentence that is wrong or untrue by itself"),
        (HERD, "The farmer", "The baker", "somebody else than was told of"),
        (HURT, "washed the wing", "washed the tail", "something else than was told of"),
        (LOST, " ".join(sentences(LOST)[3:]), "", "something lost and never found"),
    ],
)
def test_sorts_of_mistakes(story: str, old: str, new: str, about: str) -> None:
    mistake = story_error(story.replace(old, new, 1).strip())
    assert mistake is not None and mistake.about == about
