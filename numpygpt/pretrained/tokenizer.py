"""The tokenizer of pretrained weights, in and out: transformers' files and a tiktoken Encoding.

    tokenizer.json              all in one file, which transformers 5 writes alone; or
    vocab.json, merges.txt      ids and merges, with added_tokens.json where tokens were added

What is not in GPT-2's form (text/gpt2_form.py) is refused, for tiktoken would make other ids.
"""

import json
from pathlib import Path
from typing import Any

import tiktoken

from numpygpt.files.checkpoint import open_checkpoint
from numpygpt.files.whole import CheckpointError, refuse_pointer
from numpygpt.pretrained.hub import TOKENIZER, VOCABULARY, find, is_run
from numpygpt.pretrained.layout import quote
from numpygpt.pretrained.load import read_config, read_object
from numpygpt.text.bpe import END_OF_TEXT, SPLIT_PATTERN
from numpygpt.text.encoding_json import MAX_FILE_BYTES, encoding_to_json
from numpygpt.text.gpt2_form import GPT2_PATTERN, encoding_from, merges_of, printed, read_merges
from numpygpt.text.tokenizer import gpt2_encoding

GPT2_SIZES = (50257, 50304)  # as released, and padded to a multiple of 64
VOCAB, MERGES, ADDED, SETTINGS = VOCABULARY
OTHERS = ("vocab.txt", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model")
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
CUT = {  # what cuts text into words: a pattern, in the words of tokenizer.json
    GPT2_PATTERN: BYTE_LEVEL | {"use_regex": True},
    SPLIT_PATTERN: {
        "type": "Sequence",
        "pretokenizers": [
            {
                "type": "Split",
                "pattern": {"Regex": SPLIT_PATTERN},
                "behavior": "Isolated",
                "invert": False,
            },
            BYTE_LEVEL | {"use_regex": False},
        ],
    },
}
# Settings of tokenizer.json's model that must be off.
OFF = ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback")


def load_tokenizer(source: str | Path) -> tiktoken.Encoding:
    """What makes ids for the model that `GPT.from_pretrained` loads from the same source.

    A run's own tokenizer; that of a folder or of the hub; GPT-2's where the folder has none and the
    model's vocabulary has GPT-2's size. It may have fewer tokens than the model, whose vocabulary
    is padded then: `n_vocab` says how many.

    Raises
    ------
    CheckpointError
        If the tokenizer is not in GPT-2's form, or there is none and the model has not GPT-2's
        size.
    OSError
        If the hub, or GPT-2's own vocabulary, is wanted and not to be had.
    """
    path = find(source, tokenizer=True)
    if is_run(path):
        with open_checkpoint(path) as saved:
            return saved.encoding()
    folder = path if path.is_dir() else path.parent
    size = read_config(folder).vocab_size
    encoding = _folders_own(folder)
    if encoding is None and size in GPT2_SIZES:
        return gpt2_encoding()
    if encoding is None:
        raise CheckpointError(
            f"{folder}: no tokenizer: the model's vocabulary has {size:,} tokens, GPT-2's "
            f"{GPT2_SIZES[0]:,}, and there is no {TOKENIZER} and no {VOCAB} with {MERGES}"
        )
    if encoding.n_vocab > size:
        raise CheckpointError(
            f"{folder}: expected a tokenizer of at most the model's {size:,} tokens, got "
            f"{encoding.n_vocab:,}"
        )
    return encoding


def _folders_own(folder: Path) -> tiktoken.Encoding | None:
    """The tokenizer that lies in a folder; None if there is none of any kind."""
    if (folder / TOKENIZER).exists():
        return _from_tokenizer_json(folder / TOKENIZER)
    if (folder / VOCAB).exists() and (folder / MERGES).exists():
        return _from_vocabulary(folder)
    if found := [n for n in (VOCAB, MERGES, ADDED, *OTHERS) if (folder / n).exists()]:
        raise CheckpointError(
            f"{folder}: its tokenizer, {', '.join(found)}, is none that is read: expected "
            f"{TOKENIZER}, or {VOCAB} and {MERGES}"
        )
    return None


def _from_vocabulary(folder: Path) -> tiktoken.Encoding:
    ids = read_object(folder / VOCAB, MAX_FILE_BYTES)
    optional = [folder / ADDED, folder / SETTINGS]
    added, settings = (read_object(path) if path.exists() else {} for path in optional)
    try:
        if settings.get("add_prefix_space"):
            raise ValueError(
                f"{SETTINGS} sets add_prefix_space: each text would get a space before"
            )
        with open(folder / MERGES, encoding="utf-8-sig") as file:
            merges = file.read(MAX_FILE_BYTES)
        refuse_pointer(folder / MERGES, merges[:100].encode())
        return encoding_from("gpt2-like", ids | added, read_merges(merges), {END_OF_TEXT, *added})
    except CheckpointError:
        raise
    except (ValueError, TypeError, OSError) as error:
        raise CheckpointError(f"{folder / VOCAB}: no vocabulary in GPT-2's form: {error}") from None


def _from_tokenizer_json(path: Path) -> tiktoken.Encoding:
    whole = read_object(path, MAX_FILE_BYTES)
    try:
        model, added = whole["model"], whole.get("added_tokens") or []
        if model["type"] != "BPE":
            raise ValueError(f"expected a model of type BPE, got {quote(model['type'])}")
        for name in OFF:
            if model.get(name):
                raise ValueError(f"expected no {name}, got {quote(model[name])}")
        if whole.get("normalizer"):
            raise ValueError(f"expected no normalizer, got {quote(whole['normalizer'])}")
        if (whole.get("post_processor") or {}).get("special_tokens"):
            raise ValueError("expected no post_processor that adds tokens")
        for token in added:
            if strips := [s for s in ("lstrip", "rstrip", "single_word") if token.get(s)]:
                raise ValueError(f"the added token {quote(token['content'])} has {strips[0]}")
        special = {token["content"]: token["id"] for token in added}
        if any(model["vocab"].get(token, i) != i for token, i in special.items()):
            raise ValueError("an added token has another id in the vocabulary")
        merges = [m.split(" ") if isinstance(m, str) else m for m in model["merges"]]
        pattern = _pattern(whole.get("pre_tokenizer"))
        return encoding_from("gpt2-like", model["vocab"] | special, merges, special, pattern)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        what = f"it has no {error}" if isinstance(error, KeyError) else error
        raise CheckpointError(f"{path}: no tokenizer in GPT-2's form: {what}") from None


def _pattern(cut: Any) -> str:
    """The pattern by which text is cut into words."""
    if isinstance(cut, dict) and cut.get("type") == "ByteLevel":
        cut = {"use_regex": True} | cut | {"trim_offsets": True}  # which matters to no id
    for pattern, known in CUT.items():
        if cut == known:
            return pattern
    raise ValueError(
        "expected the pre_tokenizer ByteLevel without add_prefix_space, or numpygpt's own, got "
        f"{quote(cut)}"
    )


def tokenizer_files(encoding: tiktoken.Encoding) -> dict[str, bytes]:
    """The files in which transformers (and `load_tokenizer`) find this tokenizer."""
    encoding_to_json(
        encoding, "the encoding"
    )  # one of ours, or a CheckpointError that says why not
    ranks, special = encoding._mergeable_ranks, encoding._special_tokens
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": i, "content": token, **flags, "special": True} for token, i in special.items()
        ],
        "normalizer": None,
        "pre_tokenizer": CUT[encoding._pat_str],
        "post_processor": None,
        "decoder": BYTE_LEVEL | {"use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {printed(token): i for token, i in ranks.items()} | special,
            "merges": merges_of(encoding),
        },
    }
    settings = dict.fromkeys(("bos_token", "eos_token", "unk_token"), END_OF_TEXT)
    # The general class, which takes all from tokenizer.json: GPT-2's own knows but one pattern.
    settings["tokenizer_class"] = "PreTrainedTokenizerFast"
    return {
        name: (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()
        for name, content in ((TOKENIZER, tokenizer), (SETTINGS, settings))
    }
