"""A map of words: their embeddings in the two directions in which they differ most (PCA).

Each group of words has a colour and a shape of its own. A word is written beside its point where
there is room; a point whose word would hide others stays without.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tiktoken

from numpygpt.gpt import GPT
from numpygpt.inside import EmbeddingMap, embedding_map
from numpygpt.layers.parameter import Array
from numpygpt.plot.picture import COLOURS, DPI, GREY, INK, PALE, picture, shown

MARKERS = "osD^vPX*"
BESIDE = (6, 0), (-6, 0), (0, 6), (0, -6), (4, 4), (-4, 4), (4, -4), (-4, -4)  # in points
FARTHER = [(2.5 * x, 2.5 * y) for x, y in BESIDE]  # with a thin line to the point
MARGIN = 3 * DPI / 72 * np.array([-1, -1, 1, 1])  # for half a marker, in pixels
MOST = 60  # words that are chosen for a model of whose words nothing is known


def draw_embeddings(
    model: GPT,
    encoding: tiktoken.Encoding,
    groups: Mapping[str, Sequence[str]],
    path: str | Path,
    title: str = "Embeddings",
) -> EmbeddingMap:
    """Draw the embeddings of words, in groups by their names, into a file; returns the map.

    Raises ValueError if there are fewer than three words.
    """
    words = [word for group in groups.values() for word in group]
    found = embedding_map(model, encoding, words)
    with picture(path, (9.2, 7.4)) as figure:
        axes, start = figure.subplots(), 0
        for i, (name, group) in enumerate(groups.items()):
            x, y = found.places[start : start + len(group)].T
            start += len(group)
            colour = INK if i == len(COLOURS) else COLOURS[i % len(COLOURS)]
            axes.scatter(x, y, s=26, color=colour, marker=MARKERS[i % len(MARKERS)], linewidth=0,
                         label=shown(name))  # fmt: skip
        for i, axis in enumerate((axes.xaxis, axes.yaxis)):
            axis.set_label_text(f"direction {i + 1}, {found.share[i]:.1%} of the variance")
        axes.set_aspect("equal", "datalim")
        axes.margins(0.06)
        axes.grid(color=PALE, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.set_title(shown(title), fontsize=11.5, pad=12)
        if len(groups) > 1:
            axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1), handletextpad=0.2)
        _write_words(figure, axes, found)
    return found


def _write_words(figure: Any, axes: Any, found: EmbeddingMap) -> None:
    """Each word in the first place beside its point where it hides nothing."""
    figure.draw_without_rendering()  # from here on, places on the page are known
    figure.set_layout_engine("none")
    points = axes.transData.transform(found.places)
    measure = axes.text(0, 0, "", fontsize=8)
    taken = np.empty((0, 4))  # left, bottom, right, top in pixels
    for word, place, point in zip(found.words, found.places, points, strict=True):
        measure.set_text(shown(word.strip()))
        size = np.array(measure.get_window_extent().size) + 2
        for offset in (*BESIDE, *FARTHER):
            way = np.sign(offset)
            corner = point + np.array(offset) * DPI / 72 + (way - 1) * size / 2
            box = np.concatenate([corner, corner + size])
            if _covers(box + MARGIN, np.tile(points, 2)) or _covers(box, taken):
                continue
            if axes.bbox.x0 <= box[0] and box[2] <= axes.bbox.x1:
                taken = np.concatenate([taken, box[None]])
                _annotate(axes, measure.get_text(), place, offset, way)
                break
    measure.remove()


def _covers(box: Array, boxes: Array) -> bool:
    """Whether a box and one of some others have a place in common."""
    return bool(((box[:2] < boxes[:, 2:]) & (boxes[:, :2] < box[2:])).all(1).any())


def _annotate(axes: Any, text: str, place: Array, offset: tuple[float, float], way: Array) -> None:
    line = {"arrowstyle": "-", "color": GREY, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 3}
    axes.annotate(
        text, place, offset, textcoords="offset points", fontsize=8, color=INK,
        ha=("center", "left", "right")[int(way[0])], va=("center", "bottom", "top")[int(way[1])],
        arrowprops=line if offset in FARTHER else None,
    )  # fmt: skip


def common_words(encoding: tiktoken.Encoding, most: int = MOST) -> list[str]:
    """The words that the tokenizer made into tokens first: the most common of its text."""
    ranks = sorted(encoding._mergeable_ranks.items(), key=lambda item: item[1])
    words = (token.decode(errors="replace") for token, _ in ranks)
    long = (word for word in words if word[:1] == " " and word[1:].isalpha() and len(word) > 4)
    return [word for word, _ in zip(long, range(most), strict=False)]
