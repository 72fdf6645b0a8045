"""What one head of attention looks at in a text: P (T, T), a row for each token that looks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tiktoken

from numpygpt.gpt import GPT
from numpygpt.inside import patterns, token_texts, trace
from numpygpt.layers.parameter import Array
from numpygpt.plot.picture import GREY, INK, PALE, picture, shown

MOST_LABELS = 72  # on an axis; of longer texts every second token is named, or every third, ...
FEW = 14  # tokens for which there is room for numbers


def draw_attention(
    model: GPT,
    encoding: tiktoken.Encoding,
    ids: npt.ArrayLike,
    block: int,
    head: int,
    path: str | Path,
) -> None:
    """Draw the pattern of one head over a text of ids (T,) into a file.

    Raises IndexError if the model has no such head, and what `inside.trace` raises.
    """
    seen = trace(model, ids)
    seen.expect_block(block, head)
    P, T = patterns(seen)[block, head], len(seen.ids)
    labels = [label(text) for text in token_texts(encoding, seen.ids)]
    side = 2.4 + 0.27 * min(max(T, 6), MOST_LABELS)
    with picture(path, (side + 1.0, side + 0.3)) as figure:
        axes = figure.subplots()
        seen_before = np.ma.array(P, mask=~np.tri(T, dtype=bool))
        image = axes.imshow(seen_before, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
        axes.set_facecolor("#f4f4f2")  # what comes later is not seen
        axes.set_title(shown(f"Attention of head {block}.{head}"), fontsize=11.5, pad=12)
        axes.set_xlabel("token that is looked at")
        axes.set_ylabel("token that looks (its row sums to 100%)")
        _name(axes, labels)
        if T <= FEW:
            _write_numbers(axes, P)
        bar = figure.colorbar(image, ax=axes, shrink=0.5, pad=0.02, format="{x:.0%}")
        bar.outline.set_edgecolor(PALE)
        bar.set_label("share of the row's attention")


def label(text: str) -> str:
    """A token beside an axis: on one line, without the space before it."""
    shown_text = shown(text)
    return shown_text.strip() or repr(shown_text)


def _name(axes: Any, labels: Sequence[str]) -> None:
    """The tokens along both axes, and thin lines between cells."""
    T = len(labels)
    at = range(0, T, -(-T // MOST_LABELS))
    names = [labels[i] if len(labels[i]) < 18 else labels[i][:15] + "..." for i in at]
    axes.set_xticks(at, names, rotation=90, fontsize=8.5)
    axes.set_yticks(at, names, fontsize=8.5)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    if T <= MOST_LABELS:
        axes.set_xticks(np.arange(T + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(T + 1) - 0.5, minor=True)
        axes.grid(which="minor", color="white", linewidth=0.8)
        axes.tick_params(which="minor", length=0)


def _write_numbers(axes: Any, P: Array) -> None:
    """Each share in its cell, in per cent."""
    for t, s in zip(*np.tril_indices(len(P)), strict=True):
        colour = "white" if P[t, s] > 0.55 else INK if P[t, s] > 0.005 else GREY
        axes.text(s, t, f"{100 * P[t, s]:.0f}", ha="center", va="center", fontsize=7, color=colour)
