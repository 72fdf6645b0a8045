"""`numpygpt look`: its numbers against their identities, in a terminal, as JSON, as a command."""

import html
import io
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from looked_at import PROMPT, encoding, small_look, small_model, small_run

from numpygpt import GPT, GPTConfig
from numpygpt.cli import main
from numpygpt.inside.check import Identity
from numpygpt.inside.embeddings import neighbours
from numpygpt.inside.show import as_json, command
from numpygpt.inside.show.kept import look_back
from numpygpt.inside.show.looking import Look, look
from numpygpt.inside.show.page import escaped, page
from numpygpt.inside.show.terminal import Screen
from numpygpt.inside.show.within import copying
from numpygpt.text.printable import columns_of
from numpygpt.text.tokenizer import encode_text
from numpygpt.training.folder import kept_checkpoints

Run = Callable[..., tuple[int, str, str]]
HOSTILE = "</script><script>alert(1)</script> <!-- \u2028 & \"'\n"


@pytest.fixture(scope="module")
def seen() -> Look:
    return small_look()


@pytest.fixture(scope="module")
def data(seen: Look) -> dict[str, Any]:
    return json.loads(seen.json())  # type: ignore[no-any-return]


def logits_of(seen: Look) -> Any:
    """By the model's own forward pass, in float64."""
    model = small_model().astype(np.float64).eval()
    return model.forward(seen.ids[None])[0]


def test_a_tokenizer_of_more_tokens_than_the_model_is_none_of_its_own() -> None:
    with pytest.raises(ValueError, match=r"own encoding, of at most 100 tokens, got one of \d+"):
        look(GPT(GPTConfig(100, 32, 8, 2, 1)), encoding(), PROMPT)


# -- the numbers ----------------------------------------------------------------------------------


def test_the_lens_ends_in_the_model(seen: Look, data: dict[str, Any]) -> None:
    z = logits_of(seen)
    p = np.exp(z - z.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    for way in ("anew", "frozen"):
        top = np.array(data["lens"][way]["top"][-1])
        assert (top[:, 0] == z.argmax(-1)).all()
        shown = np.array(data["lens"][way]["top_probability"][-1])
        np.testing.assert_allclose(shown, np.take_along_axis(p, top, -1), atol=5.1e-5)
    assert data["lens"]["words"] == [*seen.ids[1:].tolist(), int(z[-1].argmax())]


def test_parts_sum_to_the_logits_and_leads(seen: Look, data: dict[str, Any]) -> None:
    z = logits_of(seen)
    assert len(data["attribution"]) == len(seen.ids)
    for t, pair in enumerate(data["attribution"]):
        word, other = pair["lead"]["word"], pair["lead"]["other"]
        best = max((i for i in range(z.shape[1]) if i != word), key=lambda i: z[t, i])
        assert pair["logit"]["word"] == word == data["lens"]["words"][t] and other == best
        for a, expected in ((pair["logit"], z[t, word]), (pair["lead"], z[t, word] - z[t, other])):
            names = [
                "token",
                "place",
                "norm_bias",
                "heads",
                "feedforward",
                "value_bias",
                "output_bias",
            ]
            total = sum(np.sum(a[name]) for name in [*names, "feedforward_bias"])
            assert total == pytest.approx(expected, abs=1e-6)
            assert a["logit"] == pytest.approx(expected, abs=1e-6) and abs(a["remainder"]) < 1e-9


def test_patterns_and_splits(seen: Look, data: dict[str, Any]) -> None:
    patterns, T = data["attention"]["patterns"], len(seen.ids)
    for block in range(2):
        for head in range(3):
            rows = patterns[block][head]
            assert [len(row) for row in rows] == list(range(1, T + 1))
            assert all(abs(sum(row) - 1) < 1e-4 * len(row) for row in rows)
    splits = {
        tuple(one[k] for k in ("block", "head", "t", "s")): one
        for one in data["attention"]["splits"]
    }
    assert len(splits) == 2 * 3 * T * (T + 1) // 2
    for block, head, t in ((0, 2, 5), (1, 1, T - 1)):
        scores = [np.sum(splits[block, head, t, s]["table"]) for s in range(t + 1)]
        P = np.exp(scores) / np.exp(scores).sum()
        np.testing.assert_allclose(patterns[block][head][t], P, atol=1e-4)


def test_neighbours_are_those_of_one_word_at_a_time(seen: Look, data: dict[str, Any]) -> None:
    from numpygpt.inside.kinds import story_tokens

    among = story_tokens(encoding())
    model = small_model().astype(np.float64)
    robin = neighbours(model, encoding(), "robin", 10, among)
    of = data["embeddings"]["of"]
    (own,) = encode_text(encoding(), " robin").tolist()
    assert of["word"]["words"] == of[str(own)]["words"] == robin.words
    np.testing.assert_allclose(of[str(own)]["cosines"], robin.cosines, rtol=1e-4)
    assert of[str(own)]["mean"] == pytest.approx(robin.mean, rel=1e-3)
    assert set(of) == {"word", *map(str, seen.ids.tolist())}


def test_without_stories_all_tokens_are_neighbours() -> None:
    some = look(small_model(), encoding(), " robin robin", name="x")
    (own,) = set(some.ids.tolist())
    W = small_model().astype(np.float64).token_embedding.W.data
    x = W - W.mean(0)
    cosines = x @ x[own] / np.linalg.norm(x, axis=1) / np.linalg.norm(x[own])
    assert some.words.near[own].ids.tolist() == np.argsort(-cosines)[1:11].tolist()
    assert some.planning == [] and some.words.kinds == [] and some.to_dict()["planning"] == []


def test_ablation_and_gradients_are_of_the_answer(seen: Look, data: dict[str, Any]) -> None:
    z = logits_of(seen)[-1].max()
    for one in data["ablation"]:
        assert one["word"] == data["lens"]["words"][-1]
        assert one["answer"] == pytest.approx(z, rel=1e-4)
    assert [one["how"] for one in data["ablation"]] == ["zero", "mean"]
    g = data["gradients"]
    assert sum(g["integrated"]) + g["integrated_gap"] == pytest.approx(
        seen.answers.integrated.answer - seen.answers.integrated.without, rel=1e-3
    )
    assert [one["of"] for one in g["ways"]] == ["of the answer's logit", "of the loss"]


def test_all_identities_hold_and_each_has_its_panel(data: dict[str, Any]) -> None:
    assert len(data["identities"]) > 10
    assert all(one["holds"] and one["panel"] for one in data["identities"])
    panels = {
        "next",
        "embeddings",
        "attention",
        "scores",
        "lens",
        "attribution",
        "ablation",
        "gradients",
    }
    assert {one["panel"] for one in data["identities"]} == panels


def test_a_large_model_is_checked_by_its_own_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("numpygpt.inside.show.looking.PRECISE", 0)
    some = look(small_model(), encoding(), PROMPT)
    assert some.model.flat.data.dtype == np.float32 and "--check" in some.checks_of
    assert len(some.checks) >= 5 and all(one.holds for one in some.checks)


def test_one_token_is_enough() -> None:
    some = look(small_model(), encoding(), [5])
    assert some.answers.by_loss is None and len(some.to_dict()["gradients"]["ways"]) == 1
    assert "What comes next?" in some.text(40) and all(one.holds for one in some.checks)


def test_the_head_that_copies_comes_first(seen: Look) -> None:
    P, ids, kinds = seen.heads.patterns, seen.ids, seen.heads.kinds
    assert seen.heads.first == copying(kinds, P, ids, seen.answer) != (1, 2)
    firsts = set()
    for answer in set(ids.tolist()):
        mass = P[:, :, -1, ids == answer].sum(-1)
        firsts.add(copying(kinds, P, ids, answer))
        assert np.argwhere(mass == mass.max()).tolist() == [[*copying(kinds, P, ids, answer)]]
    assert len(firsts) > 1
    absent = int(np.setdiff1d(np.arange(encoding().n_vocab), ids)[0])
    for induction, best in ((0.4, (1, 0)), (0.05, (0, 2))):  # else: the token before
        scores = np.full((2, 2, 3), 0.01)
        scores[0, 1, 0], scores[1, 0, 2] = induction, 0.3
        asked = replace(kinds, induction=scores[0], previous=scores[1])
        assert copying(asked, P, ids, absent) == best


def test_what_there_is_no_room_for_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    T = len(encode_text(encoding(), PROMPT))
    monkeypatch.setattr(as_json, "MOST_PATTERNS", 4 * T * (T + 1) // 2)
    monkeypatch.setattr("numpygpt.inside.show.within.MOST_CELLS", 10)
    some = look(small_model(), encoding(), PROMPT, head=(1, 2)).to_dict()
    assert some["first"] == {"block": 1, "head": 2}
    kept = [pattern is not None for block in some["attention"]["patterns"] for pattern in block]
    assert sum(kept) == 4 and kept[5] and "4 heads of 6" in " ".join(some["left_out"])
    assert {one["t"] for one in some["attention"]["splits"]} == {T - 1}
    assert "last token" in some["attention"]["splits_of"]


# -- the page and a notebook ----------------------------------------------------------------------


def embedded(page: str) -> Any:
    """The JSON in a page."""
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    return json.loads(text)


def test_the_page_holds_the_json(seen: Look, data: dict[str, Any]) -> None:
    text = seen.html()
    assert embedded(text) == data and "@@" not in text.replace(json.dumps(data), "")
    assert not re.findall(r"(?:src|href)\s*=\s*[\"']?(?:https?:)?//", text)
    assert len(text) < 2_000_000


def test_hostile_text_ends_no_script() -> None:
    text = json.dumps({"prompt": HOSTILE}, ensure_ascii=False)
    assert json.loads(escaped(text)) == {"prompt": HOSTILE}
    assert "<" not in escaped(text) and "\u2028" not in escaped(text)
    assert embedded(page(text)) == {"prompt": HOSTILE}


def test_a_notebook_shows_the_page(seen: Look) -> None:
    frame = seen._repr_html_()
    (source,) = re.findall(r'^<iframe srcdoc="([^"]*)" sandbox="allow-scripts"', frame)
    assert html.unescape(source) == seen.html()


# -- a terminal -----------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [40, 57, 80, 100])
@pytest.mark.parametrize("plain", [False, True])
def test_no_line_is_too_wide(seen: Look, width: int, plain: bool) -> None:
    text = seen.text(width, plain)
    assert max(map(columns_of, text.splitlines())) <= width
    assert text.isascii() == plain
    for question in ("What comes next?", "Which words lie near", "Where does each head look?"):
        assert question in text
    assert text.count("?") >= 9


def test_the_terminal_has_the_pages_numbers(seen: Look, data: dict[str, Any]) -> None:
    text = seen.text(100)
    p = data["lens"]["anew"]["top_probability"][-1][-1][0]
    assert f"{100 * p:.1f}%" in text
    assert f"{data['embeddings']['of']['word']['cosines'][0]:.2f}" in text
    lead = data["attribution"][-1]["lead"]
    assert f"they sum to {lead['logit']:.4f}" in text


def test_bars_and_heat() -> None:
    screen = Screen(40)
    (one, two) = screen.bars([("a", 1.0, "x"), ("bb", 0.5, "yy")], 1)
    assert one.count("█") == 2 * two.count("█") == 32 and one.endswith("  x")
    left, right = Screen(40, plain=True).bars([("a", -2.0, "-2"), ("b", 1.0, "1")])
    assert left.index("#") < left.index("|") < right.index("#")
    assert right.index("|") == left.index("|") and left.count("#") == 2 * right.count("#")
    rows = screen.heat(np.array([[1.0, 0, 0], [0.05, 0.2, 0.5]]), ["日本", "x"])
    assert rows == ["  日本│█  │", "  x   │░▒▓│"]


def test_texts_are_measured_in_columns() -> None:
    screen = Screen(80)
    assert columns_of("a日é") == 4 and columns_of("e\u0301") == 1
    assert screen.fit("日本語", 4) == "日… " and screen.fit("ab", 4, right=True) == "  ab"
    assert screen.token("  a\n") == "··a⏎" and Screen(80, True).token(" a\n") == "_a\\n"


# -- the command ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("look")
    small_run(path / "runs" / "1")
    return path


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command in that folder: its exit code, output, and error output."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "80")

    def run(*args: str) -> tuple[int, str, str]:
        code = main(["look", *args])
        return code, *capsys.readouterr()

    return run


def test_a_folder_of_any_name_can_be_looked_at(run: Run, folder: Path) -> None:
    name = os.fsdecode(b"odd \xff\x1b[31m\n")
    (folder / name).symlink_to(folder / "runs" / "1")
    code, out, err = run("--run", name, "--prompt", "robin", "--out", "odd.html")
    assert (code, err) == (0, "") and out.startswith("odd \\udcff\u241b[31m")
    assert "\x1b" not in out
    (folder / name).unlink()


def test_a_kept_checkpoint_that_is_damaged_is_left_out_and_named(tmp_path: Path) -> None:
    small_run(tmp_path)
    first, *others = kept_checkpoints(tmp_path)
    first[1].write_bytes(first[1].read_bytes()[:999])
    seen = look(small_model(), encoding(), "robin")
    steps = [entry["step"] for entry in look_back(seen, tmp_path, True)]
    assert steps == [*[step for step, _ in others], 30] and len(steps) == 2
    assert f"Step {first[0]} of the look back is left out: {first[1]} is no" in seen.left_out[-1]


def test_the_newest_run_is_looked_at(run: Run, folder: Path) -> None:
    code, out, err = run("--prompt", PROMPT, "--json", "numbers.json")
    assert (code, err) == (0, "") and out.endswith("the page: runs/1/look.html\n")
    numbers = json.loads((folder / "numbers.json").read_text())
    page = (folder / "runs" / "1" / "look.html").read_text()
    assert embedded(page) == numbers and numbers["model"]["name"] == "runs/1"
    assert numbers["texts"][str(numbers["ids"][0])] == "<|endoftext|>"  # as its stories begin
    assert [one["step"] for one in numbers["training"]] == [0, 10, 30]
    assert (
        numbers["training"][-1]["near"]["words"] == numbers["embeddings"]["of"]["word"]["words"][:6]
    )
    assert numbers["training"][0]["near"]["words"] != numbers["training"][1]["near"]["words"]
    assert re.search(r"^  30 ", out, re.M)


def test_check_prints_the_identities_only(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, err = run("--check", "--prompt", PROMPT)
    assert (code, err) == (0, "") and out.count(" ok\n") > 10 and "What comes next" not in out
    bad = [Identity("one is two", 1.0, 1e-9)]
    monkeypatch.setattr(command, "identities", lambda model, ids: bad)
    code, out, _ = run("--check", "--prompt", PROMPT)
    assert code == 1 and "one is two" in out and "FAILS" in out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--prompt", ""], r"expected a text to look at, got ''"),
        (["--prompt", "a robin " * 40], r"1 to 64 tokens \(the context\), got \d+: shorten it"),
        (["--head", "2.0"], r"no head 2\.0 .*blocks are 0 to 1, heads 0 to 2"),
        (["--head", "0.3"], r"no head 0\.3"),
        (["--head", "first"], r"--head: expected BLOCK\.HEAD, such as 0\.3, got 'first'"),
        (["--word", " "], r"expected a word, got ' '"),
        (["--out", "nowhere/page.html"], r"nowhere is no folder to write into"),
        (["--json", "nowhere/x.json"], r"nowhere is no folder to write into"),
        (["--out", "x.html", "--json", "./x.html"], "expected another file than the page's, got"),
        (["--check", "--json", "x", "--open"], "no page and no numbers: remove --json, --open"),
        (["--out", "runs"], r"runs: expected a file to write, got a folder"),
        (["--run", "runs"], r"expected the folder of a run"),
        (["--untrained", "gpt3"], r"unknown preset 'gpt3'"),
        (["--untrained", "gpt2", "--run", "runs/1"], r"not allowed with"),
    ],
)
def test_mistakes_are_one_line(options: list[str], message: str, run: Run, folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    code, out, err = run(*options)
    assert code == 2 and out == "" and re.search(message, err), err
    assert err.count("\n") == 1 or err.startswith("usage:")
    assert sorted(folder.rglob("*")) == before


def test_any_prompt_and_word_is_looked_at(run: Run, folder: Path) -> None:
    prompt = "\x1b[31m 😀\n\u05e9\u05dc\u05d5\u05dd"
    code, out, err = run("--prompt", prompt, "--word", "rhinoceros", "--out", "p.html")
    assert (code, err) == (0, "") and "\x1b" not in out
    assert "the mean of" in out
    assert embedded((folder / "p.html").read_text())["prompt"] == "<|endoftext|>" + prompt


def test_a_reader_who_leaves_gets_a_whole_page(folder: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "numpygpt",
        "look",
        "--prompt",
        "a robin",
        "--out",
        "left.html",
    ]
    root = str(Path(__file__).parent.parent)
    process = subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PYTHONPATH": root},
    )
    assert process.stdout and process.stderr
    process.stdout.close()
    assert process.stderr.read() == b"" and process.wait() == 0
    process.stderr.close()
    assert (folder / "left.html").read_text().rstrip().endswith("</html>")
    assert not list(folder.glob("*.part"))


def test_a_terminal_that_has_ascii_only(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, "ascii", write_through=True))
    assert run("--prompt", "a robin 😀", "--out", "ascii.html") == (0, "", "")
    assert b"What comes next?" in out.getvalue() and b"####" in out.getvalue()


def test_the_browser_is_asked_to_open_the_page(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def unseen(address: str) -> bool:
        asked.append(address)
        return False

    monkeypatch.setattr("webbrowser.open", unseen)
    code, _, err = run("--open", "--prompt", "a robin", "--out", "opened.html")
    assert code == 0 and "no browser was found to open opened.html" in err
    assert asked == [(folder / "opened.html").as_uri()]


def test_a_model_that_is_no_number_says_so() -> None:
    model = small_model()
    model.blocks[1].feedforward.proj.b.data[3] = np.nan  # type: ignore[union-attr]
    with np.errstate(all="ignore"):
        some = look(model, encoding(), PROMPT)
    data = json.loads(some.json())
    failing = {one["name"] for one in data["identities"] if not one["holds"]}
    assert "the parts of a logit sum to it" in failing and "FAILS" in some.text()


def test_json_is_not_written_over_the_page(run: Run, folder: Path, tmp_path: Path) -> None:
    page_file = folder / "runs" / "1" / "look.html"
    before = page_file.exists()
    link = tmp_path / "link.json"
    link.symlink_to(page_file)
    for same in ("runs/1/look.html", str(link)):
        code, _, err = run("--run", "runs/1", "--json", same)
        assert code == 2 and "--json: expected another file than the page's, got" in err
    assert page_file.exists() == before


def test_another_pipe_that_is_closed_is_told(folder: Path, run: Run, tmp_path: Path) -> None:
    """Unlike the output, whose reader may have enough."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: open(pipe, "rb").close())
    reader.start()
    code, _, err = run("--run", "runs/1", "--prompt", "robin", "--out", str(pipe))
    reader.join(10)
    assert code == 1 and str(pipe) in err
