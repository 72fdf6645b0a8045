"""Generation: ask for the next token, append it, ask again.

Each new token needs the keys and values of all tokens before it, and those never change: they are
kept in a cache (2 L C numbers a token), so that a step costs one token's work and not the whole
text's. The results are the same as without the cache, but for rounding.

Past the context length there is no position left. The window then moves: its last half is read anew
as positions 0, 1, ..., and generation goes on from there. (Moving it by one token at a time would
change every position, and so cost a whole forward pass, at each step.)

How a token is chosen from the logits z (V,), after z / temperature:
    top_k   only the k highest stay (and what equals the last of them);
    top_p   only the most probable stay, as few as together have probability p ("nucleus");
    then one is drawn from softmax(z). Temperature 0 takes the highest.

Each sequence of a batch has random numbers of its own: what the first one becomes does not depend
on how many others there are.

Reference: Holtzman et al. 2020 (top-p); Fan et al. 2018 (top-k).
"""

import math
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from numpygpt.gpt import GPT, batch_of_ids
from numpygpt.layers.embedding import check_ids
from numpygpt.layers.parameter import Array

REAL = int | float | np.integer | np.floating  # a number that NumPy may have made


def probabilities(
    logits: Array, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
) -> Array:
    """What the next token is drawn from: logits (B, V) -> float64 probabilities (B, V).

    The temperature is above 0.
    """
    z = logits.astype(np.float64)
    z -= z.max(axis=1, keepdims=True)
    with np.errstate(over="ignore"):  # -inf is what a temperature near 0 has to give
        z /= temperature
    if top_k is not None and top_k < z.shape[1]:
        kth = np.partition(z, -top_k, axis=1)[:, -top_k, None]
        z[z < kth] = -np.inf
    p: Array = np.exp(z)
    p /= p.sum(axis=1, keepdims=True)
    if top_p is not None:
        order = np.argsort(-p, axis=1, kind="stable")
        ranked = np.take_along_axis(p, order, axis=1)
        ranked[np.cumsum(ranked, axis=1) - ranked >= top_p] = 0  # the mass above it was enough
        np.put_along_axis(p, order, ranked, axis=1)
        p /= p.sum(axis=1, keepdims=True)
    return p


def draw(p: Array, u: Array) -> Array:
    """One token id for each row of probabilities (B, V), from uniform numbers (B,): (B,)."""
    cumulative = np.cumsum(p, axis=1)
    ids: Array = (cumulative <= u[:, None] * cumulative[:, -1:]).sum(axis=1)
    return ids


def stream(
    model: GPT,
    ids: npt.ArrayLike,
    max_new_tokens: int = 50,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    eos_id: int | None = None,
    rng: int | np.random.Generator = 0,
    use_cache: bool = True,
    vocab_size: int | None = None,
    watch: Callable[[Array], object] | None = None,
) -> Iterator[Array]:
    """As `generate`, but yields each step's new ids (B,) as they come.

    `watch`, if given, is called before that with the probabilities (B, V) from which they were
    drawn; at temperature 0, where nothing is drawn, with the model's own.
    """
    _check(max_new_tokens, temperature, top_k, top_p, vocab_size)
    V = model.config.vocab_size
    if vocab_size is not None and vocab_size > V:
        raise ValueError(f"generate: expected vocab_size at most the model's {V}, got {vocab_size}")
    tokens = batch_of_ids("generate", ids)
    check_ids("generate", tokens, V)
    if eos_id is not None:
        check_ids("generate (eos_id)", np.asarray(eos_id), V)
    seeds = np.random.default_rng(rng).integers(2**63, size=len(tokens))
    rngs = [np.random.default_rng(seed) for seed in seeds]

    def choose(logits: Array) -> Array:
        logits = logits[:, :vocab_size]
        if not np.isfinite(logits.max(axis=1)).all():
            raise FloatingPointError(
                "generate: expected finite logits, got nan or infinity; "
                "are the model's weights finite?"
            )
        if temperature == 0:
            if watch is not None:
                watch(probabilities(logits))
            return np.asarray(logits.argmax(axis=1))
        u = np.array([own.random() for own in rngs])
        p = probabilities(logits, temperature, top_k, top_p)
        if watch is not None:
            watch(p)
        return draw(p, u)

    return _steps(model.view(), tokens.astype(np.int64), max_new_tokens, choose, eos_id, use_cache)


def _steps(
    model: GPT,
    tokens: Array,
    max_new_tokens: int,
    choose: Callable[[Array], Array],
    eos_id: int | None,
    use_cache: bool,
) -> Iterator[Array]:
    """Each step's new ids: `choose` takes them from the last position's logits (B, V)."""
    T = model.config.context_length
    done = np.zeros(len(tokens), bool)
    window = tokens[:, -T:]
    new = window  # what the cache has not seen
    caches = model.new_caches(len(tokens)) if use_cache else None
    for _ in range(max_new_tokens):
        with np.errstate(under="ignore"):  # a probability too small for a float is 0
            x = model.hidden(new, caches)
            ids = choose(model.head.forward(x[:, -1]))
        if eos_id is not None:
            ids = np.where(done, eos_id, ids)
            done |= ids == eos_id
        yield ids
        if done.all():
            return
        window = np.concatenate([window, ids[:, None]], axis=1)
        new = window[:, -1:] if use_cache else window
        if window.shape[1] > T:
            new = window = window[:, -max(1, T // 2) :]
            caches = model.new_caches(len(tokens)) if use_cache else None


def generate(
    model: GPT,
    ids: npt.ArrayLike,
    max_new_tokens: int = 50,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    eos_id: int | None = None,
    rng: int | np.random.Generator = 0,
    use_cache: bool = True,
    vocab_size: int | None = None,
) -> Array:
    """Continue every sequence of a batch.

    Parameters
    ----------
    model : GPT
        Of any mode; a view of it is used, in eval mode.
    ids : (B, T) integers
        The prompts, of one length, at least 1. Of more than the context length, the end is read.
    max_new_tokens : int
        How many to append.
    temperature : float
        Divides the logits: below 1, probable tokens become more probable still, above 1 less;
        0: always the most probable token.
    top_k, top_p : int, float, optional
        Choose among the k most probable tokens; among as few as have probability p together.
    eos_id : int, optional
        A sequence that drew it is finished and filled with it; when all are, generation ends.
    rng : int or numpy.random.Generator
        Starts each sequence's random numbers.
    use_cache : bool
        Keep keys and values. Without, the same tokens come, slower.
    vocab_size : int, optional
        Choose among the ids below it: where the tokenizer has fewer than the model.

    Returns
    -------
    (B, T + n) integers
        Prompts and what follows; n is `max_new_tokens`, or less where all ended before.
    """
    options = (temperature, top_k, top_p, eos_id, rng, use_cache, vocab_size)
    new = stream(model, ids, max_new_tokens, *options)
    tokens = np.asarray(ids, np.int64)
    return np.concatenate([tokens, *(step[:, None] for step in new)], axis=1)


def _check(
    max_new_tokens: int,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    vocab_size: int | None,
) -> None:
    if not isinstance(max_new_tokens, int | np.integer) or max_new_tokens < 0:
        raise ValueError(
            f"generate: expected max_new_tokens a whole number at least 0, got {max_new_tokens!r}"
        )
    for name, value in (("top_k", top_k), ("vocab_size", vocab_size)):
        if value is not None and (not isinstance(value, int | np.integer) or value < 1):
            raise ValueError(f"generate: expected {name} a whole number at least 1, got {value!r}")
    if not (isinstance(temperature, REAL) and 0 <= temperature < math.inf):
        raise ValueError(f"generate: expected a finite temperature at least 0, got {temperature!r}")
    if top_p is not None and not (isinstance(top_p, REAL) and 0 < top_p <= 1):
        raise ValueError(f"generate: expected 0 < top_p <= 1, got {top_p!r}")
