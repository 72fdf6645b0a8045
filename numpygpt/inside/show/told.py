"""The panels of an answer as text, for `numpygpt look`: where it comes from, and since when."""

from collections.abc import Iterator

import numpy as np

from numpygpt.inside.show.findings import Findings
from numpygpt.inside.show.lines import ROWS, tokens, wrapped
from numpygpt.inside.show.terminal import Screen
from numpygpt.inside.words import token_text
from numpygpt.text.printable import percent


def lens(look: Findings, screen: Screen) -> Iterator[str]:
    """The last tokens, and what each block would say after them."""
    yield wrapped(screen, "Where is the next word decided? (the head reads each block's stream)")
    top, p = look.lens.anew.top[:, -ROWS:, 0], look.lens.anew.top_probability[:, -ROWS:, 0]
    each, label = (13, 10) if screen.width >= 60 else (10, 8)
    most = max(2, min(len(top), (screen.width - label - 2) // (each + 2)))
    blocks = np.unique(np.linspace(0, len(top) - 1, most).round().astype(int))
    rows = [["after", *(f"block {i - 1}" if i else "embedding" for i in blocks)]]
    for t, name in enumerate(tokens(look, screen)[-ROWS:]):
        said = [(token_text(look.encoding, top[i, t]), 100 * p[i, t]) for i in blocks]
        cells = [f"{screen.fit(screen.token(word), each - 4)}{n:3.0f}%" for word, n in said]
        rows.append([screen.fit(name, label), *cells])
    yield from screen.table(rows, left=len(rows[0]))


def attribution(look: Findings, screen: Screen) -> Iterator[str]:
    """The lead of the answer over its runner-up, part by part."""
    lead = look.answers.leads[-1]
    word, other = (
        screen.token(token_text(look.encoding, i or 0))
        for i in (lead.answer.word, lead.answer.other)
    )
    yield wrapped(screen, f"Who speaks for {word} rather than {other}? (difference of the logits)")
    parts = sorted(lead.parts(), key=lambda part: -abs(part[1]))
    rows = [
        *parts[: ROWS - 2],
        (f"{len(parts) - ROWS + 2} others", sum(x for _, x in parts[ROWS - 2 :])),
    ]
    yield from screen.bars([(name, x, f"{x:+.2f}") for name, x in rows])
    text = f"they sum to {lead.logit:.4f}, the forward pass's; what remains: {lead.remainder:.1e}"
    yield wrapped(screen, text, "  ")


def ablation(look: Findings, screen: Screen) -> Iterator[str]:
    """The parts without which the answer's logit loses most."""
    ways = look.answers.ablations
    zero = ways[0]
    word = screen.token(token_text(look.encoding, look.answer))
    yield wrapped(
        screen, f"What breaks without it? (what the logit of {word}, {zero.answer:.2f}, loses)"
    )
    found = []
    for (l, h), said in np.ndenumerate(zero.heads_attributed):
        found.append((f"head {l}.{h}", said, *(one.heads[l, h] for one in ways)))
    for l, said in enumerate(zero.feedforward_attributed):
        found.append((f"feedforward {l}", said, *(one.feedforward[l] for one in ways)))
    found.sort(key=lambda part: -abs(part[2]))
    rows = [["without", "it said", *("lost", "its mean")[: len(ways)]]]
    rows += [[name, *(f"{x:+.2f}" for x in numbers)] for name, *numbers in found[:6]]
    yield from screen.table(rows)


def gradients(look: Findings, screen: Screen) -> Iterator[str]:
    """The tokens that do most for the answer, and the gradient's length on its way down."""
    word = screen.token(token_text(look.encoding, look.answer))
    whole, g = look.answers.integrated, look.answers.by_input
    yield wrapped(screen, f"Which input matters to the logit of {word}? (integrated gradients)")
    order = np.sort(np.argsort(-np.abs(whole.tokens))[: ROWS - 2])
    names = tokens(look, screen)
    yield from screen.bars(
        [(names[t], float(whole.tokens[t]), f"{whole.tokens[t]:+.2f}") for t in order]
    )
    text = f"all tokens sum to the change but for {whole.gap:.1e}"
    text += f"; gradient x input, but for {g.gap:.2f}"
    yield wrapped(screen, text, "  ")
    way, of = (look.answers.by_loss, "loss") if look.answers.by_loss else (g, "answer")
    yield wrapped(screen, f"Does the gradient of the {of} arrive? (its length before each block)")
    lengths = np.linalg.norm(way.stream, axis=1)[::2].tolist()
    places = [f"block {i}" for i in range(len(lengths) - 1)] + ["the head"]
    some = np.unique(np.linspace(0, len(lengths) - 1, min(len(lengths), 7)).round().astype(int))
    yield from screen.bars([(places[i], lengths[i], f"{lengths[i]:.3g}") for i in some])


def planning(look: Findings, screen: Screen) -> Iterator[str]:
    """How far a later word can be read before it comes."""
    if not look.planning:
        return
    yield "Does it know before it says it?"
    yield wrapped(screen, "(a word's share among its kind, in hundredths, tokens before it)", "  ")
    most = max(3, (screen.width - 24) // 5)
    rows = [["tokens before", *(f"{n}" for n in look.planning[0].before[-most:])]]
    for one in look.planning:
        for what, x in (
            (one.subject, one.share),
            ("  other story's", one.shuffled),
            ("  untrained", one.untrained),
        ):
            rows.append([what, *(f"{100 * v:.0f}" for v in x[-1, -most:])])
    yield from screen.table(rows)


def training(look: Findings, screen: Screen) -> Iterator[str]:
    """The checkpoints that the run has kept."""
    if not look.checkpoints:
        return
    yield "How did it come to be?"
    near = screen.token(look.checkpoints[0]["near"]["word"])
    rows = [["step", "answer", f"nearest to {near}"]]
    for one in look.checkpoints:
        words = " ".join(map(screen.token, one["near"]["words"][:3]))
        rows.append([f"{one['step']}", percent(one["answer"]), words])
    yield from screen.table(rows, left=3)
