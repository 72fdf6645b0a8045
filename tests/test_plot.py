"""`numpygpt plot`: pictures of a run's losses, of one head's attention, of embeddings."""

import importlib.util
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numpygpt import GPT, GPTConfig
from numpygpt.cli import main
from numpygpt.files.checkpoint import CHECKPOINT
from numpygpt.files.whole import CheckpointError
from numpygpt.inside import embedding_map, patterns, trace
from numpygpt.text.tokenizer import byte_encoding
from numpygpt.training.metrics import COLUMNS, HEAD, read_metrics
from numpygpt.training.saved import load_run, save_run

HAVE = importlib.util.find_spec("matplotlib") is not None
drawing = pytest.mark.skipif(not HAVE, reason="needs the extra [plot]")
OPTIONS = "--data text.txt --tokenizer bpe:290 --context-length 16 --n-embd 12 --n-head 3"
OPTIONS += " --n-layer 2 --batch-size 2 --steps 9 --eval-every 4 --eval-batches 1"

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a text, and a run of it."""
    folder = tmp_path_factory.mktemp("plot")
    text = "The robin and the sparrow sang while another farmer walked there. "
    (folder / "text.txt").write_text(text * 40)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("numpygpt.training.report.SAMPLE_TOKENS", 4)
        assert main(["train", *OPTIONS.split()]) == 0
    return folder


@pytest.fixture
def run(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """`plot` in an empty folder beside that run."""
    (tmp_path / "runs").symlink_to(folder / "runs")
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()

    def run(*args: str) -> tuple[int, str, str]:
        return (main(["plot", *args]), *capsys.readouterr())

    return run


# -- the record -----------------------------------------------------------------------------------


def write_rows(folder: Path, *rows: str, end: str = "\n") -> None:
    (folder / "metrics.csv").write_bytes(HEAD + ("\n".join(rows) + end).encode())


def test_the_record_is_read_as_it_was_written(folder: Path) -> None:
    table, damage = read_metrics(folder / "runs" / "1")
    assert damage == "" and list(table) == COLUMNS
    assert table["step"].tolist() == list(range(1, 10))
    assert np.flatnonzero(np.isfinite(table["held_out_loss"])).tolist() == [3, 7]
    assert all(np.isfinite(table[name]).all() for name in COLUMNS[:5])
    third = (folder / "runs" / "1" / "metrics.csv").read_text().splitlines()[3].split(",")
    assert [table[name][2] for name in COLUMNS[:5]] == [float(cell) for cell in third[:5]]


def test_a_row_that_was_cut_is_not_there_yet(tmp_path: Path) -> None:
    whole = ["1,0.1,3.5,1.0,0.01,,", "2,0.2,3.25,1.0,0.02,3.5,1.25"]
    for cut in ("3,0.3,3.1", "3", "3,0.3,3.0,1.0,0.02,,"):  # the last has no end of line yet
        write_rows(tmp_path, *whole, cut, end="")
        table, damage = read_metrics(tmp_path)
        assert damage == "" and table["loss"].tolist() == [3.5, 3.25]
        assert table["bits_per_byte"][1] == 1.25 and np.isnan(table["bits_per_byte"][0])


@pytest.mark.parametrize(
    "bad", ["2,0.2,x,1.0,0.02,,", "2,0.2", "", "\0\0\0", "2,0.2,,1.0,0.02,,", "2,1,nan,1,1,,", "é"]
)
def test_a_damaged_row_is_named(tmp_path: Path, bad: str) -> None:
    write_rows(tmp_path, "1,0.1,3.5,1.0,0.01,,", bad, "3,0.3,3.0,1.0,0.02,,")
    table, damage = read_metrics(tmp_path)
    assert table["step"].tolist() == [1]
    assert damage == f"{tmp_path / 'metrics.csv'}: line 3 is damaged; what comes before it is shown"


def test_rows_that_an_editor_saved_are_read(tmp_path: Path) -> None:
    write_rows(tmp_path, "1,0.1,3.5,1.0,0.01,,", "2,0.2,3.0,1.0,0.02,2.5,1.25")
    expected, _ = read_metrics(tmp_path)
    path = tmp_path / "metrics.csv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    found, damage = read_metrics(tmp_path)
    assert damage == ""
    for name, column in expected.items():
        np.testing.assert_array_equal(found[name], column)


@pytest.mark.parametrize("data", [b"", HEAD, HEAD + b"1,0.1", b"a,b\n1,2\n", HEAD + b"x\n"])
def test_no_row_at_all(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(CheckpointError, match="expected the losses of a run: No such file"):
        read_metrics(tmp_path)
    (tmp_path / "metrics.csv").write_bytes(data)
    with pytest.raises(CheckpointError, match="expected the losses of a run, and at least one"):
        read_metrics(tmp_path)


# -- pictures -------------------------------------------------------------------------------------

STARTS = {".png": b"\x89PNG\r\n\x1a\n", ".svg": b"<?xml", ".pdf": b"%PDF"}


@drawing
@pytest.mark.parametrize(
    "line",
    [
        "runs/1 --out a.svg",
        "runs/1 --out a.PDF",
        "--attention=1.2 --prompt=The --out a.svg",
        f"runs/1/{CHECKPOINT} --embeddings --out=a.svg",
    ],
)
def test_each_picture_in_its_format_and_the_same_again(run: Run, line: str, tmp_path: Path) -> None:
    name = line[-5:]
    assert run(*line.split()) == (0, f"written to {name}\n", "")
    first = (tmp_path / name).read_bytes()
    assert first.startswith(STARTS[name[1:].lower()]) and len(first) > 4000
    assert run(*line.split())[0] == 0 and (tmp_path / name).read_bytes() == first


@drawing
def test_without_a_name_it_lies_here(run: Run, tmp_path: Path) -> None:
    assert run() == (0, "written to losses.png\n", "")
    assert run("--embeddings") == (0, "written to embeddings.png\n", "")
    assert run("--attention", "0.0", "--prompt", "a") == (0, "written to attention.png\n", "")
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["attention.png", "embeddings.png", "losses.png", "runs"]
    for name in names[:3]:
        assert (tmp_path / name).read_bytes().startswith(STARTS[".png"])


def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures that are written from now on."""
    from matplotlib.figure import Figure

    figures: list[Any] = []
    save = Figure.savefig

    def kept(self: Any, *args: Any, **more: Any) -> None:
        figures.append(self)
        save(self, *args, **more)

    monkeypatch.setattr(Figure, "savefig", kept)
    return figures


@drawing
def test_the_lines_are_the_losses(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = drawn(monkeypatch)
    assert run("runs/1")[0] == 0
    losses, rate = figures[0].axes
    table, _ = read_metrics(Path("runs/1"))
    raw, smooth, held = (line.get_xydata() for line in losses.lines)
    np.testing.assert_array_equal(raw, np.stack([table["step"], table["loss"]], 1))
    np.testing.assert_array_equal(smooth, raw)  # of nine steps each is a point
    there = [3, 7]
    np.testing.assert_array_equal(
        held, np.stack([table["step"][there], table["held_out_loss"][there]], 1)
    )
    np.testing.assert_array_equal(rate.lines[0].get_ydata(), table["learning_rate"])
    parameters = GPT.from_pretrained("runs/1").num_parameters()
    assert figures[0].get_suptitle() == f"runs/1: {parameters:,} parameters, 9 steps"


@drawing
def test_the_smooth_line_is_a_mean_in_its_middle(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = drawn(monkeypatch)
    loss = 5 + np.sin(np.arange(900) ** 2)
    rows = [f"{i},{i},{x},1.0,0.01,," for i, x in enumerate(loss.tolist(), 1)]
    write_rows(tmp_path, *rows)
    (tmp_path / CHECKPOINT).write_bytes(b"damaged")
    code, out, err = run(".")
    assert (code, out) == (0, "written to losses.png\n")
    assert err.count("\n") == 1 and "is no whole checkpoint" in err
    assert figures[0].get_suptitle() == ".: 900 steps"
    smooth = figures[0].axes[0].lines[1].get_xydata()
    for i in (0, 17, len(smooth) - 1):
        assert smooth[i, 0] == i + 5  # steps i + 1 to i + 9
        assert smooth[i, 1] == pytest.approx(loss[i : i + 9].mean(), rel=1e-12)
    assert len(smooth) == 892


@drawing
def test_an_unfinished_run_and_a_damaged_row(
    run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = drawn(monkeypatch)
    lines = (folder / "runs/1/metrics.csv").read_bytes().splitlines(keepends=True)
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / CHECKPOINT).write_bytes((folder / "runs/1" / CHECKPOINT).read_bytes())
    (tmp_path / "cut" / "metrics.csv").write_bytes(b"".join(lines[:4]) + b"9,9\n" + lines[5])
    code, _, err = run("cut")
    assert (
        code == 0
        and err == "numpygpt: cut/metrics.csv: line 5 is damaged; what comes before it is shown\n"
    )
    assert figures[0].get_suptitle().endswith(" parameters, 3 of 9 steps")
    assert len(figures[0].axes[0].lines) == 2  # no held-out loss yet


@drawing
def test_the_pattern_that_is_drawn(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = drawn(monkeypatch)
    model, encoding, *_ = load_run("runs/1")
    prompt = "The $x$ robin\n\x1b日"
    assert run("--attention", "1.2", "--prompt", prompt)[0] == 0
    axes = figures[0].axes[0]
    ids = np.array(encoding.encode_ordinary(prompt))
    P = patterns(trace(model, ids))[1, 2]
    seen = axes.images[0].get_array()
    np.testing.assert_array_equal(seen.filled(0), np.tril(P))
    assert (np.asarray(seen.mask) == ~np.tri(len(ids), dtype=bool)).all()
    names = [text.get_text() for text in axes.get_xticklabels()]
    assert names == [text.get_text() for text in axes.get_yticklabels()]
    assert len(names) == len(ids) and all(name.isprintable() for name in names)
    assert names[0] in ("The", "T") and "\\n" in names and "$" in "".join(names)


@drawing
def test_the_map_that_is_drawn(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = drawn(monkeypatch)
    words = ["robin", "sparrow", "farmer", "there"]
    assert run("runs/1", "--embeddings", "robin, sparrow,farmer there")[0] == 0
    model, encoding, *_ = load_run("runs/1")
    found = embedding_map(model, encoding, words)
    axes = figures[0].axes[0]
    np.testing.assert_array_equal(axes.collections[0].get_offsets(), found.places)
    assert f"{found.share[0]:.1%}" in axes.get_xlabel()
    assert f"{found.share[1]:.1%}" in axes.get_ylabel()
    assert [text.get_text() for text in axes.texts] == words  # there is room for each


@drawing
def test_the_words_of_the_stories_by_their_kinds(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from matplotlib.text import Text

    figures = drawn(monkeypatch)
    model = GPT(GPTConfig(257, 16, 12, 3, 1), 0)
    save_run(tmp_path / "r.npz", model, byte_encoding(), {"text": {"file": None}})
    assert run("r.npz", "--embeddings")[0] == 0
    axes = figures[0].axes[0]
    kinds = [text.get_text() for text in axes.get_legend().get_texts()]
    assert kinds == ["she", "he", "places", "tools", "animals", "parts", "foods"]
    figures[0].draw_without_rendering()
    boxes = [Text.get_window_extent(text) for text in axes.texts]  # without the line to its point
    assert len(boxes) > 30
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


# -- what is wrong --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--out", "a.gif"], r"a\.gif: expected a file's name that ends in .png, .svg, .pdf$"),
        (["--out", "a"], r"a: expected a file's name that ends in"),
        (["--out", "no/folder/a.png"], r"no/folder/a\.png .*no/folder is no folder to write into"),
        (["--prompt", "a"], "--prompt is the text for --attention"),
        (["--attention", "0.0"], "--attention: expected a text for the head to look at, --prompt"),
        (["--attention", "2.0", "--prompt", "a"], "no head 2.0 .*blocks are 0 to 1, heads 0 to 2"),
        (["--attention", "0.3", "--prompt", "a"], "no head 0.3"),
        (["--attention", "0.0", "--prompt", "word " * 99], "at most 16 tokens"),
        (["--embeddings", "a,b"], "--embeddings: expected at least three words.*got 'a,b'"),
        (["--embeddings", "runs/1"], "a run's folder comes before"),
        (["--embeddings", ","], "at least three words"),
        (["nowhere"], "nowhere.*expected the losses of a run: No such file"),
        (["nowhere/x/y", "--embeddings"], "nowhere/x/y: expected a folder, a file"),
    ],
)  # fmt: skip
def test_wrong_options(args: list[str], message: str, run: Run, tmp_path: Path) -> None:
    code, out, err = run(*args)
    assert (code, out) == (2, "") and err.count("\n") == 1
    assert re.search(message, err), err
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


@pytest.mark.parametrize("name", ["1", "1.", "-1.0", "1.2.3", "a.b", "", "1,2"])
def test_a_wrong_name_of_a_head(name: str, run: Run) -> None:
    code, out, err = run(f"--attention={name}", "--prompt=a")
    assert (code, out) == (2, "")
    assert f"argument --attention: expected BLOCK.HEAD, such as 0.3, got {name!r}" in err


def test_without_matplotlib(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    code, out, err = run()
    assert (code, out) == (2, "") and err.count("\n") == 1
    assert "a picture needs matplotlib" in err and "pip install -e '.[plot]'" in err
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
