"""The book's chapter 5 at its own size: losses, the first gradients, and the training's log.

163 million parameters: the loss on the whole text before training, the first step's gradients
against PyTorch's, and then ten epochs against what the book prints of them.

Exit code 0 if everything holds, 1 if not. Needs the-verdict.txt in NUMPYGPT_DATA and GPT-2's
vocabulary in TIKTOKEN_CACHE_DIR (or the network); without them it says so, and checks nothing.
"""

import math
import os
import sys
import time
from itertools import islice
from pathlib import Path

import numpy as np

from numpygpt.book.chapter5 import before_training
from numpygpt.book.figures import compare_all
from numpygpt.book.model import SEED, book_model
from numpygpt.book.torch_random import TorchRandom
from numpygpt.book.training import SAMPLE_TOKENS, SHORT, Sample, Training
from numpygpt.book.training_log import compare_step, step_verdict
from numpygpt.book.verdict import Verdict
from numpygpt.gpt import GPT
from numpygpt.layers.parameter import Array
from numpygpt.training.optim import grad_norm

# PyTorch 2.13's on a CPU: with the book's dropout and evaluations, and without either.
WITH_DROPOUT = [10.999969, 9.857111, 9.318082, 9.268899, 8.963919, 8.603283]
WITHOUT_DROPOUT = [11.013160, 9.787763, 9.283842, 9.251174, 8.947471, 8.569914]

TOLERANCE = (1e-4, 1e-3)  # of the first loss, and of those after a step
# The first gradients' norms without dropout: PyTorch's, on a CPU.
NORMS = {
    "all": "2.365366",
    "token embedding": ".0217909",
    "position embedding": ".0185949",
    "W_q": ".0157832",
    "W_k": ".0160455",
    "first feed-forward": ".1923345",
    "last bias": ".0393520",
    "gain": ".0333917",
    "bias": ".0627812",
    "head": "1.4507762",
}

failures: list[str] = []


def check(holds: bool, what: str) -> None:
    """Print, and remember a failure."""
    print(f"{'ok   ' if holds else 'WRONG'}  {what}", flush=True)
    if not holds:
        failures.append(what)


def check_samples(story: Verdict, first: list[int], last: list[int]) -> None:
    """Gibberish of a few tokens at the start; at the end, whole phrases of the text."""
    check(len(set(first[-SAMPLE_TOKENS:])) <= 5, "after one epoch: a few tokens, repeated")
    text = [str(token) for token in story.tokens]
    said = [str(token) for token in last]
    phrases = (" ".join(said[i : i + 20]) for i in range(len(said) - 19))
    learned = " ".join(text)
    check(
        any(phrase in learned for phrase in phrases), "at the end: 20 tokens of the text by heart"
    )


def check_training(story: Verdict) -> None:
    """The ten epochs."""
    samples = []
    for event in Training(story).run():
        if isinstance(event, Sample):
            samples.append(event.ids)
            print(repr(story.encoding.decode(event.ids)), flush=True)
            continue
        if event.number < len(WITH_DROPOUT):
            loss = WITH_DROPOUT[event.number]
            near = abs(event.loss - loss) < TOLERANCE[event.number > 0]
            check(near, f"loss {event.loss:.6f}, PyTorch's {loss:.6f}")
        if event.evaluation is not None:
            comparison = compare_step(event.number, event.evaluation)
            verdict = step_verdict(event.number, comparison)
            losses = "{:.4f} {:.4f}".format(*event.evaluation)
            line = f"step {event.number}: {losses}, the book's {comparison.printed.text}: {verdict}"
            check(verdict != "DISAGREES", line)
    check_samples(story, samples[0], samples[-1])


def check_before_training(story: Verdict) -> None:
    """The losses of the untrained model on both parts of the text."""
    model = book_model(TorchRandom(SEED), SHORT).eval()
    for comparison in compare_all(before_training(model, story)):
        check(comparison.agrees, f"{comparison.printed.what}: {comparison.printed.text}")


def check_first_gradients(model: GPT) -> None:
    """After the first backward pass, to five digits."""
    first, last = model.blocks[0], model.blocks[11]
    C = model.config.n_embd
    assert last.feedforward.proj.b is not None
    gradients = {
        "token embedding": model.token_embedding.W.grad,
        "position embedding": model.position_embedding.W.grad,
        "W_q": first.attention.qkv.W.grad[:, :C],
        "W_k": first.attention.qkv.W.grad[:, C : 2 * C],
        "first feed-forward": first.feedforward.fc.W.grad,
        "last bias": last.feedforward.proj.b.grad,
        "gain": model.norm.gain.grad,
        "bias": model.norm.bias.grad,
        "head": model.head.W.grad,
    }
    norms = {"all": grad_norm(model)} | {name: norm(g) for name, g in gradients.items()}
    for name, torchs in NORMS.items():
        fifth_digit = 10.0 ** (math.floor(math.log10(float(torchs))) - 4)
        agrees = abs(norms[name] - float(torchs)) <= fifth_digit / 2
        check(agrees, f"gradient's norm, {name}: {norms[name]:.7f}, PyTorch's {torchs}")


def norm(gradient: Array) -> float:
    """Row by row: one float32 sum over 38 million squares would lose the fourth digit."""
    rows = np.linalg.norm(gradient.reshape(len(gradient), -1), axis=-1)
    return float(np.linalg.norm(rows.astype(np.float64)))


def check_without_dropout(story: Verdict) -> None:
    """Six steps in which nothing is random but the start and the order."""
    training = Training(story, dropout=0.0)
    batches = islice(training.train_loader, 6)
    for number, (batch, loss) in enumerate(zip(batches, WITHOUT_DROPOUT, strict=True)):
        ours = training.step(*batch)
        near = abs(ours - loss) < TOLERANCE[number > 0]
        check(near, f"no dropout: loss {ours:.6f}, PyTorch's {loss:.6f}")
        if number == 0:
            check_first_gradients(training.model)


def main() -> int:
    """Run both; 0 if all holds."""
    path = Path(os.environ.get("NUMPYGPT_DATA", "no folder")) / "the-verdict.txt"
    if not path.exists():
        print("NOT CHECKED: NUMPYGPT_DATA names no folder with the-verdict.txt")
        return 0
    try:
        story = Verdict.load(path)
    except OSError as error:
        print(f"NOT CHECKED: {error}")
        return 0
    start = time.monotonic()
    check_before_training(story)
    check_without_dropout(story)
    check_training(story)
    print(f"{len(failures)} failures, {time.monotonic() - start:.0f} s")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
