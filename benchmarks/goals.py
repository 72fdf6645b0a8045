"""What numpygpt sets out to reach, and what this run measured."""

from benchmarks.report import Table, Value, show

# Of a section's work, a column: at least that much, or (negative) at most; of two, one is enough.
Goal = tuple[str, str, dict[str, float]]
GOALS: tuple[Goal, ...] = (
    ("compare", "nano, 12x64", {"speed": 1.10}),
    ("compare", "default, 16x128", {"speed": 1.20}),
    ("compare", "tiny, 8x256", {"speed": 1.10}),
    ("compare", "GPT-2 124M, 1x256", {"memory": -0.85}),
    ("compare", "GPT-2 124M, 4x256", {"speed": 1.30}),
    ("compare", "GPT-2 124M, 4x256", {"memory": -0.85}),
    ("compare", "GPT-2 124M, 1x1024", {"speed": 1.30}),
    ("compare", "GPT-2 124M, 1x1024", {"memory": -0.85}),
    ("compare", "GPT-2 124M, forward, 1x1024", {"speed": 1.20}),
    ("compare", "GPT-2 124M, 64 tokens after 32", {"speed": 2.0, "share": 0.88}),
    ("large", "GPT-2 1558M, 8 tokens after 32", {"memory": -1.10}),
    ("busy", "default, 16x128", {"slower": -3.0}),
    ("busy", "default, 64 tokens after 32", {"slower": -3.0}),
    ("busy", "GPT-2 124M, 64 tokens after 32", {"slower": -3.0}),
    ("imports", "tiny, 8x256", {"slower": -1.03}),
)


def run(tables: list[Table]) -> Table:
    """One row for each goal whose work was measured in this run."""
    measured = {(table.name, row["what"]): row for table in tables for row in table.rows}
    rows: list[dict[str, Value]] = []
    for section, what, bounds in GOALS:
        if (section, what) in measured:
            values = {name: float(measured[section, what][name]) for name in bounds}
            met = any(values[n] >= bound if bound > 0 else values[n] <= -bound
                      for n, bound in bounds.items())  # fmt: skip
            goals = [f"at {'least' if b > 0 else 'most'} {abs(b):.2f}" for b in bounds.values()]
            rows.append({"what": f"{section}: {what}: {' or '.join(bounds)}",
                         "measured": " or ".join(map(show, values.values())),
                         "goal": " or ".join(goals), "met": "yes" if met else "no"})  # fmt: skip
    return Table(
        "goals", "one for each row that has one; of two, one is enough; share: of the limit.", rows
    )
