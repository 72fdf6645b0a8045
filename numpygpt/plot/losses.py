"""How a run learned: training loss, held-out loss and learning rate over its steps."""

from pathlib import Path
from typing import Any

import numpy as np

from numpygpt.files.checkpoint import CHECKPOINT, open_checkpoint
from numpygpt.files.whole import CheckpointError, user_path
from numpygpt.gpt import GPT
from numpygpt.layers.parameter import Array
from numpygpt.plot.picture import BLUE, GREY, PALE, RED, picture, shown
from numpygpt.training.metrics import read_metrics
from numpygpt.training.record import Record

SMOOTHED = 100  # parts of a run whose mean is a point of the smooth line


def draw_losses(run: str | Path, path: str | Path) -> list[str]:
    """Draw the losses of the run in a folder into a file.

    Returns
    -------
    list of str
        What could not be read of the run: a damaged row, or a damaged checkpoint, which takes only
        the title's numbers. The rest is drawn.

    Raises
    ------
    CheckpointError
        If there is no row at all.
    """
    folder = user_path(run)
    table, damage = read_metrics(folder)
    title, missing = _title(folder, int(table["step"][-1]))
    with picture(path, (7.2, 4.8)) as figure:
        losses, rate = figure.subplots(2, 1, sharex=True, height_ratios=[3.4, 1])
        figure.suptitle(shown(title), x=0.015, ha="left", fontsize=11.5)
        _draw_losses(losses, table)
        rate.plot(table["step"], table["learning_rate"], color=GREY, linewidth=1.6)
        rate.set_ylim(0, 1.12 * max(table["learning_rate"].max(), 1e-12))
        rate.set_ylabel("learning rate")
        rate.set_xlabel("step")
        rate.margins(x=0.01)
        rate.xaxis.get_major_locator().set_params(integer=True)
        rate.xaxis.set_major_formatter("{x:,.0f}")
        for axes in (losses, rate):
            axes.grid(axis="y", color=PALE, linewidth=0.7)
            axes.set_axisbelow(True)
        figure.align_ylabels()
    return [text for text in (damage, missing) if text]


def _draw_losses(axes: Any, table: dict[str, Array]) -> None:
    step, loss, held = (table[name] for name in ("step", "loss", "held_out_loss"))
    axes.plot(step, loss, color=BLUE, alpha=0.28, linewidth=0.8)
    size = max(1, len(step) // SMOOTHED)
    smooth = np.convolve(loss, np.full(size, 1 / size), "valid")
    of = f", mean of {size} steps" if size > 1 else ""
    middle = step[(size - 1) // 2 :][: len(smooth)]
    axes.plot(middle, smooth, color=BLUE, linewidth=1.8, label=f"training{of}")
    there = np.isfinite(held)
    if there.any():
        axes.plot(step[there], held[there], color=RED, linewidth=1.4, marker="o", markersize=4.5,
                  label="held-out text")  # fmt: skip
    lowest, highest = np.nanmin([loss, held]), np.nanmax([loss, held])
    if lowest > 0 and highest > 4 * lowest:
        _log_scale(axes, lowest, highest)
    axes.set_ylabel("loss, nats a token")
    axes.legend(frameon=False, loc="upper right")


def _log_scale(axes: Any, lowest: float, highest: float) -> None:
    """As 0.5 1 2 5 10: what comes late is seen beside what comes first."""
    axes.set_yscale("log")
    ticks = [m * 10.0**e for e in range(-9, 10) for m in (1, 2, 3, 5, 7)]
    ticks = [tick for tick in ticks if lowest / 1.1 < tick < highest * 1.1]
    if len(ticks) > 6:
        ticks = [tick for tick in ticks if f"{tick:e}"[0] in "125"]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_yticks([], minor=True)


def _title(folder: Path, done: int) -> tuple[str, str]:
    """What the run is, as far as its checkpoint can be read; and what is wrong with that."""
    try:
        with open_checkpoint(folder) as saved:
            steps = Record.read(saved.training, folder / CHECKPOINT).config.steps
            parameters = GPT(saved.config, rng=None).num_parameters()
    except CheckpointError as error:
        return f"{folder}: {done:,} steps", str(error)
    of = f"{done:,} steps" if done >= steps else f"{done:,} of {steps:,} steps"
    return f"{folder}: {parameters:,} parameters, {of}", ""
