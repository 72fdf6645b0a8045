"""Tokenizers beside weights, in GPT-2's form: read, written, and otherwise refused by name."""

import json
import re
import sys
from collections.abc import Callable
from hashlib import sha1
from pathlib import Path
from typing import Any

import pytest
import tiktoken

from numpygpt.config import GPTConfig
from numpygpt.files.whole import CheckpointError
from numpygpt.gpt import GPT
from numpygpt.pretrained import load_tokenizer
from numpygpt.pretrained.tokenizer import tokenizer_files
from numpygpt.text.bpe import END_OF_TEXT, train_bpe
from numpygpt.text.gpt2_files import FILES, cache_folder
from numpygpt.text.gpt2_form import BYTES, encoding_from, merges_of
from numpygpt.text.tokenizer import byte_encoding, encode_text, gpt2_encoding
from numpygpt.training.saved import load_with_tokenizer, save_run

MERGES = [("t", "h"), ("th", "e"), ("\u0120", "the")]
TOKENS = [*BYTES, *map("".join, MERGES), END_OF_TEXT]
TEXT = (
    "A cat's 123 na\u00efve \U0001f600 \n\n\t  the the  <|pad|>x<|endoftext|>TH \u4e16\u3000 end  "
)
CORPUS = "the cat sat on the mat, the end.\n\n  \u65e5\u672c\u8a9e 123 123 it's <b>\n" * 40


def configure(folder: Path, size: int) -> Path:
    """The settings of a model with so many tokens."""
    shape = {"n_embd": 4, "n_head": 2, "n_layer": 1, "n_positions": 8}
    (folder / "config.json").write_text(
        json.dumps({"model_type": "gpt2", "vocab_size": size, **shape})
    )
    return folder


def write(folder: Path, ids: Any = None, merges: str | None = None, size: int = 260) -> Path:
    """A vocabulary of the bytes in GPT-2's order and three merges."""
    ids = {token: i for i, token in enumerate(TOKENS)} if ids is None else ids
    lines = "#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in MERGES)
    (folder / "vocab.json").write_text(json.dumps(ids))
    (folder / "merges.txt").write_text(lines if merges is None else merges, "utf-8")
    return configure(folder, size)


def write_json(folder: Path, encoding: tiktoken.Encoding, edit: Any = lambda _: None) -> Path:
    """A tokenizer.json, changed, and nothing else of a tokenizer."""
    document = json.loads(tokenizer_files(encoding)["tokenizer.json"])
    edit(document)
    (folder / "tokenizer.json").write_text(json.dumps(document), "utf-8")
    return configure(folder, encoding.n_vocab)


def assert_same(a: tiktoken.Encoding, b: tiktoken.Encoding) -> None:
    assert a._mergeable_ranks == b._mergeable_ranks
    assert (a._special_tokens, a._pat_str) == (b._special_tokens, b._pat_str)
    assert encode_text(a, TEXT).tolist() == encode_text(b, TEXT).tolist()
    assert a.decode(encode_text(a, TEXT).tolist()) == TEXT


def have_gpt2() -> None:
    folder = cache_folder()
    paths = [folder / sha1(url.encode()).hexdigest() for url in FILES] if folder else []
    if not paths or not all(path.is_file() for path in paths):
        pytest.skip("GPT-2's vocabulary is not in tiktoken's cache; set TIKTOKEN_CACHE_DIR")


# -- vocab.json and merges.txt ---------------------------------------------------------------------


def test_text_goes_through_the_merges_and_back(tmp_path: Path) -> None:
    encoding = load_tokenizer(write(tmp_path))
    assert encoding.n_vocab == 260
    assert encoding.eot_token == 259
    ids = encoding.encode_ordinary("the the")
    assert ids == [257, 258]
    assert encoding.decode(encode_text(encoding, TEXT).tolist()) == TEXT


def test_the_released_files_give_tiktokens_encoding(tmp_path: Path) -> None:
    have_gpt2()
    for name, url in zip(("merges.txt", "vocab.json"), FILES, strict=True):
        folder = cache_folder()
        assert folder is not None
        (tmp_path / name).write_bytes((folder / sha1(url.encode()).hexdigest()).read_bytes())
    ours = load_tokenizer(configure(tmp_path, 50257))
    assert_same(ours, gpt2_encoding())
    merges = [f"{a} {b}" for a, b in merges_of(ours)]
    assert merges == (tmp_path / "merges.txt").read_text("utf-8").splitlines()[1:]


def test_end_of_text_may_come_first(tmp_path: Path) -> None:
    """As the trainers of Hugging Face put it where it is the only special token."""
    ids = {token: i for i, token in enumerate([END_OF_TEXT, *TOKENS[:-1]])}
    encoding = load_tokenizer(write(tmp_path, ids))
    assert (encoding.eot_token, encoding.n_vocab) == (0, 260)
    assert encode_text(encoding, f"the{END_OF_TEXT} the").tolist() == [258, 0, 259]
    assert encoding.decode(encode_text(encoding, TEXT).tolist()) == TEXT


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte order mark"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["LF", "CR LF"])
def test_files_as_an_editor_saves_them(mark: bytes, end: bytes, tmp_path: Path) -> None:
    expected = load_tokenizer(write(tmp_path))
    for name in ("config.json", "vocab.json", "merges.txt"):
        path = tmp_path / name
        path.write_bytes(mark + path.read_bytes().replace(b"\n", end))
    assert_same(load_tokenizer(tmp_path), expected)


def test_tokens_that_were_added_are_themselves(tmp_path: Path) -> None:
    added = {"<|pad|>": 260, "<|pad|>2": 261}
    (tmp_path / "added_tokens.json").write_text(json.dumps(added))
    encoding = load_tokenizer(write(tmp_path, size=262))
    assert encoding.n_vocab == 262
    assert encode_text(encoding, "the<|pad|>2<|pad|>").tolist() == [257, 261, 260]
    save_run(tmp_path, GPT(GPTConfig(262, 4, 6, 2, 1), 0), encoding, {})
    assert_same(load_tokenizer(tmp_path), encoding)  # a run, now


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"a": 0}, "have <|endoftext|> among them"),
        ({"a": 1, END_OF_TEXT: 3}, "its ids are not 0, 1, 2, ..."),
        ({"a": [], "b": 2}, "its ids are not 0, 1, 2, ..."),
        ({"a": 0, END_OF_TEXT: 1}, "255 of the 256 bytes are no tokens"),
        ({t: i for i, t in enumerate([*TOKENS, "<pad>"])}, "do not follow the merges"),
        ({t: i for i, t in enumerate([*TOKENS[1:], "\u4e16"])}, "1 of the 256 bytes"),
        ({t: i for i, t in enumerate([*TOKENS[:256], END_OF_TEXT])}, "do not follow the merges"),
    ],
)
def test_other_vocabularies_are_refused(tmp_path: Path, change: Any, reason: str) -> None:
    with pytest.raises(CheckpointError, match=r"vocab\.json: no vocabulary") as info:
        load_tokenizer(write(tmp_path, change))
    assert reason in str(info.value)


@pytest.mark.parametrize(
    "merges",
    ["th e\nt h\n\u0120 the\n", "t h\nth e\n", "", "t h\nth e\n\u0120t he\n\u0120 the\n", "t h e"],
    ids=["order", "cut", "empty", "one more", "three"],
)
def test_other_merges_are_refused(tmp_path: Path, merges: str) -> None:
    with pytest.raises(CheckpointError, match="its tokens do not follow the merges, one by one"):
        load_tokenizer(write(tmp_path, merges=merges))


def test_a_token_that_no_bytes_make_is_refused(tmp_path: Path) -> None:
    ids = {t: i for i, t in enumerate([*TOKENS[:-2], "t\u4e16", END_OF_TEXT])}
    folder = write(tmp_path, ids, "t h\nth e\nt \u4e16\n")
    with pytest.raises(CheckpointError, match="its token 't\u4e16' is not made of bytes"):
        load_tokenizer(folder)


def test_a_space_before_each_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tokenizer_config.json").write_text('{"add_prefix_space": true}')
    with pytest.raises(CheckpointError, match=r"tokenizer_config\.json sets add_prefix_space"):
        load_tokenizer(write(tmp_path))


# -- the size of the model, and no files -----------------------------------------------------------


def test_a_vocabulary_larger_than_the_models_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="at most the model's 259 tokens, got 260"):
        load_tokenizer(write(tmp_path, size=259))


def test_a_model_may_be_padded(tmp_path: Path) -> None:
    assert load_tokenizer(write(tmp_path, size=320)).n_vocab == 260


@pytest.mark.parametrize("size", [50257, 50304])
def test_without_files_gpt2s_size_means_gpt2s_vocabulary(tmp_path: Path, size: int) -> None:
    have_gpt2()
    assert_same(load_tokenizer(configure(tmp_path, size)), gpt2_encoding())


def test_without_files_another_size_than_gpt2s_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no tokenizer: the model's vocabulary has 61"):
        load_tokenizer(configure(tmp_path, 61))


@pytest.mark.parametrize("name", ["vocab.json", "merges.txt", "tokenizer.model", "vocab.txt"])
def test_gpt2s_own_never_takes_the_place_of_another(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("{}")
    with pytest.raises(CheckpointError, match=rf"its tokenizer, {name}, is none that is read"):
        load_tokenizer(configure(tmp_path, 50257))


def test_no_model_at_all(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"expected config\.json and .* checkpoint\.npz"):
        load_tokenizer(tmp_path)


# -- tokenizer.json --------------------------------------------------------------------------------


def test_tokenizer_json_goes_first(tmp_path: Path) -> None:
    write(tmp_path, {"broken": 0})
    assert_same(load_tokenizer(write_json(tmp_path, byte_encoding())), byte_encoding())


def test_merges_as_older_files_write_them(tmp_path: Path) -> None:
    learned = train_bpe(CORPUS, 300)

    def edit(document: Any) -> None:
        model = document["model"]
        model["merges"] = [f"{a} {b}" for a, b in model["merges"]]
        del document["added_tokens"][0]["special"], document["post_processor"]

    assert_same(load_tokenizer(write_json(tmp_path, learned, edit)), learned)


def split_by(pattern: str) -> Callable[[Any], Any]:
    cut = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    return lambda document: document.update(pre_tokenizer=cut)


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda d: d.pop("model"), "it has no 'model'"),
        (lambda d: d["model"].update(type="WordPiece"), "model of type BPE, got 'WordPiece'"),
        (lambda d: d["model"].update(dropout=0.1), "expected no dropout, got 0.1"),
        (lambda d: d["model"].update(byte_fallback=True), "expected no byte_fallback"),
        (lambda d: d["model"].update(end_of_word_suffix="</w>"), "no end_of_word_suffix, got"),
        (lambda d: d.update(normalizer={"type": "NFC"}), "expected no normalizer, got {"),
        (lambda d: d.update(pre_tokenizer=None), "pre_tokenizer ByteLevel .*, got None"),
        (lambda d: d["pre_tokenizer"].update(add_prefix_space=True), "without add_prefix_space"),
        (lambda d: d["pre_tokenizer"].update(use_regex=False), "expected the pre_tokenizer"),
        (split_by(r"\w+"), "expected the pre_tokenizer ByteLevel"),
        (lambda d: d.update(post_processor={"special_tokens": {"<s>": {}}}), "no post_processor"),
        (lambda d: d["added_tokens"][0].update(lstrip=True), "'<endoftext>' has lstrip"),
        (lambda d: d["added_tokens"][0].update(id=3), "another id in the vocabulary"),
        (lambda d: d["added_tokens"].clear(), "must have <endoftext> among them"),
        (lambda d: d.update(added_tokens=[3]), "no attribute 'get'"),
        (lambda d: d["model"]["merges"].pop(), "do not follow the merges"),
        (lambda d: d["model"].update(merges=[3]), "must|not|expected"),
        (lambda d: d["model"].update(vocab=[3]), "no attribute"),
    ],
)  # fmt: skip
def test_a_tokenizer_json_of_another_form_is_refused(
    tmp_path: Path, edit: Callable[[Any], Any], reason: str
) -> None:
    encoding = gpt2_like()
    folder = write_json(tmp_path, encoding, edit)
    with pytest.raises(CheckpointError, match=r"r\.json: no tokenizer in GPT-2's form: ") as info:
        load_tokenizer(folder)
    assert re.search(reason, str(info.value).replace("|", "")), info.value
    assert "\n" not in str(info.value) and len(str(info.value)) < 500


def gpt2_like() -> tiktoken.Encoding:
    """A small one with GPT-2's pattern."""
    ids = {token: i for i, token in enumerate(TOKENS)}
    return encoding_from("gpt2-like", ids, [list(pair) for pair in MERGES])


def test_one_that_is_none_of_ours_is_not_written() -> None:
    foreign = tiktoken.Encoding(
        "letters",
        pat_str="[a-z]+",
        mergeable_ranks={bytes([b]): b for b in range(256)},
        special_tokens={END_OF_TEXT: 256},
    )
    with pytest.raises(ValueError, match="its pattern must be numpygpt's or GPT-2's"):
        tokenizer_files(foreign)


# -- with the libraries that others use ------------------------------------------------------------


@pytest.mark.parametrize("size", [400, 1000])
def test_what_the_tokenizers_library_trains_by_the_common_recipe(tmp_path: Path, size: int) -> None:
    tokenizers = pytest.importorskip("tokenizers", reason="needs the extra [bench]")
    (tmp_path / "corpus.txt").write_text(CORPUS + Path(__file__).read_text())
    theirs = tokenizers.ByteLevelBPETokenizer()
    files = [str(tmp_path / "corpus.txt")]
    theirs.train(files, vocab_size=size, special_tokens=[END_OF_TEXT], show_progress=False)
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        configure(tmp_path / name, theirs.get_vocab_size())
    theirs.save_model(str(tmp_path / "old"))
    theirs.save(str(tmp_path / "new" / "tokenizer.json"))
    for name in ("old", "new"):
        ours = load_tokenizer(tmp_path / name)
        assert ours.eot_token == 0
        for text in (TEXT, CORPUS, Path(__file__).read_text()):
            ids = theirs.encode(text).ids
            assert encode_text(ours, text).tolist() == ids
            assert ours.decode(ids) == theirs.decode(ids, skip_special_tokens=False)


@pytest.mark.parametrize("kind", ["bytes", "learned", "like GPT-2's", "GPT-2's", "padded"])
def test_what_is_saved_is_read_by_us_and_by_transformers(tmp_path: Path, kind: str) -> None:
    transformers = pytest.importorskip("transformers", reason="needs the extra [bench]")
    if kind == "GPT-2's":
        have_gpt2()
    encoding = {
        "bytes": byte_encoding,
        "learned": lambda: train_bpe(CORPUS + Path(__file__).read_text(), 500),
        "like GPT-2's": gpt2_like,
        "GPT-2's": gpt2_encoding,
        "padded": byte_encoding,
    }[kind]()
    size = encoding.n_vocab + 43 * (kind == "padded")
    model = GPT(GPTConfig(size, 8, 6, 2, 1), 0)
    model.save_pretrained(tmp_path / "ours", encoding=encoding)
    again, loaded = load_with_tokenizer(tmp_path / "ours")
    assert_same(loaded, encoding)
    assert (again.flat.data == model.flat.data).all()
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "ours")
    assert theirs.eos_token == END_OF_TEXT and theirs.eos_token_id == encoding.eot_token
    for text in (TEXT, CORPUS, Path(__file__).read_text(), "  a\n\n\x1c\x85 b" * 9):
        ids = encode_text(encoding, text).tolist()
        assert theirs.encode(text) == ids
        assert theirs.decode(ids, clean_up_tokenization_spaces=False) == text
    theirs.save_pretrained(tmp_path / "theirs")
    configure(tmp_path / "theirs", encoding.n_vocab)
    assert_same(load_tokenizer(tmp_path / "theirs"), encoding)


def test_what_transformers_writes_of_gpt2s(tmp_path: Path) -> None:
    """Version 5: tokenizer.json alone, which was overlooked once."""
    transformers = pytest.importorskip("transformers", reason="needs the extra [bench]")
    write(tmp_path)
    theirs = transformers.GPT2Tokenizer.from_pretrained(tmp_path)
    theirs.add_special_tokens({"pad_token": "<|pad|>"})
    theirs.add_tokens(["cat"])
    theirs.save_pretrained(tmp_path / "theirs")
    ours = load_tokenizer(configure(tmp_path / "theirs", 264))
    assert (ours.n_vocab, ours.eot_token) == (262, 259)
    ids = encode_text(ours, TEXT).tolist()
    assert ids == theirs.encode(TEXT)
    assert 260 in ids and 261 in ids
    assert ours.decode(ids) == TEXT


def test_a_model_and_an_encoding_that_do_not_fit_are_not_saved(tmp_path: Path) -> None:
    pytest.importorskip("safetensors", reason="needs the extra [hf]")
    model = GPT(GPTConfig(256, 8, 6, 2, 1), 0)
    with pytest.raises(ValueError, match="an encoding of at most the model's 256 tokens, got 257"):
        model.save_pretrained(tmp_path / "new", encoding=byte_encoding())
    assert not (tmp_path / "new").exists()


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
