"""A Look as JSON has it: lists, numbers and texts, rounded to what can be seen.

Probabilities keep four decimals, what is summed on the page nine significant digits, all else five.
A token is its id; `texts` has each id's text. A NaN is null. Patterns have, for each token, only
the tokens that it sees.
"""

import math
from typing import Any

import numpy as np

from numpygpt import __version__
from numpygpt.inside.attribution import Attribution
from numpygpt.inside.embeddings import Neighbours
from numpygpt.inside.lens import Reading
from numpygpt.inside.show.findings import Findings
from numpygpt.inside.show.panels import panel_of
from numpygpt.inside.words import token_text
from numpygpt.layers.base import Array

SUMMED = 9  # significant digits
MOST_PATTERNS = 420_000  # numbers: of about seven characters each


def significant(x: Any, digits: int = 5) -> Any:
    """Numbers, or arrays or lists of them, to so many significant digits."""
    if isinstance(x, np.ndarray | list):
        return [significant(one, digits) for one in x]
    if isinstance(x, int | np.integer):
        return int(x)
    return float(f"{x:.{digits}g}") if math.isfinite(x) else None


def rounded(one: Any) -> dict[str, Any]:
    """An object's attributes by their names, with its numbers to five digits."""
    return {
        name: significant(x) if isinstance(x, float | np.ndarray) else x
        for name, x in vars(one).items()
    }


def shares(x: Array) -> Any:
    """Probabilities to four decimals; what is no number is 0 (and its identities fail)."""
    return np.round(np.nan_to_num(x.astype(np.float64)), 4).tolist()


def as_dict(look: Findings) -> dict[str, Any]:
    """All of it."""
    attributions = zip(look.answers.logits, look.answers.leads, strict=True)
    patterns, too_many = seen_patterns(look)
    ids = {int(i) for i in look.ids} | {int(i) for i in look.lens.words}
    ids |= {int(i) for r in (look.lens.anew, look.lens.frozen) for i in np.unique(r.top)}
    ids |= {int(a.answer.other) for a in look.answers.leads if a.answer.other is not None}
    return {
        "format": 1,
        "numpygpt": __version__,
        "model": model(look),
        "prompt": look.prompt,
        "ids": look.ids.tolist(),
        "texts": {str(i): token_text(look.encoding, i) for i in sorted(ids)},
        "first": {"block": look.heads.first[0], "head": look.heads.first[1]},
        "embeddings": embeddings(look),
        "attention": attention(look, patterns),
        "lens": {
            "words": look.lens.words.tolist(),
            "anew": reading(look.lens.anew),
            "frozen": reading(look.lens.frozen),
        },
        "attribution": [{"logit": attribution(a), "lead": attribution(b)} for a, b in attributions],
        "ablation": [
            {"how": one.how, "word": look.answer} | rounded(one) for one in look.answers.ablations
        ],
        "gradients": gradients(look),
        "planning": [rounded(one) for one in look.planning],
        "training": look.checkpoints or None,
        "identities": [
            rounded(one) | {"holds": one.holds, "panel": panel_of(one.name)} for one in look.checks
        ],
        "identities_of": look.checks_of,
        "left_out": look.left_out + too_many,
    }


def attention(look: Findings, patterns: list[Any]) -> dict[str, Any]:
    """Patterns, kinds, splits."""
    heads = look.heads
    splits = [
        {
            **dict(zip(("block", "head", "t", "s"), pair, strict=True)),
            "names": split.names,
            "table": significant(split.table, SUMMED),
            "score": significant(split.score, SUMMED),
            "remainder": significant(split.remainder),
        }
        for pair, split in heads.splits.items()
    ]
    more = {"kinds": rounded(heads.kinds), "splits": splits, "splits_of": heads.splits_of}
    return {"patterns": patterns, **more}


def model(look: Findings) -> dict[str, Any]:
    """What it is."""
    c, n = look.model.config, look.model.num_parameters()
    dtype = str(look.model.flat.data.dtype)
    about = (
        f"{look.name}: {n:,} parameters; {c.n_layer} blocks of {c.n_head} heads, width {c.n_embd}, "
        f"context {c.context_length:,}, {c.vocab_size:,} tokens in the vocabulary; looked at in "
        f"{dtype}"
    )
    shape = {"blocks": c.n_layer, "heads": c.n_head, "width": c.n_embd}
    more = {"vocabulary": c.vocab_size, "context": c.context_length, "parameters": n}
    return {"name": look.name, "about": about, **shape, **more, "dtype": dtype}


def seen_rows(P: Array) -> list[list[float]]:
    """Of a pattern (T, T), what each token sees."""
    return [shares(row[: t + 1]) for t, row in enumerate(P)]


def seen_patterns(look: Findings) -> tuple[list[Any], list[str]]:
    """What each head's tokens see, by block and head; null for heads that there is no room for."""
    P = look.heads.patterns
    L, H, T, _ = P.shape
    fit = max(1, MOST_PATTERNS // (T * (T + 1) // 2))
    strength = np.nan_to_num(np.stack(list(vars(look.heads.kinds).values()))).max(0)
    strength[look.heads.first] = np.inf
    order = np.argsort(-strength, axis=None, kind="stable")
    kept = {(int(l), int(h)) for l, h in zip(*np.unravel_index(order[:fit], (L, H)), strict=True)}
    rows = [[seen_rows(P[l, h]) if (l, h) in kept else None for h in range(H)] for l in range(L)]
    if fit >= L * H:
        return rows, []
    return rows, [f"Patterns are here of the {fit} heads of {L * H} with the clearest kinds."]


def near_as_json(one: Neighbours) -> dict[str, Any]:
    """Without the ids: a neighbour is a text here."""
    numbers = {"cosines": significant(one.cosines), "mean": significant(one.mean)}
    return {"word": one.word, "tokens": one.tokens, "words": one.words, **numbers}


def embeddings(look: Findings) -> dict[str, Any]:
    """Neighbours, map, kinds."""
    of = {str(key): near_as_json(one) for key, one in look.words.near.items()}
    place = look.words.map
    kind_of = {word: one.kind for one in look.words.kinds for word in one.words}
    return {
        "word": "word" if "word" in look.words.near else None,
        "of": of,
        "map": place
        and {
            "words": place.words,
            "places": significant(place.places),
            "share": significant(place.share),
            "kinds": [kind_of.get(word.strip(), "") for word in place.words],
        },
        "context": [near_as_json(one) for one in look.words.context],
        "at": look.words.at,
        "kinds": [rounded(one) for one in look.words.kinds],
        "part_ranks": look.words.part_ranks,
        "partners": rounded(look.words.partners) if look.words.partners else None,
    }


def reading(one: Reading) -> dict[str, Any]:
    """One lens."""
    return {
        "top": one.top.tolist(),
        "top_probability": shares(one.top_probability),
        "probability": significant(one.probability),
        "rank": one.rank.tolist(),
    }


def attribution(a: Attribution) -> dict[str, Any]:
    """One position's, with the value biases of a block's heads in one bar."""
    names = ("token", "place", "heads", "feedforward", "output_bias", "feedforward_bias")
    return {
        "word": int(a.answer.word),
        "other": a.answer.other,
        **{name: significant(getattr(a, name), SUMMED) for name in (*names, "norm_bias", "logit")},
        "value_bias": significant(a.value_bias.sum(1), SUMMED),
        "remainder": significant(a.remainder),
    }


def gradients(look: Findings) -> dict[str, Any]:
    """Of the answer by what goes in, and of the loss on its way down."""
    g, whole = look.answers.by_input, look.answers.integrated
    loss = look.answers.by_loss
    ways = {"of the answer's logit": g} | ({"of the loss": loss} if loss else {})
    return {
        "word": look.answer,
        "norms": significant(g.norms),
        "times_input": significant(g.times_input),
        "gap": significant(g.gap),
        "integrated": significant(whole.tokens),
        "integrated_gap": significant(whole.gap),
        "evaluations": whole.evaluations,
        "ways": [
            {"of": of, "stream": significant(way.stream), "branch": significant(way.branch)}
            for of, way in ways.items()
        ],
    }
