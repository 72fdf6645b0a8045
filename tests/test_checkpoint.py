"""A checkpoint comes back as it was written, whole or not at all, in the memory of its weights."""

import errno
import io
import json
import lzma
import os
import struct
import threading
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
from long_hostile import archive_of, equal_runs, flipped, known_tokenizer, members_of, run_all

from numpygpt import GPT, AdamW, GPTConfig
from numpygpt.files import archive
from numpygpt.files.checkpoint import CHECKPOINT, config_from
from numpygpt.files.whole import CheckpointError, expect_writable, remove_parts, write_whole
from numpygpt.layers import Head, Parameter
from numpygpt.pretrained import load_tokenizer
from numpygpt.text.tokenizer import byte_encoding
from numpygpt.training import folder as folders
from numpygpt.training import metrics
from numpygpt.training.loop import TrainConfig
from numpygpt.training.saved import load_run, resume_run, save_run

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
    save_run(tmp_path, model, byte_encoding(), {})
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
def quick() -> Iterator[None]:
    with known_tokenizer():
        yield


@pytest.mark.usefixtures("quick")
def test_a_flipped_bit_is_found_or_does_no_harm(run: Path) -> None:
    """In all of the archive's own bytes, by and by, and in some of the arrays'.

    long_hostile.py flips every fifth bit of a small one.
    """
    path, right = run / CHECKPOINT, resume_run(run)
    data = bytearray(path.read_bytes())
    first, start, end = data.index(b"weights/"), data.index(b"PK\1\2"), data.rindex(b"PK\5\6")
    places = [*range(first - 30, first + 250, 3), *range(start, start + 250, 3)]
    places += [*range(end, len(data)), *range(0, 90), *range(500, len(data), 2999)]
    bits = [8 * i + i % 8 for i in places]
    assert flipped(path, data, bits, right) > len(bits) / 2
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


def test_damage_is_named(run: Path) -> None:
    path = run / CHECKPOINT
    data = bytearray(path.read_bytes())
    at = data.index(b"weights/blocks.1.norm2.bias.npy") + 200
    data[at] ^= 8
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"npz .*weights/blocks\.1\.norm2\.bias"):
        load_run(run)


def test_generation_does_not_read_the_optimisers_part(run: Path) -> None:
    path, right = run / CHECKPOINT, resume_run(run)
    data = bytearray(path.read_bytes())
    data[data.index(b"adamw_v/norm.bias.npy") + 200] ^= 1
    path.write_bytes(data)
    np.testing.assert_array_equal(load_run(run).model.flat.data, right.model.flat.data)
    with pytest.raises(CheckpointError, match=r"adamw_v/norm\.bias"):
        resume_run(run)


def test_what_version_0_1_0_wrote_is_read(tmp_path: Path) -> None:
    data = (Path(__file__).parent / "checkpoint-0.1.0.npz.xz").read_bytes()
    (tmp_path / CHECKPOINT).write_bytes(lzma.decompress(data))
    saved = resume_run(tmp_path)
    assert saved.model.config == GPTConfig(257, 3, 2, 1, 1, 0.25, False, False)
    assert saved.training == {"step": 7}
    assert saved.encoding.encode("é") == byte_encoding().encode("é")
    for i, flat in enumerate((saved.model.flat.data, saved.m, saved.v)):
        assert flat is not None
        np.testing.assert_array_equal(flat, np.arange(len(flat)) / 8 + i)


def compressed(data: bytes) -> bytes:
    """The archive as zip would make it smaller."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name), zipfile.ZIP_DEFLATED)
    return file.getvalue()


CHANGES: dict[str, str] = {
    "long": r"config\.json: expected at most 1,000,000 bytes, got 1,500,",
    "compressed": "config.json': expected it as it is, not compressed",
    "twice": "two members have one name",
    "dtype": "token_embedding.W: expected an array of float32 of shape",
    "shape": "token_embedding.W: expected an array of float32 of shape",
    "size": "position_embedding.W: expected the 336 bytes of .*, got 3,152",
    "missing": "position_embedding.W: expected the 336 bytes of .*, got 0",
    "more": "such a model has no 'weights/more.npy'",
    "objects": "position_embedding.W: expected the 336 bytes of",
}


@pytest.mark.parametrize("change", CHANGES)
def test_an_archive_that_claims_something_else(run: Path, change: str) -> None:
    path = run / CHECKPOINT
    members = members_of(path.read_bytes())
    (config, text), _, (token, W), (position, P), *_ = members
    edits: dict[str, tuple[int, list[tuple[str, Any]]]] = {
        "long": (0, [(config, text + b" " * 1_500_000)]),
        "compressed": (0, [(config, text)]),
        "twice": (3, [(position, P), (position, P)]),
        "dtype": (2, [(token, W.view("<i4"))]),
        "shape": (2, [(token, W.T.copy())]),
        "size": (3, [(position, np.vstack([P] * 9))]),
        "missing": (3, []),
        "more": (3, [(position, P), ("weights/more", P)]),
        "objects": (3, [(position, np.array(["x"]))]),
    }
    i, new = edits[change]
    data = archive_of(members[:i] + new + members[i + 1 :])
    path.write_bytes(compressed(data) if change == "compressed" else data)
    with pytest.raises(CheckpointError, match=CHANGES[change]):
        load_run(run)


def test_the_order_of_members_does_not_matter(run: Path) -> None:
    path, right = run / CHECKPOINT, resume_run(run)
    path.write_bytes(archive_of(members_of(path.read_bytes())[::-1]))
    assert equal_runs(resume_run(run), right)


def test_members_that_share_their_bytes_are_refused(run: Path) -> None:
    """Else a small file could describe, and take the memory of, any large model."""
    path = run / CHECKPOINT
    members = members_of(path.read_bytes())
    data = bytearray(archive_of(members))
    names = [name for name, _ in members[2:]]
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        size = archive.getinfo(names[0] + ".npy").file_size
    at = 0
    for _ in range(len(members)):  # in the directory: as large as the largest
        at = data.index(b"PK\1\2", at) + 4
        data[at + 16 : at + 24] = struct.pack("<2I", size, size)
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="its members claim more than the"):
        load_run(run)


def test_a_directory_that_claims_gigabytes_is_not_read(run: Path) -> None:
    path = run / CHECKPOINT
    size = 64 << 20
    with open(path, "wb") as file:
        file.truncate(size)  # a hole: takes no room
        file.seek(size)
        file.write(struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 9, 9, size, 0, 0))
    tracemalloc.start()
    with pytest.raises(CheckpointError, match="a part of it claims 67,108,864 bytes"):
        load_run(run)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000_000


# -- its configuration ----------------------------------------------------------------------------


def with_config(run: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    """Say something else in config.json, in an archive that is right."""
    path = run / CHECKPOINT
    (name, text), *rest = members_of(path.read_bytes())
    about = json.loads(text)
    edit(about)
    path.write_bytes(archive_of([(name, json.dumps(about).encode()), *rest]))


def test_a_field_from_after_it_was_written_has_its_default(run: Path) -> None:
    save_run(run, GPT(GPTConfig(257, 7, 12, 3, 2), 0), byte_encoding(), {})  # tied, with biases
    with_config(run, lambda about: [about["model"].pop(n) for n in ("tie_weights", "dropout")])
    assert load_run(run).model.config == GPTConfig(257, 7, 12, 3, 2)
    assert config_from(TrainConfig, {"steps": 5}) == TrainConfig(steps=5)


def test_an_unknown_field_is_refused_by_name(run: Path) -> None:
    with_config(run, lambda about: about["model"].update(rotary=True))
    with pytest.raises(CheckpointError, match=r"config\.json: GPTConfig has no field 'rotary'"):
        load_run(run)
    with pytest.raises(ValueError, match=r"TrainConfig has no field 'momentum': .* newer numpygpt"):
        config_from(TrainConfig, {"momentum": 0.9})
    with pytest.raises(ValueError, match="expected the fields of TrainConfig, got 3"):
        config_from(TrainConfig, 3)
    with pytest.raises(ValueError, match=r"expected steps a whole number, got 5.5"):
        config_from(TrainConfig, {"steps": 5.5})


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (b"[" * 100_000, "config.json: "),
        (b"{}", "config.json: 'model'"),
        (b'{"model": {}, "training": {}, "arrays": ["weights", "adamw_m"]}', "unknown contents"),
        (b'{"model": {}, "training": [], "arrays": ["weights"]}', "unknown contents"),
        (b'{"model": {"n_layer": "3"}}', "expected n_layer a whole number, got '3'"),
    ],
)
def test_a_configuration_that_is_none(run: Path, config: bytes, reason: str) -> None:
    path = run / CHECKPOINT
    members = members_of(path.read_bytes())
    path.write_bytes(archive_of([("config.json", config), *members[1:]]))
    with pytest.raises(CheckpointError, match=reason):
        load_run(run)


HUGE = {
    "n_layer": (2_000_000_000, "it has not the arrays of 2,000,000,000 blocks"),
    "context_length": (10**12, "position_embedding.W: expected the 48,000,000,000,000 bytes"),
    "vocab_size": (10**9, "token_embedding.W: expected the 48,000,000,000 bytes"),
    "n_embd": (3 * 10**9, "token_embedding.W: expected the 3,600,000,000,000 bytes"),
}


@pytest.mark.parametrize("field", HUGE)
def test_a_huge_model_in_a_small_file_takes_no_memory(run: Path, field: str) -> None:
    size, reason = HUGE[field]
    with_config(run, lambda about: about["model"].update({field: size}))
    for load in (load_run, resume_run, GPT.from_pretrained):
        tracemalloc.start()
        with pytest.raises(CheckpointError, match=reason):
            load(run)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 500_000


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

    def write(file: BinaryIO, *contents: Any) -> None:
        archive.write_archive(file, *contents)
        file.seek(100)
        file.write(b"1")

    monkeypatch.setattr("numpygpt.files.checkpoint.write_archive", write)
    with pytest.raises(CheckpointError, match=r"config\.json was written and came back changed"):
        save_run(run, *trained(seed=4)[:1], byte_encoding(), {})
    assert os.listdir(run) == [CHECKPOINT]
    assert (run / CHECKPOINT).read_bytes() == before


@pytest.mark.parametrize("answer", ["EINVAL", "ENOTSUP", "ENOSYS"])
def test_a_file_system_that_cannot_flush(
    tmp_path: Path, answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As some in networks, and in user space, answer for folders, or for all."""

    def refuse(descriptor: int) -> None:
        raise OSError(getattr(errno, answer), "cannot flush")

    monkeypatch.setattr(os, "fsync", refuse)
    model, _ = trained()
    save_run(tmp_path, model, byte_encoding(), {})
    np.testing.assert_array_equal(load_run(tmp_path).model.flat.data, model.flat.data)
    new = folders.new_folder(tmp_path / "runs" / "1")
    with new as folder, closing(metrics.Metrics(folder, 0)) as rows:
        rows.flush()


def test_a_folder_that_cannot_be_read_is_not_flushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    write_whole(tmp_path / "file", b"whole")
    assert (tmp_path / "file").read_bytes() == b"whole"


def test_a_home_is_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "run").mkdir()
    model, optimizer = trained()
    save_run("~/run", model, byte_encoding(), {"step": 7}, optimizer)
    assert os.listdir(tmp_path) == ["run"] and os.listdir(tmp_path / "run") == [CHECKPOINT]
    for load in (load_run, resume_run):
        assert load("~/run").training == {"step": 7}
    assert GPT.from_pretrained("~/run").config == GPT.from_pretrained(Path("~/run")).config
    assert load_tokenizer("~/run").n_vocab == 257


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


def test_a_link_stays_and_leads_to_the_new_file(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    link, real = tmp_path / "link", tmp_path / "disk" / "file"
    link.symlink_to(real)
    for content in (b"first", b"second"):  # what it leads to is not there yet, and then is
        write_whole(link, content)
        assert link.is_symlink() and real.read_bytes() == content
        (tmp_path / "disk" / "file.123.part").write_bytes(b"of a process that was killed")
        remove_parts(link)
        assert os.listdir(tmp_path / "disk") == ["file"]


def test_a_pipe_is_written_into_and_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    write_whole(pipe, b"numbers")
    reader.join(10)
    assert read == [b"numbers"] and pipe.is_fifo() and os.listdir(tmp_path) == ["pipe"]
    monkeypatch.setattr(os, "access", lambda path, _: path == pipe)  # as of /dev, for most users
    assert expect_writable(pipe) == pipe
    with pytest.raises(ValueError, match=r"new cannot be written: .* is no folder to write into"):
        expect_writable(tmp_path / "new")


@pytest.mark.parametrize("where", ["nowhere/file", "file/in a file"])
def test_what_cannot_be_written_is_called_as_it_was_asked_for(where: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError) as caught:
        write_whole(tmp_path / where, b"")
    assert caught.value.filename == str(tmp_path / where)


def test_a_full_disk_is_told_with_the_files_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError) as caught:
        write_whole(tmp_path / "file", b"x")
    assert str(caught.value) == f"[Errno 28] No space left on device: {str(tmp_path / 'file')!r}"
    assert not list(tmp_path.iterdir())


def test_60_hostile_files(tmp_path: Path) -> None:
    """Of which the first that is not refused, or is another run, raises; long_hostile.py: more."""
    run_all(tmp_path, 60)


@pytest.mark.parametrize("change", ["two classes", "untied", "a block less"])
def test_a_model_that_its_config_does_not_describe_is_not_written(
    change: str, tmp_path: Path
) -> None:
    model = GPT(GPTConfig(257, 8, 6, 3, 2), 0)
    if change == "a block less":
        del model.blocks[1]
    else:
        model.head = Head(Parameter(2 if change == "two classes" else 257, 6)).initialize(0)
    expected = "blocks.1" if change == "a block less" else "head.W as its config says, none, got"
    with pytest.raises(ValueError, match=f"cannot be saved: expected {expected}"):
        save_run(tmp_path, model, byte_encoding(), {})
    with pytest.raises(ValueError, match=f"cannot be saved: expected {expected}"):
        model.save_pretrained(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_block_that_was_initialised_anew_is_written_as_it_is(tmp_path: Path) -> None:
    model = GPT(GPTConfig(257, 8, 6, 3, 2), 0)
    model.blocks[1].initialize(1)
    save_run(tmp_path, model, byte_encoding(), {})
    loaded = load_run(tmp_path).model
    for (name, p), (_, q) in zip(loaded.named_parameters(), model.named_parameters(), strict=True):
        np.testing.assert_array_equal(p.data, q.data, err_msg=name)
