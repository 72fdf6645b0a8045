"""Sampling and the key/value cache."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numpygpt import GPT, GPTConfig, generate
from numpygpt.generation import draw, probabilities, stream
from numpygpt.layers import Head, Parameter

CONFIG = GPTConfig(vocab_size=13, context_length=8, n_embd=6, n_head=2, n_layer=3)


def small_gpt(seed: int = 0) -> GPT:
    """A GPT with weights large enough for its choices to differ."""
    model = GPT(CONFIG, rng=seed, dtype=np.float64)
    model.flat.data[...] = np.random.default_rng(seed).standard_normal(model.flat.data.shape)
    return model


@pytest.mark.parametrize("prompt_length", [1, 5, 8, 11])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_the_cache_changes_nothing_also_past_the_context(
    prompt_length: int, temperature: float
) -> None:
    model = small_gpt()
    ids = np.random.default_rng(1).integers(0, 13, (3, prompt_length))
    cached = generate(model, ids, 25, temperature, rng=4)
    plain = generate(model, ids, 25, temperature, rng=4, use_cache=False)
    assert cached.shape == (3, prompt_length + 25)
    np.testing.assert_array_equal(cached, plain)
    np.testing.assert_array_equal(cached[:, :prompt_length], ids)


def test_greedy_takes_the_highest_logit_of_the_full_forward() -> None:
    model = small_gpt()
    ids = np.array([[3, 1, 4]])
    for token in generate(model, ids, 5, temperature=0)[0, 3:]:
        assert token == model.eval().forward(ids)[0, -1].argmax()
        ids = np.append(ids, [[token]], axis=1)


def test_past_the_context_the_window_keeps_its_last_half() -> None:
    model = small_gpt()
    tokens = generate(model, [[1] * 8], 2, temperature=0)[0]
    expected = model.eval().forward(tokens[None, -5:-1])[0, -1].argmax()
    assert tokens[-1] == expected


def test_seeds_repeat_and_differ() -> None:
    model = small_gpt()
    a, b, c = (generate(model, [[1, 2]], 20, temperature=3.0, rng=seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()


def test_end_of_text_fills_the_row_and_ends_when_all_are_done() -> None:
    model = small_gpt()
    free = generate(model, [[1], [2], [3]], 30, temperature=20.0, rng=0)
    out = generate(model, [[1], [2], [3]], 200, temperature=20.0, eos_id=7, rng=0)
    for row, unbounded in zip(out[:, 1:], free[:, 1:], strict=True):
        (ends,) = np.nonzero(row == 7)
        assert len(ends) and (row[ends[0] :] == 7).all()
        end = min(ends[0], 30)
        np.testing.assert_array_equal(row[:end], unbounded[:end])
    assert out.shape[1] < 201


def test_mode_is_left_as_it_was_and_stream_can_be_left_early() -> None:
    model = small_gpt().train()
    for _ in stream(model, [[1]], 10):
        break
    assert model.training and model.blocks[0].training
    generate(model.eval(), [[1]], 2)
    assert not model.training


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max())
    return np.asarray(e / e.sum())


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    k=st.integers(1, 12),
    p=st.floats(0.05, 1.0),
    temperature=st.floats(0.1, 5.0),
)
def test_probabilities_against_a_plain_oracle(
    seed: int, k: int, p: float, temperature: float
) -> None:
    z = np.random.default_rng(seed).standard_normal(12) * 3
    top = sorted(range(12), key=lambda i: -z[i])
    kept = top[:k]
    full = dict(zip(kept, softmax(z[kept] / temperature), strict=True))
    nucleus: list[int] = []
    for i in kept:
        if sum(full[j] for j in nucleus) >= p:
            break
        nucleus.append(i)
    expected = np.zeros(12)
    expected[nucleus] = softmax(z[nucleus] / temperature)
    np.testing.assert_allclose(
        probabilities(z[None], temperature, k, p)[0], expected, rtol=1e-9, atol=1e-12
    )


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 10**6), k=st.integers(1, 12) | st.none(), p=st.floats(0.05, 1.0) | st.none()
)
def test_each_row_has_its_own_threshold(seed: int, k: int | None, p: float | None) -> None:
    """As when it is alone: rows of other sizes, and in another order."""
    rng = np.random.default_rng(seed)
    logits = rng.standard_normal((4, 12)) * np.array([[0.1], [1], [5], [30]]) + [
        [0],
        [9],
        [-9],
        [3],
    ]
    together = probabilities(logits, 0.7, k, p)
    alone = np.concatenate([probabilities(row[None], 0.7, k, p) for row in logits])
    np.testing.assert_array_equal(together, alone)
    assert len({tuple(np.argsort(row)) for row in logits}) == 4


def test_the_defaults_of_stream_and_generate() -> None:
    model = small_gpt(3)
    model.flat.data[...] /= 2
    plain = generate(model, [[1, 2]])
    named = generate(model, [[1, 2]], 50, 1.0, None, None, None, 0, True, None)
    streamed = np.stack(list(stream(model, [[1, 2]])), axis=1)
    np.testing.assert_array_equal(plain, named)
    np.testing.assert_array_equal(plain[:, 2:], streamed)
    assert plain.shape == (1, 52)
    assert (plain != generate(model, [[1, 2]], rng=1)).any()
    assert (plain != generate(model, [[1, 2]], temperature=0.5)).any()


def test_draw_follows_the_probabilities_and_never_takes_an_impossible_token() -> None:
    p = np.array([0.0, 0.2, 0.0, 0.5, 0.3, 0.0])
    ids = draw(np.tile(p, (20_000, 1)), np.random.default_rng(0).random(20_000))
    shares = np.bincount(ids, minlength=6) / 20_000
    assert shares[[0, 2, 5]].tolist() == [0, 0, 0]
    np.testing.assert_allclose(shares, p, atol=0.015)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -1.0}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"temperature": float("inf")}, "temperature at least 0, got inf"),
        ({"temperature": "1"}, "temperature at least 0, got '1'"),
        ({"top_k": 0}, "top_k"),
        ({"top_k": 1.5}, "top_k a whole number at least 1, got 1.5"),
        ({"top_p": float("nan")}, "top_p <= 1, got nan"),
        ({"max_new_tokens": 2.5}, "max_new_tokens a whole number at least 0, got 2.5"),
        ({"top_p": 0.0}, "top_p"),
        ({"top_p": 1.5}, "top_p"),
        ({"max_new_tokens": -1}, "max_new_tokens"),
    ],
)
def test_bad_options_are_named(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        generate(small_gpt(), [[1]], **options)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=message):
        stream(small_gpt(), [[1]], **options)  # type: ignore[arg-type]  # before the first token


def test_bad_prompts_are_named() -> None:
    with pytest.raises(ValueError, match=r"\(B, T\)"):
        generate(small_gpt(), [1, 2])
    with pytest.raises(ValueError, match="at least one"):
        generate(small_gpt(), np.zeros((1, 0), int))
    with pytest.raises(IndexError, match="13"):
        generate(small_gpt(), [[13]])
    with pytest.raises(IndexError, match="generate: expected ids from 0 to 12, got -1"):
        stream(small_gpt(), [[-1] + [1] * 20])  # also where the context does not reach
    with pytest.raises(TypeError, match="generate: expected whole-number ids, got dtype float64"):
        generate(small_gpt(), [[1.0]])
    with pytest.raises(ValueError, match=r"generate: .* got sequences of different lengths"):
        generate(small_gpt(), [[1], [2, 3]])
    with pytest.raises(ValueError, match=r"at least one, got \(0, 2\)"):
        generate(small_gpt(), np.zeros((0, 2), int), 0)
    with pytest.raises(IndexError, match=r"\(eos_id\): expected ids from 0 to 12, got 13"):
        generate(small_gpt(), [[1]], eos_id=13)


@pytest.mark.parametrize("dtype", ["u1", "u2", "i4", "u8", ">i4"])
def test_prompts_of_any_whole_numbers(dtype: str) -> None:
    model = small_gpt()
    expected = generate(model, [[1, 2], [3, 4]], 9)
    got = generate(model, np.array([[1, 2], [3, 4]], dtype), 9)
    assert got.dtype == expected.dtype == np.int64
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("temperature", [5e-324, 1e-300, 1e300])
def test_extreme_temperatures(temperature: float) -> None:
    z = np.array([[1.0, 3.0, 2.0]])
    p = probabilities(z, temperature)[0]
    np.testing.assert_allclose(p, [0, 1, 0] if temperature < 1 else [1 / 3] * 3, atol=1e-12)


def test_nothing_to_add() -> None:
    assert generate(small_gpt(), [[1, 2]], 0).tolist() == [[1, 2]]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_weights_that_are_not_finite_are_no_choice(temperature: float) -> None:
    model = small_gpt()
    model.norm.bias.data[2] = np.nan
    with pytest.raises(FloatingPointError, match="expected finite logits, got nan"):
        generate(model, [[1]], 3, temperature)
    assert model.training  # the mode is left as it was, by an error too


def test_a_batch_is_its_rows() -> None:
    """Greedy: no row depends on another, whatever their number."""
    model = small_gpt()
    ids = np.random.default_rng(2).integers(0, 13, (5, 3))
    together = generate(model, ids, 12, temperature=0, eos_id=4)
    for row, prompt in zip(together, ids, strict=True):
        alone = generate(model, prompt[None], 12, temperature=0, eos_id=4)[0]
        np.testing.assert_array_equal(row[: len(alone)], alone)
        assert (row[len(alone) :] == 4).all()


@pytest.mark.parametrize("options", [{}, {"top_k": 3}, {"top_p": 0.6}, {"temperature": 0.5}])
def test_first_tokens_follow_the_models_distribution(options: dict[str, float]) -> None:
    model = small_gpt(3)
    model.flat.data[...] /= 2  # several tokens are likely
    ids = generate(model, [[1, 2]] * 20_000, 1, rng=0, **options)[:, -1]  # type: ignore[arg-type]
    expected = probabilities(model.eval().forward([[1, 2]])[:, -1], **options)[0]  # type: ignore[arg-type]
    shares = np.bincount(ids, minlength=13) / len(ids)
    assert (expected > 0.02).sum() >= 2
    assert (shares[expected == 0] == 0).all()
    np.testing.assert_allclose(shares, expected, atol=0.015)  # four standard deviations


def test_a_model_that_only_generates_costs_its_weights() -> None:
    """No gradients, no activations that stay, no second copy while it is made."""
    config = GPTConfig(vocab_size=8192, context_length=128, n_embd=768, n_head=12, n_layer=3)
    tracemalloc.start()
    try:
        model = GPT(config, rng=0)
        generate(model, [[1, 2, 3, 4]], 8, top_p=0.9)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert model.flat.data.nbytes > 100e6
    assert peak < 1.1 * model.flat.data.nbytes
    for _, p in model.named_parameters():
        assert p._grad is None and p._room is None


@pytest.mark.parametrize("options", [{}, {"top_k": 3}, {"top_p": 0.6}])
def test_a_row_does_not_depend_on_how_many_others_there_are(options: dict[str, float]) -> None:
    model = small_gpt(3)
    model.flat.data[...] /= 2
    ids = np.random.default_rng(2).integers(0, 13, (5, 3))
    for rng in (7, np.random.default_rng(7)):
        together = generate(model, ids, 12, rng=rng, **options)  # type: ignore[arg-type]
    again = np.random.default_rng(7)
    generate(model, ids, 12, rng=again)
    for n in range(1, 5):
        few = generate(model, ids[:n], 12, rng=7, **options)  # type: ignore[arg-type]
        np.testing.assert_array_equal(few, together[:n])
    other = generate(model, ids, 12, rng=again, **options)  # type: ignore[arg-type]
    assert (other != together).any()  # a generator goes on


def test_rows_of_a_batch_that_are_equal_become_different_texts() -> None:
    model = small_gpt(3)
    model.flat.data[...] /= 2
    texts = generate(model, [[1, 2]] * 4, 12, rng=0)
    assert len({row.tobytes() for row in texts}) == 4


@pytest.mark.parametrize("options", [{"temperature": 0.0}, {"temperature": 2.0}, {"top_k": 8}])
def test_only_ids_of_the_tokenizer_are_drawn(options: dict[str, float]) -> None:
    model = small_gpt(3)
    model.head.W.data[2:] *= 5  # the highest logits are theirs
    prompts = np.random.default_rng(0).integers(2, size=(50, 4))
    ids = generate(model, prompts, 20, vocab_size=2, **options)  # type: ignore[arg-type]
    assert ids.max() == 1
    assert generate(model, prompts, 20, **options).max() > 1  # type: ignore[arg-type]
    cut = model.view()  # the same model with a head of two tokens
    cut.head = Head(Parameter(2, 6)).initialize(0, np.float64)
    cut.head.W.data[...] = model.head.W.data[:2]
    cut.config = GPTConfig(2, 8, 6, 2, 3)
    expected = generate(cut, prompts, 20, **options)  # type: ignore[arg-type]
    np.testing.assert_array_equal(ids, expected)


@pytest.mark.parametrize("wrong", [0, 14, -1, 2.0])
def test_a_wrong_vocabulary_size_is_named(wrong: int) -> None:
    with pytest.raises(ValueError, match="generate: expected vocab_size"):
        generate(small_gpt(), [[1]], 1, vocab_size=wrong)
