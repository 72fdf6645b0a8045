"""What `numpygpt look` prints: each panel of the page as text."""

import textwrap
from collections.abc import Iterator

import numpy as np

from numpygpt.inside.attention import KINDS
from numpygpt.inside.check import Identity
from numpygpt.inside.looking import Look
from numpygpt.inside.partners import Partners
from numpygpt.inside.terminal import Screen
from numpygpt.inside.words import token_text

ROWS = 10  # of a panel, at most: the page has all
ABOUT = {
    "previous": "the token before",
    "first": "the first token",
    "duplicate": "the same token earlier",
    "induction": "what followed the same",
}


def described(look: Look, width: int, plain: bool) -> str:
    """All panels, in so many columns (40 at least)."""
    screen = Screen(max(40, width), plain)
    panels = (opening, embeddings, heads, scores, lens, attribution, ablation, gradients, planning)
    blocks = ["\n".join(panel(look, screen)) for panel in (*panels, training)]
    blocks.append("\n".join(identities_table(look.checks, screen, look.checks_of)))
    blocks += [wrapped(screen, text) for text in look.left_out]
    return "\n\n".join(filter(None, blocks)) + "\n"


def wrapped(screen: Screen, text: str, indent: str = "") -> str:
    """A text in lines of the screen's width."""
    return textwrap.fill(text, screen.width, initial_indent=indent, subsequent_indent=indent)


def tokens(look: Look, screen: Screen) -> list[str]:
    """The prompt's."""
    return [screen.token(token_text(look.encoding, i)) for i in look.ids]


def percent(p: float) -> str:
    """A share."""
    return f"{100 * p:.1f}%" if p >= 0.0005 or not p else f"{p:.0e}"


def opening(look: Look, screen: Screen) -> Iterator[str]:
    """What is looked at, and what comes next."""
    from numpygpt.inside.as_json import model

    yield wrapped(screen, model(look)["about"])
    yield ""
    yield wrapped(screen, " ".join(tokens(look, screen)), "  ")
    yield ""
    yield "What comes next?"
    last = look.lens.anew
    words = [screen.token(token_text(look.encoding, i)) for i in last.top[-1, -1]]
    numbers = last.top_probability[-1, -1].tolist()
    yield from screen.bars([(w, p, percent(p)) for w, p in zip(words, numbers, strict=True)], 1)


def embeddings(look: Look, screen: Screen) -> Iterator[str]:
    """Neighbours of the word, in the table and in the text; kinds."""
    if not (near := look.near.get("word") or look.near.get(int(look.ids[-1]))):
        return
    name = screen.token(near.word)
    made = (
        "" if len(near.tokens) == 1 else f", the mean of {' '.join(map(screen.token, near.tokens))}"
    )
    yield wrapped(screen, f"Which words lie near {name}{made}? (cosine, the vocabulary's mean off)")
    rows = zip(map(screen.token, near.words), near.cosines.tolist(), strict=True)
    yield from screen.bars([(w, c, f"{c:.2f}") for w, c in rows], 1)
    yield wrapped(
        screen, f"two random tokens: {near.mean + 0.0:.2f}, give or take {near.deviation:.2f}", "  "
    )
    if look.part_ranks:
        ranks = ", ".join(f"{part} is neighbour {n}" for part, n in look.part_ranks.items())
        yield wrapped(screen, f"not near: its parts ({ranks})", "  ")
    if look.context:
        text = (
            f"In the text, in the place of token {look.at}, {screen.token(look.context[0].word)}:"
        )
        yield wrapped(screen, text)
        for i in sorted({0, len(look.context) - 1}):
            words = " ".join(map(screen.token, look.context[i].words[:4]))
            line = f"  {f'after block {i - 1}' if i else 'embedding':14} {words}"
            yield screen.fit(line, screen.width).rstrip()
    if look.kinds_of_words:
        yield wrapped(screen, "Of a word's five nearest, of its own kind (and by chance):")
        kinds = [(one.kind, one.share, one.chance) for one in look.kinds_of_words]
        yield from screen.bars([(k, s, f"{percent(s)} ({percent(c)})") for k, s, c in kinds], 1)
    if look.partners:
        yield from partners(look.partners, screen)


def partners(one: Partners, screen: Screen) -> Iterator[str]:
    """What ties a part to its animal."""
    yield wrapped(
        screen,
        "What ties a part (beak) to its animal (robin)? (how often nearness, or what a part of "
        "the model says, puts an animal that has it before one that has not; chance is 50%)",
    )
    asks, (block, head) = (
        int(one.asks.argmax()),
        np.unravel_index(one.heads.argmax(), one.heads.shape),
    )
    rows = [("nearness", one.near), (f"q.k of head 0.{asks}", float(one.asks[asks]))]
    rows.append((f"head {block}.{head}", float(one.heads[block, head])))
    rows += [(f"feedforward {l}", float(x)) for l, x in enumerate(one.feedforward)]
    yield from screen.bars(
        [(what, x, percent(x)) for what, x in [*rows, ("all together", one.logit)]], 1
    )


def heads(look: Look, screen: Screen) -> Iterator[str]:
    """The heads that are most of each kind, and the pattern of one."""
    yield wrapped(screen, "Where does each head look? (on random tokens, said twice)")
    rows = []
    for kind in KINDS:
        best = look.kinds.strongest(kind, 3)
        rows.append([ABOUT[kind], *(f"{l}.{h} {percent(score)}" for l, h, score in best)])
    yield from screen.table(rows)
    block, head = look.head
    yield wrapped(screen, f"Head {block}.{head} here: who asks, a line; who answers, from the left")
    yield from screen.heat(look.patterns[block, head], tokens(look, screen))


def scores(look: Look, screen: Screen) -> Iterator[str]:
    """The chosen head's score of the last token and the one that it looks at most, split."""
    block, head = look.head
    t = len(look.ids) - 1
    s = int(look.patterns[block, head, t].argmax())
    split = look.splits[block, head, t, s]
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


def lens(look: Look, screen: Screen) -> Iterator[str]:
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


def attribution(look: Look, screen: Screen) -> Iterator[str]:
    """The lead of the answer over its runner-up, part by part."""
    lead = look.leads[-1]
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


def ablation(look: Look, screen: Screen) -> Iterator[str]:
    """The parts without which the answer's logit loses most."""
    zero = look.ablations[0]
    word = screen.token(token_text(look.encoding, look.answer))
    yield wrapped(
        screen, f"What breaks without it? (what the logit of {word}, {zero.answer:.2f}, loses)"
    )
    found = []
    for (l, h), said in np.ndenumerate(zero.heads_attributed):
        found.append((f"head {l}.{h}", said, *(one.heads[l, h] for one in look.ablations)))
    for l, said in enumerate(zero.feedforward_attributed):
        found.append((f"feedforward {l}", said, *(one.feedforward[l] for one in look.ablations)))
    found.sort(key=lambda part: -abs(part[2]))
    rows = [["without", "it said", *("lost", "its mean")[: len(look.ablations)]]]
    rows += [[name, *(f"{x:+.2f}" for x in numbers)] for name, *numbers in found[:6]]
    yield from screen.table(rows)


def gradients(look: Look, screen: Screen) -> Iterator[str]:
    """The tokens that do most for the answer, and the gradient's length on its way down."""
    word = screen.token(token_text(look.encoding, look.answer))
    whole, g = look.integrated, look.by_input
    yield wrapped(screen, f"Which input matters to the logit of {word}? (integrated gradients)")
    order = np.sort(np.argsort(-np.abs(whole.tokens))[: ROWS - 2])
    names = tokens(look, screen)
    yield from screen.bars(
        [(names[t], float(whole.tokens[t]), f"{whole.tokens[t]:+.2f}") for t in order]
    )
    text = f"all tokens sum to the change but for {whole.gap:.1e}"
    text += f"; gradient x input, but for {g.gap:.2f}"
    yield wrapped(screen, text, "  ")
    way, of = (look.by_loss, "loss") if look.by_loss else (g, "answer")
    yield wrapped(screen, f"Does the gradient of the {of} arrive? (its length before each block)")
    lengths = np.linalg.norm(way.stream, axis=1)[::2].tolist()
    places = [f"block {i}" for i in range(len(lengths) - 1)] + ["the head"]
    some = np.unique(np.linspace(0, len(lengths) - 1, min(len(lengths), 7)).round().astype(int))
    yield from screen.bars([(places[i], lengths[i], f"{lengths[i]:.3g}") for i in some])


def planning(look: Look, screen: Screen) -> Iterator[str]:
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


def training(look: Look, screen: Screen) -> Iterator[str]:
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


def identities_table(checks: list[Identity], screen: Screen, of: str = "") -> list[str]:
    """Each identity with what remained of it."""
    lines = ["How exact is all this? (what remains of each identity, and at most)"]
    for one in checks:
        number = f"{one.remainder:.1e} {one.limit:.0e} {'ok' if one.holds else 'FAILS'}"
        first, *rest = textwrap.wrap(one.name, screen.width - 25)
        lines.append(f"  {first.ljust(screen.width - 25)} {number}")
        lines += [f"    {line}" for line in rest]
    return [
        *map(lambda line: wrapped(screen, line) if line is lines[0] else line, lines),
        *([wrapped(screen, of, "  ")] if of else []),
    ]
