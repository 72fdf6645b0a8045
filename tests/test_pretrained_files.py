"""Files as transformers writes them: every variant that is read, and everything that is refused."""

import errno
import itertools
import json
import os
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("safetensors", reason="needs the extra [hf]")

from safetensors.numpy import load_file, save_file

import numpygpt
from numpygpt.config import GPTConfig
from numpygpt.files.whole import CheckpointError, write_whole
from numpygpt.gpt import GPT
from numpygpt.gradcheck.oracles import draw_parameters
from numpygpt.layers.parameter import Array
from numpygpt.pretrained import load_tokenizer
from numpygpt.pretrained.layout import names
from numpygpt.text.gpt2_form import BYTES
from numpygpt.text.tokenizer import byte_encoding, encode_text
from numpygpt.training.fine_tune import starting_point
from numpygpt.training.optim import AdamW
from numpygpt.training.saved import load_run, load_with_tokenizer, resume_run, save_run

CONFIG = GPTConfig(11, 9, 21, 3, 2, init_std=0.05)
IDS = np.array([[1, 5, 10, 0, 5], [3, 3, 7, 2, 9]])
WEIGHTS = "model.safetensors"


def make(config: GPTConfig = CONFIG, dtype: Any = np.float32) -> GPT:
    model = GPT(config, 0, dtype)
    draw_parameters(model, np.random.default_rng(4))
    return model.eval()


@pytest.fixture
def model() -> GPT:
    return make()


@pytest.fixture
def folder(model: GPT, tmp_path: Path) -> Path:
    model.save_pretrained(tmp_path)
    return tmp_path


def parameters(model: GPT) -> dict[str, Array]:
    return {name: p.data for name, p in model.named_parameters()}


def assert_equal(a: GPT, b: GPT) -> None:
    for name, data in parameters(a).items():
        np.testing.assert_array_equal(data, parameters(b)[name], err_msg=name)


def rewrite(folder: Path, change: Callable[[dict[str, Array]], object]) -> None:
    """Change the file's tensors."""
    tensors = load_file(folder / WEIGHTS)
    change(tensors)
    save_file(tensors, folder / WEIGHTS)


def configure(folder: Path, **changes: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))


# -- what is read ---------------------------------------------------------------------------------


@pytest.mark.parametrize("tie", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_written_is_read_bit_for_bit(tie: bool, dtype: Any, tmp_path: Path) -> None:
    model = make(GPTConfig(11, 9, 21, 3, 2, dropout=0.25, tie_weights=tie), dtype)
    model.save_pretrained(tmp_path / "new" / "folder")
    twin = GPT.from_pretrained(str(tmp_path / "new" / "folder"), dtype)
    assert twin.config == model.config
    assert not twin.training
    assert_equal(model, twin)
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == [
        "config.json",
        WEIGHTS,
    ]


def test_the_file_can_be_named_instead_of_its_folder(model: GPT, folder: Path) -> None:
    other = (folder / WEIGHTS).rename(folder / "pytorch.safetensors")
    assert_equal(model, GPT.from_pretrained(other))


def test_written_files_have_the_mode_of_other_files(folder: Path) -> None:
    (folder / "other").touch()
    modes = {path.name: path.stat().st_mode for path in folder.iterdir()}
    assert modes == dict.fromkeys(["config.json", WEIGHTS, "other"], modes["other"])


def test_without_biases_of_queries_keys_and_values_the_function_is_kept(tmp_path: Path) -> None:
    model = make(GPTConfig(11, 9, 21, 3, 2, qkv_bias=False))
    model.save_pretrained(tmp_path)
    twin = GPT.from_pretrained(tmp_path)
    assert twin.config.qkv_bias
    np.testing.assert_array_equal(model.forward(IDS), twin.forward(IDS))


@pytest.mark.parametrize(("dtype", "bits"), [("float16", 11), ("bfloat16", 8)])
def test_half_precision_is_rounded_to_nearest(
    model: GPT, tmp_path: Path, dtype: str, bits: int
) -> None:
    model.save_pretrained(tmp_path, dtype)
    size = (tmp_path / WEIGHTS).stat().st_size
    assert size < 2 * model.num_parameters() + 4096
    twin = GPT.from_pretrained(tmp_path)
    for name, x in parameters(model).items():
        _, exponent = np.frexp(x)
        spacing = np.ldexp(1.0, np.maximum(exponent, -13) - bits)
        ratio = x / spacing  # exact: a power of two
        np.testing.assert_array_equal(parameters(twin)[name], np.rint(ratio) * spacing)


@pytest.mark.parametrize(("dtype", "value"), [("float16", 7e4), ("bfloat16", 3.4e38)])
def test_numbers_that_a_dtype_cannot_hold_are_not_written(
    model: GPT, tmp_path: Path, dtype: str, value: float
) -> None:
    model.flat.data[5] = value
    with pytest.raises(ValueError, match=f"numbers that {dtype} cannot hold"):
        model.save_pretrained(tmp_path, dtype)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("dtype", ["int8", "fp16"])  # the second is no name of NumPy's
def test_an_unknown_dtype_is_not_written(dtype: str, model: GPT, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"expected float64, float32, .* got '{dtype}'"):
        model.save_pretrained(tmp_path, dtype)


@pytest.mark.parametrize("dtype", [np.float16, np.dtype("float16"), "f2"])
def test_a_dtype_is_named_as_numpy_names_them(model: GPT, tmp_path: Path, dtype: Any) -> None:
    model.save_pretrained(tmp_path / "typed", dtype)
    model.save_pretrained(tmp_path / "named", "float16")
    for name in ("config.json", WEIGHTS):
        assert (tmp_path / "typed" / name).read_bytes() == (tmp_path / "named" / name).read_bytes()


@pytest.mark.parametrize("prefix", ["", "transformer."])
def test_with_and_without_prefix_and_with_old_masks(model: GPT, folder: Path, prefix: str) -> None:
    def change(tensors: dict[str, Array]) -> None:
        for name in list(tensors):
            tensors[prefix + name.removeprefix("transformer.")] = tensors.pop(name)
        tensors[prefix + "h.1.attn.bias"] = np.tril(np.ones((1, 1, 9, 9), np.uint8))
        tensors[prefix + "h.0.attn.masked_bias"] = np.array(-1e4, np.float32)

    rewrite(folder, change)
    assert_equal(model, GPT.from_pretrained(folder))


@pytest.mark.parametrize("prefix", ["_orig_mod.", "module.", "module._orig_mod.", "model."])
@pytest.mark.parametrize("inner", ["", "transformer."])
def test_what_compiled_or_distributed_training_puts_before_names(
    folder: Path, model: GPT, prefix: str, inner: str
) -> None:
    def change(tensors: dict[str, Array]) -> None:
        for name in list(tensors):
            tensors[prefix + inner + name.removeprefix("transformer.")] = tensors.pop(name)

    rewrite(folder, change)
    assert_equal(model, GPT.from_pretrained(folder))


def test_a_prefix_is_none_inside_a_name(folder: Path) -> None:
    def change(tensors: dict[str, Array]) -> None:
        tensors["h.module.ln_f.bias"] = tensors.pop("transformer.ln_f.bias")

    rewrite(folder, change)
    with pytest.raises(CheckpointError, match=r"the tensor ln_f.bias is missing"):
        GPT.from_pretrained(folder)


def test_settings_that_do_not_say_whose_they_are(folder: Path, model: GPT) -> None:
    config = json.loads((folder / "config.json").read_text())
    for gone in (["model_type"], ["architectures"]):
        for name in gone:
            del config[name]
        (folder / "config.json").write_text(json.dumps(config))
        assert_equal(model, GPT.from_pretrained(folder))
    del config["n_head"]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(
        CheckpointError, match=r"config\.json: expected model_type 'gpt2', got None"
    ):
        GPT.from_pretrained(folder)


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 548105171\n"


@pytest.mark.parametrize(
    "name", ["config.json", WEIGHTS, "tokenizer.json", "vocab.json", "merges.txt"]
)
def test_a_pointer_of_git_lfs_is_named_as_the_cause(folder: Path, name: str) -> None:
    (folder / "vocab.json").write_text("{}")
    (folder / "merges.txt").write_text("")
    (folder / name).write_text(POINTER)
    load = load_tokenizer if name not in ("config.json", WEIGHTS) else GPT.from_pretrained
    with pytest.raises(CheckpointError, match=rf"{name}: expected the file itself, got git-LFS's"):
        load(folder)


def test_a_runs_pointer_of_git_lfs_is_named_as_the_cause(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.npz").write_text(POINTER)
    for load in (load_run, resume_run, GPT.from_pretrained, load_tokenizer):
        with pytest.raises(CheckpointError, match=r"npz: expected the file itself, got git-LFS's"):
            load(tmp_path)


def test_a_home_is_where_it_is(model: GPT, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    model.save_pretrained("~/saved")
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]
    for source in ("~/saved", Path("~/saved"), f"~/saved/{WEIGHTS}"):
        assert_equal(model, GPT.from_pretrained(source))


def test_a_repeated_head_is_tied_and_another_one_is_not(model: GPT, folder: Path) -> None:
    embedding = model.token_embedding.W.data.copy()
    rewrite(folder, lambda tensors: tensors.update({"lm_head.weight": embedding}))
    assert GPT.from_pretrained(folder).config.tie_weights
    other = embedding.copy()
    other[-1, -1] += 1
    rewrite(folder, lambda tensors: tensors.update({"lm_head.weight": other}))
    untied = GPT.from_pretrained(folder)
    assert not untied.config.tie_weights
    np.testing.assert_array_equal(untied.head.W.data, other)
    configure(folder, tie_word_embeddings=False)
    rewrite(folder, lambda tensors: tensors.update({"lm_head.weight": embedding}))
    assert not GPT.from_pretrained(folder).config.tie_weights


def shard(folder: Path) -> Path:
    """Cut the file in two, as large models come; returns the index."""
    tensors = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    names = sorted(tensors)
    where: dict[str, str] = {}
    for i, part in enumerate((names[::2], names[1::2])):
        file = f"model-{i + 1:05}-of-00002.safetensors"
        save_file({name: tensors[name] for name in part}, folder / file)
        where |= dict.fromkeys(part, file)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": where}))
    return index


def test_shards(model: GPT, folder: Path) -> None:
    shard(folder)
    assert_equal(model, GPT.from_pretrained(folder))


@pytest.mark.parametrize("name", ["../x.safetensors", "/etc/passwd", "", 3, "a\0b"])
def test_shards_lie_in_the_folder(folder: Path, name: object) -> None:
    index = shard(folder)
    index.write_text(json.dumps({"weight_map": {"wte.weight": name}}))
    with pytest.raises(CheckpointError, match=r"index\.json: .* is no name of a file"):
        GPT.from_pretrained(folder)


def test_a_missing_shard_is_named(folder: Path) -> None:
    shard(folder)
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"model-00002-of-00002\.safetensors: expected"):
        GPT.from_pretrained(folder)


def test_a_shorter_context_and_another_dropout(model: GPT, folder: Path) -> None:
    short = GPT.from_pretrained(folder, context_length=5, dropout=0.5)
    assert (short.config.context_length, short.config.dropout) == (5, 0.5)
    np.testing.assert_array_equal(short.forward(IDS), model.forward(IDS))
    with pytest.raises(ValueError, match="context_length at most 9, the model's own, got 10"):
        GPT.from_pretrained(folder, context_length=10)
    with pytest.raises(ValueError, match="expected context_length a whole number, got '5'"):
        GPT.from_pretrained(folder, context_length="5")


def test_different_dropouts_are_reported(folder: Path) -> None:
    configure(folder, resid_pdrop=0.25)
    with pytest.warns(UserWarning, match=r"\[0.25, 0.0, 0.0\]: training will use the first"):
        assert GPT.from_pretrained(folder).config.dropout == 0.25


# -- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model_type": "llama"}, "expected model_type 'gpt2', got 'llama'"),
        ({"model_type": None, "n_head": None}, "n_head"),
        ({"model_type": None, "architectures": ["GPTJForCausalLM"]}, "got None with .*GPTJ"),
        ({"activation_function": "relu"}, "activation_function 'gelu_new' or .* got 'relu'"),
        ({"layer_norm_epsilon": 1e-6}, "expected layer_norm_epsilon 1e-05, got 1e-06"),
        ({"scale_attn_weights": False}, "expected scale_attn_weights True, got False"),
        ({"scale_attn_by_inverse_layer_idx": True}, "expected scale_attn_by_inverse_layer_idx"),
        ({"add_cross_attention": True}, "expected add_cross_attention False, got True"),
        ({"n_inner": 85}, "expected n_inner 84 or null, got 85"),
        ({"n_head": 4}, "divisible"),
        ({"n_layer": 0}, "n_layer"),
        ({"n_embd": "21"}, "n_embd"),
        ({"n_embd": 21 << 60}, "expected n_embd below"),
        ({"resid_pdrop": None, "attn_pdrop": None, "embd_pdrop": None}, "dropout"),
        ({"tie_word_embeddings": "yes"}, "tie_weights"),
    ],
)
def test_other_architectures_are_refused(
    folder: Path, changes: dict[str, Any], reason: str
) -> None:
    configure(folder, **changes)
    with pytest.raises(CheckpointError, match=rf"config\.json: .*{reason}"):
        GPT.from_pretrained(folder)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"n_layer": 3}, r"the tensor h\.2\.ln_1\.weight is missing"),
        ({"n_layer": 1 << 30}, r"the tensor h\.2\.ln_1\.weight is missing"),
        ({"n_layer": 1}, r"no tensor 'h\.1\.attn\.c_attn\.bias', .* \(and 7 more\)"),
        ({"vocab_size": 12}, r"wte\.weight: expected shape \(12, 21\), got \(11, 21\)"),
        ({"n_positions": 1 << 30}, r"wpe\.weight: expected shape \(1073741824, 21\)"),
        ({"n_embd": 42}, r"wte\.weight: expected shape \(11, 42\), got \(11, 21\)"),
        ({"tie_word_embeddings": False}, r"the tensor lm_head\.weight is missing"),
    ],
)
def test_tensors_that_do_not_fit_the_settings_are_refused(
    folder: Path, changes: dict[str, Any], reason: str
) -> None:
    configure(folder, **changes)
    with pytest.raises(CheckpointError, match=reason):
        GPT.from_pretrained(folder)


def refused(folder: Path, reason: str) -> None:
    with pytest.raises(CheckpointError, match=reason) as info:
        GPT.from_pretrained(folder)
    assert WEIGHTS in str(info.value)
    assert "\n" not in str(info.value)


def test_other_tensors_are_refused(folder: Path) -> None:
    rewrite(folder, lambda tensors: tensors.update({"score.weight": np.ones(3, np.float32)}))
    with pytest.raises(CheckpointError, match=r"has no tensor 'score\.weight'"):
        GPT.from_pretrained(folder)


def test_a_hostile_name_is_one_short_line(folder: Path) -> None:
    rewrite(folder, lambda tensors: tensors.update({"x\n" * 9999: np.ones(3, np.float32)}))
    with pytest.raises(CheckpointError, match=r"has no tensor 'x\\nx") as info:
        GPT.from_pretrained(folder)
    assert "\n" not in str(info.value)
    assert len(str(info.value)) < 400


def test_transposed_matrices_are_refused(folder: Path) -> None:
    name = "transformer.h.0.mlp.c_fc.weight"
    rewrite(folder, lambda tensors: tensors.update({name: tensors[name].T.copy()}))
    refused(folder, r"h\.0\.mlp\.c_fc\.weight: expected shape \(21, 84\), got \(84, 21\)")


def test_other_dtypes_are_refused(folder: Path) -> None:
    name = "transformer.ln_f.bias"
    rewrite(folder, lambda tensors: tensors.update({name: np.ones(21, np.int64)}))
    refused(folder, r"'ln_f\.bias': expected one of F64, F32, F16, BF16, got I64")


def test_both_prefixes_at_once_are_refused(folder: Path) -> None:
    rewrite(folder, lambda tensors: tensors.update({"ln_f.bias": np.ones(21, np.float32)}))
    refused(folder, "the tensor 'ln_f.bias' is there twice")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_none_are_refused(folder: Path, value: float) -> None:
    rewrite(folder, lambda tensors: tensors["transformer.ln_f.bias"].__setitem__(3, value))
    refused(folder, "infinite")


def test_numbers_too_large_for_the_models_dtype_are_refused(tmp_path: Path) -> None:
    model = make(dtype=np.float64)
    model.flat.data[7] = 1e300
    model.save_pretrained(tmp_path)
    GPT.from_pretrained(tmp_path, np.float64)
    refused(tmp_path, "infinite in float32")


def entry(begin: int, end: int, shape: str = "2") -> str:
    return f'{{"dtype":"F32","shape":[{shape}],"data_offsets":[{begin},{end}]}}'


def one(*entry_of: Any) -> str:
    return f'{{"a":{entry(*entry_of)}}}'


@pytest.mark.parametrize(
    ("header", "length", "reason"),
    [
        (f'{{"a":{entry(0, 8)},"a":{entry(0, 8)}}}', None, "the name 'a' comes twice"),
        (f'{{"a":{entry(0, 8)},"\\u0061":{entry(0, 8)}}}', None, "the name 'a' comes twice"),
        (f'{{"a":{entry(0, 8)},"b":{entry(4, 12)}}}', None, "invalid offset"),
        (one(-8, 0), None, "expected usize"),
        (one(0, 8, "-2"), None, "expected usize"),
        (one(8, 16), None, "invalid offset"),
        (one(8, 0), None, "invalid offset"),
        (one(0, 8, "9" * 19 + ",9"), None, "overflow"),
        (one(0, 8, str(1 << 62)), None, "overflow"),
        (one(0, 1 << 50), None, ""),
        ("{}", 1 << 45, "claims 35,184,372,088,832 in a file of"),
        ("{}", 1 << 63, "claims 9,223,372,036,854,775,808"),
        ("{}", 0, "claims 0"),
        ('{"a":' + "[" * 100_000 + "]" * 100_000 + "}", None, "recursion limit"),
        ('{"__metadata__":' + '{"a":' * 3000 + "1" + "}" * 3001, None, ""),
        ('{"a":{"x":' + "9" * 5000 + "," + entry(0, 8)[1:] + "}", None, ""),
        ("[1, 2]", None, ""),
        ("", None, ""),
        ("null", None, ""),
        (one(0, 8).replace('"a"', '"\\ud800"'), None, ""),
        (one(0, 8).replace("F32", "F31"), None, "unknown variant `F31`"),
    ],
)
def test_hostile_headers_are_refused(
    folder: Path, header: str, length: int | None, reason: str
) -> None:
    head = header.encode()
    length = len(head) if length is None else length
    (folder / WEIGHTS).write_bytes(struct.pack("<Q", length) + head + bytes(8))
    refused(folder, f"no safetensors file: .*{reason}")


def test_a_header_that_is_large_in_truth_is_refused(folder: Path) -> None:
    with open(folder / WEIGHTS, "wb") as file:
        file.write(struct.pack("<Q", 90_000_000))
        file.truncate(100_000_000)
    refused(folder, "a header of 2 to 8,000,000 bytes, got one that claims 90,000,000")


@pytest.mark.parametrize("left", [0, 7, 8, 100, -1])
def test_truncated_files_are_refused(folder: Path, left: int) -> None:
    data = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(data[:left])
    refused(folder, "no safetensors file: ")


def test_no_file_no_folder_no_config(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"expected config\.json and model\.saf.* run's chec"):
        GPT.from_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="expected a folder, a file or a model's name"):
        GPT.from_pretrained(tmp_path / "none")
    for name in ("a/b/c", "./a", "", "../a", "a\\b"):
        with pytest.raises(CheckpointError, match="expected a folder, a file or a model's name"):
            GPT.from_pretrained(name)
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(CheckpointError, match=r"model\.safetensors: expected a safetensors file"):
        GPT.from_pretrained(tmp_path)
    (tmp_path / WEIGHTS).mkdir()
    with pytest.raises(CheckpointError, match=r"model\.safetensors: expected a safetensors file"):
        GPT.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 100_000, "no JSON object"),
        ("[]", "not a JSON object"),
        ("{", "no JSON object"),
        ('{"n_embd": ' + "9" * 5000 + "}", "no JSON object"),
        (" " * 9_000_000, "longer than 8,000,000 bytes"),
    ],
)
def test_hostile_configs_are_refused(folder: Path, text: str, reason: str) -> None:
    (folder / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match=rf"config\.json: .*{reason}"):
        GPT.from_pretrained(folder)


def test_a_failed_write_keeps_the_old_file(
    model: GPT, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import safetensors

    def fail(*args: Any, **kwargs: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(safetensors, "serialize_file", fail)
    model.flat.data[:] = 0
    with pytest.raises(OSError, match="No space left"):
        model.save_pretrained(folder)
    assert_equal(make(), GPT.from_pretrained(folder))
    assert len(list(folder.iterdir())) == 2


def test_a_refused_replacement_leaves_the_old_model_whole(
    model: GPT, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where another program has the weights open, on some systems."""
    replace_file = os.replace

    def refused(source: Any, target: Any) -> None:
        if str(target).endswith(".safetensors"):
            raise PermissionError(errno.EACCES, "in use")
        replace_file(source, target)

    monkeypatch.setattr(os, "replace", refused)
    model.flat.data[:] = 0
    with pytest.raises(PermissionError, match="in use"):
        model.save_pretrained(folder)
    assert_equal(make(), GPT.from_pretrained(folder))
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize("written", [0, 1, 2, 3])
def test_an_interrupted_write_leaves_one_whole_model_or_none(
    written: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never the weights of one and the heads of the other: their shapes are the same."""
    shape: dict[str, Any] = {"context_length": 9, "n_embd": 6, "n_layer": 2}
    old, new = (GPT(GPTConfig(257, n_head=H, **shape), H) for H in (2, 3))
    old.save_pretrained(tmp_path, encoding=byte_encoding())
    count = itertools.count()

    def interrupted(*args: Any) -> None:
        if next(count) == written:
            raise KeyboardInterrupt
        write_whole(*args)

    monkeypatch.setattr("numpygpt.pretrained.save.write_whole", interrupted)
    with pytest.raises(KeyboardInterrupt):
        new.save_pretrained(tmp_path, encoding=byte_encoding())
    if written:
        with pytest.raises(CheckpointError, match=r"expected config\.json and"):
            GPT.from_pretrained(tmp_path)
    else:
        assert_equal(old, GPT.from_pretrained(tmp_path))
    monkeypatch.undo()
    new.save_pretrained(tmp_path, encoding=byte_encoding())
    assert_equal(new, GPT.from_pretrained(tmp_path))


@pytest.mark.parametrize("name", ["new", "new/inner/most"])
@pytest.mark.parametrize("old", [False, True])
def test_a_failed_first_write_leaves_no_folder(
    model: GPT, tmp_path: Path, name: str, old: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And takes away none that was there before."""

    def fail(*args: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if old:
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="No space left"):
        model.save_pretrained(tmp_path / name)
    assert (tmp_path / name).exists() == old
    assert [path.name for path in tmp_path.rglob("*")] == (name.split("/") if old else [])


# -- a run's folder, like any other ---------------------------------------------------------------


def test_a_run_is_loaded_like_any_other(tmp_path: Path) -> None:
    config = GPTConfig(300, 9, 24, 3, 2, dropout=0.25, qkv_bias=False, tie_weights=False)
    model = make(config)
    save_run(tmp_path, model, byte_encoding(), {"step": 1}, AdamW(model))
    loaded = GPT.from_pretrained(tmp_path, np.float64)
    assert loaded.config == config and not loaded.training
    assert loaded.flat.data.dtype == np.float64
    assert_equal(model, loaded)
    short, encoding = load_with_tokenizer(str(tmp_path), context_length=4, dropout=0.0)
    assert (short.config.context_length, short.config.dropout) == (4, 0.0)
    np.testing.assert_array_equal(short.forward(IDS[:, :4]), model.forward(IDS[:, :4]))
    assert encoding.n_vocab == 257  # fewer than the model: callers draw below it
    with pytest.raises(ValueError, match="context_length at most 9"):
        GPT.from_pretrained(tmp_path, context_length=10)
    tuned, _ = starting_point(str(tmp_path), {"dropout": 0.5}, None)
    assert tuned.config.dropout == 0.5


def test_a_run_can_be_given_on(tmp_path: Path) -> None:
    """Saved with its tokenizer, it is what it was."""
    model = make(GPTConfig(300, 9, 24, 3, 2))
    save_run(tmp_path, model, byte_encoding(), {})
    run, encoding = load_with_tokenizer(tmp_path)
    run.save_pretrained(tmp_path / "given", encoding=encoding)
    again, same = load_with_tokenizer(tmp_path / "given")
    assert_equal(model, again)
    assert same.n_vocab == 257
    assert encode_text(same, "é the").tolist() == encode_text(byte_encoding(), "é the").tolist()
    assert json.loads((tmp_path / "given" / "config.json").read_text())["eos_token_id"] == 256


@pytest.mark.parametrize("kind", ["run", "pretrained"])
def test_dropout_after_loading_is_drawn_from_a_seed(tmp_path: Path, kind: str) -> None:
    model = make(GPTConfig(300, 9, 24, 3, 2, dropout=0.5))
    if kind == "run":
        save_run(tmp_path, model, byte_encoding(), {})
    else:
        model.save_pretrained(tmp_path)

    def loss(*rng: Any) -> float:
        return GPT.from_pretrained(tmp_path, np.float32, *rng).train().loss(IDS, IDS)

    assert loss() == loss() == loss(0) == loss(np.random.default_rng(0))
    assert loss(1) == loss(1) != loss(0)


def test_a_table_of_names_is_the_models(tmp_path: Path) -> None:
    for tie in (True, False):
        config = GPTConfig(11, 9, 21, 3, 2, tie_weights=tie)
        ours = {ours for _, ours in names(config)}
        assert ours == {name for name, _ in GPT(config, None).named_parameters()}


@pytest.mark.parametrize("package", ["files", "pretrained"])
def test_files_know_no_model(package: str) -> None:
    """Imports run one way: gpt.py asks them, and they import it for its type alone."""
    paths = list((Path(numpygpt.__file__).parent / package).glob("*.py"))
    assert len(paths) > 3
    for path in paths:
        text = path.read_text().replace("if TYPE_CHECKING:\n    from numpygpt.gpt import GPT\n", "")
        found = re.findall(r"^\s*(?:from|import) numpygpt(?:\.(\w+)| import)", text, re.MULTILINE)
        assert not {"", "gpt", "generation", "training", "gradcheck", "cli"} & set(found), path


# -- fine-tuning ----------------------------------------------------------------------------------


def test_fine_tuning_starts_from_the_weights(folder: Path) -> None:
    model = GPT(GPTConfig(257, 9, 12, 3, 1), 5)
    model.save_pretrained(folder)
    ids = {token: i for i, token in enumerate([*BYTES, "<|endoftext|>"])}
    (folder / "vocab.json").write_text(json.dumps(ids))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tuned, encoding = starting_point(str(folder), {"context_length": 4, "dropout": 0.5}, None)
    assert (tuned.config.context_length, tuned.config.dropout) == (4, 0.5)
    assert encoding.n_vocab == 257
    np.testing.assert_array_equal(
        tuned.position_embedding.W.data, model.position_embedding.W.data[:4]
    )


def test_fine_tuning_keeps_shape_and_tokenizer(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"brings its own .*: remove --n-layer, --tokenizer$"):
        starting_point(str(folder), {"n_layer": 3, "dropout": 0.1}, "bytes")
