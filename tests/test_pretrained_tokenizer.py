"""vocab.json and merges.txt in GPT-2's form, as a tiktoken Encoding."""

import json
import sys
from collections.abc import Callable
from hashlib import sha1
from pathlib import Path

import pytest

from numpygpt.config import GPTConfig
from numpygpt.files.whole import CheckpointError
from numpygpt.gpt import GPT
from numpygpt.pretrained.tokenizer import _characters, pretrained_encoding
from numpygpt.text.bpe import END_OF_TEXT
from numpygpt.text.gpt2_files import FILES, cache_folder
from numpygpt.text.tokenizer import gpt2_encoding

MERGES = [("t", "h"), ("th", "e"), ("\u0120", "the")]


def write(folder: Path, ids: dict[str, object] | None = None, merges: str | None = None) -> Path:
    """A vocabulary of the bytes in GPT-2's order and three merges."""
    tokens = [*_characters(), *map("".join, MERGES), END_OF_TEXT]
    ids = {token: i for i, token in enumerate(tokens)} if ids is None else ids
    lines = "#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in MERGES)
    (folder / "vocab.json").write_text(json.dumps(ids))
    (folder / "merges.txt").write_text(lines if merges is None else merges, "utf-8")
    return folder


def test_text_goes_through_the_merges_and_back(tmp_path: Path) -> None:
    encoding = pretrained_encoding(write(tmp_path), GPTConfig(vocab_size=260))
    assert encoding.n_vocab == 260
    assert encoding.eot_token == 259
    ids = encoding.encode_ordinary("the the")
    assert ids == [257, 258]
    text = "na\u00efve \U0001f600 \n\t"
    assert encoding.decode(encoding.encode_ordinary(text)) == text


def test_the_released_files_give_tiktokens_encoding(tmp_path: Path) -> None:
    paths = [cache_folder() / sha1(url.encode()).hexdigest() for url in FILES]
    if not all(path.is_file() for path in paths):
        pytest.skip("GPT-2's vocabulary is not in tiktoken's cache; set TIKTOKEN_CACHE_DIR")
    for name, path in zip(("merges.txt", "vocab.json"), paths, strict=True):
        (tmp_path / name).write_bytes(path.read_bytes())
    ours, theirs = pretrained_encoding(tmp_path, GPTConfig()), gpt2_encoding()
    assert ours._mergeable_ranks == theirs._mergeable_ranks
    assert ours._special_tokens == theirs._special_tokens
    text = "Every effort moves you's \u00e9\u4e16 \n\n  123!?\x00"
    assert ours.encode_ordinary(text) == theirs.encode_ordinary(text)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"a": 0}, "its last token is not <|endoftext|>"),
        ({"a": 1, END_OF_TEXT: 3}, "its ids are not 0, 1, 2, ..."),
        ({"a": [], "b": 2}, "its ids are not 0, 1, 2, ..."),
        ({"a": 0, END_OF_TEXT: 1}, "its first 256 tokens are not the 256 bytes"),
    ],
)
def test_other_vocabularies_are_refused(
    tmp_path: Path, change: dict[str, object], reason: str
) -> None:
    with pytest.raises(CheckpointError, match=r"vocab\.json: no vocabulary") as info:
        pretrained_encoding(write(tmp_path, change), GPTConfig(vocab_size=260))
    assert reason in str(info.value)


def test_merges_in_another_order_are_refused(tmp_path: Path) -> None:
    folder = write(tmp_path, merges="th e\nt h\n\u0120 the\n")
    with pytest.raises(CheckpointError, match=r"do not follow merges\.txt, merge by merge"):
        pretrained_encoding(folder, GPTConfig(vocab_size=260))


def test_a_vocabulary_of_another_size_than_the_models_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="expected the model's 50,257 tokens, got 260"):
        pretrained_encoding(write(tmp_path), GPTConfig())


def test_without_files_another_size_than_gpt2s_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no tokenizer: the model's vocabulary has 61"):
        pretrained_encoding(tmp_path, GPTConfig(vocab_size=61))


@pytest.mark.parametrize(
    ("package", "use"),
    [
        ("safetensors", lambda folder: GPT.from_pretrained(folder)),
        ("safetensors", lambda folder: GPT(GPTConfig(5, 4, 6, 2, 1)).save_pretrained(folder)),
        ("huggingface_hub", lambda folder: GPT.from_pretrained("owner/none")),
    ],
)
def test_without_the_extra_the_error_says_what_installs_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    package: str,
    use: Callable[[Path], object],
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    (tmp_path / "model.safetensors").write_bytes(bytes(8))
    with pytest.raises(ImportError, match=rf"package {package}, .*: pip install 'numpygpt\[hf\]'"):
        use(tmp_path)
