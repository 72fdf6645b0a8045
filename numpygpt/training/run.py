"""The main job, `numpygpt train`: from gibberish to intelligible text, and nothing ever lost.

A checkpoint is written before the first step, with each measurement on held-out text, and at the
end, be that the last step, a signal (stop.py) or a reader of the output who went away. It holds all
that the next step depends on, so a run that was resumed ends with the same bits as one that was
never interrupted.
"""

import time
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import tiktoken

from numpygpt.files.checkpoint import CHECKPOINT
from numpygpt.files.whole import CheckpointError, user_path
from numpygpt.gpt import GPT
from numpygpt.training.alike import check_alike, check_seen
from numpygpt.training.data import Data, Text
from numpygpt.training.diagnose import parameter_not_finite
from numpygpt.training.distributed import ALONE, Alone
from numpygpt.training.folder import resume_command
from numpygpt.training.kept import forget_later, kept_path, steps_to_keep
from numpygpt.training.loop import TrainConfig, Trainer
from numpygpt.training.metrics import Metrics, NoMetrics
from numpygpt.training.optim import Moments
from numpygpt.training.progress import Progress, duration, say
from numpygpt.training.record import Record
from numpygpt.training.report import describe, judge_stories, sample, written
from numpygpt.training.saved import resume_run, save_run
from numpygpt.training.stop import stop_requested
from numpygpt.training.windows import DOCUMENTS


def trainer_of(
    model: GPT, text: Text, encoding: tiktoken.Encoding, config: TrainConfig, group: Alone = ALONE
) -> Trainer:
    """What trains the model on a text, in windows that begin as the config says."""
    T = model.config.context_length if config.windows == DOCUMENTS else None
    return Trainer(model, Data.encode(encoding, text.train, text.held_out, T), config, group)


@dataclass
class Run:
    """One training: what is trained, on which text, and in which folder.

    The folder is there, and this process has it alone (folder.py), while `train` runs. Of a group
    of processes (distributed.py) all do the same, but only the first writes and samples.
    """

    folder: Path
    text: Text
    encoding: tiktoken.Encoding
    trainer: Trainer
    seconds: float = 0.0  # spent in steps so far
    saved_step: int = 0

    def __post_init__(self) -> None:
        check_alike(self.trainer, self.text, self.encoding)

    @classmethod
    def create(
        cls,
        folder: Path,
        text: Text,
        encoding: tiktoken.Encoding,
        model: GPT,
        config: TrainConfig,
        group: Alone = ALONE,
    ) -> "Run":
        """A new run of a model, fresh or not, whose vocabulary is the encoding's."""
        run = cls(folder, text, encoding, trainer_of(model, text, encoding, config, group))
        run.save()
        check_seen(folder, group)
        return run

    @classmethod
    def resume(
        cls,
        folder: str | Path,
        steps: int | None = None,
        data: str | Path | None = None,
        group: Alone = ALONE,
    ) -> "Run":
        """The run in a folder, where it was left.

        `steps` changes how many it has in all; `data` is where its text is now, if not where it
        was. Raises CheckpointError if the folder holds no whole run, or the text is another one.
        """
        folder = user_path(folder)
        saved = resume_run(folder)
        record = Record.read(saved.training, folder / CHECKPOINT)
        text = record.find_text(folder, data)
        config = replace(record.config, steps=record.config.steps if steps is None else steps)
        if record.done > config.steps:
            raise ValueError(
                f"--steps: expected at least {record.done}, which {folder} has done already"
            )
        trainer = trainer_of(saved.model, text, saved.encoding, config, group)
        assert saved.m is not None and saved.v is not None
        try:
            trainer.restore(record.done, record.random, saved.m, saved.v)
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            raise CheckpointError(
                f"{folder / CHECKPOINT}: no state of random streams: {error!r}"
            ) from None
        return cls(folder, text, saved.encoding, trainer, record.seconds, saved_step=record.done)

    @property
    def model(self) -> GPT:
        """The model in training."""
        return self.trainer.model

    @property
    def complete(self) -> bool:
        """Whether all steps are done."""
        return self.trainer.steps_done == self.trainer.config.steps

    def describe(self) -> str:
        """What will be done."""
        return f"{describe(self.trainer, self.encoding)}{self.trainer.group.describe()}"

    def save(self) -> None:
        """Write the checkpoint, in one instant."""
        self._write(self.folder, self.trainer.moments())
        self.saved_step = self.trainer.steps_done

    def keep(self) -> None:
        """If it is to be kept, write this step's weights, too: before the checkpoint, always."""
        c, done = self.trainer.config, self.trainer.steps_done
        if done in steps_to_keep(c.keep, c.steps):
            self._write(kept_path(self.folder, done))

    def _write(self, path: Path, moments: Moments | None = None) -> None:
        t = self.trainer
        if bad := parameter_not_finite(self.model):
            raise FloatingPointError(f"step {t.steps_done}: {bad} is not finite")
        record = Record.of(t, self.text, self.seconds).as_json()
        t.group.first(lambda: save_run(path, self.model, self.encoding, record, moments))

    def kept(self, then: str = "") -> str:
        """What the folder keeps, whatever comes now; `then`, unless that is all."""
        if not self.folder.is_dir():
            return f"{self.folder} is gone"
        kept = f"{self.folder} keeps the checkpoint of step {self.saved_step}"
        return kept + then if self.saved_step < self.trainer.config.steps else kept

    def train(self) -> bool:
        """Do the steps that are left; returns whether all are done, or a signal ended it early.

        Raises
        ------
        FloatingPointError, CheckpointError
            If a number is not finite, or the folder cannot be written.
        BrokenPipeError
            If the output's reader went away: that ends a training as a signal does, all is saved.
        OSError
            If the output could not be written for another reason; the training went on without.
        """
        c = self.trainer.config
        tokens = c.batch_size * c.accumulate * self.model.config.context_length
        progress = Progress(c.steps, tokens, self.trainer.steps_done)
        to_go_on = f"; to go on: {resume_command(self.folder)}"
        try:
            self._steps(progress)
        except (FloatingPointError, CheckpointError) as error:
            progress.end()
            raise type(error)(f"{error}; {self.kept()}") from error
        except KeyboardInterrupt:
            say(self.kept(to_go_on))
            raise
        progress.end()
        if not self.trainer.group.any(progress.lost):
            self.finish(progress)
        if lost := progress.lost:
            what = "nobody reads the output any more"
            if not isinstance(lost, BrokenPipeError):
                what = f"the output cannot be written ({lost.strerror or lost})"
            raise type(lost)(f"{what}; {self.kept(to_go_on)}") from lost
        return self.complete

    def _steps(self, progress: Progress) -> None:
        """Steps until all are done, a signal comes, or nobody listens; then a checkpoint."""
        group, done = self.trainer.group, self.trainer.steps_done
        rows = NoMetrics() if group.rank else Metrics(self.folder, done)
        with closing(rows) as metrics, stop_requested() as stop:
            group.first(lambda: forget_later(self.folder, done))
            self.keep()
            if not done:
                self.show_sample(progress, "before training")
            while not (
                self.complete or group.any(stop or isinstance(progress.lost, BrokenPipeError))
            ):
                self.step(progress, metrics)
            if self.saved_step < self.trainer.steps_done:
                metrics.flush()
                self.save()

    def step(self, progress: Progress, metrics: Metrics) -> None:
        """One step, and what is due after it: a measurement, a row, a checkpoint, a sample."""
        c = self.trainer.config
        start = time.perf_counter()
        result = self.trainer.step()
        seconds = time.perf_counter() - start
        self.seconds += seconds
        progress.update(result.loss, seconds)
        done = self.trainer.steps_done
        row: dict[str, Any] = {"step": done, "seconds": f"{self.seconds:.2f}"}
        row |= {key: f"{value:.6g}" for key, value in asdict(result).items()}
        if done % c.eval_every == 0 and not self.complete:
            loss, bits = self.measure(progress)
            row |= {"held_out_loss": f"{loss:.6g}", "bits_per_byte": f"{bits:.6g}"}
            progress.print(f"{progress.line()}  held out {loss:.3f}, {bits:.3f} bits/byte")
        metrics.write(row)
        self.keep()
        if done % (c.save_every or c.eval_every) == 0:
            metrics.flush()  # a checkpoint never is ahead of its rows
            self.save()
        if done % -(-c.steps // 4) == 0 and not self.complete:
            self.show_sample(progress, f"after {done} steps")

    def show_sample(self, progress: Progress, when: str) -> None:
        """Print how the model continues the prompt now: one process does, the others wait."""
        if self.trainer.group.rank:
            return
        windows = self.trainer.config.windows
        text = sample(self.model, self.encoding, self.text.prompt, windows)
        progress.print(f"\n{when}:\n{text}\n")

    def measure(self, progress: Progress, whole: bool = False) -> tuple[float, float]:
        """The loss on held-out text, in nats a token and in bits a byte."""
        loss = self.trainer.held_out_loss(whole, progress.counter("tokens  held-out text"))
        return loss, self.trainer.data.bits_per_byte(loss)

    def finish(self, progress: Progress) -> None:
        """Print the last measurements, and, even if Ctrl-C cuts them, where all was written."""
        done, steps = self.trainer.steps_done, self.trainer.config.steps
        after = f"training ({duration(self.seconds)})" if self.complete else f"{done} steps"
        try:
            self.show_sample(progress, f"after {after}")
            if self.complete:
                loss, bits = self.measure(progress, whole=True)
                progress.print(f"held-out text: {loss:.3f} nats a token, {bits:.3f} bits a byte")
                if self.text.file is None and not self.trainer.group.rank:
                    progress.print(judge_stories(self.model, self.encoding, self.text, progress))
        finally:
            if self.complete:
                progress.print(written(self.folder, self.text.prompt))
            else:
                progress.print(
                    f"stopped after {done} of {steps} steps; what was learned is kept. To go on:\n"
                    f"    {resume_command(self.folder)}"
                )
