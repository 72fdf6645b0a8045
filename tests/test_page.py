"""The page of `numpygpt look` in a browser: whole, silent, linked, and equal to its numbers."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium import PROGRAM, Page, browser
from looked_at import PROMPT, encoding, small_look, small_model, small_run

from numpygpt.inside.show import as_json
from numpygpt.inside.show.looking import Look, look
from numpygpt.text.tokenizer import byte_encoding

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="needs Chromium: apt-get install chromium")
HOSTILE = (
    "<script>hacked=1</script></script><img src=x onerror='hacked=2'><!--\n"
    '"&amp; \u2028 \u05e9\u05dc\u05d5\u05dd 😀 <b>'
)
MINUS = "\u2212"
PANELS = [
    "next",
    "embeddings",
    "attention",
    "scores",
    "lens",
    "attribution",
    "ablation",
    "gradients",
    "planning",
    "training",
    "identities",
]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Look:
    from dataclasses import replace

    from numpygpt.inside.show.kept import look_back

    folder = small_run(tmp_path_factory.mktemp("page") / "run")
    return replace(small_look(), checkpoints=look_back(small_look(), folder, stories=True))


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("chromium")) as one:
        yield one


@pytest.fixture
def show(chromium: Page, tmp_path: Path) -> Any:
    """Opens a page; at the test's end, it must have asked for nothing and complained of nothing."""
    opened: list[Path] = []

    def show(html: str, width: int = 1280, dark: bool = False) -> Page:
        chromium.requests.clear()
        chromium.complaints.clear()
        chromium.look(width, dark=dark)
        opened.append(tmp_path / "page.html")
        opened[-1].write_text(html, encoding="utf-8")
        chromium.open(opened[-1])
        return chromium

    yield show
    assert chromium.requests == [opened[-1].as_uri()]
    assert chromium.complaints == []


def texts(page: Page, selector: str) -> list[str]:
    """What the elements say, spaces joined."""
    found = page.run(f"[...document.querySelectorAll({selector!r})].map(e => e.textContent)")
    return [" ".join(text.split()) for text in found]


def click(page: Page, selector: str, number: int = 0) -> None:
    page.run(f"document.querySelectorAll({selector!r})[{number}].click()")


def figures(page: Page) -> dict[str, str]:
    """Each panel as it is: its HTML, and what its canvases show."""
    script = """Object.fromEntries([...document.querySelectorAll("section, #prompt")].map(
        e => [e.id, e.innerHTML
            + [...e.querySelectorAll("canvas")].map(c => c.toDataURL()).join()]))"""
    found: dict[str, str] = page.run(script)
    return found


def percent(p: float) -> str:
    return "<0.1%" if 0 < p < 0.0005 else f"{100 * p:.1f}%"


def test_all_panels_are_there(seen: Look, show: Any) -> None:
    page = show(seen.html())
    assert page.run("[...document.querySelectorAll('section')].map(e => e.id)") == PANELS
    for panel in PANELS:
        (text,) = texts(page, f"#{panel} .figure")
        assert len(text) > 40, panel
        shown = texts(page, f"#{panel} .identity span")
        of_panel = [one for one in seen.to_dict()["identities"] if one["panel"] == panel]
        assert len(shown) == len(of_panel)
        for line, one in zip(shown, of_panel, strict=True):
            assert line.startswith(f"✓ {one['name']}: ") and "at most 1e-" in line
    assert len(texts(page, "nav a")) == len(PANELS)


def test_a_token_is_chosen_everywhere(seen: Look, show: Any) -> None:
    page, data = show(seen.html()), seen.to_dict()
    before = figures(page)
    click(page, "#tokens button", 4)
    after = figures(page)
    for panel in (
        "prompt",
        "next",
        "embeddings",
        "attention",
        "scores",
        "lens",
        "attribution",
        "gradients",
    ):
        assert before[panel] != after[panel], panel
    lens = data["lens"]["anew"]
    p, text = lens["top_probability"][-1][4], data["texts"]
    assert texts(page, "#next .value") == [percent(x) for x in p]
    names = [text[str(i)].replace(" ", "·") for i in lens["top"][-1][4]]
    assert texts(page, "#next .token")[:5] == names
    near = data["embeddings"]["of"][str(data["ids"][4])]
    assert texts(page, "#embeddings .pair .value") == [
        f"{c:.2f}".replace("-", MINUS) for c in near["cosines"]
    ]
    assert texts(page, "#chosen")[0].startswith("Token 4, ")


def test_a_head_is_chosen_everywhere(seen: Look, show: Any) -> None:
    page, data = show(seen.html()), seen.to_dict()
    other = next(h for h in range(6) if divmod(h, 3) != seen.heads.first)
    before = figures(page)
    click(page, ".heads button", other)
    after = figures(page)
    panels = ("prompt", "attention", "scores", "attribution", "ablation", "training", "gradients")
    changed = [p for p in panels if before[p] != after[p]]
    assert set(panels) - set(changed) <= {"gradients"}  # which shows blocks, and not heads
    block, head = divmod(other, 3)
    row = data["attention"]["patterns"][block][head][-1]
    (said,) = texts(page, "#chosen")
    assert f"head {block}.{head} " in said and said.endswith(f"({percent(max(row))}).")
    shades = page.run(
        "[...document.querySelectorAll('#tokens button')].map(e => e.style.getPropertyValue('--p'))"
    )
    assert [float(x) for x in shades] == row
    key = row.index(max(row))
    (split,) = [
        one
        for one in data["attention"]["splits"]
        if (one["block"], one["head"], one["t"], one["s"]) == (block, head, len(row) - 1, key)
    ]
    cells = [f"{x:.2f}" for line in split["table"] for x in line]
    shown = texts(page, "#scores .cell")
    assert [float(x.replace(MINUS, "-")) for x in shown] == [float(x) for x in cells]


def test_a_block_is_chosen_everywhere(seen: Look, show: Any) -> None:
    page = show(seen.html())
    click(page, "#lens .cell", 3 * 5)  # token 5, before any block
    before = figures(page)
    click(page, "#lens .cell", 3 * 5 + 2)
    after = figures(page)
    for panel in ("lens", "attention", "planning", "ablation", "gradients", "training"):
        assert before[panel] != after[panel], panel
    assert "read at block 1" in texts(page, "#lens h3")[0]
    click(page, "#ablation .parts button", 3)  # block 0's feed-forward
    assert "without feed-forward 0" in " ".join(texts(page, "#ablation .note"))
    assert page.run("document.querySelectorAll('#attribution .parts .on').length") == 1


def test_the_numbers_are_the_jsons(seen: Look, show: Any) -> None:
    page, data = show(seen.html()), seen.to_dict()
    assert page.run("data") == json.loads(seen.json()) == json.loads(json.dumps(data))
    titles = page.run("[...document.querySelectorAll('#lens .cell')].map(e => e.title)")
    lens, L, T = data["lens"]["anew"], data["model"]["blocks"], len(data["ids"])
    for n, title in enumerate(titles):
        t, i = divmod(n, L + 1)
        assert title.endswith(f" {percent(lens['top_probability'][i][t][0])}")
    assert len(titles) == T * (L + 1)
    a = data["attribution"][-1]["logit"]
    note = " ".join(texts(page, "#attribution .note"))
    total = re.search(r"sum to (\S+); the forward pass has (\S+);", note)
    assert total and total[1] == total[2] == f"{a['logit']:.4f}".replace("-", MINUS)
    grid = page.run(
        "[...document.querySelectorAll('#attribution .parts button')].map(e => e.title)"
    )
    heads = [x for row, ff in zip(a["heads"], a["feedforward"], strict=True) for x in (*row, ff)]
    for title, x in zip(grid, heads, strict=True):
        assert float(title.split(": ")[1].replace(MINUS, "-")) == pytest.approx(x, abs=5.1e-4)


def test_checkpoints_follow_the_slider(seen: Look, show: Any) -> None:
    page, kept = show(seen.html()), seen.to_dict()["training"]
    for i in (2, 0):
        page.run(
            f"document.querySelector('input').value = {i};"
            "document.querySelector('input').dispatchEvent(new Event('input'))"
        )
        assert f"Step {kept[i]['step']} of 30" in texts(page, "#training h3")
        shown = texts(page, "#training .bars .value")
        assert shown == [f"{c:.2f}".replace("-", MINUS) for c in kept[i]["near"]["cosines"]]


def test_the_keyboard_is_enough(seen: Look, show: Any) -> None:
    page = show(seen.html())
    for _ in range(40):
        page.press("Tab")
        if page.run("document.activeElement.closest('#tokens') !== null"):
            break
    T = len(seen.ids)
    assert page.run("chosen.token") == T - 1
    page.press("ArrowLeft")
    page.press("ArrowLeft")
    assert page.run("chosen.token") == T - 3
    page.run("document.querySelector('.heads .on').focus()")
    block, head = seen.heads.first
    page.press("ArrowDown" if block == 0 else "ArrowUp")
    assert page.run("[chosen.block, chosen.head]") == [1 - block, head]
    assert page.run("document.activeElement.closest('.heads') !== null")


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_in_light_and_dark(seen: Look, show: Any, dark: bool) -> None:
    page = show(seen.html(), 390, dark)
    assert page.run("document.documentElement.scrollWidth") == 390
    wide = page.run("""[...document.querySelectorAll("main *")].filter(e => !e.closest(".wide, svg")
        && e.getBoundingClientRect().right > 391).length""")
    assert wide == 0
    colour = page.run("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", colour))) < 150) == dark


@pytest.mark.parametrize("coding", ["bytes", "learned"])
def test_hostile_text_is_shown_and_not_run(coding: str, show: Any) -> None:
    bytewise = byte_encoding()
    if coding == "learned":
        model, some = small_model(), encoding()
        prompt = HOSTILE[:40]
    else:
        from numpygpt import GPT, GPTConfig

        config = GPTConfig(bytewise.n_vocab, context_length=160, n_embd=8, n_head=2, n_layer=1)
        model, some, prompt = GPT(config), bytewise, HOSTILE
    page = show(look(model, some, prompt, name=prompt).html())
    assert page.run("typeof hacked") == "undefined"
    assert page.run("data.prompt") == prompt
    assert page.run("document.querySelectorAll('img').length") == 0
    assert page.run("document.title").split() == f"Look inside {prompt}".split()
    shown = "".join(
        page.run("[...document.querySelectorAll('#tokens button')].map(e => e.textContent)")
    )
    if coding == "bytes":
        assert page.run("document.getElementById('text').textContent") == prompt
        assert page.run("document.getElementById('text').hidden") is False
        assert shown.startswith("<script>hacked=1</script></script><img·src=x")
    else:
        assert shown == prompt.replace(" ", "·").replace("\n", "⏎")


def test_heads_that_are_left_out(show: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    some = look(small_model(), encoding(), PROMPT)
    T = len(some.ids)
    monkeypatch.setattr(as_json, "MOST_PATTERNS", 2 * T * (T + 1) // 2)
    page = show(some.html())
    assert page.run("document.querySelectorAll('.heads button:disabled').length") == 4
    assert "2 heads of 6" in texts(page, "#left-out")[0]
    for n in range(6):
        click(page, "#attribution .parts button", n + n // 3)
    click(page, "#tokens button", 3)
