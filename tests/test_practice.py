"""Exercises: made from true solutions, and every state that a reader's file can be in is told."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from test_practice_readme import SESSIONS

import numpygpt.layers as package
from numpygpt import GPT
from numpygpt.cli import main
from numpygpt.config import GPTConfig
from numpygpt.gradcheck import Report, Row
from numpygpt.layers import Parameter
from numpygpt.layers.parameter import Array
from numpygpt.practice import EXERCISES, command, exercise_text
from numpygpt.practice import train as training
from numpygpt.practice.check import DONE, TO_DO, WRONG, Result, check
from numpygpt.practice.exercises import ANSWER, HINTS, SOLUTIONS, answers, solution_text
from numpygpt.practice.explain import explained
from numpygpt.practice.model import OwnGPT
from numpygpt.practice.reader import load, reading
from numpygpt.practice.train import same_gradient
from numpygpt.training import data, report
from numpygpt.training.saved import load_run

B, T, H, D, V = 2, 5, 3, 7, 11
C = H * D
CONFIG = GPTConfig(V, T, C, H, 2)
EVERY = list(EXERCISES)

Run = Callable[..., tuple[int, str]]


def solved(name: str) -> str:
    """The exercise, with the answer in its place: what a reader's file may end as."""
    text = HINTS.sub("", solution_text(name)).replace(f"from {SOLUTIONS}.", "from ")
    return ANSWER.sub(lambda match: match[2], text)


def solve(folder: Path, *names: str) -> Path:
    """The folder with these exercises solved, and all others to do."""
    for name in EVERY:
        text = solved(name) if name in names else exercise_text(name)
        (folder / f"{name}.py").write_text(text)
    return folder


def result(folder: Path, name: str) -> Result:
    """The check of one file."""
    with reading(folder):
        return check(folder, name)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all of it solved."""
    return solve(tmp_path_factory.mktemp("done"), *EVERY)


@pytest.fixture(scope="module")
def modules(done: Path) -> dict[str, ModuleType]:
    """Its modules."""
    with reading(done):
        return {name: load(done, name) for name in EVERY}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command in a folder of its own: its exit code, and all that it says."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str]:
        code = main(["practice", *words])
        out, err = capsys.readouterr()
        return code, out + err

    return run


# -- exercises and package cannot drift apart -----------------------------------------------------


@pytest.mark.parametrize("name", EVERY)
def test_an_exercise_is_its_solution_without_the_answers(name: str) -> None:
    text, solution = exercise_text(name), solution_text(name)
    assert (
        len(answers(name)) == text.count("raise NotImplementedError") == solution.count("<answer>")
    )
    assert all(line in solution.replace(f"{SOLUTIONS}.", "") for line in text.splitlines()
               if "NotImplementedError" not in line)  # fmt: skip
    hidden = [line.strip() for answer in answers(name) for line in answer.splitlines()]
    code = text.split('"""', 2)[2]
    assert hidden and not [line for line in hidden if line in code]
    assert "answer>" not in text and "HINTS" not in text and SOLUTIONS not in text
    assert "Questions\n---------\n1. " in text and f"`numpygpt practice {name}` says" in text
    assert max(map(len, text.splitlines())) <= 100
    compile(text, name, "exec")


def same_values(own: package.Layer, theirs: package.Layer) -> None:
    """Gives both layers, whose parameters must have the same names in the same order, values."""
    own.initialize(0, np.float64)
    theirs.initialize(0, np.float64)
    rng = np.random.default_rng(1)
    pairs = zip(own.named_parameters(), theirs.named_parameters(), strict=True)
    for (name, p), (other_name, q) in pairs:
        assert name == other_name and p.shape == q.shape
        p.data[...] = q.data[...] = rng.standard_normal(p.shape)


def test_forwards_are_the_packages(modules: dict[str, ModuleType]) -> None:
    rng = np.random.default_rng(2)
    x, ids = rng.standard_normal((B, T, C)), rng.integers(V, size=(B, T))
    for name, arguments, given in (
        ("linear", (C, 13), x),
        ("embedding", (V, C), ids),
        ("layernorm", (C,), x),
        ("gelu", (), x),
        ("dropout", (0.3,), x),
        ("block", (CONFIG,), x),
    ):
        layer = EXERCISES[name].layer
        own = getattr(modules[name], layer)(*arguments)
        theirs = getattr(package, layer)(*arguments)
        same_values(own, theirs)
        expected = theirs.forward(given)
        np.testing.assert_allclose(own.forward(given), expected, rtol=1e-12, atol=1e-12)
        assert own.eval().forward(given).shape == expected.shape and own._saved is None


def test_attentions_core_and_head_are_the_packages(modules: dict[str, ModuleType]) -> None:
    rng = np.random.default_rng(3)
    x, ids = rng.standard_normal((B, T, C)), rng.integers(V, size=(B, T))
    attention = package.CausalSelfAttention(CONFIG).initialize(0, np.float64)
    qkv = attention.qkv.forward(x) * 9
    attention.qkv.W.data *= 9
    o = modules["attention"].Attention(H).forward(qkv)
    np.testing.assert_allclose(attention.proj.forward(o), attention.forward(x), rtol=1e-12)
    own, theirs = modules["head"].Head(Parameter(V, C)), package.Head(Parameter(V, C))
    same_values(own, theirs)
    np.testing.assert_allclose(own.forward(x), theirs.forward(x), rtol=1e-12)
    assert own.loss(x, ids) == pytest.approx(theirs.loss(x, ids), rel=1e-12)
    dx = own.backward(0.7)
    np.testing.assert_allclose(dx, 0.7 * theirs.backward(), rtol=1e-12)
    np.testing.assert_allclose(own.W.grad, 0.7 * theirs.W.grad, rtol=1e-12)


# -- done, to do, wrong ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", EVERY)
def test_a_solution_is_done_and_an_exercise_is_to_do(name: str, done: Path, tmp_path: Path) -> None:
    assert result(done, name) == Result(name, DONE)
    solve(tmp_path, *EXERCISES[name].needs)
    assert result(tmp_path, name).status == TO_DO
    assert f"its backward is to be written, in {tmp_path / name}.py" == result(tmp_path, name).text


ANY = ""  # something is said, or that nothing is known
BUGS = [
    ("linear", "W", "self.W.grad += x.T @ dy_rows", "self.W.grad[...] = x.T @ dy_rows",
     "a known bug, Linear: dW overwritten"),
    ("linear", "W", "x.T @ dy_rows", "x.T @ dy_rows / len(x)", "0.1 times the forward's"),
    ("linear", "b", "self.b.grad += dy_rows.sum(axis=0)", "pass",
     "a known bug, Linear: db forgotten"),
    ("linear", "b", "dy_rows.sum(axis=0)", "dy_rows.mean(axis=0)",
     "a known bug, Linear: db averaged"),
    ("linear", "x", "dx = dy_rows", "dx = 1.00001 * dy_rows", "1.00001 times the forward's"),
    ("embedding", "W", "dW[v] += row", "dW[v] = row",
     "a known bug, Embedding: repeated ids lost"),
    ("embedding", "W", "ids.tolist(), dy_rows", "ids.tolist(), dy_rows[::-1]",
     "a known bug, Embedding: rows of the wrong order"),
    ("layernorm", "x", "g - mean_g - x_hat", "g - x_hat",
     "a known bug, LayerNorm: mean of g forgotten"),
    ("layernorm", "x", " - x_hat * mean_g_x_hat", "",
     "a known bug, LayerNorm: x_hat's term forgotten"),
    ("layernorm", "x", "g = dy_rows * self.gain.data", "g = dy_rows",
     "a known bug, LayerNorm: gain forgotten"),
    ("layernorm", "x", "* mean_g_x_hat)", "* mean_g_x_hat * 21 - mean_g * 20)",
     "a known bug, LayerNorm: sums for means"),
    ("layernorm", "x", "= rstd * (", "= (", "a known bug, LayerNorm: rstd forgotten"),
    ("layernorm", "gain", "(dy_rows * x_hat).sum(axis=0)", "dy_rows.sum(axis=0)",
     "a known bug, LayerNorm: dgain without x_hat"),
    ("layernorm", "bias", "bias.grad += dy_rows.sum", "bias.grad += (dy_rows * x_hat).sum",
     "a known bug, LayerNorm: dbias is dgain"),
    ("gelu", "x", "3 * A * x * x", "2 * A * x * x", "a known bug, GELU: 3 became 2"),
    ("gelu", "x", "s * (1 - s) * du", "s * du", ANY),
    ("gelu", "x", "x * 2 * s", "x * s", "a known bug, GELU: 2 forgotten"),
    ("gelu", "x", "dy * (s + ", "dy * (", ANY),
    ("dropout", "x", "dy * keep / (1 - self.p)", "dy * keep",
     "a known bug, Dropout: not scaled in backward"),
    ("dropout", "x", "dy * keep /", "dy * (self.rng.random(dy.shape) < 0.7) /", ANY),
    ("attention", "x", "dS.swapaxes(-1, -2) @ q", "dS @ q",
     "a known bug, Attention: dk transposed"),
    ("attention", "x", "P.swapaxes(-1, -2) @ do", "P @ do",
     "a known bug, Attention: dv transposed"),
    ("attention", "x", "dq = dS @ k / math.sqrt(D)", "dq = dS @ k",
     "0-20 dq wrong, 21-41 dk right, 42-62 dv right"),
    ("attention", "x", "k / math.sqrt(D)\n        dk = dS.swapaxes(-1, -2) @ q / math.sqrt(D)",
     "k\n        dk = dS.swapaxes(-1, -2) @ q",
     "a known bug, Attention: scale forgotten"),
    ("attention", "x", " - (dP * P).sum(axis=-1, keepdims=True)", "",
     "a known bug, Attention: softmax's row sum forgotten"),
    ("attention", "x", "(dP * P).sum(axis=-1", "(dP * P).sum(axis=-2",
     "dv right dq and dk share dP and dS"),
    ("attention", "x", "P * (dP - (dP * P).sum(axis=-1, keepdims=True))", "P * (1 - P) * dP",
     "a known bug, Attention: softmax's own slope alone"),
    ("attention", "x", "(dP * P).sum(axis=-1", "dP.sum(axis=-1",
     "a known bug, Attention: row sum of dP alone"),
    ("attention", "x", "P * (dP", "(dP", "a known bug, Attention: P forgotten"),
    ("attention", "x", "merge(dq, dk, dv)", "merge(dk, dq, dv)",
     "a known bug, Attention: dq and dk swapped"),
    ("head", "x", "dz[np.arange(N), ids] -= 1", "pass",
     "x, W: consistent with a known bug, Head: target not subtracted"),
    ("head", "x", "dz *= dloss / N", "dz *= dloss", "10 times the forward's"),
    ("head", "x", "dz *= dloss / N", "dz *= 1 / N", "1.42857143 times the forward's"),
    ("head", "W", "self.W.grad += dz.T @ x", "self.W.grad += 2 * dz.T @ x",
     "2 times the forward's"),
    ("block", "x", "dx = dx1 + self.norm1", "dx = self.norm1",
     "x: consistent with a known bug, Block: first residual dropped"),
    ("block", "x", "dx = dx1 + self.norm1", "dx = dy + self.norm1",
     "x: consistent with a known bug, Block: dy for dx1"),
    ("block", "x", "dx1 = dy + self.norm2", "dx1 = self.norm2",
     "norm1.bias and 4 more: consistent with a known bug, Block: second residual dropped"),
    ("block", "x", "self.attention.backward(self.dropout1.backward(dx1))",
     "self.dropout1.backward(self.attention.backward(dx1))", ANY),
    ("block", "x", "self.fc.backward(self.gelu.backward(self.proj.backward(dy)))",
     "self.fc.backward(self.proj.backward(dy))", "a known bug, FeedForward: GELU skipped"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "array", "right", "wrong", "evidence"), BUGS)
def test_a_planted_bug_is_wrong_and_explained(
    name: str, array: str, right: str, wrong: str, evidence: str, tmp_path: Path
) -> None:
    solve(tmp_path, *EVERY)
    assert sum(answer.count(right) for answer in [*answers(name), solved(name)]) >= 1
    (tmp_path / f"{name}.py").write_text(solved(name).replace(right, wrong))
    found = result(tmp_path, name)
    assert found.status == WRONG
    assert re.search(rf"^  {array} .*WRONG at \(", found.text, re.MULTILINE), found.text
    assert re.search(
        r"^  \S+.*: (consistent with|the error is like none)", found.text, re.MULTILINE
    )
    assert evidence in " ".join(found.text.split())
    assert found.text.startswith(EXERCISES[name].layer + "\n")


def test_an_error_that_nothing_is_known_of_is_said_to_be_one() -> None:
    def row(numeric: float) -> Row:
        return Row("x", (2,), 0.5, None, (1,), 2.0, numeric, False)

    said = explained("gelu", Report("GELU", [row(1.0), replace(row(1.0), name="y")]))
    assert said.count("the error is like none that this check knows") == 1
    assert "  x, y: the error is like none" in said
    said = explained("gelu", Report("GELU", [replace(row(np.nan), evidence=("this", "that"))]))
    assert said.endswith("\n  x: consistent with this\n  x: consistent with that")
    assert "like none" not in explained("gelu", Report("GELU", [row(np.nan)]))


# -- what readers do to files ---------------------------------------------------------------------

RETURN = "return dx.reshape(*dy.shape[:-1], I)"
MISTAKES = [
    (RETURN, "return dx.reshape(*dy.shape[:-1], I", r"linear\.py, line \d+: '\(' was never closed"),
    (RETURN, "return dx", r"expected to get dx of x's shape \(2, 5, 21\), got \(10, 21\)"),
    (RETURN, "return None", r"expected to get dx of x's shape \(2, 5, 21\), got None"),
    (RETURN, "return [dx]", r"expected to get dx of x's shape .*, got \(1, 10, 21\)"),
    (RETURN, "return 'dx'", r"expected to get dx of x's shape .*, got \(\)"),
    (RETURN, RETURN.replace("dx", "(dx / 0)"), r"WRONG at \(.*not finite"),
    ("y = rows", "y = 1 / np.zeros(5); y = rows", r"NameError: name 'np' is not defined"),
    (RETURN, RETURN.replace("dx", "(dx * 1j)"), r"dx of x's dtype float64, got complex128"),
    (RETURN, "self.take_saved()", r"Linear\.backward: nothing is saved.*\n.*linear\.py, line \d+"),
    (RETURN, "raise SystemExit(3)", r"SystemExit: 3\n +linear\.py, line \d+, in backward"),
    ("x.T @ dy_rows", "x @ dy_rows", r"ValueError: matmul.*\n +linear.*backward\n +self\.W\.grad"),
    ("x.T @ dy_rows", "y.T @ dy_rows", r"NameError: name 'y' .*\n +linear\.py, line \d+, in back"),
    ("dx = dy_rows", "dy *= 2; dx = dy_rows", r"Linear writes into its argument dy; it must not"),
    ("dx = dy_rows", "while True: self.backward(dy)", r"nothing is saved"),
    ("class Linear", "class Liner", r"linear\.py: expected a class Linear\(Layer\), found none"),
    ("(Layer):", ":", r"linear\.py: expected a class Linear\(Layer\), found none"),
    ("from numpygpt.layers import", "import nowhere\nfrom numpygpt.layers import",
     r"ModuleNotFoundError: No module named 'nowhere'\n +linear\.py, line \d+, in <module>"),
    ("n_out: int)", "n_out: int, more: int)", r"__init__\(\) missing 1 required"),
    ("def backward", "def backwards", r"Linear: expected forward and backward, no backward"),
    ("+ self.b.data", "- self.b.data", r"forward returns other numbers than .*practice start"),
    ("return y.reshape(*x.shape[:-1], O)", "return y", r"an array of shape \(2, 5, 13\), not \(1"),
    ("return y.reshape(*x.shape[:-1], O)", "return", r"an array of shape \(2, 5, 13\), not \(\)"),
    ("Parameter(n_in, n_out", "Parameter(n_out, n_in",
     r"parameters should be \{'W': \(21, 13\), 'b': \(13,\)\}, and are \{'W': \(13, 21\)"),
    ("import Array", "import Array\n\0", r"linear\.py.*null bytes"),
]  # fmt: skip


@pytest.mark.parametrize(("right", "wrong", "message"), MISTAKES, ids=range(len(MISTAKES)))
def test_a_mistake_is_told_by_what_and_where(
    right: str, wrong: str, message: str, run: Run, tmp_path: Path
) -> None:
    solve(tmp_path)
    assert right in solved("linear")
    (tmp_path / "linear.py").write_text(solved("linear").replace(right, wrong))
    code, said = run("linear")
    assert code == 1 and said.startswith("wrong  linear\n")
    assert re.search(message, said), said
    assert "Traceback" not in said and "numpygpt/" not in said.replace("\\", "/")


def test_a_mistake_in_an_imported_file_is_told_by_that_files_name(
    done: Path, tmp_path: Path
) -> None:
    solve(tmp_path, *EVERY)
    (tmp_path / "gelu.py").write_text(solved("gelu").replace("du = K", "du == = K"))
    assert re.search(
        r"gelu\.py, line \d+: invalid syntax\n +du == = K", result(tmp_path, "block").text
    )
    (tmp_path / "gelu.py").write_text(exercise_text("gelu"))
    found = result(tmp_path, "block")
    assert found.status == TO_DO and "first comes the backward of" in found.text
    (tmp_path / "gelu.py").unlink()
    assert "No module named 'gelu'" in result(tmp_path, "block").text
    assert "gelu.py is not there: `numpygpt practice start" in result(tmp_path, "gelu").text


def test_files_are_read_anew_and_leave_nothing_behind(tmp_path: Path) -> None:
    import sys

    solve(tmp_path)
    before = dict(sys.modules)
    sys.modules["linear"] = ModuleType("linear")  # somebody else's
    assert result(tmp_path, "linear").status == TO_DO
    (tmp_path / "linear.py").write_text(solved("linear"))
    assert result(tmp_path, "linear").status == DONE
    assert vars(sys.modules.pop("linear")).get("Linear") is None
    assert not {"linear", "block"} & (sys.modules.keys() - before.keys())
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(f"{n}.py" for n in EVERY)


# -- the command ----------------------------------------------------------------------------------


def test_start_keeps_what_is_there(run: Run, tmp_path: Path) -> None:
    code, said = run("start")
    assert code == 0 and "written to practice: linear.py, embedding.py" in said
    assert said.endswith("\n    numpygpt practice\n")
    (tmp_path / "practice" / "linear.py").write_text("mine")
    (tmp_path / "practice" / "gelu.py").unlink()
    code, said = run("start")
    assert code == 0 and "written to practice: gelu.py\n" in said
    assert "kept as they are: linear.py, embedding.py, layernorm.py, dropout.py" in said
    assert (tmp_path / "practice" / "linear.py").read_text() == "mine"
    assert (tmp_path / "practice" / "gelu.py").read_text() == exercise_text("gelu")


def test_progress_stops_at_the_first_that_is_not_done(run: Run, tmp_path: Path) -> None:
    code, said = run("start", "my own")
    assert code == 0 and "numpygpt practice --folder 'my own'\n" in said
    solve(tmp_path / "my own", "linear", "embedding", "gelu")
    code, said = run("--folder", "my own")
    assert code == 1
    assert said == (
        "done   linear\ndone   embedding\n"
        "next   layernorm: its backward is to be written, in my own/layernorm.py\n"
        "       hints: numpygpt practice layernorm --hint --folder 'my own'\n"
        "then   gelu, dropout, attention, head, block\n"
    )
    left = "next   layernorm: numpygpt practice --folder 'my own'\n"
    assert run("gelu", "--folder", "my own") == (0, f"done   gelu\n{left}")


def test_in_the_folder_itself_no_folder_is_named(run: Run, tmp_path: Path) -> None:
    solve(tmp_path)
    (tmp_path / "dropout.py").unlink()
    code, said = run()
    assert code == 1 and "in linear.py\n       hints: numpygpt practice linear --hint\n" in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), r"^numpygpt: practice: no such folder; `numpygpt practice start` writes"),
        (("--folder", "no"), r"^numpygpt: no: no such folder; `numpygpt practice start no` writes"),
        (("--folder", "file"), r"^numpygpt: file: not a folder"),
        (("start", "file"), r"^numpygpt: file: "),
        (("--folder", "empty"), r"^numpygpt: empty: expected a folder of exercises, found none"),
        (("linear", "empty"), r"expected no more words, got 'empty'; .* given with --folder"),
        (("start", "a", "--folder", "b"), r"expected one folder, got two"),
        (("layernrom",), r"unknown exercise 'layernrom': .*\(did you mean layernorm\?\)"),
        (("--hint", "--watch"), r"not allowed with"),
        (("--steps", "0"), r"--steps: expected at least 1, got 0"),
    ],
)
def test_what_cannot_be_is_one_line(
    words: tuple[str, ...], message: str, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    code, said = run(*words)
    assert code == 2 and re.search(message, said.splitlines()[-1]), said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file"]


def test_hints_come_one_at_a_time_and_then_the_answer(run: Run, tmp_path: Path) -> None:
    solve(tmp_path, "linear", "embedding")
    for i in (1, 2, 3):
        code, said = run("--hint")  # on the first that is not done
        assert code == 0 and said.count("layernorm, hint ") == 1
        assert said.startswith(f"layernorm, hint {i} of 3\n  ")
        assert "self.gain.grad +=" not in said
    assert json.loads((tmp_path / "hints.json").read_text()) == {"layernorm": 3}
    for _ in range(2):
        code, said = run("layernorm", "--hint")
        assert code == 0 and "    self.gain.grad += (dy_rows * x_hat).sum(axis=0)\n" in said
    assert run("attention", "--hint")[1].startswith(
        "attention, hint 1 of 3\n  Shapes, for one head."
    )
    (tmp_path / "hints.json").write_text("[")
    assert run("layernorm", "--hint")[1].startswith("layernorm, hint 1 of 3\n  Shapes. ")


@pytest.mark.parametrize("name", EVERY)
def test_the_answers_pointer_leads_to_the_layer(name: str, run: Run, tmp_path: Path) -> None:
    solve(tmp_path)
    (tmp_path / "hints.json").write_text(json.dumps({name: 3}))
    said = run(name, "--hint")[1]
    assert all(line.strip() in said for answer in answers(name) for line in answer.splitlines())
    match = re.search(r"([\w.]+), (/.*|\w:.*):(\d+)\n", said)
    assert match
    line = Path(match[2]).read_text(encoding="utf-8").splitlines()[int(match[3]) - 1]
    assert line.startswith(f"    def {match[1].rpartition('.')[2]}(")


def test_hints_when_nothing_is_left(run: Run, tmp_path: Path) -> None:
    solve(tmp_path, *EVERY)
    assert run("--hint") == (0, "all is done: there is nothing to hint at\n")
    assert run("gelu") == (0, "done   gelu\nnext   a model of your layers: numpygpt practice\n")


def saves(folder: Path, *steps: tuple[str, str | None]) -> Callable[[float], None]:
    """Instead of sleeping, save the next file; at last press Ctrl-C."""
    left = iter(steps)

    def sleep(seconds: float) -> None:
        name, text = next(left, ("", None))
        if not name:
            raise KeyboardInterrupt
        if text is None:
            (folder / name).unlink()
        else:
            (folder / name).write_text(text)

    return sleep


def test_watching_checks_what_is_saved(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    solve(tmp_path)
    broken = solved("linear").replace("dx = dy", "dx = = dy")
    steps = [("linear.py", broken), ("linear.py", None), ("linear.py", solved("linear"))]
    monkeypatch.setattr(command, "sleep", saves(tmp_path, *steps))
    code, said = run("linear", "--watch")
    assert code == 0
    assert re.findall(r"^(?:done|next|wrong) ", said, re.MULTILINE) == [
        "next ",
        "wrong ",
        "done ",
        "next ",
    ]
    assert re.search(
        r"\d\d:\d\d:\d\d  linear\.py\nwrong  linear\n +linear\.py, line \d+: inv", said
    )


def test_watching_ends_politely(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    solve(tmp_path)
    monkeypatch.setattr(command, "sleep", saves(tmp_path, ("other.txt", "")))
    code, said = run("--watch")
    assert code == 1 and said.endswith("end with Ctrl-C\n\nno longer watching\n")
    assert said.count("next   linear") == 1


# -- a model of the reader's layers ---------------------------------------------------------------


def test_a_model_of_own_layers_is_the_same_model(modules: dict[str, ModuleType]) -> None:
    own, theirs = OwnGPT(CONFIG, modules, 5, np.float64), GPT(CONFIG, 5, np.float64)
    ids, targets = np.random.default_rng(0).integers(V, size=(2, B, T))
    assert own.loss(ids, targets, 0.6) == pytest.approx(theirs.loss(ids, targets, 0.6), rel=1e-12)
    own.backward()
    theirs.backward()
    assert list(dict(own.named_parameters())) == list(dict(theirs.named_parameters()))
    np.testing.assert_array_equal(own.flat.data, theirs.flat.data)
    np.testing.assert_allclose(own.flat.grad, theirs.flat.grad, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(own.forward(ids), theirs.forward(ids), rtol=1e-12, atol=1e-12)
    with pytest.raises(ValueError, match="without dropout"):
        OwnGPT(replace(CONFIG, dropout=0.1), modules)


def test_every_layer_of_it_is_the_readers(modules: dict[str, ModuleType]) -> None:
    model = OwnGPT(CONFIG, modules)
    del model.twin
    kinds = {type(layer) for layer in model.layers()} - {OwnGPT}
    assert {kind.__module__ for kind in kinds} == set(EVERY)
    assert same_gradient(CONFIG, modules).startswith("A GPT of your layers: the gradients of its ")


def test_a_gradient_that_is_wrong_in_the_model_alone_is_named(tmp_path: Path) -> None:
    solve(tmp_path, *EVERY)
    text = solved("layernorm")
    shared = (
        text.replace("class LayerNorm", "last = []\n\n\nclass LayerNorm")
        .replace("self.save(x_hat, rstd)", "last[:] = [rstd]; self.save(x_hat, rstd)")
        .replace("= self.take_saved()", "= self.take_saved(); rstd, = last")
    )
    (tmp_path / "layernorm.py").write_text(shared)
    with reading(tmp_path):
        modules = {name: load(tmp_path, name) for name in EVERY}
        assert check(tmp_path, "layernorm").status == DONE
        with pytest.raises(ValueError, match=r"right one by one, but .* gradient of [\w.]+ than"):
            same_gradient(CONFIG, modules)


def shape(said: str) -> str:
    """The lines of a training without numbers, its folder, and what is told in it."""
    lines = [" ".join(line.split()) for line in said.splitlines() if not line.startswith("    ")]
    text = "\n".join(line.removesuffix(" ...") for line in lines if line not in ("", "..."))
    text = text.replace("practice/", "").replace(", in practice.", "")
    return re.sub(r"\d[\d.,]*(m\d+)?", "0", text)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A little text, a little model, and a short end."""
    monkeypatch.setattr(data, "STORIES", 60)
    monkeypatch.setattr(report, "FRESH", 2)
    monkeypatch.setattr(report, "STORY_TOKENS", 5)
    shape = {"context_length": 32, "n_embd": 24, "n_head": 4, "n_layer": 1}
    shape["zero_init_attention"] = True  # as the default model has it
    monkeypatch.setattr(training, "SMALL", shape)


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """No check before the training, which takes longer than it."""
    monkeypatch.setattr(command, "check", lambda folder, name: Result(name, DONE))


def test_all_done_trains_a_model(
    run: Run, tmp_path: Path, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    solve(tmp_path, *EVERY)
    code, said = run("--steps", "8")
    assert code == 0, said
    for text in ("8 steps of 16 x 32", "after 4 steps:", "generate --run run-1"):
        assert text in said
    typed, printed = SESSIONS[-1]
    assert typed == "numpygpt practice"
    place, whole = 0, shape(said)
    for line in shape(printed).splitlines():  # as the README shows it, but for what depends on size
        place = whole.find(line, place)
        assert place >= 0, f"{line}\nis not, or not there, in\n{whole}"
    learned, saved = load_run(tmp_path / "run-1").model, Path("run-1/checkpoint.npz").stat()
    losses = np.loadtxt("run-1/metrics.csv", delimiter=",", skiprows=1, usecols=2)
    assert losses[-1] < losses[0] - 0.3
    monkeypatch.setattr(command, "check", lambda folder, name: Result(name, DONE))
    code, said = run()
    assert code == 0 and "run-1 holds a model that your layers trained" in said
    assert "To train another one: numpygpt practice train" in said
    assert run("train", "--steps", "8")[0] == 0
    again = load_run(tmp_path / "run-2").model
    np.testing.assert_array_equal(again.flat.data, learned.flat.data)
    assert Path("run-1/checkpoint.npz").stat() == saved


def test_what_it_learns_is_what_numpygpts_own_layers_learn(
    run: Run, tmp_path: Path, small: None, unchecked: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    solve(tmp_path, *EVERY)
    flats: list[Array] = []
    assert run("--steps", "3")[0] == 0
    flats.append(load_run("run-1").model.flat.data)
    monkeypatch.setattr(training, "OwnGPT", lambda config, modules, *more: GPT(config, *more))
    assert run("train", "--steps", "3")[0] == 0
    flats.append(load_run("run-2").model.flat.data)
    own, theirs = flats
    start = GPT(load_run("run-1").model.config).flat.data
    assert abs(own - start).max() > 1e-2
    np.testing.assert_allclose(own, theirs, atol=1e-3)


def test_without_steps_it_takes_as_many_as_a_minute_has(
    run: Run, tmp_path: Path, small: None, unchecked: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    solve(tmp_path, *EVERY)
    monkeypatch.setattr(training, "SECONDS", 5.0)
    monkeypatch.setattr(training, "LEAST_STEPS", 2)
    monkeypatch.setattr(training, "seconds_a_step", lambda *_: 0.5)
    code, said = run()
    assert code == 0 and "train  10 steps of 16 x 32 tokens" in said


def test_an_error_in_training_is_told_as_any_other(
    run: Run, tmp_path: Path, small: None, unchecked: None
) -> None:
    solve(tmp_path, *EVERY)
    text = solved("linear").replace(
        "dx = dy_rows", "assert dy.dtype == 'f8', 'no f8'; dx = dy_rows"
    )
    (tmp_path / "linear.py").write_text(text)
    code, said = run("--steps", "8")
    assert code == 2
    last = said.splitlines()[-1]
    assert (
        last.startswith("numpygpt: the training ended: AssertionError: no f8")
        and "linear.py" in last
    )
