"""The training loop: draw a batch, measure the loss, walk back, step; again and again.

`Trainer` holds everything that changes while training: the model, the optimiser, the step, and the
stream of random numbers that draws the batches. One `step()` is the whole idea on one screen.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from numpygpt.config import expect_types
from numpygpt.gpt import GPT
from numpygpt.layers.parameter import Array
from numpygpt.training.data import Data, held_out_loss
from numpygpt.training.data_parallel import DataParallel
from numpygpt.training.diagnose import where_not_finite
from numpygpt.training.distributed import ALONE, Alone
from numpygpt.training.optim import AdamW, Moments, clip_scale, norm
from numpygpt.training.schedule import warmup_cosine
from numpygpt.training.windows import RANDOM, WINDOWS


@dataclass(frozen=True)
class TrainConfig:
    """How to train.

    Attributes
    ----------
    steps : int
        Optimiser steps, from the first to the last.
    batch_size : int
        Windows of text a batch, each as long as the context.
    accumulate : int
        Batches whose gradients are averaged for one step: larger steps in the same memory.
    learning_rate : float
        Highest learning rate, reached at the end of the warm-up.
    min_learning_rate : float
        Learning rate at the end, to which it falls along half a cosine; below 0: a twentieth of the
        highest.
    warmup : int
        Steps in which the learning rate rises from 0.
    weight_decay : float
        Share of a weight, times the learning rate, that each step of AdamW takes off it.
    decay_all : bool
        Whether gains and biases decay too, and not matrices alone.
    beta1 : float
        Memory of AdamW's running mean of gradients, in [0, 1).
    beta2 : float
        Memory of its running mean of squared gradients, in [0, 1).
    clip : float
        Largest norm of the gradient, to which a larger one is scaled; 0: no limit.
    eval_every : int
        Steps between measurements on held-out text.
    eval_batches : int
        Batches of held-out text in such a measurement.
    save_every : int
        Steps between checkpoints; 0: one with each measurement on held-out text.
    keep : int
        Earlier checkpoints to keep, densest at the start; each takes 4 bytes of disk a parameter,
        a third of the last one; 0: none.
    seed : int
        Start of all random numbers: first weights, batches, dropout.
    windows : str
        Where windows of text begin: `documents` (for texts that have some) or `random` places.
    """

    steps: int = 1500
    batch_size: int = 16
    accumulate: int = 1
    learning_rate: float = 1e-2
    min_learning_rate: float = -1.0
    warmup: int = 80
    weight_decay: float = 0.1
    decay_all: bool = False
    beta1: float = 0.9
    beta2: float = 0.99
    clip: float = 1.0
    eval_every: int = 100
    eval_batches: int = 10
    save_every: int = 0
    keep: int = 0
    seed: int = 0
    windows: str = RANDOM  # as in runs from before there was a choice

    def __post_init__(self) -> None:
        expect_types(self)
        for name in ("steps", "batch_size", "accumulate", "eval_every", "eval_batches"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"TrainConfig: expected {name} at least 1, got {getattr(self, name)}"
                )
        for name in ("learning_rate", "warmup", "clip", "save_every", "keep", "seed"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"TrainConfig: expected {name} at least 0, got {value}")
        if not self.min_learning_rate <= self.learning_rate:  # nan is not, either
            raise ValueError(
                "TrainConfig: expected min_learning_rate at most learning_rate, "
                f"{self.learning_rate:g}, got {self.min_learning_rate:g}"
            )
        if self.windows not in WINDOWS:
            raise ValueError(
                f"TrainConfig: expected windows one of {', '.join(WINDOWS)}, got {self.windows!r}"
            )

    @property
    def last_learning_rate(self) -> float:
        """What the learning rate falls to."""
        return self.learning_rate / 20 if self.min_learning_rate < 0 else self.min_learning_rate


@dataclass(frozen=True)
class StepResult:
    """What one step measured: the loss in nats a token, the gradient's norm, the learning rate."""

    loss: float
    grad_norm: float
    learning_rate: float


class Trainer:
    """Trains a model.

    Parameters
    ----------
    model : GPT
        Its context length is the windows' length.
    data : Data
        Tokens to train on, and held out.
    config : TrainConfig
        How.
    group : Alone
        The processes that do this together: see distributed.py, whose steps are those here.
    """

    def __init__(self, model: GPT, data: Data, config: TrainConfig, group: Alone = ALONE) -> None:
        data.check(model.config.context_length)
        group.check_batch(config.batch_size)
        self.model, self.data, self.config, self.group = model, data, config, group
        self.optimizer = AdamW(
            model,
            config.learning_rate,
            (config.beta1, config.beta2),
            weight_decay=config.weight_decay,
            decay_all=config.decay_all,
            own=group.own(model.num_parameters()),
        )
        self.parallel = DataParallel(model, config.batch_size, model.config.context_length, group)
        self.rng = np.random.default_rng(config.seed)
        self.parallel.rng = self.rng.spawn(1)[0]  # dropout's stream, from the same seed
        self.steps_done = 0

    def step(self) -> StepResult:
        """One optimiser step, over `accumulate` batches.

        Raises
        ------
        FloatingPointError
            If the loss or a gradient is not finite; the model is as it was before.
        """
        c, group, flat = self.config, self.group, self.model.flat
        streams = self.random_streams()
        with np.errstate(all="ignore"):  # the next lines look for themselves
            loss = self._accumulate()
            grad = group.sum_part(flat.grad)
            losses, norms = zip(*group.everyone((loss, norm(grad))), strict=True)
            loss, grad_norm = sum(losses), math.hypot(*norms)
            if not (math.isfinite(loss) and math.isfinite(grad_norm)):
                self.set_random_streams(streams)
                where = where_not_finite(self.parallel.models, self._accumulate, group)
                raise FloatingPointError(
                    f"step {self.steps_done + 1}: the loss is {loss:g} and the gradient's norm "
                    f"{grad_norm:g}; the first that is not finite is {where}"
                )
            self.optimizer.lr = warmup_cosine(
                self.steps_done, c.steps, c.warmup, c.learning_rate, c.last_learning_rate
            )
            self.optimizer.step(clip_scale(grad_norm, c.clip) if c.clip else 1.0)
            group.share_parts(flat.data)
        self.steps_done += 1
        return StepResult(loss, grad_norm, self.optimizer.lr)

    def _accumulate(self) -> float:
        """The mean loss of `accumulate` batches, and its gradients: this process's part of both."""
        c, model = self.config, self.model
        model.train()
        model.zero_grad()
        loss = 0.0
        for i in range(c.accumulate):
            number = self.steps_done * c.accumulate + i
            T = model.config.context_length
            ids, targets = self.data.batch(c.batch_size, T, self.rng, number, c.seed)
            loss += self.parallel.loss_and_gradients(ids, targets, 1 / c.accumulate)
        return loss

    def random_streams(self) -> dict[str, Any]:
        """Where the random numbers of batches and of dropout stand: what JSON can hold."""
        return {
            "batches": self.rng.bit_generator.state,
            "dropout": self.parallel.rng.bit_generator.state,
        }

    def set_random_streams(self, streams: dict[str, Any]) -> None:
        """Go on from where `random_streams` was called."""
        self.rng.bit_generator.state = streams["batches"]
        self.parallel.rng.bit_generator.state = streams["dropout"]

    def restore(self, steps_done: int, streams: dict[str, Any], m: Array, v: Array) -> None:
        """Go on from an earlier training's step; the model has its parameters already."""
        self.steps_done = self.optimizer.t = steps_done
        if self.group.size > 1:  # a part of each is this process's; the rest is not kept
            m, v = m[self.optimizer.own].copy(), v[self.optimizer.own].copy()
        self.optimizer.m, self.optimizer.v = m, v
        self.set_random_streams(streams)

    def moments(self) -> Moments:
        """AdamW's m and v of all parameters, in the group's first process."""
        n = self.model.num_parameters()
        collected = (self.group.collect(part, n) for part in (self.optimizer.m, self.optimizer.v))
        return Moments(*collected)

    def held_out_loss(
        self, whole: bool = False, progress: Callable[[int, int], None] = lambda done, tokens: None
    ) -> float:
        """Loss on held-out text, in nats a token: of `eval_batches` batches, or of all of it."""
        c = self.config
        batches = None if whole else c.eval_batches
        return held_out_loss(self.model, self.data, c.batch_size, batches, progress, self.group)
