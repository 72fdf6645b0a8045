"""The main job, `numpygpt train`: from gibberish to intelligible text, and nothing ever lost.

A checkpoint is written before the first step, with each measurement on held-out text, and at the
end, be that the last step, Ctrl-C or SIGTERM. It holds all that the next step depends on, so a run
that was resumed ends with the same bits as one that was never interrupted.
"""

import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import tiktoken

from numpygpt.files.checkpoint import CHECKPOINT, CheckpointError, config_from
from numpygpt.gpt import GPT
from numpygpt.training.data import Data, Text
from numpygpt.training.diagnose import parameter_not_finite
from numpygpt.training.loop import TrainConfig, Trainer
from numpygpt.training.metrics import Metrics
from numpygpt.training.progress import Progress, duration, stop_requested
from numpygpt.training.report import describe, judge_stories, sample
from numpygpt.training.saved import resume_run, save_run


@dataclass
class Run:
    """One training: what is trained, on which text, and in which folder.

    The folder is there, and this process has it alone (folder.py), while `train` runs.
    """

    folder: Path
    text: Text
    encoding: tiktoken.Encoding
    trainer: Trainer
    seconds: float = 0.0  # spent in steps so far
    saved_step: int = 0

    @classmethod
    def create(
        cls, folder: Path, text: Text, encoding: tiktoken.Encoding, model: GPT, config: TrainConfig
    ) -> "Run":
        """A new run of a model, fresh or not, whose vocabulary is the encoding's."""
        data = Data.encode(encoding, text.train, text.held_out)
        run = cls(folder, text, encoding, Trainer(model, data, config))
        run.save()
        return run

    @classmethod
    def resume(cls, folder: Path, steps: int | None = None) -> "Run":
        """The run in a folder, where it was left; `steps` changes how many it has in all."""
        saved = resume_run(folder)
        path = folder / CHECKPOINT
        try:
            about, state = saved.training["text"], saved.training["state"]
            config = config_from(TrainConfig, saved.training["options"])
            config = replace(config, steps=config.steps if steps is None else steps)
            done, seconds = int(state["step"]), float(state["seconds"])
            file, sha256, prompt = about["file"], str(about["sha256"]), str(about["prompt"])
            if done < 0 or not isinstance(file, str | None):
                raise ValueError(f"step {done} of the text {file!r}")
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            raise CheckpointError(
                f"{path}: its config.json describes no training: {error}"
            ) from None
        text = Text.load(file, prompt)
        if text.sha256 != sha256:
            raise CheckpointError(
                f"{folder} learned another text than is in {file or 'the built-in stories'} now: "
                "a run can only be resumed with its own"
            )
        if done > config.steps:
            raise ValueError(f"--steps: expected at least {done}, which {folder} has done already")
        data = Data.encode(saved.encoding, text.train, text.held_out)
        trainer = Trainer(saved.model, data, config)
        assert saved.m is not None and saved.v is not None
        try:
            trainer.restore(done, state["random"], saved.m, saved.v)
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            raise CheckpointError(f"{path}: no state of random streams: {error!r}") from None
        return cls(folder, text, saved.encoding, trainer, seconds, saved_step=done)

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
        return describe(self.trainer, self.encoding)

    def save(self) -> None:
        """Write the checkpoint, in one instant."""
        t = self.trainer
        if bad := parameter_not_finite(self.model):
            raise FloatingPointError(f"step {t.steps_done}: {bad} is not finite")
        training = {
            "options": asdict(t.config),
            "text": {
                "file": self.text.file,
                "sha256": self.text.sha256,
                "prompt": self.text.prompt,
            },
            "state": {
                "step": t.steps_done,  # AdamW's t, too
                "seconds": self.seconds,
                "random": t.random_streams(),
            },
        }
        save_run(self.folder, self.model, self.encoding, training, t.optimizer)
        self.saved_step = t.steps_done

    def train(self) -> bool:
        """Do the steps that are left; returns whether all are done, or a signal ended it early."""
        c = self.trainer.config
        tokens = c.batch_size * c.accumulate * self.model.config.context_length
        progress = Progress(c.steps, tokens, self.trainer.steps_done)
        try:
            with Metrics(self.folder, self.trainer.steps_done) as metrics, stop_requested() as stop:
                if not self.trainer.steps_done:
                    self.show_sample(progress, "before training")
                while not (self.complete or stop):
                    self.step(progress, metrics)
                metrics.flush()
                if self.saved_step < self.trainer.steps_done:
                    self.save()
        except (FloatingPointError, CheckpointError) as error:
            progress.print(progress.line())
            kept = f"{self.folder} keeps the checkpoint of step {self.saved_step}"
            if not self.folder.is_dir():
                kept = f"{self.folder} is gone"
            raise type(error)(f"{error}; {kept}") from error
        progress.print(progress.line())
        self.finish()
        return self.complete

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
            loss = self.trainer.held_out_loss()
            bits = self.trainer.data.bits_per_byte(loss)
            row |= {"held_out_loss": f"{loss:.6g}", "bits_per_byte": f"{bits:.6g}"}
            progress.print(f"{progress.line()}  held out {loss:.3f}, {bits:.3f} bits/byte")
        metrics.write(row)
        if done % (c.save_every or c.eval_every) == 0:
            metrics.flush()  # a checkpoint never is ahead of its rows
            self.save()
        if done % max(1, c.steps // 4) == 0 and not self.complete:
            self.show_sample(progress, f"after {done} steps")

    def show_sample(self, progress: Progress, when: str) -> None:
        """Print how the model continues the prompt now."""
        text = sample(self.model, self.encoding, self.text.prompt)
        progress.print(f"\n{when}:\n{text}\n")

    def finish(self) -> None:
        """Print the last measurements, and where everything was written."""
        done, steps = self.trainer.steps_done, self.trainer.config.steps
        text = sample(self.model, self.encoding, self.text.prompt)
        if not self.complete:
            print(f"\nafter {done} steps:\n{text}\n")
            print(f"stopped after {done} of {steps} steps; what was learned is kept. To go on:")
            print(f"    numpygpt train --resume {self.folder}")
            return
        print(f"\nafter training ({duration(self.seconds)}):\n{text}\n")
        loss = self.trainer.held_out_loss(whole=True)
        bits = self.trainer.data.bits_per_byte(loss)
        print(f"held-out text: {loss:.3f} nats a token, {bits:.3f} bits a byte")
        if self.text.file is None:
            print(judge_stories(self.model, self.encoding, self.text))
        print(f"written to {self.folder}: {CHECKPOINT} (weights, tokenizer, configuration) and")
        print("metrics.csv (the losses); now try")
        print(f'    numpygpt generate --run {self.folder} --prompt "{self.text.prompt}"')
