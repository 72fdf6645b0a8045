"""Train the book's 163 million parameters as its chapter 5 does, and hold the log against it.

Exit code 0 if everything holds, 1 if not. Needs the-verdict.txt in NUMPYGPT_DATA and GPT-2's
vocabulary in TIKTOKEN_CACHE_DIR (or the network); without them it says so, and checks nothing.
"""

import os
import sys
import time
from itertools import islice
from pathlib import Path

from numpygpt.book.training import SAMPLE_TOKENS, Sample, Training
from numpygpt.book.training_log import compare_step, step_verdict
from numpygpt.book.verdict import Verdict

# PyTorch 2.13's on a CPU: with the book's dropout and evaluations, and without either.
WITH_DROPOUT = [10.999969, 9.857111, 9.318082, 9.268899, 8.963919, 8.603283]
WITHOUT_DROPOUT = [11.013160, 9.787763, 9.283842, 9.251174, 8.947471, 8.569914]

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
            check(abs(event.loss - loss) < 1e-3, f"loss {event.loss:.6f}, PyTorch's {loss:.6f}")
        if event.evaluation is not None:
            comparison = compare_step(event.number, event.evaluation)
            verdict = step_verdict(event.number, comparison)
            losses = "{:.4f} {:.4f}".format(*event.evaluation)
            line = f"step {event.number}: {losses}, the book's {comparison.printed.text}: {verdict}"
            check(verdict != "DISAGREES", line)
    check_samples(story, samples[0], samples[-1])


def check_without_dropout(story: Verdict) -> None:
    """Six steps in which nothing is random but the start and the order."""
    training = Training(story, dropout=0.0)
    for batch, loss in zip(islice(training.train_loader, 6), WITHOUT_DROPOUT, strict=True):
        ours = training.step(*batch)
        check(abs(ours - loss) < 1e-3, f"no dropout: loss {ours:.6f}, PyTorch's {loss:.6f}")


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
    check_without_dropout(story)
    check_training(story)
    print(f"{len(failures)} failures, {time.monotonic() - start:.0f} s")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
