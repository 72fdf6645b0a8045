"""Tables: printed, kept as JSON, compared with a kept run, and as Markdown."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

Value = str | float


@dataclass
class Table:
    """One section's results.

    Attributes
    ----------
    name, about : str
        The section, and one line that says what it shows.
    rows : list of dict
        Column names to values; the first column, "what", names the row.
    """

    name: str
    about: str
    rows: list[dict[str, Value]]

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
        return "\n".join([f"{self.name}: {self.about}", "", lines[0], rule, *lines[1:]])

    def markdown(self) -> str:
        """For a README."""
        header, *rows = self.cells()
        align = ["---", *["---:"] * (len(header) - 1)]
        return "\n".join("| " + " | ".join(row) + " |" for row in [header, align, *rows])


def show(value: Value) -> str:
    """Text as it is, numbers with three digits or all before the point."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 1 else f"{value:.{2 if abs(value) < 10 else 1}f}"


@dataclass
class Run:
    """Machine and tables: what `--json` keeps."""

    machine: dict[str, str]
    tables: list[Table] = field(default_factory=list)

    def save(self, path: Path) -> None:
        """Write JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Run":
        """Read what `save` wrote."""
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            return cls(dict(kept["machine"]), [Table(**table) for table in kept["tables"]])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path}: expected a run kept with --json: {error}") from None

    def facts(self) -> str:
        """The machine, one fact a line."""
        return "\n".join(f"{name:13}{value}" for name, value in self.machine.items())
