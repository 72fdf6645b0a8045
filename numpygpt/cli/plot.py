"""`numpygpt plot`: which picture, of what, into which file."""

import argparse
import re
import sys
from pathlib import Path

from numpygpt.files.whole import expect_writable
from numpygpt.inside import story_kinds
from numpygpt.plot import draw_attention, draw_embeddings, draw_losses
from numpygpt.plot.embeddings import common_words
from numpygpt.plot.picture import format_of
from numpygpt.training.folder import newest_run
from numpygpt.training.record import as_trained
from numpygpt.training.saved import load_with_tokenizer
from numpygpt.training.windows import prompt_ids


def draw(args: argparse.Namespace) -> None:
    """Draw what the options say."""
    if args.attention is None and args.prompt is not None:
        raise ValueError("--prompt is the text for --attention BLOCK.HEAD: give that, too")
    source = args.source or newest_run()
    kinds = {"attention": args.attention, "embeddings": args.embeddings}
    kind = next((name for name, value in kinds.items() if value is not None), "losses")
    out = args.out or f"{kind}.png"
    format_of(out)  # told before a model is read
    expect_writable(out)
    if kind == "losses":
        for damage in draw_losses(source, out):
            print(f"numpygpt: {damage}", file=sys.stderr)
    elif kind == "attention":
        _attention(source, args.attention, args.prompt, out)
    else:
        _embeddings(source, args.embeddings, out)
    print(f"written to {out}")


def _attention(source: str | Path, head: tuple[int, int], prompt: str | None, out: str) -> None:
    if prompt is None:
        raise ValueError("--attention: expected a text for the head to look at, --prompt TEXT")
    _, windows, _ = as_trained(source)
    model, encoding = load_with_tokenizer(source)
    draw_attention(model, encoding, prompt_ids(encoding, prompt, windows), *head, out)


def _embeddings(source: str | Path, words: str, out: str) -> None:
    model, encoding = load_with_tokenizer(source)
    groups = {"": [word for word in re.split(r"[,\s]+", words) if word]}
    if not words:
        _, _, stories = as_trained(source)
        groups = story_kinds() if stories else {"": common_words(encoding)}
    elif len(groups[""]) < 3:
        raise ValueError(
            "--embeddings: expected at least three words, such as robin,sparrow,wing, got "
            f"{words!r} (a run's folder comes before this option)"
        )
    draw_embeddings(model, encoding, groups, out, f"Embeddings of {source}")
