"""Tables: printed, kept as JSON, compared with a kept run, and as Markdown."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

Value = str | float
UNKNOWN = "unknown"


@dataclass
class Table:
    """One section's results.

    Attributes
    ----------
    name, about : str
        The section, and one line that says what it shows.
    notes : list of str
        Lines below the table.
    rows : list of dict
        Column names to values; the first column, "what", names the row.
    """

    name: str
    about: str
    rows: list[dict[str, Value]]
    notes: list[str] = field(default_factory=list)

    def columns(self) -> list[str]:
        """Every column that some row has, in the order of appearance."""
        return list(dict.fromkeys(column for row in self.rows for column in row))

    def cells(self) -> list[list[str]]:
        """Header and rows as text."""
        names = self.columns()
        return [names, *([show(row.get(name, "")) for name in names] for row in self.rows)]

    def text(self) -> str:
        """For the terminal: the first column to the left, numbers to the right."""
        cells = self.cells()
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip()
                 for row in cells]  # fmt: skip
        rule = "-" * max(map(len, lines))
        notes = ["", *self.notes] if self.notes else []
        return "\n".join([f"{self.name}: {self.about}", "", lines[0], rule, *lines[1:], *notes])


def show(value: Value) -> str:
    """Text as it is, numbers with three digits or all before the point."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 1 else f"{value:.{2 if abs(value) < 10 else 1}f}"


def ratio(name: str, above: Sequence[float], below: Sequence[float]) -> dict[str, Value]:
    """Of seconds measured in turns: the median of the rounds' ratios, the least and the most."""
    ratios = [a / b for a, b in zip(above, below, strict=True)]
    return {name: median(ratios), "least": min(ratios), "most": max(ratios), "pairs": len(ratios)}


@dataclass
class Run:
    """Machine and tables: what `--json` keeps."""

    machine: dict[str, str]
    tables: list[Table] = field(default_factory=list)

    def save(self, path: Path) -> None:
        """Write JSON."""
        from numpygpt.files.whole import write_whole  # not before a worker says what is imported

        write_whole(path, (json.dumps(asdict(self), indent=1) + "\n").encode())

    @classmethod
    def load(cls, path: Path) -> "Run":
        """Read what `save` wrote."""
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            run = cls(dict(kept["machine"]), [Table(**table) for table in kept["tables"]])
            _ = [row["what"] for table in run.tables for row in table.rows]
            return run
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path}: expected a run kept with --json: {error}") from None

    def facts(self) -> str:
        """The machine, one fact a line."""
        return "\n".join(f"{name:13}{value}" for name, value in self.machine.items())

    def markdown(self) -> str:
        """The comparison as a table for a README, with the machine below it."""
        rows = [row for table in self.tables if table.name == "compare" for row in table.rows]
        if not rows:
            raise ValueError("--markdown: expected a run with --compare, got one without")
        lines = [
            "| | against | numpygpt | the other | speed | peak memory | share of the limit |",
            "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
        ]
        for row in rows:
            r = {name: show(value) for name, value in row.items()}
            lines.append(
                f"| {r['what']} | {r['against']} | {seconds(row['numpygpt s'])} "
                f"| {seconds(row['other s'])} "
                f"| **{float(row['speed']):.2f}x** ({r['least']} to {r['most']}) "
                f"| {r['numpygpt MB']} against {r['other MB']} MB: {float(row['memory']):.2f}x "
                f"| {float(row['share']):.2f} of {r['limit']} |"
            )
        m = self.machine
        packages = [f"{name} {m[name]}" for name in ("torch", "transformers") if name in m]
        lines += [
            "",
            f"Measured on {m['cpu']}, {m['cores']} cores, {m['threads']} threads for everybody, "
            f"{m['memory']}; Python {m['python']}, NumPy {m['numpy']} with "
            f"{m['blas']} ({m['kernels']} kernels), {', '.join(packages)}. Medians of "
            f"{min(int(row['pairs']) for row in rows)} rounds, with the least and the most.",
        ]
        return "\n".join(lines)


def seconds(value: Value) -> str:
    """A time with its unit."""
    time = float(value)
    return f"{time:.2f} s" if time >= 1 else f"{time * 1e3:.3g} ms"


TIMES_AND_MEMORY = (
    "ms",
    "numpygpt s",
    "s a token",
    "alone s",
    "busy s",
    "numpygpt first s",
    "numpy first s",
    "peak MB",
    "numpygpt MB",
    "MB",
)
STEERING = ("cpu", "cores", "threads", "kernels", "variables")  # facts that steer every time


def check_comparable(now: Run, before: Run) -> None:
    """Raise if one of two runs is a trial at tiny sizes; older runs do not say what they are."""
    sizes = [run.machine.get("sizes", UNKNOWN) for run in (before, now)]
    if UNKNOWN not in sizes and sizes[0] != sizes[1]:
        raise ValueError(
            f"--against: expected two runs of equal sizes, got {sizes[0]} before and {sizes[1]} now"
        )


def differences(now: Run, before: Run) -> list[str]:
    """The facts in which two runs differ, below a warning where these alone change all times."""
    facts = [(name, before.machine.get(name, UNKNOWN), new) for name, new in now.machine.items()]
    differing = [fact for fact in facts if fact[1] != fact[2]]
    lines = [f"not the same {name}: {old} before, {new} now" for name, old, new in differing]
    known = [name for name, old, new in differing if not f"{old} {new}".count(UNKNOWN)]
    steering = [name for name in known if name in STEERING]
    if steering:
        lines.insert(0, f"CAUTION: other {' and '.join(steering)}: no measure of the code alone")
    return lines


def against(now: Run, before: Run) -> Table:
    """What two runs both measured: time and memory of each row, and the new over the old."""
    old = {(t.name, row["what"]): row for t in before.tables for row in t.rows}
    rows: list[dict[str, Value]] = []
    for table in now.tables:
        for row in table.rows:
            other = old.get((table.name, row["what"]), {})
            for column in TIMES_AND_MEMORY:
                if column in row and column in other:
                    a, b = float(row[column]), float(other[column])
                    rows.append({"what": f"{table.name}: {row['what']}", "unit": column,
                                 "before": b, "now": a, "now/before": a / b})  # fmt: skip
    if not rows:
        raise ValueError("--against: the two runs have no time or memory of the same work")
    about = "below 1: less time or memory than before."
    return Table("against", about, rows, differences(now, before))
