"""What a checkpoint's config.json says of a training: how, on which text, and how far it came."""

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from numpygpt.files.checkpoint import config_from
from numpygpt.files.whole import CheckpointError
from numpygpt.pretrained import open_source
from numpygpt.training.data import Text
from numpygpt.training.folder import resume_command
from numpygpt.training.loop import TrainConfig, Trainer
from numpygpt.training.windows import RANDOM


@dataclass(frozen=True)
class Record:
    """All that a training needs to go on, but for the model's and AdamW's arrays.

    `file` is None for the built-in stories; `random` is where the random streams stand.
    """

    config: TrainConfig
    file: str | None
    sha256: str
    prompt: str
    done: int
    seconds: float
    random: Any

    @classmethod
    def of(cls, trainer: Trainer, text: Text, seconds: float) -> "Record":
        """As things stand."""
        done, random = trainer.steps_done, trainer.random_streams()
        return cls(trainer.config, text.file, text.sha256, text.prompt, done, seconds, random)

    def as_json(self) -> dict[str, Any]:
        """As config.json has it."""
        return {
            "options": asdict(self.config),
            "text": {"file": self.file, "sha256": self.sha256, "prompt": self.prompt},
            "state": {"step": self.done, "seconds": self.seconds, "random": self.random},
        }

    @classmethod
    def read(cls, training: dict[str, Any], path: Path) -> "Record":
        """From the JSON of the checkpoint at `path`; CheckpointError if it is none."""
        try:
            text, state = training["text"], training["state"]
            record = cls(
                config_from(TrainConfig, training["options"]),
                text["file"],
                str(text["sha256"]),
                str(text["prompt"]),
                int(state["step"]),
                float(state["seconds"]),
                state["random"],
            )
            if record.done < 0 or not isinstance(record.file, str | None):
                raise ValueError(f"step {record.done} of the text {record.file!r}")
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            raise CheckpointError(
                f"{path}: its config.json describes no training: {error}"
            ) from None
        return record

    def find_text(self, folder: Path, data: str | Path | None = None) -> Text:
        """The text that the run in a folder learned: in `data`, or else where it was."""
        file = self.file if data is None else data
        again = f"give the same text: {resume_command(folder)} --data FILE"
        if data is None and file is not None and not os.path.isfile(file):  # a pipe is none, either
            raise CheckpointError(f"{file}, which {folder} learned, is not there any more; {again}")
        text = Text.load(file, self.prompt)
        if text.sha256 != self.sha256:
            raise CheckpointError(
                f"{folder} learned another text than is in {file or 'the built-in stories'} now: "
                f"a run can only be resumed with its own; {again}"
            )
        return text


def as_trained(source: str | Path) -> tuple[str, str, bool]:
    """The prompt that a run showed, where its windows began, and whether it learned the stories.

    The built-in stories are begun, not continued. Other models than runs know nothing of this.
    """
    with open_source(source) as found:
        training = getattr(found, "training", {})  # a run has it
    text, options = (
        part if isinstance(part := training.get(name), dict) else {} for name in ("text", "options")
    )
    stories = text.get("file", "") is None
    prompt = "" if stories else str(text.get("prompt", ""))
    return prompt, str(options.get("windows", RANDOM)), stories
