"""kill -9 at a random moment, 50 times, while a checkpoint is written every step.

Every restart resumes, and the last weights, AdamW's arrays, random streams, metrics and what was
kept are those of the run that nobody killed, bit for bit. A script for CI.
"""

import csv
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from numpygpt.files.checkpoint import CHECKPOINT
from numpygpt.training.folder import KEPT, kept_checkpoints
from numpygpt.training.saved import load_run, resume_run

KILLS, STEPS = 50, 1500
SHAPE = "--context-length 16 --n-embd 24 --n-head 2 --n-layer 2 --dropout 0.2"
OPTIONS = f"--tokenizer bytes {SHAPE} --batch-size 2 --eval-every 50 --save-every 1 --keep 40"


def command(*arguments: str) -> list[str]:
    """`numpygpt train` with arguments."""
    return [sys.executable, "-m", "numpygpt", "train", *arguments]


def start(folder: Path, text: Path, steps: int) -> list[str]:
    """The command that begins the run in the folder, or goes on with it."""
    if (folder / CHECKPOINT).exists():
        return command("--resume", str(folder))
    return command(
        "--data", str(text), "--out", str(folder), "--steps", str(steps), *OPTIONS.split()
    )


def steps_done(folder: Path) -> int:
    """Of the last whole checkpoint."""
    return int(load_run(folder).training["state"]["step"]) if (folder / CHECKPOINT).exists() else 0


def kill_at_random(arguments: list[str], folder: Path, rng: random.Random) -> bool:
    """Run it and kill it once it has trained for a moment; whether it was killed before its end."""
    metrics = folder / "metrics.csv"
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL)
    before = metrics.stat().st_size if metrics.exists() else 0
    if rng.random() < 0.8:  # else anywhere, from the interpreter's start on
        while process.poll() is None and (not metrics.exists() or metrics.stat().st_size <= before):
            time.sleep(0.001)
    time.sleep(rng.random() * 0.2)
    process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def rows(folder: Path) -> list[dict[str, str]]:
    """metrics.csv without its times."""
    with open(folder / "metrics.csv", newline="") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def kept(folder: Path) -> dict[int, bytes]:
    """The weights of each earlier checkpoint."""
    found = kept_checkpoints(folder)
    return {step: load_run(path).model.flat.data.tobytes() for step, path in found}


def same(a: Path, b: Path) -> bool:
    """Whether two runs ended alike."""
    x, y = resume_run(a), resume_run(b)
    arrays = [(x.model.flat.data, y.model.flat.data), (x.m, y.m), (x.v, y.v)]
    equal = all(p is not None and q is not None and (p == q).all() for p, q in arrays)
    states = [run.training["state"] | {"seconds": 0} for run in (x, y)]
    return bool(equal) and states[0] == states[1] and rows(a) == rows(b) and kept(a) == kept(b)


def main() -> int:
    """Kill 50 times, then let it end; 1 if anything is not as without."""
    rng = random.Random(0)
    os.environ |= {"OPENBLAS_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as name:
        folder, straight, text = (Path(name) / part for part in ("killed", "straight", "text.txt"))
        text.write_text("".join(f"{i} times {i} is {i * i}.\n" for i in range(300)))
        kills, where, parts = 0, [], 0
        while kills < KILLS:
            if not kill_at_random(start(folder, text, STEPS), folder, rng):
                print(f"it ended after {kills} kills: give it more steps")
                return 1
            kills += 1
            where.append(steps_done(folder))
            parts += len(list(folder.rglob("*.part")))
        subprocess.run(start(folder, text, STEPS), check=True, stdout=subprocess.DEVNULL)
        subprocess.run(start(straight, text, STEPS), check=True, stdout=subprocess.DEVNULL)
        print(f"killed {kills} times, after steps {', '.join(map(str, where))};")
        print(f"{parts} times while a checkpoint was being written")
        left = sorted(path.name for path in folder.iterdir())
        left += [path.name for path in (folder / KEPT).glob("*.part")]
        if not same(folder, straight) or left != [CHECKPOINT, KEPT, "metrics.csv"]:
            print(f"the killed run ended differently from the straight one: {left}")
            return 1
        print(f"then ended as the run that was not killed, after {steps_done(folder)} steps")
    return 0


if __name__ == "__main__":
    sys.exit(main())
