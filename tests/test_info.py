"""What `numpygpt info` says: exact counts, the memory that is needed, the arithmetic."""

import re
import time
from pathlib import Path

import numpy as np
import pytest

from numpygpt.cli.info import (
    activation_floats,
    check_room,
    describe,
    forward_flops,
    num_parameters,
)
from numpygpt.config import GPTConfig
from numpygpt.gpt import GPT

STATM = Path("/proc/self/statm")
BOOK = {"qkv_bias": False, "tie_weights": False}


def resident_pages() -> int:
    return int(STATM.read_text().split()[1])


def number(table: str, row: str) -> float:
    """The number at the end of the table's row, or before its unit."""
    (found,) = re.findall(
        rf"^  {re.escape(row)}.*? ([\d,.]+)(?: MiB| Mflop)?$", table, re.MULTILINE
    )
    return float(found.replace(",", ""))


@pytest.mark.parametrize(
    ("preset", "options", "parameters", "mib"),
    [
        ("gpt2", BOOK, 163_009_536, 621.83),
        ("gpt2-medium", BOOK, 406_212_608, 1549.58),
        ("gpt2-large", BOOK, 838_220_800, 3197.56),
        ("gpt2-xl", BOOK, 1_637_792_000, 6247.68),
        ("gpt2", {}, 124_439_808, 474.70),
        ("gpt2-xl", {}, 1_557_611_200, 5941.82),
    ],
)
def test_counts_and_sizes(
    preset: str, options: dict[str, bool], parameters: int, mib: float
) -> None:
    config = GPTConfig.preset(preset, **options)
    table = describe(config, 1, 256)
    assert number(table, "in all") == parameters
    assert number(table, "weights") == mib
    parts = ["token embedding", "position embedding", "attention", "feed-forward", "layer norms"]
    total = sum(number(table, part) for part in parts)
    if not config.tie_weights:
        total += number(table, "head")
    assert total == parameters


def test_the_parts_of_the_books_model() -> None:
    table = describe(GPTConfig.preset("gpt2", **BOOK), 1, 256)
    assert "attention, 12 times 2,360,064 " in table
    assert "feed-forward, 12 times 4,722,432 " in table
    assert number(table, "keys and values") == 72.00
    assert number(table, "to generate") == pytest.approx(621.83 + 72, abs=0.011)
    tied = describe(GPTConfig.preset("gpt2"), 1, 256)
    assert re.search("^  head +the token embedding's$", tied, re.MULTILINE)


@pytest.mark.skipif(not STATM.exists(), reason="resident memory is read from Linux's /proc")
def test_the_largest_preset_takes_no_time_and_no_memory() -> None:
    before, start = resident_pages(), time.perf_counter()
    describe(GPTConfig.preset("gpt2-xl"), 1, 256)
    assert time.perf_counter() - start < 2
    assert resident_pages() - before < 10_000  # 40 MB, of 6.2 GB of weights


def test_a_model_that_nobody_could_build_is_described() -> None:
    few, many = (GPTConfig.preset("gpt2", n_layer=n) for n in (3, 10**12))
    block = (
        number(describe(few, 1, 256), "feed-forward") / 3
        + number(describe(few, 1, 256), "attention") / 3
    )
    blocks = sum(number(describe(many, 1, 256), part) for part in ("feed-forward", "attention"))
    assert blocks == 10**12 * block
    with pytest.raises(MemoryError, match=r"a model of 7,087,\d{3},.* parameters needs 108,"):
        check_room(many)
    check_room(few)
    assert num_parameters(few) == GPT(few, rng=None).num_parameters()


def arrays_in(value: object) -> list[np.ndarray]:
    if isinstance(value, np.ndarray):
        return [value]
    return [a for one in value for a in arrays_in(one)] if isinstance(value, tuple) else []


@pytest.mark.parametrize("B", [1, 3])
def test_activations_are_what_the_layers_save(B: int) -> None:
    config = GPTConfig(vocab_size=301, context_length=40, n_embd=24, n_head=4, n_layer=3)
    model = GPT(config)
    ids = np.zeros((B, 40), int)
    model.loss(ids, ids)
    saved = {}
    for layer in model.layers():
        for array in arrays_in(layer._saved or ()):
            while isinstance(array.base, np.ndarray):
                array = array.base
            saved[id(array)] = array.size if array.dtype == np.float32 else 0
    logits = min(512, B * 40) * 301  # alive during the loss
    dW = 301 * 24  # counted with the gradients, in whose memory it is computed
    assert sum(saved.values()) - dW + logits == activation_floats(config, B, 40)


def test_flops_are_those_of_the_matrix_products() -> None:
    """Counted one by one: 2 for each entry of a product's inner sum."""
    C, L, V, T = 12, 3, 50, 8
    config = GPTConfig(vocab_size=V, context_length=T, n_embd=C, n_head=2, n_layer=L)
    projections = 3 * C * C + C * C + 4 * C * C + 4 * C * C
    seen = T / 2  # tokens that a token attends to, on average: T (T + 1) / 2 of T^2, rounded
    attention = 2 * C * seen  # scores and weighted values
    assert forward_flops(config, T) == 2 * (L * (projections + attention) + V * C)
    table = describe(GPTConfig.preset("gpt2"), 1, 256)
    assert re.search("^  forward +251.8 Mflop$", table, re.MULTILINE)
    assert number(table, "forward and backward") == 755.3


def test_training_memory_grows_with_the_batch() -> None:
    config = GPTConfig.preset("gpt2")
    one, four = (number(describe(config, B, 1024), "to train") for B in (1, 4))
    assert 4 * 474.7 < one < four < 4 * one


@pytest.mark.parametrize(("B", "T"), [(0, 8), (-1, 8), (1, 0), (1, 17), (1, -4)])
def test_bad_batches(B: int, T: int) -> None:
    config = GPTConfig(vocab_size=50, context_length=16, n_embd=12, n_head=2, n_layer=1)
    with pytest.raises(ValueError, match=rf"tokens from 1 to 16, .* got {B} and {T}$"):
        describe(config, B, T)
