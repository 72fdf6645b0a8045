"""When all is done: the default model, trained for a minute on the reader's own layers.

First its gradient is compared with that of the package's own model, number by number: both start
from the same weights. Then it trains as `numpygpt train` does, into a run's folder in the reader's.
"""

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import tiktoken

from numpygpt.config import SMALL, GPTConfig
from numpygpt.gpt import GPT
from numpygpt.layers.parameter import Array
from numpygpt.practice.exercises import EXERCISES
from numpygpt.practice.model import OwnGPT
from numpygpt.practice.reader import load, told
from numpygpt.text.tokenizer import make_tokenizer
from numpygpt.training.data import Text
from numpygpt.training.folder import new_folder
from numpygpt.training.loop import TrainConfig
from numpygpt.training.run import Run, trainer_of

SECONDS, LEAST_STEPS = 60.0, 150  # fewer steps make no sentences
SAME = 1e-9


def train(folder: Path, steps: int | None = None) -> None:
    """Train a model of the folder's layers, all of which are done; within `reading`.

    `steps`: as many as take a minute, if not given.
    """
    modules = {name: load(folder, name) for name in EXERCISES}
    text = Text.load(None)
    encoding = make_tokenizer("bpe", text.train)
    config = GPTConfig(encoding.n_vocab, **SMALL)
    with told(folder):
        print(same_gradient(config, modules), flush=True)
        model = OwnGPT(config, modules)
        if steps is None:
            steps = max(LEAST_STEPS, round(SECONDS / seconds_a_step(model, text, encoding)))
        with new_folder(free(folder)) as into:
            run = Run.create(into, text, encoding, model, options(steps, text))
            print(run.describe(), flush=True)
            if run.train():
                print(
                    f"All {model.num_parameters():,} numbers of this model were learned from "
                    f"gradients that came\nthrough your backward passes, in {folder}."
                )


def options(steps: int, text: Text) -> TrainConfig:
    """The defaults, for fewer steps."""
    warmup = min(TrainConfig().warmup, steps // 4)
    quarter = -(-steps // 4)
    return TrainConfig(steps, warmup=warmup, eval_every=quarter, windows=text.windows())


def same_gradient(config: GPTConfig, modules: Mapping[str, ModuleType]) -> str:
    """How near the whole gradient is to the package's own, in float64; an error if it is not."""
    config = replace(config, zero_init_attention=False)  # zeros let no gradient through
    rng = np.random.default_rng(0)
    ids, targets = rng.integers(config.vocab_size, size=(2, 2, config.context_length))
    models = GPT(config, 0, np.float64), OwnGPT(config, modules, 0, np.float64)
    for model in models:
        model.loss(ids, targets)
        model.backward()
    package, own = (dict(model.named_parameters()) for model in models)
    errors = {name: _relative_error(own[name].grad, p.grad) for name, p in package.items()}
    worst = max(errors, key=lambda name: errors[name])
    if not errors[worst] <= SAME:
        raise ValueError(
            f"the layers are right one by one, but a GPT of them has another gradient of {worst} "
            f"than numpygpt's, by {errors[worst]:.0e} of its size: does a file change what another "
            "one uses?"
        )
    return (
        f"A GPT of your layers: the gradients of its {models[1].num_parameters():,} numbers are "
        f"those of numpygpt's\nown layers, to {errors[worst]:.0e} of their size.\n"
    )


def _relative_error(own: Array, package: Array) -> float:
    error = np.linalg.norm(own - package) / np.linalg.norm(package)
    return float(error) if np.isfinite(error) else np.inf


def seconds_a_step(model: OwnGPT, text: Text, encoding: tiktoken.Encoding) -> float:
    """How long a training step takes here, tried on a copy."""
    trainer = trainer_of(model.astype(np.float32), text, encoding, options(LEAST_STEPS, text))
    trainer.step()
    start = time.perf_counter()
    for _ in range(3):
        trainer.step()
    return (time.perf_counter() - start) / 3


def runs(folder: Path) -> list[Path]:
    """The trained models in the folder, the newest last."""
    found = folder.glob("run-*/checkpoint.npz")
    return sorted(found, key=lambda path: path.stat().st_mtime)


def free(folder: Path) -> Path:
    """A folder for the next one."""
    number = 1
    while (folder / f"run-{number}").exists():
        number += 1
    return folder / f"run-{number}"
