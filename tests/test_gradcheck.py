"""The checker is checked: classic bugs, planted in the real source, must be found and named."""

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numpygpt
from numpygpt.config import GPTConfig
from numpygpt.gpt import GPT
from numpygpt.gradcheck import check_layer, check_model, gradcheck_command, sweep_steps, table
from numpygpt.gradcheck.oracles import draw_parameters
from numpygpt.gradcheck.table import HeadLoss
from numpygpt.layers import Block, Dropout, Layer, Parameter
from numpygpt.layers.parameter import Array

B, T, H, D, V = 2, 5, 3, 7, 11
C = H * D


def planted(module: str, *edits: tuple[str, str]) -> Any:
    """The module, with pieces of its source replaced."""
    path = Path(numpygpt.__file__).parent / f"{module}.py"
    source = path.read_text(encoding="utf-8")
    for right, wrong in edits:
        assert source.count(right) == 1, f"{path.name}: expected exactly one {right!r}"
        source = source.replace(right, wrong)
    changed = ModuleType(f"planted.{module}")
    exec(compile(source, f"{path.name} with a planted bug", "exec"), changed.__dict__)
    return changed


ERF = """dx[...] = dy * (
        0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))
        + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    )"""
MASK = "    S[..., -R:] += _causal_mask(R, S.dtype)\n"
TOP = "    np.max(S, -1, keepdims=True, out=top)\n"
TOTAL = "            lse[:, :, rows] = top + np.log(total)\n"
LATE_MASK = (
    TOTAL + "            E[..., start - stop :] *= _causal_mask(stop - start, E.dtype) == 0\n"
)
DW = "self.W.add_product(x.reshape(-1, I).T, rows)"
ADD_ROWS = "dW[v] += row"

# What is wrong, the source as it should be, the planted bug, and the arrays that must fail.
LINEAR = [
    ("dW transposed", DW, "self.W.add_product(rows.T, x.reshape(-1, I))", "W"),
    ("dW off by 1.00001", DW, "self.W.add_product(x.reshape(-1, I).T, 1.00001 * rows)", "W"),
    ("dW overwritten", DW, "self.W.grad[...] = x.reshape(-1, I).T @ rows", "W"),
    ("dW added to leftovers", DW, "self.W._grad = self.W.room(); " + DW, "W"),
    ("db forgotten", "self.b.add_product(np.ones(len(rows), dy.dtype), rows)", "pass", "b"),
    ("db averaged", "np.ones(len(rows), dy.dtype)", "np.ones(len(rows)) / len(rows)", "b"),
    ("W not transposed for dx", "rows @ self.W.data.T", "rows @ self.W.data", "x"),
]
EMBEDDING = [
    ("repeated ids lost", ADD_ROWS, "dW[v] = row", "W"),
    ("rows of the wrong order", "dy.reshape(ids.size, -1)", "dy.reshape(ids.size, -1)[::-1]", "W"),
]
LAYERNORM = [
    ("mean of g forgotten", "dx -= along_ones", "pass", "x"),
    ("x_hat's term forgotten", "dx -= x_hat * along_x_hat", "pass", "x"),
    ("gain forgotten", "np.multiply(dy, gain, out=dx)", "dx[...] = dy", "x"),
    ("rstd forgotten", "        dx *= rstd\n", "", "x"),
    ("dgain without x_hat", "np.multiply(dy, x_hat, out=dgain)", "dgain[...] = dy", "gain"),
    ("dbias is dgain", "self.bias.add_product(ones, rows)",
     "self.bias.add_product(ones, dgain_rows)", "bias"),
    ("variance by C - 1", "x_hat, x_hat) / C", "x_hat, x_hat) / (C - 1)", "x"),
]  # fmt: skip
GELU = [
    ("derivative of the erf form", "dx *= dy\n", ERF, "x"),
    ("3 became 2", "dx *= 6 * K * A", "dx *= 4 * K * A", "x"),
    ("1 - s", "rest *= s", "pass", "x"),
]
DROPOUT = [
    ("new mask in backward", "(mask,) = self.take_saved()",
     "self.take_saved(); mask = self.draw_mask(dy.shape)", "x"),
    ("not scaled in backward", "return self.apply(dy, mask)", "return dy * mask", "x"),
]  # fmt: skip
QKV = "x qkv.W qkv.b"
ATTENTION = [
    ("dk transposed", "dS.swapaxes(2, 3) @ q_rows", "dS @ q_rows", QKV),
    ("dv transposed", "A.swapaxes(2, 3) @ do_rows", "A @ do_rows", QKV),
    ("scale forgotten", "        dq *= scale\n", "", QKV),
    ("softmax's row sum forgotten", "    dP -= delta\n", "", QKV),
    ("P forgotten", "    dP *= P\n", "", QKV),
    ("no mask in backward", MASK + "    S -= lse", "    S -= lse", QKV),
    ("dq and dk swapped", "dq, dk, dv = self._split", "dk, dq, dv = self._split", QKV),
    ("dropout forgotten for dv", "A = P if keep is None else", "A = P if True else", QKV),
    ("dropout forgotten for dP", "dP = self.dropout.apply(dP, ", "_ = self.dropout.apply(dP, ",
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
    ("dW counts twice", "self.W.add_product(rows.T,", "self.W.add_product(2 * rows.T,", "W"),
    ("dx of wrong size", "return (rows @ self.W.data)", "return (rows @ self.W.data / V)", "x"),
]
LOSS = [
    ("target not subtracted", "            z[n, ids] -= 1 / N\n", "", "x head.W"),
    ("1 / N forgotten", "z *= 1 / (N * total)", "z *= 1 / total", "x head.W"),
    ("later rows overwrite dW", "first=start == 0", "first=True", "head.W"),
    ("dW not added", "self.W.add_grad(dW, in_room=True)", "pass", "head.W"),
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
    "attention": (
        ATTENTION,
        lambda m: m.CausalSelfAttention(DROPPING),
    ),
    "feedforward": (FEEDFORWARD, lambda m: m.FeedForward(CONFIG)),
    "block": (BLOCK, lambda m: m.Block(CONFIG)),
    "head": (HEAD, lambda m: m.Head(Parameter(V, C))),
}


def inputs() -> tuple[Array, Array]:
    rng = np.random.default_rng(5)
    return rng.standard_normal((B, T, C)), np.array([[3, 3, 0, 10, 3], [3, 1, 2, 0, 10]])


@pytest.mark.parametrize(
    ("module", "right", "wrong", "names"),
    [
        pytest.param(module, *bug[1:], id=f"{module}: {bug[0]}")
        for module, (bugs, _) in MAKE.items()
        for bug in bugs
    ],
)
def test_a_planted_bug_is_found_and_named(module: str, right: str, wrong: str, names: str) -> None:
    layer = MAKE[module][1](planted(f"layers/{module}", (right, wrong)))
    x, ids = inputs()
    report = check_layer(layer, ids if module == "embedding" else x, 1, entries=30)
    assert set(report.wrong) == set(names.split())
    assert not report.passed and report.worst.name in names
    assert "WRONG at (" in str(report)
    by_differences = check_layer(
        layer, ids if module == "embedding" else x, 1, entries=30, complex_step=False
    )
    assert set(by_differences.wrong) == set(names.split())


def test_a_mask_after_the_softmax_is_found() -> None:
    late = planted("layers/attention", (MASK + TOP, TOP), (TOTAL, LATE_MASK))
    report = check_layer(late.CausalSelfAttention(CONFIG), inputs()[0], entries=30)
    assert set(report.wrong) == set(QKV.split())


@pytest.mark.parametrize(
    ("right", "wrong", "names"), [pytest.param(*bug[1:], id=bug[0]) for bug in LOSS]
)
def test_a_bug_planted_in_the_loss_is_found(right: str, wrong: str, names: str) -> None:
    head = planted("layers/head", (right, wrong), ("ROWS = 512", "ROWS = 3"))
    x, ids = inputs()
    report = check_layer(HeadLoss(head.Head(Parameter(V, C)), ids), x, dy=1.0)
    assert set(report.wrong) == set(names.split())


@pytest.mark.parametrize(
    ("right", "wrong", "names"), [pytest.param(*bug[1:], id=bug[0]) for bug in MODEL]
)
def test_a_bug_planted_in_the_model_is_found(right: str, wrong: str, names: str) -> None:
    module = planted("gpt", (right, wrong))
    model = module.GPT(module.GPTConfig(V, T + 4, C, H, 2), 0, np.float64)
    draw_parameters(model, np.random.default_rng(1))
    _, ids = inputs()
    for complex_step in (True, False):
        report = check_model(model, ids, ids[:, ::-1], by_parameter=True, complex_step=complex_step)
        assert report.wrong == [names]
    assert not check_model(model, ids, ids[:, ::-1]).passed  # one direction for all finds it, too


class RMSNorm(Layer):
    """A reader's own layer, right: y = x / sqrt(mean x^2) * gain."""

    def __init__(self, n_embd: int) -> None:
        self.gain = Parameter(n_embd, mean=1.0)

    def forward(self, x: Array) -> Array:
        r = 1 / np.sqrt((x * x).mean(-1, keepdims=True))
        self.save(x, r)
        y: Array = x * r * self.gain.data
        return y

    def backward(self, dy: Array) -> Array:
        x, r = self.take_saved()
        self.gain.add_grad((dy * x * r).sum((0, 1)))
        g = dy * self.gain.data
        dx: Array = r * (g - x * r * r * (g * x).mean(-1, keepdims=True))
        return dx


def test_a_correct_layer_of_ones_own_passes_and_is_not_changed() -> None:
    layer = RMSNorm(C).initialize()
    report = check_layer(layer, inputs()[0])
    assert report.passed and report.wrong == []
    assert [row.name for row in report.rows] == ["x", "gain"]
    assert all(row.complex_step is not None for row in report.rows)
    assert (layer.gain.data == 1).all() and layer.gain.data.dtype == np.float32
    assert "ok" in str(report) and "WRONG" not in str(report)
    assert check_layer(RMSNorm(C), inputs()[0]).passed  # never initialised


def test_own_parameters_are_kept_on_request() -> None:
    class Doubtful(RMSNorm):
        def backward(self, dy: Array) -> Array:
            dx = super().backward(dy)
            return dx if (self.gain.data == 1).all() else 2 * dx

    layer = Doubtful(C).initialize()
    assert check_layer(layer, inputs()[0], own_parameters=True).passed
    assert not check_layer(layer, inputs()[0]).passed


def test_a_forward_that_complex_numbers_cannot_run() -> None:
    class Floor(Layer):
        def forward(self, x: Array) -> Array:
            y: Array = x - np.floor(x) * 0.5
            return y

        def backward(self, dy: Array) -> Array:
            return dy

    with pytest.raises(TypeError, match="complex_step=False"):
        check_layer(Floor(), inputs()[0])
    report = check_layer(Floor(), inputs()[0], complex_step=False)
    assert report.passed and report.rows[0].complex_step is None


class Identity(Layer):
    """With a backward to be replaced."""

    def forward(self, x: Array) -> Array:
        return x

    def backward(self, dy: Array) -> Any:
        return dy


def test_an_output_that_is_the_input_itself() -> None:
    assert check_layer(Identity(), inputs()[0]).passed


def test_errors_are_explained() -> None:
    x, ids = inputs()

    class Summed(Identity):
        def backward(self, dy: Array) -> Any:
            return dy.sum(0)

    class Nothing(Identity):
        def backward(self, dy: Array) -> Any:
            return None

    class Overwrites(Identity):
        def backward(self, dy: Array) -> Any:
            dy *= 1.5
            return dy / 1.5

    with pytest.raises(ValueError, match=r"Summed.backward: .*\(2, 5, 21\), got \(5, 21\)"):
        check_layer(Summed(), x)
    with pytest.raises(ValueError, match=r"Nothing\.backward: .* got None"):
        check_layer(Nothing(), x)
    with pytest.raises(ValueError, match="Overwrites writes into its argument dy"):
        check_layer(Overwrites(), x)
    with pytest.raises(ValueError, match="nothing to check"):
        check_layer(Identity(), ids)
    with pytest.raises(ValueError, match=r"expected dy of y's shape \(2, 5, 21\), got \(3,\)"):
        check_layer(Identity(), x, dy=np.ones(3))
    with pytest.raises(TypeError, match=r"got float32; use model.astype\(np.float64\)"):
        check_model(GPT(GPTConfig(V, T, C, H, 1)), ids, ids)


def test_masks_of_any_generator_are_drawn_again() -> None:
    class Own:
        def __init__(self) -> None:
            self.state = np.random.RandomState(3)

        def random(self, shape: tuple[int, ...], dtype: Any) -> Array:
            return self.state.random_sample(shape).astype(dtype)

    assert check_layer(Dropout(0.5, rng=Own()), inputs()[0]).passed
    shared = np.random.default_rng(4)
    block = Block(GPTConfig(V, T, 6, 3, 1, dropout=0.5))
    for layer in block.layers():
        if isinstance(layer, Dropout):
            layer.rng = shared
    assert check_layer(block, inputs()[0][..., :6], entries=10).passed


def test_a_gradient_that_is_nan_fails() -> None:
    class Lost(Identity):
        def backward(self, dy: Array) -> Any:
            return dy * np.nan

    assert check_layer(Lost(), inputs()[0]).wrong == ["x"]


def test_a_model_is_as_before_after_its_check() -> None:
    config = GPTConfig(V, T, C, H, 1, dropout=0.2)
    model = GPT(config, 0, np.float64).eval()
    before = model.flat.data.copy()
    _, ids = inputs()
    report = check_model(model, ids, ids, 3, complex_step=True)
    assert report.passed and report.worst.name == "all parameters"
    assert np.array_equal(model.flat.data, before)
    assert not model.training and not model.flat.grad.any()
    assert model.loss(ids, ids) == GPT(config, 0, np.float64).eval().loss(ids, ids)
    assert check_model(model, ids, ids, 3).rows[0].analytic == report.rows[0].analytic


def test_the_command_says_whether_all_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "C", 3)  # three heads of one number: the same lines, faster
    lines: list[str] = []
    assert gradcheck_command(print=lines.append) is True
    assert lines[-1] == "All passed."
    for name in (
        "Linear",
        "LayerNorm",
        "attention.qkv.W",
        "Head, loss",
        "untied",
        "Head, loss, 515 tokens",
    ):
        assert any(name in line for line in lines)
    wrong = planted("layers/linear", ("rows @ self.W.data.T", "2 * rows @ self.W.data.T"))
    monkeypatch.setattr(table, "Linear", wrong.Linear)
    assert gradcheck_command(print=lines.append) is False
    assert lines[-1] == "WRONG: Linear: x; Linear, no bias: x"


def test_the_preset_goes_to_a_real_model(monkeypatch: pytest.MonkeyPatch) -> None:
    small = GPTConfig(V, 40, C, H, 1)
    monkeypatch.setattr(GPTConfig, "preset", classmethod(lambda cls, name: small))
    lines: list[str] = []
    assert gradcheck_command(preset="gpt2", print=lines.append) is True
    assert "all parameters" in lines[0]


def test_the_sweep_shows_both_errors() -> None:
    rows = [line.split() for line in sweep_steps() if line.lstrip().startswith("1e-")]
    h, float64, float32, exact = (np.array(column, float) for column in zip(*rows, strict=True))
    assert len(h) == 13
    for errors in (float64[:3], exact[:6]):  # h^2
        np.testing.assert_allclose(errors[:-1] / errors[1:], 100, rtol=0.1)
    assert h[float64.argmin()] == 1e-5 and float64.min() < 1e-9
    assert float64[-1] > 1e-4 and float32.min() > 1e-5 and exact[-1] < 1e-14
    lines: list[str] = []
    assert gradcheck_command(sweep=True, print=lines.append) and lines == list(sweep_steps())
