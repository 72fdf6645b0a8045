"""Neighbours, maps and kinds of words; a later word read ahead, and the partners."""

from itertools import combinations
from typing import Any

import numpy as np
import pytest
import tiktoken

from numpygpt.config import GPTConfig
from numpygpt.gpt import GPT
from numpygpt.gradcheck.oracles import draw_parameters
from numpygpt.inside import (
    embedding_map,
    grouping,
    look,
    map_in_context,
    neighbours,
    neighbours_in_context,
    part_finders,
    planned_word,
    story_kinds,
    story_tokens,
    token_of,
    token_text,
    tokens_in,
    trace,
    word_ids,
)
from numpygpt.inside.embeddings import random_cosines
from numpygpt.inside.partners import _order
from numpygpt.layers.base import Array
from numpygpt.text.bpe import encoding_of, train_bpe
from numpygpt.text.stories import stories
from numpygpt.text.tales.words import ANIMALS, NAMES, PARTS

WORDS = [" robin", " wren", " owl", " river", " lake", "lake", " the"]
ENCODING = encoding_of(
    "seven words", [bytes([b]) for b in range(256)] + [w.encode() for w in WORDS]
)
V, C = ENCODING.n_vocab, 6


@pytest.fixture(scope="module")
def story_encoding() -> tiktoken.Encoding:
    return train_bpe(" ".join(stories(300)), 800)


def make(encoding: tiktoken.Encoding = ENCODING, padding: int = 0, **changes: Any) -> GPT:
    shape = {"context_length": 9, "n_embd": C, "n_head": 2, "n_layer": 2} | changes
    model = GPT(GPTConfig(encoding.n_vocab + padding, **shape), 0, np.float64)
    draw_parameters(model, np.random.default_rng(4))
    return model.eval()


def cosine(a: Array, b: Array) -> float:
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


# -- words ----------------------------------------------------------------------------------------


def test_a_word_is_the_token_with_a_space_before_if_there_is_one() -> None:
    assert word_ids(ENCODING, "robin") == [256]
    assert word_ids(ENCODING, " robin") == [256]
    assert word_ids(ENCODING, "lake") == [260]
    assert token_of(ENCODING, "q") == ord("q")
    assert word_ids(ENCODING, "wrong") == [*b" wrong"]
    assert word_ids(ENCODING, "<|endoftext|>") == [ENCODING.eot_token]
    with pytest.raises(ValueError, match=r"one token of this vocabulary, got 'no', which is 3"):
        token_of(ENCODING, "no")
    for empty in ("", "  "):
        with pytest.raises(ValueError, match="expected a word"):
            word_ids(ENCODING, empty)


def test_tokens_are_shown_and_do_nothing_to_a_terminal() -> None:
    assert token_text(ENCODING, 256) == " robin"
    assert token_text(ENCODING, 27) == "␛"
    assert token_text(ENCODING, 0xE9) == "\ufffd"
    assert token_text(ENCODING, V + 3) == f"<{V + 3}>"
    assert tokens_in(ENCODING, "a lake robin a").tolist() == [*sorted(b" a"), 256, 260]


# -- neighbours -----------------------------------------------------------------------------------


@pytest.mark.parametrize("padding", [0, 5])
def test_neighbours_by_hand(padding: int) -> None:
    model = make(padding=padding)
    W = model.token_embedding.W.data[:V]
    m = W.mean(0)
    near = neighbours(model, ENCODING, "robin", n=4)
    cosines = [(cosine(W[v] - m, W[256] - m), v) for v in range(V) if v != 256]
    best = sorted(cosines, reverse=True)[:4]
    assert near.ids.tolist() == [v for _, v in best]
    np.testing.assert_allclose(near.cosines, [c for c, _ in best], atol=1e-12)
    assert near.tokens == [" robin"]
    assert near.words == [token_text(ENCODING, v) for _, v in best]


def test_a_word_of_several_tokens_is_their_mean_and_may_meet_them() -> None:
    model = make()
    W = model.token_embedding.W.data
    near = neighbours(model, ENCODING, "ab", n=V)
    assert near.tokens == [" ", "a", "b"]
    assert len(near.words) == V
    one = W[[ord(" "), ord("a"), ord("b")]].mean(0) - W.mean(0)
    at = near.ids.tolist().index(ord("a"))
    assert near.cosines[at] == pytest.approx(cosine(W[ord("a")] - W.mean(0), one), abs=1e-12)


def test_neighbours_among_some_tokens_are_centred_on_these() -> None:
    model = make()
    W, some = model.token_embedding.W.data, [257, 258, 259, 256, 257]
    near = neighbours(model, ENCODING, "robin", n=9, among=some)
    m = W[256:260].mean(0)
    assert sorted(near.ids.tolist()) == [257, 258, 259]
    for i, found in zip(near.ids, near.cosines, strict=True):
        assert found == pytest.approx(cosine(W[i] - m, W[256] - m), abs=1e-12)
    pairs = [cosine(W[a] - m, W[b] - m) for a, b in combinations(range(256, 260), 2)]
    assert near.mean == pytest.approx(np.mean(pairs), abs=1e-12)
    assert near.deviation == pytest.approx(np.std(pairs), abs=1e-12)
    with pytest.raises(ValueError, match="at least 1 neighbour"):
        neighbours(model, ENCODING, "robin", n=0)
    with pytest.raises(IndexError, match=f"among.: expected ids from 0 to {V - 1}, got -1"):
        neighbours(model, ENCODING, "robin", among=[-1, 257, 258])  # not the last token
    with pytest.raises(ValueError, match="at least two tokens to look among, got 1"):
        neighbours(model, ENCODING, "robin", among=[257, 257])


def test_a_token_s_id_stands_for_its_word() -> None:
    model = make(padding=2)
    by_word = neighbours(model, ENCODING, "robin", n=4)
    for token in (256, np.int64(256)):
        near = neighbours(model, ENCODING, token, n=4)
        assert (near.word, near.tokens, near.words) == (" robin", [" robin"], by_word.words)
        np.testing.assert_array_equal(near.cosines, by_word.cosines)
    padded = neighbours(model, ENCODING, V + 1, n=V)
    assert padded.word == f"<{V + 1}>" and len(padded.words) == V
    for token in (-1, V + 2):
        with pytest.raises(IndexError, match=f"expected ids from 0 to {V + 1}, got {token}"):
            neighbours(model, ENCODING, token)


def test_what_two_random_vectors_would_give() -> None:
    vectors = np.random.default_rng(1).standard_normal((9, 4)) + 0.7
    pairs = [cosine(a, b) for a, b in combinations(vectors, 2)]
    assert random_cosines(vectors) == pytest.approx((np.mean(pairs), np.std(pairs)), abs=1e-12)
    pairs += [0.0] * 19  # two vectors 0: of each with nine others, and with one another
    with_zeros = np.concatenate([np.zeros((2, 4)), vectors])
    assert random_cosines(with_zeros) == pytest.approx((np.mean(pairs), np.std(pairs)), abs=1e-12)
    assert random_cosines(np.zeros((3, 4))) == (0, 0)


def test_neighbours_in_context_come_from_the_same_place_of_the_same_text() -> None:
    model, text = make(), [ord("a"), 262, 256, 259]
    found = neighbours_in_context(model, ENCODING, text, 2, ["wren", "owl", "river"], n=2)
    assert len(found) == 3
    vectors = []
    for token in (257, 258, 259, 256):
        vectors.append(trace(model, [ord("a"), 262, token]).blocks[:, 2])
    for l, near in enumerate(found):
        x = np.stack([v[l] for v in vectors])
        x -= x.mean(0)
        by_hand = sorted(((cosine(x[i], x[3]), 257 + i) for i in range(3)), reverse=True)[:2]
        assert near.word == " robin"
        assert near.ids.tolist() == [v for _, v in by_hand]
        np.testing.assert_allclose(near.cosines, [c for c, _ in by_hand], atol=1e-9)
    with pytest.raises(IndexError, match="no position 4"):
        neighbours_in_context(model, ENCODING, text, 4, ["wren", "owl"])
    with pytest.raises(ValueError, match="at least two words besides the text's own, got 1"):
        neighbours_in_context(model, ENCODING, text, 2, ["wren", "robin"])


def test_ids_of_any_whole_numbers_are_the_same_text() -> None:
    model, text, words = make(), [97, 98], ["wren", "owl", "river"]  # tokens beyond 255
    expected = neighbours_in_context(model, ENCODING, text, 1, words)
    dtypes: list[Any] = [np.uint8, np.int8, np.uint64, ">i2"]
    for dtype in dtypes:
        found = neighbours_in_context(model, ENCODING, np.array(text, dtype), 1, words)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one.ids, other.ids)
            np.testing.assert_array_equal(one.cosines, other.cosines)
    refused: list[Any] = [[97.5, 98.5], [True, False], ["a", "b"]]
    for wrong in refused:
        with pytest.raises(TypeError, match="expected whole-number ids, got dtype"):
            neighbours_in_context(model, ENCODING, wrong, 1, words)
        with pytest.raises(TypeError, match="expected whole-number ids, got dtype"):
            look(model, ENCODING, wrong)


# -- maps -----------------------------------------------------------------------------------------


def test_a_map_has_the_two_directions_of_most_variance() -> None:
    model, words = make(), ["robin", "wren", "owl", "river", "lake", "the", "ab"]
    found = embedding_map(model, ENCODING, words)
    X = np.stack([model.token_embedding.W.data[word_ids(ENCODING, w)].mean(0) for w in words])
    X -= X.mean(0)
    values, vectors = np.linalg.eigh(X.T @ X)
    np.testing.assert_allclose(found.share, values[::-1][:2] / values.sum(), atol=1e-12)
    np.testing.assert_allclose(np.abs(found.places), np.abs(X @ vectors[:, ::-1][:, :2]), atol=1e-9)
    assert (found.places[0] >= 0).all()
    assert found.words == words
    with pytest.raises(ValueError, match="at least three words, got 2"):
        embedding_map(model, ENCODING, words[:2])
    with pytest.raises(ValueError, match="at least three words, got 0"):
        embedding_map(model, ENCODING, [])
    model.token_embedding.W.data[...] = 1  # all at one place
    assert embedding_map(model, ENCODING, words).share.tolist() == [0, 0]


def test_maps_in_context_before_and_after_each_block() -> None:
    model = make()
    first, *later = map_in_context(model, ENCODING, [262, 256], -1, ["robin", "wren", "owl"])
    assert len(later) == 2
    flat = embedding_map(model, ENCODING, ["robin", "wren", "owl"])  # the position is common to all
    np.testing.assert_allclose(first.places, flat.places, atol=1e-9)
    assert np.abs(later[1].places - flat.places).max() > 1e-3


# -- kinds ----------------------------------------------------------------------------------------


def test_the_share_of_neighbours_of_the_same_kind() -> None:
    model = make()
    model.token_embedding.W.data[256:261] = np.random.default_rng(2).standard_normal((5, C)) / 9
    model.token_embedding.W.data[256:259, 0] += 9  # birds lie together
    kinds = {"birds": ["robin", "wren", "owl"], "waters": ["river", "lake"], "none": ["so", "no"]}
    birds, waters = grouping(model, ENCODING, kinds, n=2)
    assert (birds.kind, birds.words, birds.share) == ("birds", ["robin", "wren", "owl"], 1.0)
    assert birds.chance == pytest.approx(2 / (V - 1))
    shares = [
        sum(i in (259, 260) for i in neighbours(model, ENCODING, w, 2).ids) / 2
        for w in kinds["waters"]
    ]
    assert waters.share == pytest.approx(np.mean(shares))
    assert waters.chance == pytest.approx(1 / (V - 1))
    (only,) = grouping(model, ENCODING, kinds, n=2, among=[256, 257, 259])
    assert only.words == ["robin", "wren"]
    assert only.share == 0.5  # of two neighbours among the three, one is a bird
    assert only.chance == 0.5


def test_the_stories_kinds_are_words_that_the_stories_have() -> None:
    kinds, text = story_kinds(), " ".join(stories(2000))
    assert {"she", "he", "places", "tools", "animals", "parts", "foods"} == set(kinds)
    for kind, words in kinds.items():
        assert len(set(words)) == len(words) or kind == "parts"
        assert all(word in text for word in words), kind
    assert {name: p for p in ("she", "he") for name in kinds[p]} == NAMES


def test_the_stories_tokens_are_those_that_come_in_them(
    story_encoding: tiktoken.Encoding,
) -> None:
    tokens = story_tokens(story_encoding, 400).tolist()
    assert len(tokens) == len(set(tokens)) < story_encoding.n_vocab - 100
    assert {token_of(story_encoding, word) for word in ("robin", "Ada", "river")} < set(tokens)
    assert not {0, ord("z"), 0xFF} & set(tokens)  # not one z stands alone in these words


# -- later words, and partners --------------------------------------------------------------------


def share_at_the_end(
    model: GPT, encoding: tiktoken.Encoding, words: list[str], time: int, back: int
) -> Array:
    """p(word) among its kind's, as the whole model predicts, for five stories: (5, back)."""
    kind = [encoding.encode_ordinary(f" {w}")[0] for w in words if len(word_ids(encoding, w)) == 1]
    rows: list[Array] = []
    for story in stories(1000, 1):
        ids = [encoding.eot_token, *encoding.encode_ordinary(story)]
        first = min([(ids.index(i), i) for i in kind if i in ids], default=(0, -1))
        at = [t for t, i in enumerate(ids) if i == first[1]][time : time + 1]
        if at and at[0] - first[0] * time >= back and at[0] <= 80:
            z = np.exp(model.forward([ids[: at[0]]])[0, -back:])
            rows.append(z[:, first[1]] / z[:, kind].sum(1))
        if len(rows) == 5:
            break
    return np.stack(rows)


@pytest.mark.parametrize(
    ("subject", "words", "time"),
    [("name", list(NAMES), 1), ("part", list(PARTS), 0), ("part again", list(PARTS), 1)],
)
def test_a_later_word_is_read_by_the_lens(
    subject: str, words: list[str], time: int, story_encoding: tiktoken.Encoding
) -> None:
    model = make(story_encoding, context_length=80, n_embd=8)
    model.token_embedding.W.data *= 20
    found = planned_word(model, story_encoding, subject, count=5, back=28)
    assert (found.stories, found.before.tolist()) == (5, list(range(28, 0, -1)))
    for x in (found.share, found.untrained, found.shuffled, found.probability):
        assert x.shape == (3, 28)
    naive = share_at_the_end(model, story_encoding, words, time, 28)
    np.testing.assert_allclose(found.share[-1], naive.mean(0), atol=1e-9)
    assert np.abs(found.untrained - found.chance).max() < 0.2 * found.chance  # it knows nothing
    assert np.abs(found.share - found.shuffled).max() > 0.1 * found.chance
    assert (found.probability < found.share).all()


def test_a_model_that_says_one_name_always_is_seen_through(
    story_encoding: tiktoken.Encoding,
) -> None:
    """Its share is that of the stories with this name; the control has as much."""
    model = make(story_encoding, context_length=80, tie_weights=False)
    model.norm.gain.data[...] = 0  # so that only the norm's bias is read
    model.norm.bias.data[...] = np.eye(C)[0]
    model.head.W.data[...] = 0
    model.head.W.data[word_ids(story_encoding, "Ada")[0], 0] = 50
    found = planned_word(model, story_encoding, count=40, back=3)
    np.testing.assert_allclose(found.share, found.share[0, 0], atol=1e-9)
    assert round(found.share[0, 0] * 40) == pytest.approx(found.share[0, 0] * 40, abs=1e-6)
    assert found.share[0, 0] < 0.3
    np.testing.assert_allclose(found.probability, found.share, atol=1e-9)


def test_what_cannot_be_planned_is_refused(story_encoding: tiktoken.Encoding) -> None:
    model = make(story_encoding, context_length=80)
    with pytest.raises(ValueError, match="expected one of name, part, part again, got 'beak'"):
        planned_word(model, story_encoding, "beak")
    with pytest.raises(ValueError, match="2 stories and 1 position at least, got 64 and 0"):
        planned_word(model, story_encoding, back=0)
    with pytest.raises(ValueError, match="0 of 20 words are one token"):
        planned_word(make(context_length=80), ENCODING)
    with pytest.raises(ValueError, match="the context is 9"):
        planned_word(make(story_encoding), story_encoding)


def test_the_order_of_animals_by_what_they_have() -> None:
    has = np.array([[True, False], [False, True], [True, True], [False, False]])
    assert _order(has.astype(float), has) == 1
    assert _order(-has.astype(float), has) == 0
    assert _order(np.zeros((4, 2)), has) == 0.5
    assert _order(np.array([[0, 9], [0, 9], [0, 9], [0, 9.0]]), has) == 0.5  # a part liked by all
    scores = np.array([[3, 1], [2, 2], [1, 4], [0, 3.0]])  # 3 of 4 pairs, and 3 of 4
    assert _order(scores, has) == 0.75
    assert _order(np.stack([scores, -scores]), has).tolist() == [0.75, 0.25]


def test_partners_of_a_model_that_has_learned_nothing(story_encoding: tiktoken.Encoding) -> None:
    model = GPT(GPTConfig(story_encoding.n_vocab, 64, 24, 3, 2), 1)
    found = part_finders(model, story_encoding)
    assert set(found.animals) <= set(ANIMALS)
    assert (found.asks.shape, found.heads.shape, found.feedforward.shape) == ((3,), (2, 3), (2,))
    assert 0.2 < found.logit < 0.8
    assert 0.2 < found.near < 0.8
    assert np.abs(found.says).max() < 0.01
    np.testing.assert_allclose(found.looks, 1 / 16, atol=0.03)  # about as much as at any token
    with pytest.raises(ValueError, match="too few are one token of this vocabulary: 0 and 0"):
        part_finders(make(context_length=80), encoding_of("b", [bytes([b]) for b in range(256)]))
