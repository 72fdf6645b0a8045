"""Chapter 4: gradients with and without shortcuts, and the untrained model's numbers."""

from typing import Any

import numpy as np
import pytest

from numpygpt.book import chapter4
from numpygpt.book.chapter4 import HELLO, FiveLayers, mean_weight_gradients
from numpygpt.book.chapter5 import INPUTS, TARGETS
from numpygpt.book.figures import CHAPTER4, compare_all
from numpygpt.book.model import BOOK, book_model
from numpygpt.book.printed import Comparison
from numpygpt.book.torch_random import TorchRandom
from numpygpt.generation import generate
from numpygpt.gpt import GPT


@pytest.fixture(scope="module")
def computed() -> tuple[GPT, dict[str, Comparison]]:
    """The model, which takes seconds to draw, and what the chapter computes with it."""
    models: list[GPT] = []

    def kept(rng: TorchRandom) -> GPT:
        models.append(book_model(rng))
        return models[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chapter4, "book_model", kept)
        comparisons = {c.printed.name: c for c in compare_all(chapter4.computed())}
    (model,) = models
    return model, comparisons


@pytest.mark.parametrize("figure", CHAPTER4, ids=lambda figure: figure.name)
def test_every_printed_number(figure: Any, computed: tuple[GPT, dict[str, Comparison]]) -> None:
    """The book prints gradients with up to 17 digits; FLOAT32_TOLERANCE leaves six of them."""
    comparison = computed[1][figure.name]
    assert comparison.agrees, comparison


def test_the_untrained_model(computed: tuple[GPT, dict[str, Comparison]]) -> None:
    """Four greedy tokens more than the book prints, and what initialisation does to the loss."""
    model = computed[0].eval()  # changed below: nobody else asks it for numbers
    ids = generate(model, [HELLO], 10, temperature=0)[0]
    assert ids[10:].tolist() == [49706, 43231, 47062, 34657]
    assert model.loss(INPUTS, TARGETS) == pytest.approx(10.877, abs=5e-4)
    model.head.W = model.token_embedding.W
    assert model.loss(INPUTS, TARGETS) == pytest.approx(419.98, abs=5e-3)
    for embedding in (model.token_embedding, model.position_embedding):
        embedding.W.data[...] *= np.float32(0.02)
    assert model.loss(INPUTS, TARGETS) == pytest.approx(10.794, abs=5e-4)
    assert np.log(BOOK.vocab_size) == pytest.approx(10.825, abs=5e-4)


@pytest.mark.parametrize("shortcuts", [False, True])
def test_the_inputs_gradient_is_the_slope(shortcuts: bool) -> None:
    """float64 central differences of a random weighting of the outputs of several rows."""
    model = FiveLayers(TorchRandom(6), shortcuts).astype(np.float64)
    draw = np.random.default_rng(0)
    x, dy = draw.normal(size=(4, 3)), draw.normal(size=(4, 1))
    model.forward(x)
    dx = model.backward(dy)
    h = 1e-5
    numeric = np.empty_like(x)
    for at in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[at] += h
        down[at] -= h
        numeric[at] = np.sum((model.forward(up) - model.forward(down)) * dy) / (2 * h)
    assert np.abs(dx - numeric).max() <= 1e-7 * np.abs(numeric).max()


def test_shortcuts_keep_the_first_layers_gradient_alive() -> None:
    plain, shortcuts = mean_weight_gradients(False), mean_weight_gradients(True)
    assert plain[0] < plain[-1] / 20
    assert shortcuts[0] > shortcuts[-1] / 10
