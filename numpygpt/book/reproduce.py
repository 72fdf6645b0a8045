"""The command ``numpygpt reproduce``: the book's numbers and numpygpt's, side by side."""

import time
from collections.abc import Iterator, Sequence

import numpy.typing as npt

from numpygpt.book import chapter3, chapter4, chapter5
from numpygpt.book.figures import CHAPTERS, compare_all
from numpygpt.book.printed import Comparison
from numpygpt.book.report import comparison_lines
from numpygpt.book.training import Sample, Training
from numpygpt.book.training_log import LOSSES, compare_step, step_verdict
from numpygpt.book.verdict import Verdict, read
from numpygpt.text.tokenizer import gpt2_encoding
from numpygpt.training.progress import duration

VOCABULARY_SECONDS = 10.0  # to fetch GPT-2's vocabulary only in order to write six tokens as text


def reproduce_command(chapter: str | None, data: str | None, train: bool) -> bool:
    """Print the comparisons, and train if asked to; returns whether every number agrees.

    Parameters
    ----------
    chapter : str or None
        "ch03", "ch04" or "ch05"; None for all of them.
    data : str or None
        The path of the-verdict.txt; None fetches it when it is needed.
    train : bool
        Whether to train as chapter 5 does.

    Raises
    ------
    ValueError
        If data or train is given with a chapter that has no use for it, or data is another text.
    OSError
        If the file cannot be read; or, last of all, if there is no training because the text or
        GPT-2's vocabulary cannot be had. What does not need them is printed before.
    """
    if (data is not None or train) and chapter not in (None, "ch05"):
        raise ValueError(f"--data and --train belong to ch05, got them with {chapter}")
    if data is not None:
        read(data)  # a wrong file is told before any work
    story, reason = None, ""
    chapters = [chapter] if chapter else list(CHAPTERS)
    comparisons: list[Comparison] = []
    left_out = 0
    for name in chapters:
        print(f"\nChapter {name[-1]}: the book | numpygpt | difference\n")
        if name == "ch05":
            story, reason = load_if_possible(data)
        shown = [show(comparison) for comparison in compare_all(computed(name, story))]
        comparisons += shown
        if name == "ch05":
            left_out = show_left_out(shown, reason)
    agrees = summarise(comparisons, left_out)
    if train and story is not None:
        agrees = show_training(story) and agrees
    for comparison in comparisons:
        if comparison.printed.name == "ch04.greedy":
            print(f"\n{answer(comparison)}")
    if train and story is None:
        raise OSError(f"--train: {reason}")
    return agrees


def computed(chapter: str, story: Verdict | None) -> Iterator[tuple[str, npt.ArrayLike]]:
    """Yield the numbers of one chapter, as they come."""
    if chapter == "ch03":
        return chapter3.computed()
    return chapter4.computed() if chapter == "ch04" else chapter5.computed(story)


def load_if_possible(data: str | None) -> tuple[Verdict | None, str]:
    """Return the text and its tokens, or None and why they cannot be had."""
    try:
        return Verdict.load(data), ""
    except OSError as error:
        return None, str(error)


def show(comparison: Comparison) -> Comparison:
    """Print one figure."""
    printed = comparison.printed
    print(f"{printed.section}  {printed.what}")
    print("\n".join(comparison_lines(comparison)), flush=True)
    return comparison


def show_left_out(shown: Sequence[Comparison], reason: str) -> int:
    """Print which figures of chapter 5 were not computed, and why; returns how many."""
    names = {comparison.printed.name for comparison in shown} | {LOSSES.name}  # that is --train's
    left_out = [figure for figure in CHAPTERS["ch05"] if figure.name not in names]
    for figure in left_out:
        print(f"{figure.section}  {figure.what}\n     LEFT OUT, not compared")
    if left_out:
        print(f"\nLeft out because {reason}")
    return len(left_out)


def summarise(comparisons: Sequence[Comparison], left_out: int) -> bool:
    """Print how many numbers agree, and which figures do not; returns whether all do."""
    total = sum(comparison.agree.size for comparison in comparisons)
    agreeing = sum(int(comparison.agree.sum()) for comparison in comparisons)
    print(f"\n{agreeing} of {total} numbers agree with the book's at the precision it prints.")
    wrong = [comparison.printed.name for comparison in comparisons if not comparison.agrees]
    if wrong:
        print(f"These do not: {', '.join(wrong)}.")
    if left_out:
        print(f"{left_out} figures were left out, see above.")
    return not wrong


def answer(comparison: Comparison) -> str:
    """What the untrained model says to "Hello, I am"."""
    ids = [int(token) for token in comparison.computed]
    try:
        said = "Hello, I am" + gpt2_encoding(VOCABULARY_SECONDS).decode(ids)
    except OSError:
        said = f"token ids {' '.join(map(str, ids))} (GPT-2's vocabulary could not be had)"
    return f'The untrained GPT-2 continues "Hello, I am":\n\n    {said}'


def show_training(story: Verdict) -> bool:
    """Train, print the log beside the book's and each epoch's sample; returns whether it agrees."""
    print("\n5.2  training and validation loss: the book | numpygpt | difference\n")
    start = time.monotonic()
    agrees = True
    for event in Training(story).run():
        if isinstance(event, Sample):
            text = story.encoding.decode(event.ids).replace("\n", " ")
            print(f"\nafter epoch {event.epoch}: {text}\n", flush=True)
        elif event.evaluation is not None:
            comparison = compare_step(event.number, event.evaluation)
            said = step_verdict(event.number, comparison)
            agrees = agrees and said != "DISAGREES"
            (line,) = comparison_lines(comparison, said)
            print(f"step {event.number:>2}{line}", flush=True)
    print(f"trained in {duration(time.monotonic() - start)}")
    return agrees
