"""What a trained run holds: who is near whom, what finds a part, where a name is decided.

    python tests/long_inside.py                     trains a default run, which takes minutes
    python tests/long_inside.py runs/1 runs/2       looks at default runs that are there

Exit code 0 if everything holds, 1 if not. Three runs of the default, seeds 0, 1 and 2, keep the
limits with room to spare.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

from numpygpt.cli import main
from numpygpt.gpt import GPT
from numpygpt.inside import (
    grouping,
    identities,
    neighbours,
    part_finders,
    planned_word,
    story_kinds,
    story_tokens,
)
from numpygpt.pretrained import load_tokenizer

SHARES = {"she": 0.6, "he": 0.6, "places": 0.7, "tools": 0.5, "animals": 0.8, "foods": 0.8}


def look(run: Path) -> None:
    """Print what a run holds, and insist on it."""
    model, encoding = GPT.from_pretrained(run), load_tokenizer(run)
    near = neighbours(model, encoding, "robin", n=encoding.n_vocab)
    words = [word.strip() for word in near.words]
    print(f"\n{run}: robin is near {', '.join(words[:5])}")
    assert {"sparrow", "bluetit"} <= set(words[:5])
    beak = words.index("beak") + 1
    print(f"its beak is its neighbour number {beak}")
    assert beak > 5  # what a reader may expect, and does not hold
    some = story_tokens(encoding)
    for group in grouping(model, encoding, story_kinds(), among=some):
        print(
            f"  {group.kind:8} {group.share:.2f} of the nearest are too; chance {group.chance:.2f}"
        )
        assert group.share > SHARES.get(group.kind, 0.5) > 6 * group.chance
    found = part_finders(model, encoding)
    print(
        f"animals in order of having a part: near {found.near:.2f}, asks {found.asks.round(2)}, "
        f"feed-forward {found.feedforward.round(2)}, the whole model {found.logit:.2f}; from "
        f'"hurt" the head that looks most at the animal gives it {found.looks.max():.2f}'
    )
    assert min(found.near, found.feedforward[0], found.logit) > 0.9
    assert found.looks[0].max() > 0.5
    assert found.says[0] > 2 * np.abs(found.says[1:]).max()
    for subject in ("name", "part", "part again"):
        plan = planned_word(model, encoding, subject)
        ahead, at_last = plan.share[-1, :-1].mean(), plan.share[-1, -1]
        control = plan.shuffled[-1, :-1].mean()
        print(f"  {subject:10} {at_last:.2f} predicted, {ahead:.2f} before; shuffled {control:.2f}")
        assert at_last > (0.9 if subject == "part again" else 0.25)
        assert plan.untrained.max() < 2 * plan.chance
    ids = [encoding.eot_token, *encoding.encode_ordinary("One day, Ada found a little robin")]
    for identity in identities(model, ids):
        assert identity.holds, identity


if __name__ == "__main__":
    runs = [Path(run) for run in sys.argv[1:]]
    with tempfile.TemporaryDirectory() as folder:
        if not runs:
            runs = [Path(folder, "run")]
            if main(["train", "--out", str(runs[0])]):
                sys.exit(1)
        for run in runs:
            look(run)
    print("all of it holds")
