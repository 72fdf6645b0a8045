"""The checker is checked: classic bugs, planted in the real source, must be found and named."""

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numpygpt
from numpygpt.config import GPTConfig
from numpygpt.gradcheck import Report, check_layer, check_model
from numpygpt.gradcheck.oracles import draw_parameters
from numpygpt.gradcheck.report import TOLERANCE
from numpygpt.gradcheck.subject import Loss
from numpygpt.layers import Parameter
from numpygpt.layers.parameter import Array

B, T, H, D, V = 2, 5, 3, 7, 11
C = H * D


def planted(bug: str, module: str, *edits: tuple[str, str]) -> Any:
    """The module, with pieces of its source replaced."""
    path = Path(numpygpt.__file__).parent / f"{module}.py"
    source = path.read_text(encoding="utf-8")
    for right, wrong in edits:
        if source.count(right) != 1 or right == wrong:
            pytest.fail(
                f"the bug {bug!r} cannot be planted any more: {module}.py holds {right!r} "
                f"{source.count(right)} times, not once. Write it anew for today's source",
                pytrace=False,
            )
        source = source.replace(right, wrong)
    changed = ModuleType(f"planted.{module}")
    exec(compile(source, f"{path.name} with the bug {bug!r}", "exec"), changed.__dict__)
    return changed


def test_a_bug_that_cannot_be_planted_is_named() -> None:
    for right, wrong, times in (("no such text", "", 0), ("rows", "", "[0-9]+"), (DW, DW, 1)):
        with pytest.raises(pytest.fail.Exception, match=f"'lost'.*linear.py.* {times} times"):
            planted("lost", "layers/linear", (right, wrong))


ERF = """dx[...] = dy * (
        0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))
        + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    )"""
SCORES = "S = _scores(q[rows], k[keys])\n            "
UNMASKED = "S = q[rows] / math.sqrt(D) @ k[keys].swapaxes(-1, -2)\n            "
TOP = "top = S.max(-1, keepdims=True)\n"
TOTAL = "            lse[rows] = top + np.log(total)\n"
LATE_MASK = (
    TOTAL + "            E[..., -E.shape[-2] :] *= _causal_mask(E.shape[-2], E.dtype) == 0\n"
)
DW = "self.W.add_product(x.reshape(-1, I).T, dy_rows)"
LEFTOVERS = "self.W._grad = self.W.room() if self.W._grad is None else self.W._grad; "
ADD_ROWS = "dW[v] += row"

# What is wrong, the source as it should be, the planted bug, and the arrays that must fail.
LINEAR = [
    ("dW transposed", DW, "self.W.add_product(dy_rows.T, x.reshape(-1, I))", "W"),
    ("dW off by 1.00001", DW, "self.W.add_product(x.reshape(-1, I).T, 1.00001 * dy_rows)", "W"),
    ("dW overwritten", DW, "self.W.grad[...] = x.reshape(-1, I).T @ dy_rows", "W"),
    ("dW added to leftovers", DW, LEFTOVERS + DW, "W"),
    ("db forgotten", "self.b.add_product(np.ones(len(dy_rows), dy.dtype), dy_rows)", "pass", "b"),
    ("db averaged", "np.ones(len(dy_rows), dy.dtype)", "np.ones(len(dy_rows)) / len(dy_rows)", "b"),
    ("W not transposed for dx", "dy_rows @ self.W.data.T", "dy_rows @ self.W.data", "x"),
]
EMBEDDING = [
    ("repeated ids lost", ADD_ROWS, "dW[v] = row", "W"),
    (
        "rows of the wrong order",
        "dy.reshape(-1, self.W.shape[1])",
        "dy.reshape(-1, self.W.shape[1])[::-1]",
        "W",
    ),
]
LAYERNORM = [
    ("mean of g forgotten", "dx -= mean_g", "pass", "x"),
    ("x_hat's term forgotten", "dx -= x_hat * mean_g_x_hat", "pass", "x"),
    ("gain forgotten", "np.multiply(dy, gain, out=dx)", "dx[...] = dy", "x"),
    ("rstd forgotten", "        dx *= rstd\n", "", "x"),
    ("dgain without x_hat", "np.multiply(dy, x_hat, out=dgains)", "dgains[...] = dy", "gain"),
    ("dbias is dgain", "self.bias.add_product(ones, rows)",
     "self.bias.add_product(ones, dgains)", "bias"),
    ("variance by C - 1", "x_hat, x_hat) / C", "x_hat, x_hat) / (C - 1)", "x"),
]  # fmt: skip
GELU = [
    ("derivative of the erf form", "dx *= dy\n", ERF, "x"),
    ("3 became 2", "dx *= 6 * K * A", "dx *= 4 * K * A", "x"),
    ("1 - s", "slope *= s", "pass", "x"),
]
DROPOUT = [
    ("new mask in backward", "(keep,) = self.take_saved()",
     "self.take_saved(); keep = self.draw_keep(dy.shape)", "x"),
    ("not scaled in backward", "return self.apply(dy, keep)", "return dy * keep", "x"),
]  # fmt: skip
QKV = "x qkv.W qkv.b"
ATTENTION = [
    ("dk transposed", "dS.swapaxes(-1, -2) @ q[rows]", "dS @ q[rows]", QKV),
    ("dv transposed", "A.swapaxes(-1, -2) @ do[rows]", "A @ do[rows]", QKV),
    ("scale forgotten", "            dS /= math.sqrt(D)\n", "", QKV),
    ("softmax's row sum forgotten", "            dP -= delta[rows]\n", "", QKV),
    ("P forgotten", "            dP *= P\n", "", QKV),
    ("no mask in backward", SCORES + "S -= lse", UNMASKED + "S -= lse", QKV),
    ("dq and dk swapped", "(dq, dk, dv) = qkv", "(dk, dq, dv) = qkv", QKV),
    ("dropout forgotten for dv", "A = P if keep is None else", "A = P if True else", QKV),
    ("dropout forgotten for dP", "dP = dA if keep is None else", "dP = dA if True else",
     QKV),
]  # fmt: skip
FEEDFORWARD = [
    ("GELU skipped", "self.gelu.backward(da)", "da", "x fc.W fc.b"),
    ("second matrix skipped", "da = self.proj.backward(dy, self.gelu.output())",
     "self.proj.backward(dy, self.gelu.output()); da = dy.repeat(4, -1)", "x fc.W fc.b"),
]  # fmt: skip
LOWER = "x norm1.gain norm1.bias attention.qkv.W attention.qkv.b attention.proj.W attention.proj.b"
BLOCK = [
    ("second residual dropped", "dx1 = dy + self.norm2", "dx1 = self.norm2", LOWER),
    ("first residual dropped", "return dx1 + self.norm1", "return self.norm1", "x"),
    ("first residual twice", "return dx1 + self.norm1", "return dx1 + dx1 + self.norm1", "x"),
]
HEAD = [
    ("dW counts twice", "self.W.add_product(dz_rows.T,", "self.W.add_product(2 * dz_rows.T,", "W"),
    (
        "dx of wrong size",
        "return (dz_rows @ self.W.data)",
        "return (dz_rows @ self.W.data / V)",
        "x",
    ),
]
LOSS = [
    ("target not subtracted", "            z[n, ids] -= weight / N\n", "", "x W"),
    ("1 / N forgotten", "z *= weight / (N * total)", "z *= weight / total", "x W"),
    ("later rows overwrite dW", "first=start == 0", "first=True", "W"),
    ("dW not added", "self.W.add_grad(dW, in_room=True)", "pass", "W"),
]
MODEL = [
    ("tied gradient counted once", "self.token_embedding.backward(dx)", "pass",
     "token_embedding.W"),
    ("position embedding of one sequence", "dx.sum(axis=0)", "dx[0]", "position_embedding.W"),
    ("position embedding averaged", "dx.sum(axis=0)", "dx.mean(axis=0)", "position_embedding.W"),
    ("a norm's gain off by 1.00001", "dx = self.norm.backward(self.head.backward(dlogits))",
     "dx = self.norm.backward(self.head.backward(dlogits)); self.norm.gain.grad[...] *= 1.00001",
     "norm.gain"),
]  # fmt: skip

CONFIG = GPTConfig(V, T, C, H, 1)
DROPPING = GPTConfig(V, T, C, H, 1, dropout=0.3)

MAKE = {
    "linear": (LINEAR, lambda m: m.Linear(C, C)),
    "embedding": (EMBEDDING, lambda m: m.Embedding(V, C)),
    "layernorm": (LAYERNORM, lambda m: m.LayerNorm(C)),
    "gelu": (GELU, lambda m: m.GELU()),
    "dropout": (DROPOUT, lambda m: m.Dropout(0.3)),
    "attention": (ATTENTION, lambda m: m.CausalSelfAttention(DROPPING)),
    "feedforward": (FEEDFORWARD, lambda m: m.FeedForward(CONFIG)),
    "block": (BLOCK, lambda m: m.Block(CONFIG)),
    "head": (HEAD, lambda m: m.Head(Parameter(V, C))),
}


def inputs() -> tuple[Array, Array]:
    rng = np.random.default_rng(5)
    return rng.standard_normal((B, T, C)), np.array([[3, 3, 0, 10, 3], [3, 1, 2, 0, 10]])


def wrong_by_differences(report: Report) -> list[str]:
    """What fails without the complex step."""
    return [row.name for row in report.rows if row.differences > TOLERANCE]


@pytest.mark.parametrize(
    ("module", "bug", "right", "wrong", "names"),
    [
        pytest.param(module, *bug, id=f"{module}: {bug[0]}")
        for module, (bugs, _) in MAKE.items()
        for bug in bugs
    ],
)
def test_a_planted_bug_is_found_and_named(
    module: str, bug: str, right: str, wrong: str, names: str
) -> None:
    layer = MAKE[module][1](planted(bug, f"layers/{module}", (right, wrong)))
    x, ids = inputs()
    report = check_layer(layer, ids if module == "embedding" else x, 1, entries=30)
    assert set(report.wrong) == set(names.split())
    assert set(wrong_by_differences(report)) == set(names.split())
    assert not report.passed and report.worst.name in names
    assert "WRONG at (" in str(report)


def test_a_mask_after_the_softmax_is_found() -> None:
    bug = "mask after the softmax"
    late = planted(
        bug,
        "layers/attention",
        (SCORES + TOP, UNMASKED.replace("D)", "q.shape[-1])") + TOP),
        (TOTAL, LATE_MASK),
    )
    report = check_layer(late.CausalSelfAttention(CONFIG), inputs()[0], entries=30)
    assert set(report.wrong) == set(QKV.split())


def test_leftovers_are_found_even_where_the_memory_was_clean(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (bug,) = [bug for bug in LINEAR if bug[0] == "dW added to leftovers"]
    layer = planted(bug[0], "layers/linear", bug[1:3]).Linear(C, 13)
    monkeypatch.setattr(np, "empty", np.zeros)
    monkeypatch.setattr(np, "empty_like", np.zeros_like)
    report = check_layer(layer, inputs()[0], entries=3)
    assert report.wrong == ["W"] and "backward nan" in str(report)


@pytest.mark.parametrize(
    ("bug", "right", "wrong", "names"), [pytest.param(*bug, id=bug[0]) for bug in LOSS]
)
def test_a_bug_planted_in_the_loss_is_found(bug: str, right: str, wrong: str, names: str) -> None:
    head = planted(bug, "layers/head", (right, wrong), ("ROWS = 512", "ROWS = 3"))
    x, ids = inputs()
    report = check_layer(Loss(head.Head(Parameter(V, C)), ids), x, dy=1.0, entries=30)
    assert set(report.wrong) == set(names.split()) == set(wrong_by_differences(report))


@pytest.mark.parametrize(
    ("bug", "right", "wrong", "names"), [pytest.param(*bug, id=bug[0]) for bug in MODEL]
)
def test_a_bug_planted_in_the_model_is_found(bug: str, right: str, wrong: str, names: str) -> None:
    module = planted(bug, "gpt", (right, wrong))
    model = module.GPT(module.GPTConfig(V, T + 4, C, H, 2), 0, np.float64)
    draw_parameters(model, np.random.default_rng(1))
    _, ids = inputs()
    report = check_model(model, ids, ids[:, ::-1], by_parameter=True, complex_step=True)
    assert report.wrong == [names] == wrong_by_differences(report)
    assert not check_model(model, ids, ids[:, ::-1]).passed  # one direction for all finds it, too
