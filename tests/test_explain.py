"""What else a token could have been: `explain`, and `numpygpt generate --explain`."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numpygpt import GPT, GPTConfig, explain, generate
from numpygpt.alternatives import Drawn
from numpygpt.cli import main
from numpygpt.cli.explain import explained, written
from numpygpt.text.printable import columns_of, percent
from numpygpt.text.tokenizer import END_OF_TEXT, byte_encoding
from numpygpt.training.saved import save_run

OPTIONS: list[dict[str, Any]] = [
    {},
    {"temperature": 0.5},
    {"temperature": 0.0},
    {"temperature": 1.7, "top_k": 4},
    {"top_p": 0.6, "vocab_size": 11},
]


def small_gpt(V: int = 13, seed: int = 0) -> GPT:
    """A GPT with weights large enough for its choices to differ."""
    model = GPT(GPTConfig(V, context_length=8, n_embd=6, n_head=2, n_layer=2), None)
    model.allocate(np.float64)
    model.flat.data[...] = np.random.default_rng(seed).standard_normal(model.flat.data.shape)
    return model.eval()


def count_passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that grows with each forward pass."""
    passes: list[int] = []
    hidden = GPT.hidden

    def counted(*args: Any) -> Any:
        passes.append(1)
        return hidden(*args)

    monkeypatch.setattr(GPT, "hidden", counted)
    return passes


def plain_p(z: list[float], temperature: float, top_k: int | None, top_p: float | None) -> Any:
    """The distribution of one row of logits, without a line of numpygpt."""
    e = [float(np.exp((x - max(z)) / (temperature or 1))) for x in z]
    order = sorted(range(len(z)), key=lambda i: -e[i])
    kept = order[: top_k or len(z)] if temperature else order
    if top_p is not None and temperature:
        total, mass, few = sum(e[i] for i in kept), 0.0, []
        for i in kept:
            if mass >= top_p:
                break
            few.append(i)
            mass += e[i] / total
        kept = few
    return [e[i] / sum(e[j] for j in kept) if i in kept else 0.0 for i in range(len(z))]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_what_is_told_is_what_was_drawn_from(options: dict[str, Any]) -> None:
    model, prompts = small_gpt(), np.array([[3, 1], [5, 5], [0, 12]])
    steps = list(explain(model, prompts, 4, max_new_tokens=5, rng=2, **options))
    texts = generate(model, prompts, 5, rng=2, **options)
    np.testing.assert_array_equal(np.stack([s.ids for s in steps], 1), texts[:, 2:])
    for t, step in enumerate(steps):
        logits = model.forward(texts[:, : 2 + t])[:, -1, : options.get("vocab_size")]
        for b in range(3):
            wanted = [options.get(key) for key in ("top_k", "top_p")]
            p = np.array(plain_p(logits[b].tolist(), options.get("temperature", 1.0), *wanted))
            assert step.p[b] == pytest.approx(p[step.ids[b]], rel=1e-9)
            np.testing.assert_allclose(step.candidates_p[b], -np.sort(-p)[:4], rtol=1e-9)
            np.testing.assert_allclose(step.candidates_p[b], p[step.candidates[b]], rtol=1e-9)
            assert len(set(step.candidates[b])) == 4
            if options.get("temperature") == 0:
                assert step.ids[b] == step.candidates[b, 0] and step.p[b] < 1
    if not options:
        assert any(s.ids[b] != s.candidates[b, 0] for s in steps for b in range(3))


def test_a_token_costs_one_forward_pass_and_comes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model, passes = small_gpt(), count_passes(monkeypatch)
    steps = explain(model, [[1]], max_new_tokens=4)
    for n in range(1, 5):
        next(steps)
        assert len(passes) == n


def test_all_of_a_small_vocabulary_and_a_sequence_that_ends() -> None:
    steps = list(explain(small_gpt(), [[1]], 99, max_new_tokens=3))
    assert [s.candidates.shape for s in steps] == [(1, 13)] * 3
    assert [s.candidates_p.sum() for s in steps] == pytest.approx([1, 1, 1], rel=1e-12)
    first = int(generate(small_gpt(), [[1]], 1)[0, 1])
    (only,) = explain(small_gpt(), [[1]], max_new_tokens=9, eos_id=first)
    assert only.ids[0] == first


@pytest.mark.parametrize("wrong", [0, -1, 2.5, "3"])
def test_a_wrong_number_is_named_at_once(wrong: Any) -> None:
    with pytest.raises(ValueError, match=f"alternatives a whole number at least 1, got {wrong!r}"):
        explain(small_gpt(), [[1]], wrong)
    with pytest.raises(ValueError, match="max_new_tokens"):
        explain(small_gpt(), [[1]], max_new_tokens=-1)
    with pytest.raises(TypeError, match="unexpected keyword argument 'temprature'"):
        explain(small_gpt(), [[1]], temprature=1)


# -- a line ---------------------------------------------------------------------------------------

BYTES = byte_encoding()


def drawn(own: int, p: float, others: dict[int, float]) -> Drawn:
    """A step of one sequence; the others are in order."""
    every = others | {own: p}
    ranked = sorted(every, key=lambda i: -every[i])
    return Drawn(*(np.array(x) for x in ([own], [p], [ranked], [[every[i] for i in ranked]])))


def test_a_line_by_hand() -> None:
    a, b, newline, half = ord("a"), ord("b"), ord("\n"), 0xC3
    step = drawn(a, 0.625, {b: 0.25, newline: 0.0625, half: 0.03125, 300: 0.0})
    assert explained(step, 0, BYTES, 79) == (
        "  'a'                 62.5%  'b' 25.0%  '\\n' 6.2%  b'\\xc3' 3.1%  ... 3.1%"
    )
    assert explained(step, 0, BYTES, 39) == "  'a'         62.5%  'b' 25.0%"
    step = drawn(b, 0.125, {a: 0.875})
    assert explained(step, 0, BYTES, 79) == "* 'b'                 12.5%  'a' 87.5%"
    assert explained(drawn(256, 1.0, {a: 0.0}), 0, BYTES, 79) == "  <|endoftext|>      100.0%"


@pytest.mark.parametrize("columns", [29, 39, 59, 60, 79, 200])
def test_a_line_fits_and_its_parts_sum_to_1(columns: int) -> None:
    rng, sums = np.random.default_rng(columns), 0
    for _ in range(50):
        p = rng.dirichlet(np.full(257, rng.choice([0.001, 0.02, 1.0])))
        own = int(rng.choice(257, p=p))
        line = explained(
            drawn(own, float(p[own]), {int(i): float(p[i]) for i in np.argsort(-p)[:13]}),
            0,
            BYTES,
            columns,
        )
        assert columns_of(line) <= columns and line.isprintable()
        assert line.startswith("  " if p[own] == p.max() else "* ")
        shares = [float(x) for x in re.findall(r"(?<![<>\d.])(\d+\.\d)%", line)]
        if columns >= 60 and "<" not in line.replace("<|", "") and ">" not in line:
            assert sum(shares) == pytest.approx(100, abs=0.06 * len(shares))
            sums += 1
    assert sums > 10 or columns < 60


def test_probabilities_are_not_rounded_to_certainty() -> None:
    shown = {0.0: "0.0%", 1e-9: "<0.1%", 0.0006: "0.1%", 0.5: "50.0%", 0.9994: "99.9%"}
    shown |= {0.99999: ">99.9%", 1.0: "100.0%"}
    assert {p: percent(p) for p in shown} == shown


def test_a_token_shows_all_that_it_is() -> None:
    assert written(BYTES, 0) == "'\\x00'" and written(BYTES, ord("'")) == '"\'"'
    assert written(BYTES, 0x9B) == "b'\\x9b'" and written(BYTES, 256) == END_OF_TEXT
    assert columns_of("a\u0301日") == 3


# -- the command ----------------------------------------------------------------------------------

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Run]:
    """`generate --explain` with a model of bytes that knows nothing: it draws any of them."""
    monkeypatch.chdir(tmp_path)
    config = GPTConfig(257, context_length=16, n_embd=8, n_head=2, n_layer=1)
    save_run(tmp_path, GPT(config, 0), BYTES, {})

    def run(*args: str, columns: int = 80) -> tuple[int, str, str]:
        monkeypatch.setenv("COLUMNS", str(columns))
        code = main(["generate", "--run", ".", "--tokens", "30", *args])
        return (code, *capsys.readouterr())

    yield run


def tokens_of(table: str) -> bytes:
    """What the first column says, put together again."""
    column = re.findall(r"^[ *] (b?(?:'.*?'|\".*?\")|<\|endoftext\|>)  ", table, re.MULTILINE)
    parts = [b"" if part == END_OF_TEXT else eval(part) for part in column]
    return b"".join(part if isinstance(part, bytes) else part.encode() for part in parts)


@pytest.mark.parametrize("columns", [80, 40, 31, 7])
@pytest.mark.parametrize("samples", [1, 3])
def test_the_table_spells_the_text(run: Run, samples: int, columns: int) -> None:
    args = ["--samples", str(samples), "--prompt", "Où", "--temperature", "1"]
    code, out, err = run("--explain", *args, columns=columns)
    assert (code, err) == (0, "")
    plain = run(*args)[1].removesuffix("\n").split("\n---\n")
    parts = out.removesuffix("\n").split("\n---\n")
    assert len(plain) == len(parts) == samples
    for text, part in zip(plain, parts, strict=True):
        assert part.endswith("\n\n" + text)
        table = part.removesuffix(text)
        assert ("Où".encode() + tokens_of(table)).decode(errors="replace") == text
        assert all(columns_of(line) < max(columns, 30) and line.isprintable() for line in
                   table.splitlines())  # fmt: skip
    assert ("it could have been" in out) == (columns >= 40)


def test_it_says_which_probabilities(run: Run) -> None:
    for args, said in (
        ("", "p is what tokens were drawn from: the model's, after temperature 0.8"),
        ("--temperature=2 --top-k=9 --top-p=.5", "after temperature 2, top-k 9, top-p 0.5"),
        ("--temperature=0", "temperature 0 takes the most probable token; p is what the model"),
    ):
        lines = run("--explain", "--prompt", "a", *args.split(), columns=100)[1].splitlines()
        assert said in lines[0] and lines[1].split()[:2] == ["drawn", "p"]
    assert all("100.0%" in line for line in run("--explain", "--prompt=a", "--top-k=1")[1].split(
        "\n")[2:32])  # fmt: skip
    greedy = run("--explain", "--prompt", "a", "--temperature=0")[1].splitlines()[2:32]
    assert len(greedy) == 30 and all(line.startswith("  ") for line in greedy)


def test_no_tokens_and_wrong_options(run: Run) -> None:
    code, out, err = run("--explain", "--prompt", "a", "--tokens", "0")
    assert (code, err) == (0, "") and out.endswith("\n\na\n") and out.count("\n") == 4
    code, out, err = run("--explain", "--prompt", "a", "--top-k", "0")
    assert (code, out) == (2, "") and "top_k" in err


def test_lines_come_as_tokens_are_drawn(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    passes, shown = count_passes(monkeypatch), []
    monkeypatch.setattr(
        "builtins.print", lambda *args, **more: shown.append((len(passes), more.get("flush")))
    )
    assert run("--explain", "--prompt", "a", "--tokens", "5")[0] == 0
    assert [n for n, flushed in shown if flushed] == [1, 2, 3, 4, 5, 5]
