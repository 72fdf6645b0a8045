"""`python -m benchmarks`: measure, print, keep, compare."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import machine

if TYPE_CHECKING:
    from benchmarks.report import Run, Table

SECTIONS = {  # those that a plain run leaves out are marked
    "limits": "what the machine can do",
    "layers": "each layer, forward and backward",
    "training": "the training step and the forward pass, with peak memory",
    "split": "where a training step's time goes",
    "decode": "generation with and without the cache",
    "growth": "time and memory against T, B and model size",
    "ladders": "how each layer got fast, one change at a time *",
    "busy": "training and generating beside busy processes *",
    "imports": "training where NumPy is imported before numpygpt, and after *",
    "processes": "training by 1, 2 and 4 processes (needs [mpi]) *",
    "compare": "PyTorch and transformers on the same work *",
    "large": "gpt2-xl generating: its memory *",
}
ASKED = ("ladders", "busy", "imports", "processes")
COMPARE = ("compare", "large")  # also with --compare


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    names = "\n".join(f"  {name:10}{about}" for name, about in SECTIONS.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="How fast numpygpt is on this machine: about two minutes on NumPy alone.",
        epilog=f"sections (* only when asked for):\n{names}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--only", action="append", choices=SECTIONS, metavar="NAME", help="a section; repeatable")
    add("--work", default="", metavar="TEXT", help="only rows of work whose name contains TEXT")
    add(
        "--compare", action="store_true", help="also PyTorch, transformers, gpt2-xl (needs [bench])"
    )
    add(
        "--pairs",
        type=int,
        default=5,
        metavar="N",
        help="rounds of compare, busy, imports, processes (5)",
    )
    add("--threads", type=int, default=machine.cores(), metavar="N", help="all cores, unless given")
    add("--busy", type=int, default=machine.cores(), metavar="N", help="processes of busy (cores)")
    add("--quick", action="store_true", help="tiny sizes, to see that everything works")
    add("--json", type=Path, metavar="FILE", help="keep the run")
    add("--kept", type=Path, metavar="FILE", help="show a kept run instead of measuring")
    add("--against", type=Path, metavar="FILE", help="compare with a kept run")
    add("--markdown", action="store_true", help="print --compare's table for a README")
    return parser


def sections(args: argparse.Namespace) -> list[str]:
    """What to run, in the order of SECTIONS."""
    if args.only:
        return [name for name in SECTIONS if name in args.only]
    return [n for n in SECTIONS if n not in ASKED and (n not in COMPARE or args.compare)]


def measure(args: argparse.Namespace) -> Iterator["Run | Table"]:
    """The run, so far empty, and then each section's table as it is measured."""
    from benchmarks import (
        busy,
        compare,
        decode,
        goals,
        growth,
        imports,
        ladders,
        layers,
        limits,
        processes,
        split,
        timing,
        training,
    )
    from benchmarks.report import Run

    def tell(line: str) -> None:
        print(f"... {line}", file=sys.stderr, flush=True)

    quick, text = args.quick, args.work
    timing.hurry(quick)
    run = {
        "limits": lambda: limits.run(quick),
        "layers": lambda: layers.run(quick),
        "training": lambda: training.run(quick, text, tell),
        "split": lambda: split.run(quick, text, tell),
        "decode": lambda: decode.run(quick, text, tell),
        "growth": lambda: growth.run(quick, text, tell),
        "ladders": lambda: ladders.run(quick, text, tell),
        "busy": lambda: busy.run(quick, args.busy, args.pairs, args.compare, text, tell),
        "imports": lambda: imports.run(quick, args.pairs, text, tell),
        "processes": lambda: processes.run(quick, args.pairs, text, tell),
        "compare": lambda: compare.run(quick, args.pairs, text, tell),
        "large": lambda: decode.run_large(quick, text, tell),
    }
    wanted = sections(args)
    others: tuple[str, ...] = ()
    if "compare" in wanted or (args.compare and "busy" in wanted):
        compare.require_packages()
        others = ("torch", "transformers")
    yield Run(machine.facts(others, quick))
    tables = []
    for name in wanted:
        tell(SECTIONS[name].rstrip(" *"))
        table = run[name]()
        if table.rows:
            tables.append(table)
            yield table
        else:
            tell(f"{name} has no work whose name contains {text!r}")
    if not tables:
        raise ValueError(f"--work: expected a part of a work's name, got {text!r}")
    reached = goals.run(tables)
    if reached.rows:  # of a trial's tiny sizes there are none
        yield reached


def show(args: argparse.Namespace) -> None:
    """Measure or load, print, keep."""
    from benchmarks.report import Run, against, check_comparable
    from numpygpt.files.whole import expect_writable

    if args.json:
        expect_writable(args.json)  # told before minutes of measuring
    before = Run.load(args.against) if args.against else None  # a wrong file is told at once
    results = measure(args) if args.kept is None else kept(Run.load(args.kept))
    run = next(results)
    assert isinstance(run, Run)
    if before:
        check_comparable(run, before)
    if not args.markdown:
        print(run.facts(), flush=True)
    for table in results:
        assert not isinstance(table, Run)
        run.tables.append(table)
        if args.json:
            run.save(args.json)  # after every section: nothing is lost
        if not args.markdown:
            print(f"\n{table.text()}", flush=True)
    if args.markdown:
        print(run.markdown())
    if before:
        print(f"\n{against(run, before).text()}")


def kept(run: "Run") -> Iterator["Run | Table"]:
    """As `measure`, from a kept run."""
    from benchmarks.report import Run

    yield Run(run.machine)
    yield from run.tables


def main(argv: Sequence[str] | None = None) -> int:
    """Run; the exit code is 0, or 2 for wrong input."""
    args = build_parser().parse_args(argv)
    try:
        for name in ("pairs", "threads", "busy"):
            if getattr(args, name) < 1:
                raise ValueError(f"--{name}: expected at least 1, got {getattr(args, name)}")
        machine.set_threads(args.threads)
        show(args)
        return 0
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except (ValueError, RuntimeError, OSError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
