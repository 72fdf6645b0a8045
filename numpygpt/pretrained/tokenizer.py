"""The tokenizer of pretrained weights: GPT-2's vocab.json and merges.txt as a tiktoken Encoding.

vocab.json gives each token its id, merges.txt the order in which pairs are joined. In GPT-2's form
the two say the same: 256 bytes, the merges in their order, `<|endoftext|>` last. tiktoken relies on
that, so vocabularies of another form are refused. Both files write bytes as printable characters.
"""

from pathlib import Path

import tiktoken

from numpygpt.config import GPTConfig
from numpygpt.files.whole import CheckpointError
from numpygpt.pretrained.hub import VOCABULARY
from numpygpt.pretrained.load import read_object
from numpygpt.text.bpe import END_OF_TEXT, encoding_of
from numpygpt.text.tokenizer import GPT2_PATTERN, gpt2_encoding

GPT2_SIZE = 50257
MAX_TOKEN_BYTES = 1_000


def pretrained_encoding(path: Path, config: GPTConfig) -> tiktoken.Encoding:
    """What makes ids for a model: its folder's vocabulary, or GPT-2's if there is none.

    Raises
    ------
    CheckpointError
        If the files are not in GPT-2's form, or there are none and the model has not GPT-2's size.
    OSError
        If GPT-2's own vocabulary is wanted, not here and not to be had.
    """
    folder = path if path.is_dir() else path.parent
    vocabulary, merges = (folder / name for name in VOCABULARY)
    if vocabulary.is_file() and merges.is_file():
        encoding = _encoding_from(vocabulary, merges)
        if encoding.n_vocab != config.vocab_size:
            raise CheckpointError(
                f"{vocabulary}: expected the model's {config.vocab_size:,} tokens, got "
                f"{encoding.n_vocab:,}"
            )
        return encoding
    if config.vocab_size == GPT2_SIZE:
        return gpt2_encoding()
    raise CheckpointError(
        f"{folder}: no tokenizer: the model's vocabulary has {config.vocab_size:,} tokens, GPT-2's "
        f"{GPT2_SIZE:,}, and there are no {' and '.join(VOCABULARY)}"
    )


def _characters() -> dict[str, int]:
    """GPT-2's way to print bytes: those with a visible Latin-1 character as that, the rest from
    U+0100 on. (openai/gpt-2 `src/encoder.py`, bytes_to_unicode.)"""
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [b for b in range(256) if b not in visible]
    return {chr(b): b for b in visible} | {chr(256 + i): b for i, b in enumerate(hidden)}


def _encoding_from(vocabulary: Path, merges: Path) -> tiktoken.Encoding:
    """The Encoding of two files, after a check that ids follow the merges."""
    ids = read_object(vocabulary)
    characters = _characters()
    try:
        if set(map(type, ids.values())) != {int} or set(ids.values()) != set(range(len(ids))):
            raise ValueError("its ids are not 0, 1, 2, ...")
        tokens = sorted(ids, key=ids.__getitem__)
        if tokens.pop() != END_OF_TEXT:
            raise ValueError(f"its last token is not {END_OF_TEXT}")
        if set(tokens[:256]) != set(characters):
            raise ValueError("its first 256 tokens are not the 256 bytes")
        pairs = merges.read_text("utf-8").splitlines()
        if pairs and pairs[0].startswith("#version"):
            del pairs[0]
        if [pair.replace(" ", "") for pair in pairs] != tokens[256:]:
            raise ValueError(f"its tokens do not follow {merges.name}, merge by merge")
        coded = [bytes(characters[c] for c in token) for token in tokens]
        if max(map(len, coded)) > MAX_TOKEN_BYTES:
            raise ValueError(f"a token is longer than {MAX_TOKEN_BYTES:,} bytes")
    except (ValueError, KeyError, OSError) as error:
        raise CheckpointError(f"{vocabulary}: no vocabulary in GPT-2's form: {error}") from None
    return encoding_of("gpt2" if len(tokens) + 1 == GPT2_SIZE else "gpt2-like", coded, GPT2_PATTERN)
