"""A look back: the embeddings, heads and lens of a run at the checkpoints that it has kept."""

from pathlib import Path
from typing import Any

import tiktoken

from numpygpt.files.whole import CheckpointError
from numpygpt.gpt import GPT
from numpygpt.inside.attention import patterns, score_heads
from numpygpt.inside.embeddings import neighbours
from numpygpt.inside.lens import predictions
from numpygpt.inside.show.as_json import near_as_json, rounded, seen_rows, shares, significant
from numpygpt.inside.show.findings import Findings
from numpygpt.inside.show.near import among_of
from numpygpt.inside.traces import trace
from numpygpt.inside.words import token_text
from numpygpt.text.printable import printable
from numpygpt.training.folder import kept_checkpoints
from numpygpt.training.saved import load_run

MOST_PATTERNS = 150_000  # numbers, of all checkpoints together
NEAREST = 6


def look_back(look: Findings, folder: Path, stories: bool) -> list[dict[str, Any]]:
    """One entry for each kept checkpoint and one for the last, ready for JSON; empty without any.

    Parameters
    ----------
    look : Findings
        At the last one.
    folder : Path
        The run's.
    stories : bool
        As `look` was told.
    """
    kept = kept_checkpoints(folder)
    if not kept:
        return []
    L, H, T, _ = look.heads.patterns.shape
    room = L * H * T * (T + 1) // 2 * (len(kept) + 1) <= MOST_PATTERNS
    found = []
    for step, path in kept:
        try:
            run = load_run(path)
        except CheckpointError as error:
            why = printable(str(error)).encode(errors="backslashreplace").decode()
            look.left_out.append(f"Step {step} of the look back is left out: {why}.")
            continue
        found.append(_entry(step, run.model, run.encoding, look, room, stories))
    last = load_run(folder).training.get("state", {}).get("step", kept[-1][0])
    return [*found, _entry(last, look.model, look.encoding, look, room, stories)]


def _entry(
    step: int, model: GPT, encoding: tiktoken.Encoding, look: Findings, room: bool, stories: bool
) -> dict[str, Any]:
    asked = look.words.near.get("word")
    word: str | int = asked.word if asked else int(look.ids[-1])
    near = neighbours(model, encoding, word, NEAREST, among_of(encoding, stories))
    seen = trace(model, look.ids)
    lens, P = predictions(seen, look.answer), patterns(seen)
    words = [[token_text(encoding, i) for i in row[-1]] for row in lens.anew.top]
    kinds = score_heads(model, int(encoding.eot_token), texts=2)
    return {
        "step": step,
        "near": near_as_json(near),
        "kinds": rounded(kinds),
        "answer": significant(float(lens.anew.probability[-1, -1])),
        "words": words,
        "probability": shares(lens.anew.top_probability[:, -1]),
        "patterns": [[seen_rows(p) for p in block] for block in P] if room else None,
    }
