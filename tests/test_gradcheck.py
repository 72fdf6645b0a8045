"""The checker is checked: classic bugs, planted in the real source, must be found and named."""

import ast
import importlib
import inspect
import textwrap

import numpy as np
import pytest

from numpygpt.config import GPTConfig
from numpygpt.gpt import GPT
from numpygpt.gradcheck import Report, check_layer, check_model
from numpygpt.gradcheck.bugs import BUGS, SOURCES, Bug, planted
from numpygpt.gradcheck.oracles import draw_parameters
from numpygpt.gradcheck.report import TOLERANCE
from numpygpt.gradcheck.subject import Loss, Subject
from numpygpt.layers import (
    GELU,
    Block,
    CausalSelfAttention,
    Dropout,
    Embedding,
    FeedForward,
    Head,
    Layer,
    LayerNorm,
    Linear,
    Parameter,
)
from numpygpt.layers.parameter import Array

B, T, H, D, V = 2, 5, 3, 7, 11
C = H * D


CONFIG = GPTConfig(V, T, C, H, 1)
DROPPING = GPTConfig(V, T, C, H, 1, dropout=0.3)
LAYERS: dict[str, Layer] = {
    "Linear": Linear(C, C),
    "Embedding": Embedding(V, C),
    "LayerNorm": LayerNorm(C),
    "GELU": GELU(),
    "Dropout": Dropout(0.3),
    "CausalSelfAttention": CausalSelfAttention(DROPPING),
    "FeedForward": FeedForward(CONFIG),
    "Block": Block(CONFIG),
    "Head": Head(Parameter(V, C)),
}
IN_LOSS = (
    "target not subtracted",
    "1 / N forgotten",
    "later rows overwrite dW",
    "dW not added",
)
each_bug = pytest.mark.parametrize("bug", BUGS, ids=str)


def inputs() -> tuple[Array, Array]:
    rng = np.random.default_rng(5)
    return rng.standard_normal((B, T, C)), np.array([[3, 3, 0, 10, 3], [3, 1, 2, 0, 10]])


def wrong_by_differences(report: Report) -> list[str]:
    """What fails without the complex step."""
    return [row.name for row in report.rows if row.differences > TOLERANCE]


def subject(bug: Bug) -> tuple[Layer, Array, float | None]:
    """The layer that has the bug, x, and dy (None: random)."""
    x, ids = inputs()
    layer = LAYERS[bug.layer]
    if bug.name in IN_LOSS:
        return Loss(layer, ids), x, 1.0
    return layer, ids if bug.layer == "Embedding" else x, None


@pytest.fixture(autouse=True)
def _short_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("numpygpt.layers.head.ROWS", 3)  # parts of a text are few rows here


@pytest.mark.parametrize("bug", [bug for bug in BUGS if bug.layer != "GPT"], ids=str)
def test_a_planted_bug_is_found_and_named(bug: Bug) -> None:
    layer, x, dy = subject(bug)
    assert check_layer(planted(layer), x, 1, dy=dy, entries=5).passed
    report = check_layer(planted(layer, bug), x, 1, dy=dy, entries=30)
    assert set(report.wrong) == set(bug.arrays.split()) == set(wrong_by_differences(report))
    assert not report.passed and report.worst.name in report.wrong
    assert "WRONG at (" in str(report)
    for row in report.rows:
        assert (f"a known bug, {bug}" in row.evidence) == (row.name in report.wrong)


def test_leftovers_are_found_even_where_the_memory_was_clean(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (bug,) = [bug for bug in BUGS if bug.name == "dW added to leftovers"]
    layer = planted(Linear(C, 13), bug)
    monkeypatch.setattr(np, "empty", np.zeros)
    monkeypatch.setattr(np, "empty_like", np.zeros_like)
    report = check_layer(layer, inputs()[0], entries=3)
    assert report.wrong == ["W"] and "backward nan" in str(report)


@pytest.mark.parametrize("bug", [bug for bug in BUGS if bug.layer == "GPT"], ids=str)
def test_a_bug_planted_in_the_model_is_found(bug: Bug) -> None:
    model = GPT(GPTConfig(V, T + 4, C, H, 2), 0, np.float64)
    draw_parameters(model, np.random.default_rng(1))
    _, ids = inputs()
    assert check_model(planted(model), ids, ids[:, ::-1]).passed
    wrong = planted(model, bug)
    report = check_model(wrong, ids, ids[:, ::-1], by_parameter=True, complex_step=True)
    assert report.wrong == [bug.arrays] == wrong_by_differences(report)
    assert not check_model(wrong, ids, ids[:, ::-1]).passed  # one direction for all finds it, too


# -- the table of bugs ----------------------------------------------------------------------------


def without_docstrings(source: str) -> str:
    tree = ast.parse(textwrap.dedent(source))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and ast.get_docstring(node):
            node.body = node.body[1:]
    return ast.unparse(tree)


@pytest.mark.parametrize(("place", "kept"), SOURCES.items(), ids=[name for _, name in SOURCES])
def test_what_is_kept_is_what_the_layers_do(place: tuple[str, str], kept: str) -> None:
    module = importlib.import_module(place[0])
    functions = ast.parse(kept).body
    assert functions
    for function in functions:
        assert isinstance(function, ast.FunctionDef)
        real = getattr(getattr(module, place[1]), function.name, None)
        real = getattr(module, function.name) if real is None else real
        today = without_docstrings(inspect.getsource(real))
        assert today == ast.unparse(function), (
            f"{place[0]}.{function.name} is no longer as numpygpt/gradcheck/bugs keeps it: copy it "
            "there (without docstring), and mend the lines of its bugs"
        )


@each_bug
def test_every_line_is_found_once(bug: Bug) -> None:
    (source,) = (text for (_, name), text in SOURCES.items() if name == bug.layer)
    assert bug.plant(source) != source
    for words in (bug.name, bug.why):
        assert words and "\n" not in words
    assert bug.why.endswith(".")


def test_a_bug_that_cannot_be_planted_is_named() -> None:
    for right, wrong, times in (
        ("no such", "", 0),
        ("rows", "", "[0-9]+"),
        ("(saved,)",) * 2 + (1,),
    ):
        bug = Bug("Linear", "lost", right, wrong, "x", "")
        with pytest.raises(ValueError, match=f"'lost'.* of Linear .* {times} times"):
            planted(Linear(2, 3), bug)


def test_no_two_bugs_do_the_same() -> None:
    """So whatever is known by its gradients is one of them."""
    made: dict[str, list[tuple[Bug, Array]]] = {}
    for bug in BUGS:
        if bug.layer == "GPT":
            continue
        layer, x, dy = subject(bug)
        one = Subject(planted(layer, bug), x, np.float64)
        draw_parameters(one.layer, np.random.default_rng(3))
        y = one.forward()
        given = np.random.default_rng(4).standard_normal(y.shape) if dy is None else np.array(dy)
        flat = np.concatenate([one_.reshape(-1) for one_ in one.backward(given).values()])
        kind = f"{bug.layer}, loss" if dy else bug.layer
        for other, before in made.setdefault(kind, []):
            difference = np.nan_to_num(flat, nan=7.0) - np.nan_to_num(before, nan=7.0)
            assert abs(difference).max() > 1e-6, f"{bug} and {other}"
        made[kind].append((bug, flat))
