"""The benchmarks run, keep what they measured, and refuse to compare unequal work."""

import importlib.util
import json
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import busy, compare, decode, goals, growth, ladders, layers, limits, machine, split
from benchmarks.__main__ import SECTIONS, build_parser, main, sections
from benchmarks.demand import demand
from benchmarks.report import Run, Table, against
from benchmarks.work import (
    DECODE,
    DEFAULT,
    FORWARD,
    GPT2,
    LARGE,
    MODELS,
    TRAINING,
    Work,
    chosen,
    prepare,
    shrink,
)
from benchmarks.worker import workers
from numpygpt import GPTConfig
from numpygpt.config import SMALL
from numpygpt.layers.parameter import Array
from numpygpt.text.bpe import train_bpe
from numpygpt.training.data import Text
from numpygpt.training.loop import TrainConfig

TRAIN = shrink(TRAINING[0])


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Environment variables that `main` sets are taken back."""
    for name in machine.THREAD_VARIABLES:
        monkeypatch.setenv(name, "1")


@pytest.mark.usefixtures("threads")
def test_quick_run_is_kept_shown_and_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "run.json"
    only = [f"--only={name}" for name in ("limits", "layers", "training", "decode")]
    assert main(["--quick", "--threads", "1", "--work", "64", *only, "--json", str(kept)]) == 0
    printed = capsys.readouterr().out
    tables = {t["name"]: t["rows"] for t in json.loads(kept.read_text())["tables"]}
    assert list(tables) == ["limits", "layers", "training", "decode"]
    assert "block, backward" in [row["what"] for row in tables["layers"]]
    assert [row["what"] for name in ("training", "decode") for row in tables[name]] == [
        "2 blocks of width 32, 1x16",  # of nano, 12x64
        "2 blocks of width 32, 16 tokens after 32",  # of GPT-2 124M, 64 tokens after 32
        "2 blocks of width 32, 16 tokens after 32, no cache",
    ]

    assert main(["--kept", str(kept)]) == 0
    assert capsys.readouterr().out == printed  # nothing is lost on the way through the file

    assert main(["--kept", str(kept), "--against", str(kept)]) == 0
    compared = capsys.readouterr().out.removeprefix(printed).splitlines()
    rows = [line for line in compared if line.startswith(("layers:", "training:", "decode:"))]
    assert len(rows) > 20 and all(line.endswith(" 1.00") for line in rows)


def test_split_counts_each_second_once_and_leaves_the_layers_as_they_were() -> None:
    before = [vars(kind).copy() for kind in split.KINDS]
    start = time.perf_counter()
    rows = split.measure(TRAIN, 3)
    elapsed = time.perf_counter() - start
    assert [vars(kind) for kind in split.KINDS] == before
    *parts, step = rows
    assert {"Linear", "Head", "AdamW"} <= {str(row["what"]).split(": ")[1] for row in parts}
    assert float(step["ms"]) == pytest.approx(sum(float(row["ms"]) for row in parts))
    assert 0 < float(step["ms"]) < elapsed * 1e3 / 3
    whole = TRAINING[-1]
    assert sum(split.products(whole).values()) == pytest.approx(whole.flops(), rel=0.01)


def test_against_divides_new_by_old_and_names_other_machines() -> None:
    def run(ms: float, cpu: str) -> Run:
        rows: list[dict[str, str | float]] = [{"what": "Linear", "ms": ms, "GFLOP/s": 1.0}]
        return Run({"cpu": cpu}, [Table("layers", "", rows)])

    table = against(run(3.0, "new"), run(2.0, "old"))
    assert table.rows == [
        {"what": "layers: Linear", "unit": "ms", "before": 2.0, "now": 3.0, "now/before": 1.5}
    ]
    assert table.notes == [
        "CAUTION: other cpu: no measure of the code alone",
        "not the same cpu: old before, new now",
    ]
    assert against(run(3.0, "same"), run(2.0, "same")).notes == []


def test_against_cautions_of_what_steers_every_time_but_not_of_what_is_unknown() -> None:
    facts = {"threads": "2", "kernels": "Haswell", "numpy": "2.4.6"}
    rows: list[dict[str, str | float]] = [{"what": "Linear", "ms": 1.0}]
    now = Run(facts, [Table("layers", "", rows)])

    def notes(**before: str) -> list[str]:
        return against(now, Run(facts | before, now.tables)).notes

    assert notes(threads="1", kernels="SkylakeX", numpy="2.0.0") == [
        "CAUTION: other threads and kernels: no measure of the code alone",
        "not the same threads: 1 before, 2 now",
        "not the same kernels: SkylakeX before, Haswell now",
        "not the same numpy: 2.0.0 before, 2.4.6 now",
    ]
    assert notes(numpy="2.0.0") == ["not the same numpy: 2.0.0 before, 2.4.6 now"]
    assert notes(kernels="unknown (...)") == [
        "not the same kernels: unknown (...) before, Haswell now"
    ]


@pytest.mark.usefixtures("threads")
def test_a_trial_is_not_compared_with_a_real_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is anything measured before that is said; runs of unknown sizes are older than both."""
    rows: list[dict[str, str | float]] = [{"what": "Linear", "ms": 1.0}]
    paths = {name: tmp_path / name for name in ("real", "tiny", "old")}
    for name, path in paths.items():
        run = Run(machine.facts(quick=name == "tiny"), [Table("layers", "", rows)])
        if name == "old":
            del run.machine["sizes"]
        run.save(path)

    monkeypatch.setattr(layers, "run", lambda quick: pytest.fail("measured"))
    measured = ["--only", "layers", "--against"]
    for arguments, before, now in (
        ([*measured, str(paths["tiny"])], "tiny (--quick)", "real"),
        (["--quick", *measured, str(paths["real"])], "real", "tiny (--quick)"),
        (["--kept", str(paths["real"]), "--against", str(paths["tiny"])], "tiny (--quick)", "real"),
    ):
        assert main(arguments) == 2
        message = f"expected two runs of equal sizes, got {before} before and {now} now\n"
        assert capsys.readouterr().err == f"benchmarks: --against: {message}"

    assert main(["--kept", str(paths["real"]), "--against", str(paths["old"])]) == 0
    printed = capsys.readouterr().out
    assert "not the same sizes: unknown before, real now" in printed and "CAUTION" not in printed
    assert main(["--kept", str(paths["tiny"]), "--against", str(paths["tiny"])]) == 0


def test_two_runs_without_equal_work_are_one_line() -> None:
    a, b = (Run({}, [Table("layers", "", [{"what": what, "ms": 1.0}])]) for what in "ab")
    with pytest.raises(ValueError, match="have no time or memory of the same work"):
        against(a, b)


def test_names_say_what_is_measured() -> None:
    """The README's and older runs' names stay; a trial's says its own sizes."""
    works = [*TRAINING, FORWARD, DECODE, decode.WITHOUT, LARGE]
    assert [work.name for work in works] == [
        "nano, 12x64", "default, 16x128", "tiny, 8x256", "GPT-2 124M, 1x256",
        "GPT-2 124M, 4x256", "GPT-2 124M, 1x1024", "GPT-2 124M, forward, 1x1024",
        "GPT-2 124M, 64 tokens after 32",
        "GPT-2 124M, 64 tokens after 32, no cache", "GPT-2 1558M, 8 tokens after 32"]  # fmt: skip
    for config, name in MODELS.items():
        count = f"{Work('train', config, 1, 1).num_parameters() / 1e6:.0f}M"
        assert not name.startswith("GPT-2") or name == f"GPT-2 {count}"
    told: list[str] = []
    assert list(chosen(works, True, "GPT-2 124M, 1", told.append)) == [TRAIN]  # two real works
    assert told == ["2 blocks of width 32, 1x16"]
    assert list(chosen(works, False, "GPT-2 124M, 1", told.append)) == [TRAINING[3], TRAINING[5]]
    assert shrink(FORWARD).name == "2 blocks of width 32, forward, 1x16"
    assert list(growth.series(True)["T"]) == ["T 8, B 1", "T 16, B 1"]
    for size, work in [pair for each in growth.series(False).values() for pair in each.items()]:
        n = round(work.num_parameters() / 1e6, 1)
        sizes = (f"B {work.batch}", f"T {work.tokens:,}")
        assert set(size.split(", ")) == set(sizes) or size in (f"{n} M", f"{n:.0f} M")


def test_a_model_that_does_not_fit_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    (row,) = decode.run_large(True, "8 tokens", told.append).rows
    assert row["what"] == "2 blocks of width 32, 8 tokens after 32" and float(row["memory"]) > 1
    monkeypatch.setattr(decode, "total_memory", lambda: 7_000_000_000)
    message = r"GPT-2 1558M, .*: expected 7,477 MB of memory, got 7,000"
    with pytest.raises(ValueError, match=message):
        decode.run_large(False, "", told.append)


@pytest.mark.parametrize("name", ladders.NAMES)
def test_every_rung_of_a_ladder_computes_the_same(name: str) -> None:
    rows = ladders.climb(name, quick=True)  # raises where a rung differs
    assert len(rows) >= 3 and rows[0]["faster"] == 1


def test_a_wrong_rung_is_found() -> None:
    right = np.ones(3, np.float32)
    with pytest.raises(RuntimeError, match=r"'b': differs from the first rung by 1\.0e-03"):
        ladders.check_equal("x", [("a", lambda: right), ("b", lambda: right * 1.001)])


def test_growth_subtracts_the_empty_process_and_divides_by_the_formula() -> None:
    empty = growth.measure(TRAIN, 1)[1]
    work = replace(TRAIN, config=replace(GPT2, n_layer=1, vocab_size=2048), tokens=32)
    row = growth.row("one block", work, empty, 1)
    assert 0.9 < float(row["MB/formula"]) < 1.5
    rows = [{"ms/GFLOP": 4.0, "MB/formula": 1.0, "GFLOP": 1.0},
            {"ms/GFLOP": 5.0, "MB/formula": 1.5, "GFLOP": 8.0}]  # fmt: skip
    assert "8.0 times the flops took 1.25 times" in growth.verdict("T", rows)  # type: ignore[arg-type]
    assert "1.50 times as much memory" in growth.verdict("T", rows)  # type: ignore[arg-type]


def test_the_default_model_is_the_one_that_train_makes() -> None:
    (work,) = (work for work in TRAINING if work.config == DEFAULT)
    assert work.config == GPTConfig(train_bpe(Text.load(None).train).n_vocab, **SMALL)
    assert (work.batch, work.tokens) == (TrainConfig().batch_size, SMALL["context_length"])
    assert TrainConfig().accumulate == 1


def test_split_keeps_threads_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads inside the same layers at once: neither's seconds go to the other's layer."""
    both = threading.Barrier(2)

    class Inner:
        def forward(self, last: bool) -> None:
            both.wait()
            if last:
                time.sleep(0.02)  # the other one returns to its layer first
            both.wait()

    class Outer:
        def forward(self, last: bool) -> None:
            both.wait()
            time.sleep(0.1)
            Inner().forward(last)

    monkeypatch.setattr(split, "KINDS", (Inner, Outer))
    with split.watched() as seconds:
        threads = [threading.Thread(target=Outer().forward, args=(last,)) for last in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert 0.2 <= seconds["Outer"] < 0.3  # without what Inner took
    assert 0.04 <= seconds["Inner"] < 0.2


def test_flops_of_gpt2_small() -> None:
    (work,) = (w for w in TRAINING if w.name == "GPT-2 124M, 4x256")
    assert work.flops() == 6 * 1024 * (124_439_808 + 12 * 768 * 256)
    assert demand(work)[0] == pytest.approx(work.flops() / 1e9)
    assert demand(FORWARD)[0] == pytest.approx(FORWARD.flops() / 3e9)
    matrices = 124_439_808 - 1024 * 768 - 12 * (4 * 768 + 9 * 768) - 2 * 768  # all but vectors, wpe
    assert demand(DECODE)[0] == pytest.approx(64 * 4e-9 * matrices)


def test_no_product_of_the_limit_is_with_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """NumPy computes a^T a in half the flops, which would make the limit twice as high."""
    matmul, shared = np.matmul, []

    def watched(a: Array, b: Array, out: Array) -> Array:
        shared.append(np.may_share_memory(a, b))
        return matmul(a, b, out=out)

    monkeypatch.setattr(np, "matmul", watched)
    limits.sgemm(8, 4, seconds=0, repeats=1)
    assert len(shared) >= 12 and not any(shared)


def test_turns_are_repeatable_and_really_train() -> None:
    work = replace(TRAIN, steps=3)
    losses = prepare(work)()
    assert losses == prepare(work)() and len(losses) == 3
    batches = work.batches()
    first, untrained, _ = (work.model().loss(*next(batches)) for _ in range(3))
    assert losses[0] == first and losses[1] != untrained  # of the same batch, a step later
    cached = prepare(shrink(DECODE))()
    assert cached == prepare(shrink(decode.WITHOUT))()
    assert len(cached) == 32 + 16


def test_a_worker_reports_its_own_memory_and_its_errors() -> None:
    with workers(["benchmarks.work"], TRAIN) as (worker,):
        first, second = worker.turn(), worker.turn()
        assert first.numbers == prepare(TRAIN)()
        assert 10 < first.peak <= second.peak < 500
    assert not worker.process.is_alive()
    wrong = Work("generate", TRAIN.config, 1, -1)
    with workers(["benchmarks.work"], wrong) as (worker,):
        with pytest.raises(RuntimeError, match="-1 tokens after 32: ValueError: generate: expect"):
            worker.turn()
        worker.process.kill()
        with pytest.raises((RuntimeError, OSError)):
            worker.turn()


def test_unequal_work_is_refused() -> None:
    compare.check_equal(TRAIN, [5.0, 4.9, 1.0], [5.0004, 4.904, 2.0])
    for theirs in ([5.001, 4.9], [5.0, 4.91], [float("nan"), 4.9], [5.0]):
        with pytest.raises(RuntimeError, match="not the same work"):
            compare.check_equal(TRAIN, [5.0, 4.9], theirs)
    with pytest.raises(RuntimeError, match="not the same work"):
        compare.check_equal(shrink(DECODE), [1.0, 2.0, 3.0], [1.0, 2.0, 4.0])


def compared_run() -> Run:
    row: dict[str, str | float] = {
        "what": "GPT-2 124M, 4x256", "against": "PyTorch", "numpygpt s": 4.0, "other s": 5.0,
        "speed": 1.25, "least": 1.2, "most": 1.3, "pairs": 5, "limit": "250 GFLOP/s",
        "share": 0.8, "numpygpt MB": 2600.0, "other MB": 3500.0, "memory": 0.743}  # fmt: skip
    return Run(machine.facts(("torch",)), [Table("compare", "", [row])])


def test_facts_tell_what_steers_blas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    assert "OPENBLAS_CORETYPE=Haswell" in machine.facts()["variables"].split()


def test_goals_say_what_was_met() -> None:
    rows = goals.run(compared_run().tables).rows
    assert [(row["measured"], row["goal"], row["met"]) for row in rows] == [
        ("1.25", "at least 1.30", "no"), ("0.743", "at most 0.85", "yes")]  # fmt: skip


@pytest.mark.parametrize(
    ("speed", "share", "met"),
    [(2.0, 0.5, "yes"), (1.99, 0.88, "yes"), (1.99, 0.87, "no"), (2.1, 0.9, "yes")],
)
def test_of_two_goals_one_is_enough(speed: float, share: float, met: str) -> None:
    rows: list[dict[str, str | float]] = [{"what": DECODE.name, "speed": speed, "share": share}]
    (row,) = goals.run([Table("compare", "", rows)]).rows
    assert row["met"] == met
    assert row["what"] == f"compare: {DECODE.name}: speed or share"
    assert row["goal"] == "at least 2.00 or at least 0.88"
    assert not goals.run([Table("decode", "", rows)]).rows  # the same work in another section


def test_goals_are_of_work_that_is_measured() -> None:
    """A misspelt one would never be missed."""
    names = {
        "compare": [*TRAINING, FORWARD, DECODE],
        "large": [LARGE],
        "busy": busy.WORKS,
        "imports": TRAINING,
    }
    for section, what, _ in goals.GOALS:
        assert what in [work.name for work in names[section]]


def test_markdown_for_the_readme(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = tmp_path / "run.json"
    compared_run().save(kept)
    assert main(["--kept", str(kept), "--markdown"]) == 0
    text = capsys.readouterr().out
    assert "| GPT-2 124M, 4x256 | PyTorch | 4.00 s | 5.00 s | **1.25x** (1.20 to 1.30) |" in text
    assert f"NumPy {np.__version__}" in text


def test_sections_by_default_on_demand_and_by_name() -> None:
    def chosen(*arguments: str) -> list[str]:
        return sections(build_parser().parse_args(arguments))

    assert chosen() == ["limits", "layers", "training", "split", "decode", "growth"]
    assert chosen("--compare") == [*chosen(), "compare", "large"]
    assert chosen("--only", "ladders") == ["ladders"]
    assert chosen("--only", "busy", "--compare") == ["busy"]
    asked = {"ladders", "busy", "imports", "processes"}
    assert {*chosen("--compare"), *asked} == set(SECTIONS)  # each can be asked for
    assert all(f"  {name} " in build_parser().format_help() for name in SECTIONS)


@pytest.mark.usefixtures("threads")
def test_wrong_input_ends_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text('{"machine": {}}')
    nameless = tmp_path / "nameless.json"
    nameless.write_text('{"machine": {}, "tables": [{"name": "a", "about": "", "rows": [{}]}]}')
    for arguments, message in (
        (["--pairs", "0"], "--pairs: expected at least 1, got 0"),
        (["--busy", "0"], "--busy: expected at least 1, got 0"),
        (["--kept", str(broken)], "expected a run kept with --json"),
        (["--kept", str(nameless)], "expected a run kept with --json"),
        (["--against", str(tmp_path / "none.json")], "none.json"),
        (["--work", "no such work", "--only", "training"], "no such work"),
        (["--json", str(tmp_path / "no" / "x.json"), "--only", "limits"], "is no folder to write"),
        (["--json", str(tmp_path), "--only", "limits"], "expected a file to write, got a folder"),
    ):
        assert main(arguments) == 2
        printed = capsys.readouterr()
        assert "--json" not in arguments or not printed.out  # before anything is measured
        assert message in printed.err and "Traceback" not in printed.err


def test_compare_without_its_packages_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install -e '\.\[bench\]'"):
        compare.require_packages()


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs the extra [bench]")
@pytest.mark.parametrize("work", [TRAINING[0], FORWARD, DECODE], ids=lambda work: work.kind)
def test_pytorch_and_transformers_do_equal_work(work: Work) -> None:
    row = compare.compare(shrink(work), pairs=1)  # raises where numbers differ
    assert float(row["speed"]) > 0


@pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="needs the extra [plot]")
def test_chart_names_the_work(tmp_path: Path) -> None:
    from benchmarks.plot import draw

    draw(compared_run(), tmp_path / "chart.svg")
    assert (tmp_path / "chart.svg").read_text().count("1.25x") >= 1
