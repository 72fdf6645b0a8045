"""`python -m benchmarks.plot RUN.json [CHART.svg]`: the comparison as a chart (extra [plot]).

Speed is the median of the rounds' ratios with a line from the least to the most; 1 is the other
library.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.report import Run, Table

CHART = Path(__file__).parent / "comparison.svg"
SPEED, MEMORY, GREY = "#2a6f97", "#c8553d", "#5c6770"


def compared(run: Run) -> Table:
    """The comparison's table."""
    for table in run.tables:
        if table.name == "compare" and table.rows:
            return table
    raise ValueError("expected a run that was kept with --compare --json")


def draw(run: Run, path: Path) -> None:
    """Write the chart; the ending of the file's name is its format."""
    import matplotlib

    matplotlib.use("Agg")  # a file, no window
    matplotlib.rcParams["svg.hashsalt"] = "numpygpt"  # equal data, equal file
    from matplotlib import pyplot

    rows = compared(run).rows[::-1]  # the first row at the top
    names = [f"{row['what']}\nagainst {row['against']}" for row in rows]
    size = (9.5, 1.3 + 0.52 * len(rows))
    figure, (left, right) = pyplot.subplots(1, 2, figsize=size, sharey=True, layout="constrained")
    speeds = [float(row["speed"]) for row in rows]
    spread = [
        [speed - float(row["least"]) for speed, row in zip(speeds, rows, strict=True)],
        [float(row["most"]) - speed for speed, row in zip(speeds, rows, strict=True)],
    ]
    left.barh(names, speeds, color=SPEED, height=0.6)
    left.errorbar(speeds, names, xerr=spread, fmt="none", ecolor="black", elinewidth=1.2, capsize=2)
    left.set_title("speed (longer is faster)", fontsize=11)
    memory = [float(row["memory"]) for row in rows]
    right.barh(names, memory, color=MEMORY, height=0.6)
    right.set_title("peak memory (shorter is less)", fontsize=11)
    ends = [float(row["most"]) for row in rows]
    for axes, values, at in ((left, speeds, ends), (right, memory, memory)):
        axes.axvline(1, color=GREY, linestyle=(0, (4, 3)), linewidth=1)
        axes.set_xlim(0, max(1.1, *at) * 1.18)
        for y, (value, x) in enumerate(zip(values, at, strict=True)):
            axes.text(max(x, value) + 0.03, y, f"{value:.2f}x", va="center", fontsize=9.5,
                      backgroundcolor="white")  # fmt: skip
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(axis="y", length=0, labelsize=9)
        axes.tick_params(axis="x", labelsize=9)
    m = run.machine
    figure.suptitle(f"numpygpt over the other library, {m['threads']} threads", fontsize=12)
    packages = f"PyTorch {m.get('torch', '')}, transformers {m.get('transformers', '')}"
    about = f"{m['cpu']}; NumPy {m['numpy']}, {packages}"
    figure.supxlabel(about, fontsize=8, color=GREY)
    undated = {"Date": None} if path.suffix == ".svg" else None
    figure.savefig(path, facecolor="white", dpi=130, metadata=undated)
    pyplot.close(figure)


def main(argv: Sequence[str] | None = None) -> int:
    """Run; the exit code is 2 for wrong input."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plot", description=main.__doc__)
    parser.add_argument("run", type=Path, metavar="RUN.json", help="kept with --compare --json")
    parser.add_argument("chart", type=Path, nargs="?", default=CHART, help=f"{CHART.name}")
    args = parser.parse_args(argv)
    try:
        draw(Run.load(args.run), args.chart)
    except ModuleNotFoundError as error:
        print(f"benchmarks.plot: {error}; pip install -e '.[plot]' brings it", file=sys.stderr)
        return 2
    except (ValueError, OSError) as error:
        print(f"benchmarks.plot: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
