"""Chapter 5: ten epochs on a short story, step for step as the book trains.

*The Verdict* by Edith Wharton has 5,145 tokens. Nine tenths of its characters are trained on, the
rest is held out; both are cut into windows of T = 256 tokens that lie side by side: 18 and 2 of
them, 9 batches and 1. A model of 163 million parameters can learn 4,608 tokens by heart in ten
epochs, and does: the training loss falls to 0.4, the validation loss stops falling at 6.1.

Every random number comes from one stream: first the weights, then, in the order of use,

- an epoch's seeds, whenever a loader is iterated over: two for the loader that shuffles, one for
  the other (see ``TorchRandom.epoch_order``). Evaluating iterates over both, and so
  moves the stream on;
- dropout's masks, in each training step;
- nothing for the samples: the most probable token always follows.

Source: sections 5.1.3 and 5.2.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import numpy.typing as npt

from numpygpt.book.model import BOOK, SEED, book_model
from numpygpt.book.torch_random import TorchRandom
from numpygpt.book.verdict import Verdict
from numpygpt.generation import generate
from numpygpt.gpt import GPT
from numpygpt.training.optim import AdamW

Ids = npt.NDArray[np.int64]

SHORT = replace(BOOK, context_length=256)  # chapter 5 trains with a shorter context
BATCH_SIZE, EPOCHS = 2, 10
EVAL_EVERY, EVAL_BATCHES = 5, 5  # steps between evaluations; batches of each loader then
START = (6109, 3626, 6100, 345)  # "Every effort moves you"
SAMPLE_TOKENS = 50


@dataclass(frozen=True)
class Loader:
    """Batches of windows and of the windows one token later; a torch ``DataLoader``.

    Attributes
    ----------
    windows : (n, T + 1) ids
        Neighbours share one token: the last target of the one is the first input of the other.
    shuffle : bool
        Whether each iteration has an order of its own.
    rng : TorchRandom
        Draws at the start of each iteration, shuffled or not.
    """

    windows: Ids
    shuffle: bool
    rng: TorchRandom

    @classmethod
    def cut(cls, tokens: npt.ArrayLike, T: int, shuffle: bool, rng: TorchRandom) -> "Loader":
        """Cut tokens (n,) into windows side by side; what is left at the end is not used."""
        tokens = np.asarray(tokens, np.int64)
        starts = np.arange(0, len(tokens) - T, T)
        return cls(tokens[starts[:, None] + np.arange(T + 1)], shuffle, rng)

    def __len__(self) -> int:
        return -(-len(self.windows) // BATCH_SIZE)

    def __iter__(self) -> Iterator[tuple[Ids, Ids]]:
        """Inputs and targets, both (BATCH_SIZE, T), until all windows were seen."""
        order = self.rng.epoch_order(len(self.windows), self.shuffle)
        for start in range(0, len(order), BATCH_SIZE):
            batch = self.windows[order[start : start + BATCH_SIZE]]
            yield batch[:, :-1], batch[:, 1:]


def loaders(story: Verdict, rng: TorchRandom) -> tuple[Loader, Loader]:
    """Make the loader of the training part, which shuffles, and that of the validation part."""
    T = SHORT.context_length
    return (
        Loader.cut(story.training_tokens, T, True, rng),
        Loader.cut(story.validation_tokens, T, False, rng),
    )


def mean_loss(model: GPT, loader: Loader, batches: int | None = None) -> float:
    """Mean loss over batches (all, or the first few) without dropout: ``calc_loss_loader``."""
    view = model.view()
    losses = [view.loss(inputs, targets) for inputs, targets in islice(loader, batches)]
    return float(np.mean(losses))


@dataclass(frozen=True)
class Step:
    """One optimiser step: its number from 0, and the loss of its batch with dropout.

    ``evaluation``: training and validation loss after it, without dropout; every fifth step.
    """

    number: int
    loss: float
    evaluation: tuple[float, float] | None


@dataclass(frozen=True)
class Sample:
    """What an epoch's model makes of START: START's ids, and those that follow."""

    epoch: int
    ids: list[int]


class Training:
    """The book's model and its loaders, ready to train.

    Parameters
    ----------
    story : Verdict
    dropout : float
        The book's, unless given.
    """

    def __init__(self, story: Verdict, dropout: float = BOOK.dropout) -> None:
        rng = TorchRandom(SEED)
        self.model = book_model(rng, replace(SHORT, dropout=dropout))
        self.train_loader, self.validation_loader = loaders(story, rng)
        self.optimizer = AdamW(self.model, lr=4e-4, weight_decay=0.1, decay_all=True)

    def step(self, inputs: Ids, targets: Ids) -> float:
        """One optimiser step on a batch, both (B, T); returns its loss."""
        self.model.zero_grad()
        loss = self.model.loss(inputs, targets)
        self.model.backward()
        self.optimizer.step()
        return loss

    def evaluate(self) -> tuple[float, float]:
        """Training and validation loss of a few batches each."""
        parts = (self.train_loader, self.validation_loader)
        first, second = (mean_loss(self.model, part, EVAL_BATCHES) for part in parts)
        return first, second

    def run(self) -> Iterator[Step | Sample]:
        """Train as ``train_model_simple`` does; yields what it prints, and each step's loss."""
        number = 0
        for epoch in range(1, EPOCHS + 1):
            self.model.train()
            for inputs, targets in self.train_loader:
                loss = self.step(inputs, targets)
                yield Step(number, loss, None if number % EVAL_EVERY else self.evaluate())
                number += 1
            ids = generate(self.model, [START], SAMPLE_TOKENS, temperature=0)[0]
            yield Sample(epoch, ids.tolist())
