"""What numpygpt sets out to reach, and what this run measured."""

from benchmarks.report import Table, Value

# work, column of its table, at least (+) or at most (-)
GOALS = (
    ("GPT-2 124M, 4x256", "speed", 1.10),
    ("GPT-2 124M, 4x256", "share", 0.88),
    ("GPT-2 124M, 4x256", "memory", -0.85),
    ("GPT-2 124M, 1x1024", "speed", 1.20),
    ("GPT-2 124M, 1x1024", "share", 0.88),
    ("GPT-2 124M, 1x1024", "memory", -0.85),
    ("tiny, 8x256", "speed", 1.10),
    ("nano, 12x64", "speed", 1.00),
    ("GPT-2 124M, forward, 1x1024", "speed", 1.15),
    ("GPT-2 124M, 64 tokens after 32", "speed", 2.0),
    ("GPT-2 124M, 64 tokens after 32", "share", 0.90),
    ("GPT-2 1558M, 8 tokens after 32", "memory", -1.10),
)


def run(tables: list[Table]) -> Table:
    """One row for each goal whose work was compared in this run."""
    measured = {
        row["what"]: row for t in tables if t.name in ("compare", "large") for row in t.rows
    }
    rows: list[dict[str, Value]] = []
    for what, column, goal in GOALS:
        if what in measured:
            value = float(measured[what][column])
            met = value >= goal if goal > 0 else value <= -goal
            bound = f"at least {goal:.2f}" if goal > 0 else f"at most {-goal:.2f}"
            rows.append({"what": f"{what}: {column}", "measured": value, "goal": bound,
                         "met": "yes" if met else "no"})  # fmt: skip
    return Table("goals", "speed and memory against the other library; share: of the limit.", rows)
