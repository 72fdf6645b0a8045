"""Dropout's numbers for some of a batch's sequences: those that all together would have."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from numpygpt.training.distributed import part
from numpygpt.training.masks import RowsOfShares, skip


@settings(deadline=None, max_examples=60)
@given(
    counts=st.lists(st.integers(0, 9), min_size=1, max_size=5),
    before=st.integers(0, 3),
)
def test_skipped_numbers_are_those_that_would_have_been_drawn(
    counts: list[int], before: int
) -> None:
    a, b = np.random.default_rng(5), np.random.default_rng(5)
    for rng in (a, b):
        rng.random(before, dtype=np.float32)
    for count in counts:
        skip(a, count)
        b.random(count, dtype=np.float32)
        drawn = [rng.random(3, dtype=np.float32) for rng in (a, b)]
        np.testing.assert_array_equal(drawn[0], drawn[1])


@settings(deadline=None, max_examples=60)
@given(data=st.data(), B=st.integers(1, 9), odd=st.integers(1, 5))
def test_parts_have_the_numbers_of_the_whole(data: st.DataObject, B: int, odd: int) -> None:
    shares = data.draw(st.integers(1, B))
    processes = data.draw(st.integers(1, B))
    seeds = list(range(shares))
    streams = [np.random.default_rng(seed) for seed in seeds]
    parts = [RowsOfShares(seeds, B, part(B, r, processes)) for r in range(processes)]
    for more in ((odd, 3), (2, 1, odd)):  # one layer's shape, then another's
        sizes = [len(share) for share in np.array_split(np.arange(B), shares)]
        whole = np.concatenate(
            [
                rng.random((n, *more), dtype=np.float32)
                for rng, n in zip(streams, sizes, strict=True)
            ]
        )
        rows = [len(own) for own in np.array_split(np.arange(B), processes)]
        drawn = [p.random((n, *more), np.float32) for p, n in zip(parts, rows, strict=True)]
        np.testing.assert_array_equal(np.concatenate(drawn), whole)
