"""A checkpoint comes back as it was written, whole or not at all, in the memory of its weights."""

import os
import struct
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
from long_hostile import archive_of, members_of, run_all

from numpygpt import GPT, AdamW, GPTConfig
from numpygpt.files import archive
from numpygpt.files.checkpoint import CHECKPOINT, CheckpointError, load_run, resume_run, save_run
from numpygpt.files.whole import remove_parts, write_whole
from numpygpt.text.tokenizer import byte_encoding

CONFIG = GPTConfig(300, 7, 12, 3, 2, dropout=0.25, qkv_bias=False, tie_weights=False)


def trained(seed: int = 3) -> tuple[GPT, AdamW]:
    """A model and an optimiser, every array of them different."""
    model = GPT(CONFIG, rng=seed)
    optimizer = AdamW(model)
    rng = np.random.default_rng(seed)
    for flat in (model.flat.data, optimizer.m, optimizer.v):
        flat[...] = rng.standard_normal(len(flat))
    return model, optimizer


@pytest.fixture
def run(tmp_path: Path) -> Path:
    model, optimizer = trained()
    save_run(tmp_path, model, byte_encoding(), {"step": 7}, optimizer)
    return tmp_path


def test_everything_comes_back(run: Path) -> None:
    model, optimizer = trained()
    saved = resume_run(run)
    assert saved.model.config == CONFIG and saved.training == {"step": 7}
    assert saved.encoding.encode("é") == byte_encoding().encode("é")
    assert saved.m is not None and saved.v is not None
    np.testing.assert_array_equal(saved.model.flat.data, model.flat.data)
    np.testing.assert_array_equal(saved.m, optimizer.m)
    np.testing.assert_array_equal(saved.v, optimizer.v)
    assert os.listdir(run) == [CHECKPOINT]


def test_it_is_an_archive_that_others_read(run: Path) -> None:
    model, optimizer = trained()
    with zipfile.ZipFile(run / CHECKPOINT) as file:
        assert file.testzip() is None
        assert file.namelist()[:2] == ["config.json", "tokenizer.json"]
    with np.load(run / CHECKPOINT) as arrays:  # allow_pickle=False, NumPy's default
        for name, p in model.named_parameters():
            np.testing.assert_array_equal(arrays[f"weights/{name}"], p.data)
            m = model.flat.split(optimizer.m)[name]
            np.testing.assert_array_equal(arrays[f"adamw_m/{name}"], m)


def test_the_same_run_gives_the_same_bytes(run: Path, tmp_path_factory: Any) -> None:
    other = tmp_path_factory.mktemp("other")
    model, optimizer = trained()
    save_run(other, model, byte_encoding(), {"step": 7}, optimizer)
    assert (other / CHECKPOINT).read_bytes() == (run / CHECKPOINT).read_bytes()


def test_loading_costs_the_weights_and_no_more(tmp_path: Path) -> None:
    model = GPT(GPTConfig(257, 64, 256, 4, 4))  # 12.9 MB
    save_run(tmp_path, model, byte_encoding(), {}, AdamW(model))
    size = model.flat.data.nbytes
    tracemalloc.start()
    loaded = load_run(tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (loaded.model.flat.data == model.flat.data).all()
    assert peak < 1.05 * size


def test_a_model_that_could_not_be_loaded_is_not_saved(tmp_path: Path) -> None:
    model, _ = trained()
    with pytest.raises(TypeError, match="expected a model of dtype float32, got float64; use"):
        save_run(tmp_path, model.astype(np.float64), byte_encoding(), {})
    assert not list(tmp_path.iterdir())


def test_generation_needs_no_optimiser_but_resuming_does(tmp_path: Path) -> None:
    model, _ = trained()
    save_run(tmp_path, model, byte_encoding(), {})
    np.testing.assert_array_equal(load_run(tmp_path).model.flat.data, model.flat.data)
    with pytest.raises(CheckpointError, match="only weights: it cannot be resumed"):
        resume_run(tmp_path)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No tokenizer is built (0.05 s each time), once its bytes were found to be right."""
    encoding = byte_encoding()
    monkeypatch.setattr("numpygpt.files.checkpoint.encoding_from_json", lambda *args: encoding)


@pytest.mark.usefixtures("quick")
def test_every_flipped_bit_is_found(run: Path) -> None:
    """In all of the archive's own bytes, by and by, and in some of the arrays'."""
    path = run / CHECKPOINT
    data = bytearray(path.read_bytes())
    first, last = data.index(b"weights/"), data.rindex(b"PK\6\6")
    start = data.index(b"PK\1\2")
    places = [*range(first, first + 250, 3), *range(start, start + 250, 3)]
    places += [*range(last, len(data)), *range(0, 90), *range(500, len(data), 2999)]
    with open(path, "r+b", buffering=0) as file:
        for i in places:
            file.seek(i)
            file.write(bytes([data[i] ^ 1 << i % 8]))
            with pytest.raises(CheckpointError, match=CHECKPOINT):
                resume_run(run)
            file.seek(i)
            file.write(data[i : i + 1])
    assert resume_run(run).training == {"step": 7}


@pytest.mark.usefixtures("quick")
def test_every_cut_is_found(run: Path) -> None:
    path = run / CHECKPOINT
    data = path.read_bytes()
    for size in [*range(0, len(data), 1501), len(data) - 1]:
        path.write_bytes(data[:size])
        for load in (load_run, resume_run):
            with pytest.raises(CheckpointError, match=CHECKPOINT):
                load(run)
    path.write_bytes(data + b"\0")
    with pytest.raises(CheckpointError, match="bytes, got"):
        load_run(run)


def test_damage_is_named(run: Path) -> None:
    path = run / CHECKPOINT
    data = bytearray(path.read_bytes())
    at = data.index(b"weights/blocks.1.norm2.bias.npy") + 200
    data[at] ^= 8
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"npz .*weights/blocks\.1\.norm2\.bias"):
        load_run(run)


@pytest.mark.parametrize("change", ["terabytes", "twice", "dtype", "shape", "missing", "order"])
def test_an_archive_that_claims_something_else(run: Path, change: str) -> None:
    path = run / CHECKPOINT
    data = path.read_bytes()
    members = members_of(data)
    reason = "weights/position_embedding.W|bytes, got"
    if change == "terabytes":
        start = data.index(b"config.json") + 11 + 4
        data = data[:start] + struct.pack("<2Q", 10**13, 10**13) + data[start + 16 :]
        reason = "config.json: expected at most 1,000,000 bytes, its header says 10,000,000,000,000"
    else:
        name, value = members[3]
        edits: dict[str, list[tuple[str, Any]]] = {
            "twice": [members[2], members[2]],
            "dtype": [members[2], (name, value.view("<i4"))],
            "shape": [members[2], (name, value.T)],
            "missing": [members[2]],
            "order": [members[3], members[2]],
        }
        data = archive_of(members[:2] + edits[change] + members[4:])
        if change == "order":
            reason = "weights/token_embedding.W"
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=reason):
        load_run(run)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (b"[" * 100_000, "config.json: "),
        (b"{}", "config.json: 'model'"),
        (b'{"model": {"n_layer": 3}}', "expected the fields of GPTConfig"),
        (None, "cannot hold the model"),
    ],
)
def test_a_configuration_that_is_none(run: Path, config: bytes | None, reason: str) -> None:
    path = run / CHECKPOINT
    members = members_of(path.read_bytes())
    if config is None:  # a model of terabytes is not built to find that it is not there
        config = members[0][1].replace(b'"n_layer": 2', b'"n_layer": 2000000000')
    path.write_bytes(archive_of([("config.json", config), *members[1:]]))
    with pytest.raises(CheckpointError, match=reason):
        load_run(run)


def test_a_folder_without_a_run(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(CheckpointError, match="expected the folder of a run"):
            load_run(path)
    os.mkfifo(tmp_path / CHECKPOINT)  # opening it would wait for ever
    with pytest.raises(CheckpointError, match="expected the folder of a run"):
        load_run(tmp_path)


@pytest.mark.parametrize("where", ["fsync", "replace"])
def test_a_disk_that_refuses(run: Path, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (run / CHECKPOINT).read_bytes()

    def refuse(*args: object) -> None:
        raise OSError(28, "No space left on device")

    model, optimizer = trained(seed=4)
    monkeypatch.setattr(os, where, refuse)
    with pytest.raises(CheckpointError, match=r"npz cannot be written: No space left on device"):
        save_run(run, model, byte_encoding(), {}, optimizer)
    assert os.listdir(run) == [CHECKPOINT]
    assert (run / CHECKPOINT).read_bytes() == before


def test_what_comes_back_changed_does_not_replace(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (run / CHECKPOINT).read_bytes()
    wrong = iter([b"1"])

    class Disk(archive.Writer):
        def _member(self, name: str, *parts: bytes | memoryview) -> None:
            super()._member(name, *parts)
            for byte in wrong:
                self.file.seek(-1, os.SEEK_CUR)
                self.file.write(byte)

    monkeypatch.setattr("numpygpt.files.checkpoint.Writer", Disk)
    with pytest.raises(CheckpointError, match=r"config\.json was written and came back changed"):
        save_run(run, *trained(seed=4)[:1], byte_encoding(), {})
    assert os.listdir(run) == [CHECKPOINT]
    assert (run / CHECKPOINT).read_bytes() == before


def test_a_new_file_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_whole(path, b"old")

    def interrupted(file: BinaryIO) -> None:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old" and len(os.listdir(tmp_path)) == 2
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(path, interrupted)
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["file"]
    (tmp_path / "file.123.part").write_bytes(b"of a process that was killed")
    remove_parts(path)
    assert os.listdir(tmp_path) == ["file"]


def test_200_hostile_files(tmp_path: Path) -> None:
    run_all(tmp_path, 200)
