"""`check_model`: each parameter is seen, the model is left alone. The command: what it prints."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numpygpt
from numpygpt import layers
from numpygpt.cli import main
from numpygpt.config import GPTConfig
from numpygpt.gpt import GPT
from numpygpt.gradcheck import (
    Report,
    Row,
    check_layer,
    check_model,
    gradcheck_command,
    sweep_steps,
    table,
)
from numpygpt.gradcheck.oracles import draw_parameters
from numpygpt.gradcheck.subject import Loss
from numpygpt.layers import Head, Layer, Linear, Parameter
from numpygpt.layers.parameter import Array

B, T, H, D, V, L = 2, 5, 3, 7, 11, 2
IDS, TARGETS = np.random.default_rng(6).integers(V, size=(2, B, T))
TIED = GPTConfig(V, T + 4, H * D, H, L, dropout=0.2)
UNTIED = GPTConfig(V, T + 4, H * D, H, L, dropout=0.2, tie_weights=False, qkv_bias=False)


class Off(GPT):
    """The gradients of the named parameters (None: of all) are off by about the factor."""

    names: list[str] | None = None
    factor = 1.0001

    def backward(self, dlogits: Array | None = None) -> None:
        super().backward(dlogits)
        for name, p in self.named_parameters():
            if self.names is None or name in self.names:
                p.grad[...] *= self.factor


def off(config: GPTConfig, *names: str) -> Off:
    model = Off(config, 0, np.float64)
    draw_parameters(model, np.random.default_rng(2))
    model.names = list(names)
    return model


@pytest.mark.parametrize("config", [TIED, UNTIED], ids=["tied", "untied"])
def test_each_parameter_is_checked_by_itself(config: GPTConfig) -> None:
    config = replace(config, n_layer=1)
    names = [name for name, _ in off(config).named_parameters()]
    assert ("head.W" in names) == (not config.tie_weights)
    for name in names:
        report = check_model(off(config, name), IDS, TARGETS, 1, by_parameter=True)
        assert report.wrong == [name] and [row.name for row in report.rows] == names
        assert 1e-6 < report.worst.differences < 1e-3 and report.worst.index is None
        assert not check_model(off(config, name), IDS, TARGETS, 1).passed


def test_a_model_as_it_comes_passes() -> None:
    for model in (GPT(TIED, 3), GPT(UNTIED, 3).eval(), off(TIED)):
        for by_parameter in (True, False):
            report = check_model(model, IDS, TARGETS, by_parameter=by_parameter, complex_step=True)
            assert report.passed, str(report)
            assert all(row.complex_step is not None for row in report.rows)
            count = model.num_parameters()
            assert report.title.startswith(f"GPT, {count:,} parameters, loss ")
            shapes = [p.shape for _, p in model.named_parameters()]
            assert [row.shape for row in report.rows] == (shapes if by_parameter else [(count,)])
    eval_loss = GPT(UNTIED, 3).eval().loss(IDS, TARGETS)
    assert f"{eval_loss:.4f}" not in check_model(GPT(UNTIED, 3), IDS, TARGETS).title  # dropout acts


def test_the_direction_is_drawn_by_the_seed() -> None:
    slopes = [check_model(off(TIED), IDS, TARGETS, seed).rows[0].analytic for seed in (3, 3, 4)]
    assert slopes[0] == slopes[1] != slopes[2]
    by_default = check_model(off(TIED), IDS, TARGETS)
    assert by_default.rows == check_model(off(TIED), IDS, TARGETS, 0).rows
    assert by_default.rows[0].complex_step is None
    each = check_model(off(TIED), IDS, TARGETS, 3, by_parameter=True)
    np.testing.assert_allclose(sum(row.analytic for row in each.rows), slopes[0], rtol=1e-10)


def test_the_complex_step_sees_a_small_error_in_a_small_gradient() -> None:
    model = Off(TIED, 0, np.float64)  # of GPT-2's first values: attention has little say
    model.names, model.factor = ["blocks.0.attention.qkv.W"], 1 + 1e-7
    report = check_model(model, IDS, TARGETS, by_parameter=True, complex_step=True)
    assert report.wrong == model.names and report.worst.differences < 1e-7
    assert check_model(model, IDS, TARGETS, by_parameter=True).passed


def test_a_model_is_left_as_it_was() -> None:
    model = GPT(TIED, 0, np.float64)
    model.loss(IDS, TARGETS)
    model.backward()
    rng = model.dropout.rng
    state = rng.bit_generator.state
    data, gradient = model.flat.data.copy(), model.flat.grad.copy()
    model.loss(IDS, TARGETS)
    drawn = rng.bit_generator.state
    assert drawn != state
    assert check_model(model, IDS, TARGETS, by_parameter=True, complex_step=True).passed
    assert model.dropout.rng is rng and rng.bit_generator.state == drawn
    model.backward()  # of the loss before the check, whose saved arrays are still there
    assert np.array_equal(model.flat.data, data) and model.training
    rng.bit_generator.state = state
    again = GPT(TIED, 0, np.float64)
    again.set_dropout_rng(rng)
    again.loss(IDS, TARGETS)
    again.backward()
    np.testing.assert_allclose(model.flat.grad, gradient + again.flat.grad, rtol=1e-12)
    model.eval()
    assert check_model(model, IDS, TARGETS).passed and not model.training


def test_a_number_that_is_not_finite_is_shown() -> None:
    model = GPT(TIED, 0)
    model.norm.gain.data[3] = np.nan
    report = check_model(model, IDS, TARGETS)
    assert report.wrong == ["all parameters"]
    assert "WRONG: backward nan, forward nan, which is not finite" in str(report)

    class Lost(GPT):
        def backward(self, dlogits: Array | None = None) -> None:
            super().backward(dlogits)
            self.norm.bias.grad[2] = np.inf

    report = check_model(Lost(TIED, 0), IDS, TARGETS, by_parameter=True)
    assert report.wrong == ["norm.bias"] and "inf, forward" in str(report)


def test_errors_are_explained() -> None:
    model: Any = GPT(TIED, 0)
    with pytest.raises(TypeError, match=r"check_model: expected a GPT, got <.*Linear"):
        check_model(Linear(3, 4), IDS, TARGETS)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="GPT: expected whole-number ids, got dtype float64"):
        check_model(model, IDS / 2, TARGETS)
    with pytest.raises(ValueError, match="expected an array, got rows of different lengths"):
        check_model(model, [[1, 2], [3]], TARGETS)
    with pytest.raises(ValueError, match="expected targets of shape"):
        check_model(model, IDS, TARGETS[:, 1:])
    with pytest.raises(TypeError, match="expected real parameters, got complex ones"):
        check_model(GPT(TIED, 0, np.complex64), IDS, TARGETS)
    model.head = Head(Parameter(V, H * D))
    with pytest.raises(ValueError, match=r"head\.W has no values yet: call initialize\(\)"):
        check_model(model, IDS, TARGETS)


def test_with_floating_point_errors_raised() -> None:
    with np.errstate(all="raise"):
        assert check_model(GPT(TIED, 0), IDS, TARGETS, complex_step=True).passed
        assert len(list(sweep_steps())) == 19


# -- the command ----------------------------------------------------------------------------------


@pytest.fixture
def few_entries(monkeypatch: pytest.MonkeyPatch) -> list[int | None]:
    """The command checks 3 entries of each array; the list tells how many it asked for."""
    asked: list[int | None] = []

    def check(layer: Layer, x: Array, rng: Any, *, dy: Any, entries: int | None) -> Report:
        asked.append(entries)
        return check_layer(layer, x, rng, dy=dy, entries=3)

    monkeypatch.setattr(table, "check_layer", check)
    return asked


def test_the_command_checks_every_layer_and_tied_and_untied_models(
    few_entries: list[int | None],
) -> None:
    lines: list[str] = []
    assert gradcheck_command(print=lines.append) is True
    assert few_entries == [None] * 14 + [20] * 2
    folder = Path(numpygpt.layers.linear.__file__).parent
    assert lines[0] == f"checking numpygpt.layers in {folder}\n"
    assert lines[-1] == "All passed." and len(lines) == 20
    text = "\n".join(lines)
    for thing in vars(layers).values():
        if isinstance(thing, type) and issubclass(thing, Layer) and thing is not Layer:
            assert f"\n{thing.__name__}" in text
    for title in ("dropout", "Head, logits", "Head, loss\n", "Head, loss, 515 tokens", "no bias"):
        assert title in text
    tied, untied = lines[-3:-1]
    assert tied.splitlines()[0].endswith(", tied") and untied.splitlines()[0].endswith(", untied")
    assert "head.W" not in tied and "head.W" in untied
    assert all(" ok" in line and " - " not in line for line in tied.splitlines()[2:-1])


@pytest.mark.parametrize("names", [None, ["blocks.1.feedforward.proj.b"]])
def test_the_command_checks_each_parameter_of_a_model(
    names: list[str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "GPT", Off)
    monkeypatch.setattr(Off, "names", names)
    tied, untied = table.model_checks(np.random.default_rng(0))
    for config, report in (
        (TIED, tied),
        (replace(TIED, tie_weights=False), untied),
    ):
        every = [name for name, _ in GPT(config).named_parameters()]
        assert [row.name for row in report.rows] == every
        assert report.wrong == (names or every)


def test_the_command_checks_models_whose_gains_are_not_1_and_biases_not_0(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    models: list[GPT] = []

    def check(model: GPT, *arguments: Any, **options: Any) -> Report:
        models.append(model)
        return check_model(model, *arguments)

    monkeypatch.setattr(table, "check_model", check)
    assert all(report.passed for report in table.model_checks(np.random.default_rng(0)))
    assert [model.config.tie_weights for model in models] == [True, False]
    for model in models:
        for name, p in model.named_parameters():
            assert 0.1 < p.data.std() < 2 and p.data.all(), name


def test_a_layer_comes_after_what_it_is_made_of() -> None:
    seen: set[type] = set()
    for _, layer, _, _ in table.layer_cases(np.random.default_rng(0)):
        top = layer.layer if isinstance(layer, Loss) else layer
        inside = {type(one) for one in top.layers()} - {type(top)}
        assert inside <= seen
        seen.add(type(top))


def test_the_command_ends_with_the_layer_to_look_at_first(
    few_entries: list[int | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    right = Linear.backward
    monkeypatch.setattr(Linear, "backward", lambda *arguments: 1.01 * right(*arguments))
    lines: list[str] = []
    assert gradcheck_command(print=lines.append) is False
    assert lines[-1] == (
        "WRONG in 10 of 18. Look first at Linear: x\nx is consistent with: backward is 1.01 times "
        "the forward's derivative everywhere"
    )


def test_the_verdict_is_short() -> None:
    def report(title: str, *names: str) -> Report:
        rows = [
            Row(f"W{i}", (3,), 0.1, None, None, 1.0, 2.0, f"W{i}" not in names) for i in range(9)
        ]
        return Report(title, rows)

    reports = [report("Linear"), report("Block", "W2", "W4", "W7"), report("GPT", "W0")]
    assert table.verdict(reports[:1]) == "All passed."
    assert table.verdict(reports) == "WRONG in 2 of 3. Look first at Block: W2, W4, W7"
    every = report("GPT", *(f"W{i}" for i in range(9)))
    assert table.verdict([every]) == "WRONG in 1 of 1. Look first at GPT: W0, W1, W2, ..."


@pytest.mark.parametrize("passed", [True, False])
def test_the_exit_code(passed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    came: list[Any] = []

    def command(*arguments: Any) -> bool:
        came.append(arguments)
        return passed

    monkeypatch.setattr(numpygpt.gradcheck, "gradcheck_command", command)
    assert main(["gradcheck", "--preset", "gpt2"]) == (not passed)
    assert main(["gradcheck", "--sweep"]) == (not passed)
    assert came == [(False, "gpt2"), (True, None)]


def test_the_preset_goes_to_a_real_model(monkeypatch: pytest.MonkeyPatch) -> None:
    small = GPTConfig(V, 40, H * D, H, 1)
    monkeypatch.setattr(GPTConfig, "preset", classmethod(lambda cls, name: small))
    lines: list[str] = []
    assert gradcheck_command(preset="gpt2", print=lines.append) is True
    assert lines[0].startswith("checking numpygpt.layers in ") and len(lines) == 3
    assert "all parameters" in lines[1] and lines[-1] == "All passed."
    assert f"GPT, {GPT(small).num_parameters():,} parameters" in lines[1]


def test_the_sweep_shows_both_errors() -> None:
    text = list(sweep_steps())
    rows = [line.split() for line in text if line.lstrip().startswith("1e-")]
    h, float64, float32, exact = (np.array(column, float) for column in zip(*rows, strict=True))
    assert h.tolist() == [10.0**-n for n in range(1, 14)]
    for errors in (float64[:3], exact[:6]):  # h^2
        np.testing.assert_allclose(errors[:-1] / errors[1:], 100, rtol=0.1)
    assert h[float64.argmin()] == 1e-5 and float64.min() < 1e-9
    assert float64[-1] > 1e-4 and float32.min() > 1e-5 and exact[-1] < 1e-14
    lines: list[str] = []
    assert gradcheck_command(sweep=True, print=lines.append) and lines == text
