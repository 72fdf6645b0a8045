"""Many processes, one training: whether all have the same code, text, options and weights.

Each computes with what it has. One with another text or an older numpygpt would go unnoticed: its
gradients are numbers as good as any. So before the first step all tell what they have.
"""

import hashlib
import socket
import time
from dataclasses import asdict
from functools import cache
from pathlib import Path

import numpy as np
import tiktoken

import numpygpt
from numpygpt.files.checkpoint import CHECKPOINT
from numpygpt.text.encoding_json import encoding_to_json
from numpygpt.training.data import Text
from numpygpt.training.distributed import Alone
from numpygpt.training.loop import Trainer

SECONDS = 10.0  # that a network's file system may take to show what another machine wrote


@cache
def source_code() -> str:
    """A fingerprint of numpygpt's own files."""
    digest = hashlib.sha256()
    folder = Path(__file__).parents[1]
    for path in sorted(folder.rglob("*.py")):
        digest.update(f"{path.relative_to(folder).as_posix()}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def facts(trainer: Trainer, text: Text, encoding: tiktoken.Encoding) -> dict[str, object]:
    """All that has to be the same everywhere."""
    options = {f"option {k}": v for k, v in asdict(trainer.config).items()}
    options |= {f"model option {k}": v for k, v in asdict(trainer.model.config).items()}
    tokenizer = encoding_to_json(encoding, "tokenizer")
    return {
        "numpygpt": f"{numpygpt.__version__}, files {source_code():.12}",
        "NumPy": np.__version__,
        "text": f"sha256 {text.sha256:.12}",
        **options,
        "tokenizer": f"sha256 {hashlib.sha256(tokenizer).hexdigest():.12}",
        "step": trainer.steps_done,
        "state of random streams": str(trainer.random_streams()),
        "weights": f"sha256 {hashlib.sha256(trainer.model.flat.data.data).hexdigest():.12}",
    }


def check_alike(trainer: Trainer, text: Text, encoding: tiktoken.Encoding) -> None:
    """Raise, everywhere, unless all processes of the trainer's group have the same."""
    group = trainer.group
    if group.size == 1:
        return
    everyone = group.everyone((socket.gethostname(), facts(trainer, text, encoding)))
    (_, first), *others = everyone
    for rank, (host, own) in enumerate(others, 1):
        for name, expected in first.items():
            if own[name] != expected:
                raise ValueError(
                    f"process {rank}, on {host}, has another {name} than process 0: expected "
                    f"{expected}, got {own[name]}"
                )


def check_seen(folder: Path, group: Alone) -> None:
    """Raise, everywhere, unless all see the checkpoint that the first process wrote."""

    def written() -> tuple[int, int] | None:
        try:
            status = (folder / CHECKPOINT).stat()
        except OSError:
            return None
        return status.st_size, status.st_mtime_ns

    if group.size == 1:
        return
    expected, end = group.first(written), time.monotonic() + SECONDS
    while (seen := written() == expected) is False and time.monotonic() < end:
        time.sleep(0.1)
    for rank, (host, there) in enumerate(group.everyone((socket.gethostname(), seen))):
        if not there:
            raise ValueError(
                f"process {rank}, on {host}, does not see {folder.resolve()} as process 0 has it: "
                "give a folder (--out) that all machines share"
            )
