"""Byte-pair encoding, learned from a text: the vocabulary grows one merge at a time.

A tokenizer must write any text with a fixed list of tokens. Bytes alone can do that (256 tokens),
but a short sentence then takes a hundred steps of the model. Byte-pair encoding starts at the
bytes and repeats one step: find the two neighbouring tokens that occur most often, and make their
concatenation a new token. "t" "h" becomes "th", then "th" "e" becomes "the", and frequent words
end as a single id while a rare one is still spelled from pieces.

Done literally, every step counts the whole text again. Three observations make it fast:

- A merge never crosses a word, so each *different* word is held once, with the times it occurs.
- A merge changes only the words that contain it, so the counts of pairs are corrected there alone.
- The best pair comes off a heap. A count that fell since it was pushed is noticed when it comes to
  the top, and goes back with its true value; a count that rose is pushed once more.

Words are cut by `SPLIT_PATTERN`, GPT-2's pattern in the subset of regular expressions that Python's
`re` (which learns) and tiktoken (which encodes) both have: a word takes the one space before it,
and letters, digits, other signs and white space do not mix. Two differences are deliberate. No
piece is longer than 32 characters, because the cost of encoding one grows with the square of its
length. And every character is a `\\w` (letter, digit, `_`), a `\\s`, or neither, so whatever the
two engines think of a rare character, no text is ever dropped.

Reference: Sennrich, Haddow and Birch, "Neural machine translation of rare words with subword
units", 2016, algorithm 1; on bytes as in Radford et al., "Language models are unsupervised
multitask learners" (GPT-2), 2019, section 2.2.
"""

import heapq
import re
from collections import Counter, defaultdict

import tiktoken

END_OF_TEXT = "<|endoftext|>"
SPLIT_PATTERN = (
    r"'(?:[sdmt]|ll|ve|re)"  # the endings of I'm, you'll, they've ...
    r"| ?[^\W\d_]{1,31}| ?\d{1,31}| ?(?:_|[^\s\w]){1,31}"  # letters, digits, other signs
    r"|\s{1,31}(?!\S)|\s"  # white space, but its last character is left to the next word
)
LEARN_FROM_BYTES = 2_000_000


def train_bpe(text: str, vocab_size: int = 1280) -> tiktoken.Encoding:
    """Learn a byte-pair encoding from a text.

    Parameters
    ----------
    text : str
        What to learn from; only the first 2 MB are read. `<|endoftext|>` in it separates
        documents and is not learned from.
    vocab_size : int
        The number of tokens to end with, everything counted: 256 bytes, the merges, and
        `<|endoftext|>`, which is the last id. A small text may run out of pairs that occur twice
        and give fewer; `n_vocab` of the result is the true number.

    Returns
    -------
    tiktoken.Encoding
        The same text and size always give the same encoding.

    Raises
    ------
    ValueError
        If `vocab_size` is below 257, or the text has a lone surrogate.
    """
    if isinstance(vocab_size, bool) or not isinstance(vocab_size, int):
        raise TypeError(f"vocab_size must be a whole number, not {vocab_size!r}")
    if vocab_size < 257:
        raise ValueError(
            f"vocab_size must be at least 257 (256 bytes and {END_OF_TEXT}), not {vocab_size}"
        )
    tokens = [bytes([b]) for b in range(256)]
    tokens += _learn_merges(_count_words(text), vocab_size - 257)
    return encoding_of("numpygpt-bpe", tokens)


def encoding_of(
    name: str,
    tokens: list[bytes],
    pattern: str = SPLIT_PATTERN,
    special: dict[str, int] | None = None,
) -> tiktoken.Encoding:
    """An Encoding of these tokens, in the order of their ids.

    `special` tokens have ids of their own, which the others leave out; without, there is
    `<|endoftext|>` alone, after the last.
    """
    special = {END_OF_TEXT: len(tokens)} if special is None else special
    taken = set(special.values())
    ids = (i for i in range(len(tokens) + len(taken)) if i not in taken)
    return tiktoken.Encoding(
        name,
        pat_str=pattern,
        mergeable_ranks=dict(zip(tokens, ids, strict=True)),
        special_tokens=special,
    )


def utf8(text: str) -> bytes:
    """The text's bytes; half a surrogate pair, which has none, is a ValueError that says where."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"the text has a lone surrogate, {text[error.start]!r}, at character {error.start}, "
            "which UTF-8 cannot hold; read the file as UTF-8, or clean it with "
            'text.encode("utf-8", "replace").decode()'
        ) from None


def _count_words(text: str) -> dict[bytes, int]:
    """How often each different word occurs in the first 2 MB."""
    # Cut in bytes: the cut may fall inside a character, whose rest is ignored.
    head = utf8(text[:LEARN_FROM_BYTES])[:LEARN_FROM_BYTES].decode(errors="ignore")
    words: Counter[str] = Counter()
    for document in head.split(END_OF_TEXT):
        words.update(re.findall(SPLIT_PATTERN, document))
    return {word.encode(): n for word, n in words.items()}


def _learn_merges(word_counts: dict[bytes, int], n_merges: int) -> list[bytes]:
    """The first `n_merges` merges, or fewer if no pair occurs twice any more."""
    words = [[bytes([b]) for b in word] for word in word_counts]
    times = list(word_counts.values())
    # A pair is known by its concatenation: to tiktoken, "ab"+"c" and "a"+"bc" are the same merge.
    count: Counter[bytes] = Counter()
    found_in: defaultdict[bytes, set[int]] = defaultdict(set)
    for i, word in enumerate(words):
        for pair in map(bytes.__add__, word, word[1:]):
            count[pair] += times[i]
            found_in[pair].add(i)
    heap = [(-n, pair) for pair, n in count.items()]
    heapq.heapify(heap)

    merges: dict[bytes, None] = {}  # a dict, for its order and its quick lookup
    while heap and len(merges) < n_merges:
        n, pair = heapq.heappop(heap)  # among equal counts, the first in the order of bytes
        if count[pair] != -n:  # a stale entry
            if count[pair] > 0:
                heapq.heappush(heap, (-count[pair], pair))
            continue
        if n > -2:
            break
        merges[pair] = None  # a pair may come back, split differently: it keeps its first rank
        for changed in _merge_everywhere(pair, words, times, count, found_in):
            heapq.heappush(heap, (-count[changed], changed))
    return list(merges)


def _merge_everywhere(
    pair: bytes,
    words: list[list[bytes]],
    times: list[int],
    count: Counter[bytes],
    found_in: defaultdict[bytes, set[int]],
) -> set[bytes]:
    """Join the pair in every word that has it, correct the counts, and return the new pairs."""
    created = set()
    for i in found_in.pop(pair):
        old = words[i]
        new = words[i] = _merge_word(old, pair)
        for gone in map(bytes.__add__, old, old[1:]):
            count[gone] -= times[i]
        for come in map(bytes.__add__, new, new[1:]):
            count[come] += times[i]
            if pair in come:
                created.add(come)
            found_in[come].add(i)
    return created


def _merge_word(word: list[bytes], pair: bytes) -> list[bytes]:
    """The word with the pair joined, from the left."""
    merged: list[bytes] = []
    i = 0
    while i < len(word):
        if i + 1 < len(word) and word[i] + word[i + 1] == pair:
            merged.append(pair)
            i += 2
        else:
            merged.append(word[i])
            i += 1
    return merged
