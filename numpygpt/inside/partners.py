"""Partners: what ties a part (beak) to its animal (robin), which are not among the nearest?

Cosine finds words that stand in the same places, and a part does not stand where its animal does:
many words are nearer to robin than beak is. In the built-in stories the two meet in one sentence:
"... found a little robin in the garden. It had a hurt", and what comes next is a part of a robin
that can be hurt. Each animal is put into that text, and every number that could know its parts is
measured by one score, the *order*: of two animals, one with the part and one without, how often
does the number say more for the first? 1 is perfect, 0.5 chance; the mean over parts. (A part that
is often hurt is likely after any animal; as only animals are compared, that does not count.)

    near            cos(animal, part), of their embeddings
    asks            q.k of each head of block 0, a part's query and an animal's key, without a text
    heads, feedforward, logit       what each part of the model says of the part (attribution.py),
                                    after "hurt", and all of them together

and beside them how much each head, there, looks at the animal.

What a default run shows: a head of block 0 looks from "hurt" at the animal, whatever animal it is,
and carries it there; the feed-forward of block 0 knows what it has. The query of a part does not
find the animals that have it (asks is at or below chance). And nearness, though too weak to make
beak a neighbour of robin, is in order: animals with a beak are a little nearer to it than others.
"""

from dataclasses import dataclass

import numpy as np
import tiktoken

from numpygpt.gpt import GPT
from numpygpt.inside.answer import Answer
from numpygpt.inside.attention import patterns
from numpygpt.inside.attribution import attribute
from numpygpt.inside.embeddings import unit
from numpygpt.inside.kinds import single_tokens
from numpygpt.inside.traces import trace
from numpygpt.layers.base import Array
from numpygpt.text.tales import words as tales
from numpygpt.text.tales.of_animals import HURTS
from numpygpt.text.tokenizer import encode_text


@dataclass(frozen=True)
class Partners:
    """How well each number orders animals by whether they have a part.

    Attributes
    ----------
    animals, parts : list of str
        Those that are one token.
    near : float
    asks : ndarray (H,)
    heads : ndarray (L, H)
    feedforward : ndarray (L,)
    logit : float
    looks : ndarray (L, H)
        Mean attention from "hurt" to the animal, 0 to 1.
    says : ndarray (L,)
        How much more each feed-forward says for a part if the animal has it, in nats.
    """

    animals: list[str]
    parts: list[str]
    near: float
    asks: Array
    heads: Array
    feedforward: Array
    logit: float
    looks: Array
    says: Array


def part_finders(model: GPT, encoding: tiktoken.Encoding) -> Partners:
    """Measure it; ValueError if the vocabulary has too few of the words as one token."""
    animals = single_tokens(encoding, list(tales.ANIMALS))
    parts = single_tokens(encoding, list(tales.PARTS))
    own = {(animal.name, part) for animal, part, _ in HURTS}
    has = np.array([[(a, p) in own for p in parts.values()] for a in animals.values()])
    if not (has.size and has.any(0).any()):
        raise ValueError(
            "of the built-in stories' animals and parts, too few are one token of this vocabulary: "
            f"{len(animals)} and {len(parts)}"
        )
    known = has.any(0)  # a part that is never hurt is no answer
    A, P, has = np.array(list(animals)), np.array(list(parts))[known], has[:, known]
    W = model.token_embedding.W.data
    vectors = unit(W - W[: encoding.n_vocab].mean(0))
    each = [_in_text(model, encoding, animals[a], int(a), P) for a in A]
    heads, feedforward, logit, looks = (np.stack(x, axis=-2) for x in zip(*each, strict=True))
    return Partners(
        list(animals.values()),
        [parts[p] for p in P],
        float(_order(vectors[A] @ vectors[P].T, has)),
        _order(_asks(model, A, P), has),
        _order(heads, has),
        _order(feedforward, has),
        float(_order(logit, has)),
        looks.mean(-2)[..., 0],
        (feedforward * (has / has.sum(0) - ~has / (~has).sum(0))).sum(-2).mean(-1),
    )


def _in_text(
    model: GPT, encoding: tiktoken.Encoding, animal: str, token: int, parts: Array
) -> tuple[Array, Array, Array, Array]:
    """After "hurt", of each of n parts: (L, H, n), (L, n), (n,); and attention (L, H, 1)."""
    home = tales.ANIMALS[animal].home[0]
    text = f"One day, Ada found a little {animal} {tales.PLACES[home][0]} the {home}. It had a hurt"
    seen = trace(model, [encoding.eot_token, *encode_text(encoding, text).tolist()])
    says = [attribute(seen, Answer(int(part))) for part in parts]
    at = seen.ids.tolist().index(token)
    return (
        np.stack([s.heads + s.value_bias for s in says], axis=-1),
        np.stack([s.feedforward for s in says], axis=-1),
        np.array([s.logit for s in says]),
        patterns(seen)[:, :, -1, at, None],
    )


def _asks(model: GPT, animals: Array, parts: Array) -> Array:
    """q.k in block 0, the parts' queries and the animals' keys: (H, animals, parts)."""
    block, W = model.view().blocks[0], model.token_embedding.W.data
    H = model.config.n_head
    q, k = (
        block.attention.qkv.forward(block.norm1.forward(W[ids])).reshape(len(ids), 3, H, -1)[:, i]
        for i, ids in enumerate((parts, animals))
    )
    scores: Array = np.einsum("phd,ahd->hap", q, k)
    return scores


def _order(scores: Array, has: Array) -> Array:
    """Of scores (..., animals, parts), the share of pairs of animals in the right order: (...)."""
    shares = []
    for p in range(has.shape[1]):
        own, others = scores[..., has[:, p], p], scores[..., ~has[:, p], p]
        ahead = own[..., :, None] - others[..., None, :]
        shares.append(((ahead > 0) + (ahead == 0) / 2).mean((-2, -1)))
    return np.asarray(np.mean(shares, axis=0))
