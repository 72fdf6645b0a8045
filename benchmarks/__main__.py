"""`python -m benchmarks`: measure, print, keep, compare."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import machine

SECTIONS = ("limits", "compare")


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add("--only", action="append", choices=SECTIONS, metavar="NAME",
        help=f"a section, may be repeated: {', '.join(SECTIONS)}")  # fmt: skip
    add("--work", default="", metavar="TEXT", help="only work whose name contains it")
    add("--compare", action="store_true", help="also PyTorch and transformers (extra [bench])")
    add("--pairs", type=int, default=5, help="rounds of --compare (5)")
    add("--threads", type=int, default=machine.cores(), help="for everybody (all cores)")
    add("--quick", action="store_true", help="tiny sizes, to see that it all works")
    add("--json", type=Path, metavar="FILE", help="keep the run")
    return parser


def sections(args: argparse.Namespace) -> list[str]:
    """What to run, in the order of SECTIONS."""
    default = [name for name in SECTIONS if name != "compare" or args.compare]
    return [name for name in SECTIONS if name in (args.only or default)]


def measure(args: argparse.Namespace, tell: Callable[[str], None]) -> None:
    """Run the sections and print each as it comes."""
    from benchmarks import compare, limits
    from benchmarks.report import Run

    wanted = sections(args)
    others: tuple[str, ...] = ()
    if "compare" in wanted:
        compare.require_packages()
        others = ("torch", "transformers")
    run = Run(machine.facts(others))
    print(run.facts(), flush=True)
    for name in wanted:
        if name == "limits":
            table = limits.run(args.quick)
        else:
            table = compare.run(args.quick, args.pairs, args.work, tell)
        run.tables.append(table)
        print("\n" + table.text(), flush=True)
    if args.json:
        run.save(args.json)


def main(argv: Sequence[str] | None = None) -> int:
    """Run; the exit code is 2 for wrong input."""
    args = build_parser().parse_args(argv)
    try:
        for name in ("pairs", "threads"):
            if getattr(args, name) < 1:
                raise ValueError(f"--{name}: expected at least 1, got {getattr(args, name)}")
        machine.set_threads(args.threads)
        measure(args, tell=lambda line: print(f"... {line}", file=sys.stderr, flush=True))
        return 0
    except (ValueError, RuntimeError, OSError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
