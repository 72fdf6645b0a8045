"""The main job, `numpygpt train`: from gibberish to intelligible text, and everything saved."""

import csv
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import tiktoken

from numpygpt.checkpoint import save_run
from numpygpt.generate import generate
from numpygpt.gpt import GPT, GPTConfig
from numpygpt.text.parser import share_well_formed, share_well_formed_stories
from numpygpt.text.stories import stories
from numpygpt.text.tokenizer import END_OF_TEXT, encode_text, make_tokenizer
from numpygpt.training.data import Data, read_text, split_text
from numpygpt.training.loop import TrainConfig, Trainer
from numpygpt.training.progress import Progress, duration, stop_requested

STORIES = 12_000  # stories to learn from, and to hold out
FRESH = 200  # samples that are judged at the end
TEMPERATURE, TOP_P = 0.8, 0.95  # of all samples


@dataclass(frozen=True)
class Text:
    """What is learned: the text in two parts, and what to continue as a demonstration."""

    train: str
    held_out: str
    prompt: str
    stories: bool = False

    @classmethod
    def load(cls, path: str | None, prompt: str | None) -> "Text":
        """A file's text, or the built-in stories."""
        if path is None:
            texts = stories(STORIES, seed=0)
            cut = STORIES * 9 // 10
            parts = ["".join(t + END_OF_TEXT for t in p) for p in (texts[:cut], texts[cut:])]
            first = " ".join(texts[-1].split()[:4])
            return cls(parts[0], parts[1], first if prompt is None else prompt, stories=True)
        train, held_out = split_text(read_text(path))
        return cls(train, held_out, held_out[:32].strip() if prompt is None else prompt)


@dataclass
class Run:
    """One training: what is trained, where it goes, and what it reports."""

    folder: Path
    text: Text
    encoding: tiktoken.Encoding
    trainer: Trainer
    sample_every: int
    last_sample: str = field(default="")

    @classmethod
    def create(
        cls,
        folder: str | None,
        text: Text,
        tokenizer: str,
        shape: dict[str, Any],
        c: TrainConfig,
        init: tuple[GPT, tiktoken.Encoding] | None = None,
    ) -> "Run":
        """Tokenizer, data and a model: the one in `init`, or a fresh one of that shape."""
        if init is None:
            encoding = make_tokenizer(tokenizer, text.train)
            model = GPT(GPTConfig(vocab_size=encoding.n_vocab, **shape), rng=c.seed)
        else:
            model, encoding = init
            model.set_dropout_rng(np.random.default_rng(c.seed))
        data = Data.encode(encoding, text.train, text.held_out)
        trainer = Trainer(model, data, c)
        path = Path(folder) if folder else free_folder(Path("runs"))
        return cls(path, text, encoding, trainer, max(1, c.steps // 4))

    @property
    def model(self) -> GPT:
        """The model in training."""
        return self.trainer.model

    def describe(self) -> str:
        """What will be done, in three lines."""
        c, data = self.trainer.config, self.trainer.data
        m = self.model.config
        return (
            f"text   {len(data.train):,} tokens to learn from, {len(data.held_out):,} held out; "
            f"{self.encoding.n_vocab:,} in the vocabulary ({self.encoding.name})\n"
            f"model  {self.model.num_parameters():,} parameters: {m.n_layer} blocks, width "
            f"{m.n_embd}, {m.n_head} heads, context {m.context_length}\n"
            f"train  {c.steps:,} steps of {c.batch_size * c.accumulate} x {m.context_length} tokens"
        )

    def sample(self, tokens: int = 60) -> str:
        """The prompt, continued."""
        ids = encode_text(self.encoding, self.text.prompt or END_OF_TEXT)[None]
        eos = self.encoding.eot_token
        out = generate(self.model, ids, tokens, TEMPERATURE, top_p=TOP_P, eos_id=eos, rng=1)[0]
        return self.encoding.decode([int(i) for i in out if i != eos], errors="replace")

    def save(self) -> None:
        """Write weights, tokenizer and configuration."""
        training = asdict(self.trainer.config) | {"steps_done": self.trainer.steps_done}
        save_run(self.folder, self.model, self.encoding, training)

    def train(self) -> bool:
        """Train, reporting; returns whether all steps were done. Ctrl-C ends it, all kept."""
        c, T = self.trainer.config, self.model.config.context_length
        progress = Progress(c.steps, c.batch_size * c.accumulate * T)
        with open_metrics(self.folder) as metrics, stop_requested() as stop:
            progress.print(f"\nbefore training:\n{indent(self.sample())}\n")
            while self.trainer.steps_done < c.steps and not stop:
                start = time.perf_counter()
                result = self.trainer.step()
                progress.update(result.loss, time.perf_counter() - start)
                done = self.trainer.steps_done
                row: dict[str, Any] = {"step": done, "seconds": f"{progress.seconds:.2f}"}
                row |= {key: f"{value:.6g}" for key, value in asdict(result).items()}
                if done % c.eval_every == 0 and done < c.steps:
                    row["held_out_loss"] = loss = self.trainer.held_out_loss()
                    row["bits_per_byte"] = bits = self.trainer.data.bits_per_byte(loss)
                    progress.print(f"{progress.line()}  held out {loss:.3f}, {bits:.3f} bits/byte")
                    self.save()
                metrics.writerow(row)
                if done % self.sample_every == 0 and done < c.steps:
                    progress.print(f"\nafter {done} steps:\n{indent(self.sample())}\n")
        self.save()
        progress.print(progress.line())
        self.finish(duration(progress.seconds))
        return self.trainer.steps_done == c.steps

    def finish(self, spent: str) -> None:
        """The last measurements, and where everything was written."""
        done, steps = self.trainer.steps_done, self.trainer.config.steps
        if done < steps:
            print(f"stopped after {done} of {steps} steps; what was learned is kept")
        print(f"\nafter training ({spent}):\n{indent(self.sample())}\n")
        loss = self.trainer.held_out_loss(whole=True)
        bits = self.trainer.data.bits_per_byte(loss)
        print(f"held-out text: {loss:.3f} nats a token, {bits:.3f} bits a byte")
        if self.text.stories:
            print(self.judge_stories())
        print(f"written to {self.folder}; now try")
        print(f'    numpygpt generate --run {self.folder} --prompt "{self.text.prompt}"')

    def fresh_stories(self, count: int = FRESH, seed: int = 2) -> list[str]:
        """New samples from nothing but the end-of-text token."""
        eos = self.encoding.eot_token
        out = generate(
            self.model, [[eos]] * count, 250, TEMPERATURE, top_p=TOP_P, eos_id=eos, rng=seed
        )
        return [self.encoding.decode([int(i) for i in row if i != eos]).strip() for row in out]

    def judge_stories(self) -> str:
        """How good fresh stories are, as the parser sees it, and whether any is only copied."""
        fresh = self.fresh_stories()
        learned = set(self.text.train.split(END_OF_TEXT))
        copies = sum(story in learned for story in fresh)
        return (
            f"{FRESH} fresh stories: {share_well_formed(fresh):.1%} of their sentences are well "
            f"formed, {share_well_formed_stories(fresh):.1%} of the stories hold together from "
            f"end to end,\nand {copies} are copies of a training story; the first of them:\n"
            f"{indent(fresh[0])}\n"
        )


@contextmanager
def open_metrics(folder: Path) -> Iterator["csv.DictWriter[str]"]:
    """The folder's metrics.csv, a row written as soon as it is known."""
    folder.mkdir(parents=True, exist_ok=True)
    names = ["step", "seconds", "loss", "grad_norm", "learning_rate"]
    file: TextIO
    with open(folder / "metrics.csv", "w", newline="", buffering=1) as file:
        writer = csv.DictWriter(file, [*names, "held_out_loss", "bits_per_byte"])
        writer.writeheader()
        yield writer


def free_folder(parent: Path) -> Path:
    """parent/1, or the first number that is not taken."""
    number = 1
    while (parent / str(number)).exists():
        number += 1
    return parent / str(number)


def indent(text: str) -> str:
    """The text with its lines set in."""
    return "\n".join(f"    {line}" for line in text.splitlines())
