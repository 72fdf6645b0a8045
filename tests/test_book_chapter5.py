"""Chapter 5: what needs no training, the loaders, the log. tests/long_book.py has the losses."""

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numpygpt import GPT, GPTConfig
from numpygpt.book import chapter5, verdict
from numpygpt.book.figures import CHAPTER5, compare_all
from numpygpt.book.printed import Comparison
from numpygpt.book.torch_random import TorchRandom
from numpygpt.book.training import Loader, mean_loss
from numpygpt.book.training_log import LOSSES, compare_step, step_verdict
from numpygpt.book.verdict import Verdict
from numpygpt.text.gpt2_files import FILES

TEXT = Path(os.environ.get("NUMPYGPT_DATA", "no folder")) / "the-verdict.txt"
CACHE = Path(os.environ.get("TIKTOKEN_CACHE_DIR", "no folder"))
HERE = TEXT.exists() and all(
    (CACHE / hashlib.sha1(url.encode()).hexdigest()).exists() for url in FILES
)
needs_text = pytest.mark.skipif(
    not HERE,
    reason="NUMPYGPT_DATA has no the-verdict.txt, or TIKTOKEN_CACHE_DIR not GPT-2's vocabulary",
)
OF_THE_TEXT = ("ch05.text", "ch05.parts", "ch05.batches")
FIGURES = [
    pytest.param(figure, id=figure.name, marks=needs_text if figure.name in OF_THE_TEXT else ())
    for figure in CHAPTER5
    if figure is not LOSSES and figure.name != "ch05.losses-before"  # tests/long_book.py's
]


@pytest.fixture(scope="module")
def comparisons() -> dict[str, Comparison]:
    story = Verdict.load(TEXT) if HERE else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chapter5, "mean_loss", lambda *_: 0.0)
        return {c.printed.name: c for c in compare_all(chapter5.computed(story))}


@pytest.mark.parametrize("figure", FIGURES)
def test_every_printed_number(figure: Any, comparisons: dict[str, Comparison]) -> None:
    comparison = comparisons[figure.name]
    assert comparison.agrees, comparison


# -- loaders --------------------------------------------------------------------------------------


def test_windows_lie_side_by_side() -> None:
    loader = Loader.cut(np.arange(100, 118), 4, False, TorchRandom(0))
    batches = list(loader)
    assert len(batches) == len(loader) == 2  # the 18th token is nobody's target
    inputs, targets = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    np.testing.assert_array_equal(inputs, np.arange(100, 116).reshape(4, 4))
    np.testing.assert_array_equal(targets, inputs + 1)


def test_a_text_that_ends_with_a_windows_last_target_holds_that_window() -> None:
    assert len(Loader.cut(np.arange(17), 4, False, TorchRandom(0)).windows) == 4
    assert len(Loader.cut(np.arange(16), 4, False, TorchRandom(0)).windows) == 3


def test_each_iteration_draws_from_the_stream() -> None:
    """A shuffling loader draws two seeds of two draws each, another one only the first of them."""
    for shuffle, draws in ((True, 4), (False, 2)):
        rng, same = TorchRandom(5), TorchRandom(5)
        loader = Loader.cut(np.arange(50), 4, shuffle, rng)
        first = [inputs.tolist() for inputs, _ in loader]
        same.bits(draws)
        assert rng.bits(1) == same.bits(1)
        assert (first == [inputs.tolist() for inputs, _ in loader]) is not shuffle


def test_mean_loss_takes_the_first_batches_without_dropout() -> None:
    config = GPTConfig(vocab_size=11, context_length=4, n_embd=8, n_head=2, n_layer=1, dropout=0.5)
    model = GPT(config, rng=1)
    loader = Loader.cut(np.arange(40) % 11, 4, False, TorchRandom(0))
    two = mean_loss(model, loader, 2)
    assert model.training
    losses = [model.eval().loss(inputs, targets) for inputs, targets in loader]
    assert two == pytest.approx(np.mean(losses[:2]), rel=1e-12)
    assert mean_loss(model, loader) == pytest.approx(np.mean(losses), rel=1e-12)
    assert not model.training


# -- the log --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "number, evaluation, said",
    [
        (0, (9.7811, 9.9329), "agrees"),
        (5, (8.1125, 8.339), "within 0.002 / 0.002"),
        (5, (8.111, 8.342), "DISAGREES"),
        (10, (6.75, 7.01), "within 0.15 / 0.05"),
        (85, (0.391, 6.51), "DISAGREES"),
        (85, (float("nan"), 6.452), "DISAGREES"),
    ],
)
def test_a_line_of_the_log(number: int, evaluation: tuple[float, float], said: str) -> None:
    assert step_verdict(number, compare_step(number, evaluation)) == said


# -- the text -------------------------------------------------------------------------------------


@needs_text
def test_windows_line_ends_are_forgiven(tmp_path: Path) -> None:
    path = tmp_path / "the-verdict.txt"
    path.write_bytes(TEXT.read_bytes().replace(b"\n", b"\r\n"))
    assert verdict.read(path) == TEXT.read_text()


def test_another_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.txt"
    path.write_text("I HAD always thought Jack Gisburn rather a cheap genius")
    with pytest.raises(ValueError, match=r"other\.txt: expected the-verdict\.txt .*55 bytes"):
        verdict.read(path)
