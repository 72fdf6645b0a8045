"""What a run tells of itself: what it will do, what the model writes by now, how good it became."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tiktoken

from numpygpt.files.checkpoint import CHECKPOINT
from numpygpt.generation import stream
from numpygpt.gpt import GPT
from numpygpt.layers.parameter import Array
from numpygpt.text.parser import share_well_formed, share_well_formed_stories, story_error
from numpygpt.text.printable import printable
from numpygpt.text.tokenizer import END_OF_TEXT, StreamDecoder
from numpygpt.training.data import Text
from numpygpt.training.folder import option
from numpygpt.training.loop import Trainer
from numpygpt.training.progress import LiveLine
from numpygpt.training.windows import DOCUMENTS, prompt_ids

SAMPLE_TOKENS = 60  # that continue the prompt
FRESH, STORY_TOKENS = 200, 250  # samples that are judged at the end, and their longest
TEMPERATURE, TOP_P = 0.5, 0.95  # of all samples


def describe(trainer: Trainer, encoding: tiktoken.Encoding) -> str:
    """What will be done, in three lines."""
    c, data, m = trainer.config, trainer.data, trainer.model.config
    return (
        f"text   {len(data.train):,} tokens to learn from, {len(data.held_out):,} held out; "
        f"{encoding.n_vocab:,} in the vocabulary ({encoding.name})\n"
        f"model  {trainer.model.num_parameters():,} parameters: {m.n_layer} blocks, width "
        f"{m.n_embd}, {m.n_head} heads, context {m.context_length}\n"
        f"train  {c.steps:,} steps of {c.batch_size * c.accumulate} x {m.context_length} tokens; "
        f"windows begin at {'documents' if c.windows == DOCUMENTS else 'random places'}"
    )


def sample(model: GPT, encoding: tiktoken.Encoding, prompt: str, windows: str) -> str:
    """The prompt, continued, with its lines set in; `windows` says how texts began in training."""
    ids = prompt_ids(encoding, prompt, windows)[None]
    decoder = StreamDecoder(encoding)  # a last character that was cut is left out
    new = (int(ids[0]) for ids in _written(model, encoding, ids, SAMPLE_TOKENS, seed=1))
    return indent(prompt + "".join(decoder.feed(i) for i in new if i != encoding.eot_token))


def fresh_stories(
    model: GPT, encoding: tiktoken.Encoding, progress: LiveLine, count: int = FRESH, seed: int = 2
) -> list[str]:
    """New samples from nothing but the end-of-text token; some may be empty."""
    eos, count_up = encoding.eot_token, progress.counter("tokens  fresh stories")
    steps = []
    for ids in _written(model, encoding, [[eos]] * count, STORY_TOKENS, seed):
        steps.append(ids)
        count_up(len(steps), STORY_TOKENS)
    rows = np.stack(steps, axis=1)
    return [encoding.decode([int(i) for i in row if i != eos]).strip() for row in rows]


def _written(
    model: GPT, encoding: tiktoken.Encoding, ids: npt.ArrayLike, tokens: int, seed: int
) -> Iterator[Array]:
    """The ids that follow, step by step: so are all samples drawn."""
    eos, V = encoding.eot_token, encoding.n_vocab
    return stream(model, ids, tokens, TEMPERATURE, None, TOP_P, eos, seed, vocab_size=V)


def judge_stories(model: GPT, encoding: tiktoken.Encoding, text: Text, progress: LiveLine) -> str:
    """How good fresh stories are, as the parser sees it, and whether any is only copied."""
    fresh = fresh_stories(model, encoding, progress)
    learned = set(text.train.split(END_OF_TEXT))
    copies = sum(story in learned for story in fresh if story)
    first = next((story for story in fresh if story), "")
    return (
        f"{len(fresh)} fresh stories, drawn at temperature {TEMPERATURE:g}: "
        f"{share_well_formed(fresh):.1%} of their sentences are well formed,\n"
        f"{share_well_formed_stories(fresh):.1%} of the stories hold together from end to end, "
        f"and {copies} are copies of a training story; the first of them:\n"
        f"{indent(first)}\n{_mistakes(fresh)}"
    )


def _mistakes(texts: list[str]) -> str:
    """How many of the texts go wrong, and on what, a line each."""
    first = (story_error(text) for text in texts)
    counts = Counter(mistake.about for mistake in first if mistake is not None)
    lines = [f"    {count:4}  {about}\n" for about, count in counts.most_common()]
    return "the first mistake of each of the others:\n" * bool(lines) + "".join(lines)


def written(folder: Path, prompt: str) -> str:
    """Where all of it is, and commands to paste; a prompt that cannot be shown is not in them."""
    again = f" {option('prompt', prompt)}" if prompt and printable(prompt) == prompt else ""
    return (
        f"written to {folder}: {CHECKPOINT} (weights, tokenizer, configuration) and\n"
        "metrics.csv (the losses); now try\n"
        f"    numpygpt generate {option('run', folder)}{again}\n"
        "and look inside, at what its numbers came to hold:\n"
        f"    numpygpt look {option('run', folder)}"
    )


def indent(text: str) -> str:
    """What a reader may see of the text, with its lines set in."""
    return "\n".join("    " + line for line in printable(text).rstrip("\n").split("\n"))
