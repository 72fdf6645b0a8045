"""Chapter 5: how wrong the untrained model is, on six tokens and on a short story.

The loss of one token is -ln p, with p the probability that the model gave to it. exp of the mean
loss is the *perplexity*: among so many tokens the model might as well have drawn lots. Untrained,
that is about the size of the vocabulary, 50,257.

What follows in the chapter has modules of its own: training (5.2) is in ``training``, temperature
and top-k (5.3) are in ``sampling``.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from numpygpt.book import sampling
from numpygpt.book.chapter3 import softmax
from numpygpt.book.model import SEED, book_model
from numpygpt.book.torch_random import TorchRandom
from numpygpt.book.training import SHORT, START, loaders, mean_loss
from numpygpt.book.verdict import Verdict
from numpygpt.generation import generate
from numpygpt.gpt import GPT

INPUTS = np.array([[16833, 3626, 6100], [40, 1107, 588]])  # "every effort moves", "I really like"
TARGETS = np.array([[3626, 6100, 345], [1107, 588, 11311]])  # " effort moves you", ...

Figures = Iterator[tuple[str, npt.ArrayLike]]


def computed(story: Verdict | None) -> Figures:
    """Yield (name, numbers) for the figures of chapter 5, training apart.

    Parameters
    ----------
    story : Verdict or None
        None leaves out what needs the text.
    """
    model = book_model(TorchRandom(SEED), SHORT).eval()
    yield "ch05.greedy", generate(model, [START], 10, temperature=0)[0, len(START) :]
    yield from six_tokens(model)
    if story is not None:
        yield from before_training(model, story)
    yield from sampling.computed()


def six_tokens(model: GPT) -> Figures:
    """Section 5.1.2: from logits to probabilities, to the loss, to the perplexity."""
    p = softmax(model.forward(INPUTS))  # (B, T, V)
    yield "ch05.argmax", p.argmax(axis=-1)
    yield "ch05.target-probabilities", np.take_along_axis(p, TARGETS[..., None], axis=-1)
    loss = model.loss(INPUTS, TARGETS)
    yield "ch05.loss", loss
    yield "ch05.perplexity", np.exp(loss)


def before_training(model: GPT, story: Verdict) -> Figures:
    """Section 5.1.3: the text, its two parts, and the loss on each."""
    yield "ch05.text", [len(story.text), len(story.tokens)]
    training, validation = loaders(story, TorchRandom(SEED))
    yield "ch05.parts", [len(story.training_tokens), len(story.validation_tokens)]
    yield "ch05.batches", [len(training), len(validation)]
    yield "ch05.losses-before", [mean_loss(model, training), mean_loss(model, validation)]
