"""What `numpygpt look` prints: each panel of the page as text."""

import textwrap
from collections.abc import Iterator

import numpy as np

from numpygpt.inside.attention import KINDS
from numpygpt.inside.check import Identity
from numpygpt.inside.partners import Partners
from numpygpt.inside.show.as_json import model
from numpygpt.inside.show.findings import Findings
from numpygpt.inside.show.lines import tokens, wrapped
from numpygpt.inside.show.terminal import Screen
from numpygpt.inside.show.told import ablation, attribution, gradients, lens, planning, training
from numpygpt.inside.words import token_text
from numpygpt.text.printable import percent

ABOUT = {
    "previous": "the token before",
    "first": "the first token",
    "duplicate": "the same token earlier",
    "induction": "what followed the same",
}


def described(look: Findings, width: int, plain: bool) -> str:
    """All panels, in so many columns (40 at least)."""
    screen = Screen(max(40, width), plain)
    panels = (opening, embeddings, heads, scores, lens, attribution, ablation, gradients, planning)
    blocks = ["\n".join(panel(look, screen)) for panel in (*panels, training)]
    blocks.append("\n".join(identities_table(look.checks, screen, look.checks_of)))
    blocks += [wrapped(screen, text) for text in look.left_out]
    return "\n\n".join(filter(None, blocks)) + "\n"


def opening(look: Findings, screen: Screen) -> Iterator[str]:
    """What is looked at, and what comes next."""
    yield wrapped(screen, model(look)["about"])
    yield ""
    yield wrapped(screen, " ".join(tokens(look, screen)), "  ")
    yield ""
    yield "What comes next?"
    last = look.lens.anew
    words = [screen.token(token_text(look.encoding, i)) for i in last.top[-1, -1]]
    numbers = last.top_probability[-1, -1].tolist()
    yield from screen.bars([(w, p, percent(p)) for w, p in zip(words, numbers, strict=True)], 1)


def embeddings(look: Findings, screen: Screen) -> Iterator[str]:
    """Neighbours of the word, in the table and in the text; kinds."""
    if not (near := look.words.near.get("word") or look.words.near.get(int(look.ids[-1]))):
        return
    name = screen.token(near.word)
    parts = " ".join(map(screen.token, near.tokens))
    made = f", the mean of {parts}" if len(near.tokens) > 1 else ""
    yield wrapped(screen, f"Which words lie near {name}{made}? (cosine, the vocabulary's mean off)")
    rows = zip(map(screen.token, near.words), near.cosines.tolist(), strict=True)
    yield from screen.bars([(w, c, f"{c:.2f}") for w, c in rows], 1)
    yield wrapped(
        screen, f"two random tokens: {near.mean + 0.0:.2f}, give or take {near.deviation:.2f}", "  "
    )
    if look.words.part_ranks:
        ranks = ", ".join(f"{part} is neighbour {n}" for part, n in look.words.part_ranks.items())
        yield wrapped(screen, f"not near: its parts ({ranks})", "  ")
    if look.words.context:
        name = screen.token(look.words.context[0].word)
        yield wrapped(screen, f"In the text, in the place of token {look.words.at}, {name}:")
        for i in sorted({0, len(look.words.context) - 1}):
            words = " ".join(map(screen.token, look.words.context[i].words[:4]))
            line = f"  {f'after block {i - 1}' if i else 'embedding':14} {words}"
            yield screen.fit(line, screen.width).rstrip()
    if look.words.kinds:
        yield wrapped(screen, "Of a word's five nearest, of its own kind (and by chance):")
        kinds = [(one.kind, one.share, one.chance) for one in look.words.kinds]
        yield from screen.bars([(k, s, f"{percent(s)} ({percent(c)})") for k, s, c in kinds], 1)
    if look.words.partners:
        yield from partners(look.words.partners, screen)


def partners(one: Partners, screen: Screen) -> Iterator[str]:
    """What ties a part to its animal."""
    yield wrapped(
        screen,
        "What ties a part (beak) to its animal (robin)? (how often nearness, or what a part of "
        "the model says, puts an animal that has it before one that has not; chance is 50%)",
    )
    asks, best = int(one.asks.argmax()), one.heads.argmax()
    block, head = np.unravel_index(best, one.heads.shape)
    rows = [("nearness", one.near), (f"q.k of head 0.{asks}", float(one.asks[asks]))]
    rows.append((f"head {block}.{head}", float(one.heads[block, head])))
    rows += [(f"feedforward {l}", float(x)) for l, x in enumerate(one.feedforward)]
    yield from screen.bars(
        [(what, x, percent(x)) for what, x in [*rows, ("all together", one.logit)]], 1
    )


def heads(look: Findings, screen: Screen) -> Iterator[str]:
    """The heads that are most of each kind, and the pattern of one."""
    yield wrapped(screen, "Where does each head look? (on random tokens, said twice)")
    rows = []
    for kind in KINDS:
        best = look.heads.kinds.strongest(kind, 3)
        rows.append([ABOUT[kind], *(f"{l}.{h} {percent(score)}" for l, h, score in best)])
    yield from screen.table(rows)
    block, head = look.heads.first
    yield wrapped(screen, f"Head {block}.{head} here: who asks, a line; who answers, from the left")
    yield from screen.heat(look.heads.patterns[block, head], tokens(look, screen))


def scores(look: Findings, screen: Screen) -> Iterator[str]:
    """The chosen head's score of the last token and the one that it looks at most, split."""
    block, head = look.heads.first
    t = len(look.ids) - 1
    s = int(look.heads.patterns[block, head, t].argmax())
    split = look.heads.splits[block, head, t, s]
    asks, answers = (tokens(look, screen)[i] for i in (t, s))
    yield wrapped(
        screen,
        f"What does q.k find? Head {block}.{head}, {asks} asks, {answers} ({s}) answers: the score "
        f"is {split.score:.3f}, of which",
    )
    n = len(split.names)
    order = np.argsort(-np.abs(split.table), axis=None)[:6]
    pairs = [(split.names[i // n], split.names[i % n], float(split.table.flat[i])) for i in order]
    yield from screen.bars([(f"{a} x {b}", x, f"{x:+.2f}") for a, b, x in pairs])
    yield wrapped(screen, f"all {n * n} pairs sum to it; what remains: {split.remainder:.1e}", "  ")


def identities_table(checks: list[Identity], screen: Screen, of: str = "") -> list[str]:
    """Each identity with what remained of it."""
    title = "How exact is all this? (what remains of each identity, and at most)"
    lines, room = [wrapped(screen, title)], screen.width - 25
    for one in checks:
        number = f"{one.remainder:.1e} {one.limit:.0e} {'ok' if one.holds else 'FAILS'}"
        first, *rest = textwrap.wrap(one.name, room)
        lines.append(f"  {first.ljust(room)} {number}")
        lines += [f"    {line}" for line in rest]
    return [*lines, wrapped(screen, of, "  ")] if of else lines
