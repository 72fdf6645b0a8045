"""10,000 hostile checkpoints and tokenizer files: each loads whole or is one CheckpointError.

A script for CI, under a limit of memory; the suite runs 200 of them (test_checkpoint.py).
"""

import io
import json
import resource
import struct
import sys
import tempfile
import time
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import tiktoken
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from numpygpt import GPT, AdamW, GPTConfig
from numpygpt.files.checkpoint import CHECKPOINT
from numpygpt.files.whole import CheckpointError
from numpygpt.text.encoding_json import encoding_from_json, encoding_to_json
from numpygpt.text.tokenizer import byte_encoding, encode_text
from numpygpt.training.saved import SavedRun, load_run, resume_run, save_run

MEMORY = 1 << 30  # address space that all loads together may take beyond the process's own
SECONDS = 5.0  # of processor time, for one file
EXAMPLES = 10_000

Members = list[tuple[str, Any]]


def whole_checkpoint(folder: Path) -> bytes:
    """A small run's, written into the folder."""
    model = GPT(GPTConfig(257, 5, 6, 2, 1, tie_weights=False), rng=1)
    optimizer = AdamW(model)
    optimizer.m[:], optimizer.v[:] = 0.25, 0.5
    save_run(folder, model, byte_encoding(), {"step": 3}, optimizer)
    return (folder / CHECKPOINT).read_bytes()


def members_of(data: bytes) -> Members:
    """What an archive holds: bytes of JSON, arrays."""
    with np.load(io.BytesIO(data)) as arrays:
        return [(name, arrays[name]) for name in arrays.files]


def archive_of(members: Members) -> bytes:
    """An archive with every checksum, size and offset right, whatever it holds."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a name that comes twice
        for name, value in members:
            content = io.BytesIO(value if isinstance(value, bytes) else b"")
            if not isinstance(value, bytes):
                np.lib.format.write_array(content, value, allow_pickle=False)
                name += ".npy"
            archive.writestr(zipfile.ZipInfo(name), content.getvalue())
    return file.getvalue()


VALUES: st.SearchStrategy[Any] = st.one_of(
    st.integers(-(10**30), 10**30),
    st.sampled_from([2**31, 2**63, 10**12, 10**4000, 0, 1, -1, 1e308, float("nan")]),
    st.none() | st.booleans() | st.text(max_size=5),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)
CONFIG_KEYS = [["model", name] for name in GPTConfig.__dataclass_fields__]
CONFIG_KEYS += [["model"], ["training"], ["arrays"], ["more"], ["model", "more"]]
TOKENIZER_KEYS = [["name"], ["pattern"], ["special_tokens"], ["ranks"], ["more"]]


@st.composite
def wrong_json(draw: st.DrawFn, text: bytes, keys: list[list[str]]) -> bytes:
    """JSON that says something else, or is broken, or is deep."""
    if draw(st.booleans()):
        opening = draw(st.sampled_from([b"[", b'{"a":', b"-", b"1", b'"\\ud800', b"\xff", b" "]))
        return opening * draw(st.sampled_from([0, 1, 100, 10_000, 400_000]))
    document = inner = json.loads(text)
    *path, last = draw(st.sampled_from(keys))
    for key in path:
        inner = inner[key]
    inner[last] = draw(VALUES)
    return json.dumps(document).encode()


@st.composite
def rebuilt(draw: st.DrawFn, data: bytes) -> bytes:
    """Wrong contents in an archive that is right."""
    members = members_of(data)
    kind = draw(st.sampled_from(["config", "tokenizer", "dtype", "list", "shape"]))
    i, j = draw(st.integers(0, len(members) - 1)), draw(st.integers(0, len(members)))
    if kind == "config":
        members[0] = (members[0][0], draw(wrong_json(members[0][1], CONFIG_KEYS)))
    elif kind == "tokenizer":
        members[1] = (members[1][0], draw(wrong_json(members[1][1], TOKENIZER_KEYS)))
    elif kind == "list":  # names twice, missing, in another order
        members = members[:i] + members[j:]
    else:
        name, value = members[max(2, i)]
        if kind == "dtype":
            value = value.astype(draw(st.sampled_from(["<f8", "<f2", ">f4", "<i4", "<c8", "|S4"])))
        else:
            value = value.reshape(draw(st.sampled_from([(-1,), (1, -1), (-1, 1, 1)])))
        members[max(2, i)] = (name, value)
    return archive_of(members)


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """Bytes changed, cut, doubled, put in, or claiming more than there is."""
    changed = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["flip", "cut", "remove", "double", "put", "claim", "sum"]))
        i = draw(st.integers(0, max(0, len(changed) - 1)))
        j = min(len(changed), i + draw(st.integers(0, 5000)))
        if kind == "flip" and changed:
            changed[i] ^= 1 << draw(st.integers(0, 7))
        elif kind == "cut":
            del changed[i:]
        elif kind == "remove":
            del changed[i:j]
        elif kind == "double":
            changed[i:i] = changed[i:j]
        elif kind == "put":
            changed[i:j] = draw(st.binary(max_size=20))
        elif kind == "claim":  # a size or an offset that is negative, huge, or another member's
            at = changed.find(draw(st.sampled_from([b"PK\1\2", b"PK\3\4", b"PK\6\6"])), i)
            at += draw(st.integers(0, 80))
            claim = draw(st.sampled_from([2**64 - 1, 2**63, 2**40, 2**32 - 1, 0, 70]))
            changed[at : at + 8] = struct.pack("<Q", claim)
        else:  # some checksum
            at = changed.find(b"PK\3\4", i) + 14
            changed[at : at + 4] = struct.pack("<I", zlib.crc32(bytes(changed[i:j])))
    return bytes(changed)


def refused(path: Path, load: Callable[[], object]) -> bool:
    """Whether a load ended in a CheckpointError that names the file; another error is one here."""
    start = time.process_time()
    try:
        load()
    except CheckpointError as error:
        assert str(path) in str(error), error
        assert len(str(error)) < 10_000, "an error is for reading"
        return True
    finally:
        assert time.process_time() - start < SECONDS, "it took too long"
    return False


def equal_runs(a: SavedRun, b: SavedRun) -> bool:
    """Whether two runs are the same in all that they hold."""
    pairs = [(a.model.flat.data, b.model.flat.data), (a.m, b.m), (a.v, b.v)]
    arrays = all(np.array_equal(x, y) for x, y in pairs if x is not None and y is not None)
    texts = [encoding_to_json(run.encoding, "") for run in (a, b)]
    said = (a.model.config, a.training) == (b.model.config, b.training)
    return arrays and said and texts[0] == texts[1]


def keep(load: Callable[[Path], SavedRun], folder: Path, loaded: list[SavedRun]) -> None:
    """Load, and keep what was loaded."""
    loaded.append(load(folder))


def flipped(path: Path, data: bytearray, bits: Iterable[int], right: SavedRun) -> int:
    """Flip bits one by one: how many are found. What loads all the same is what was written."""
    found, load = 0, load_run if right.m is None else resume_run
    with open(path, "r+b", buffering=0) as file:
        for bit in bits:
            i = bit // 8
            file.seek(i)
            file.write(bytes([data[i] ^ 1 << bit % 8]))
            loaded: list[SavedRun] = []
            if refused(path, partial(keep, load, path.parent, loaded)):
                found += 1
            else:
                assert equal_runs(loaded[0], right), f"bit {bit} loads and is something else"
            file.seek(i)
            file.write(data[i : i + 1])
    return found


@contextmanager
def known_tokenizer() -> Iterator[None]:
    """No tokenizer is built (0.05 s each time), once its bytes were found to be right."""
    encoding = byte_encoding()
    right = encoding_to_json(encoding, "")

    def known(data: bytes, source: str) -> tiktoken.Encoding:
        assert data == right, "zipfile should have said that they are damaged"
        return encoding

    with patch("numpygpt.files.checkpoint.encoding_from_json", known):
        yield


def single_bits(folder: Path) -> None:
    """Flip every fifth bit of a small run's file, one at a time."""
    save_run(folder, GPT(GPTConfig(257, 1, 1, 1, 1), 1), byte_encoding(), {})
    path, right = folder / CHECKPOINT, load_run(folder)
    data = bytearray(path.read_bytes())
    with known_tokenizer():
        bits = range(0, 8 * len(data), 5)  # of all places in a byte, and in a minute or two
        found = flipped(path, data, bits, right)
    print(f"{len(bits):,} bits flipped: {found:,} found, the others do no harm", flush=True)


def check_damaged(folder: Path, data: bytes, right: SavedRun) -> None:
    """What loads although it was damaged (in a date, say) is what was written."""
    path = folder / CHECKPOINT
    path.write_bytes(data)
    for load in (resume_run, load_run):
        loaded: list[SavedRun] = []
        if not refused(path, partial(keep, load, folder, loaded)):
            assert equal_runs(loaded[0], right)


def check_rebuilt(folder: Path, data: bytes) -> None:
    """Whatever loads is what was written."""
    path = folder / CHECKPOINT
    path.write_bytes(data)
    if not refused(path, lambda: resume_run(folder)):
        run = resume_run(folder)
        members = dict(members_of(data))
        for name, p in run.model.named_parameters():
            assert (p.data == members[f"weights/{name}"]).all()


def check_tokenizer(data: bytes) -> None:
    """A tokenizer that loads writes any text and reads it back."""
    made: list[tiktoken.Encoding] = []
    if not refused(Path("a.json"), lambda: made.append(encoding_from_json(data, "a.json"))):
        assert made[0].decode(encode_text(made[0], "aß \n").tolist()) == "aß \n"


def run_all(folder: Path, examples: int) -> None:
    """All three kinds of files, `examples` in all."""
    checkpoint, tokenizer = whole_checkpoint(folder), encoding_to_json(byte_encoding(), "")
    right = resume_run(folder)
    keep = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]
    bounded = settings(
        max_examples=examples // 4, derandomize=True, deadline=None, suppress_health_check=keep
    )

    @bounded
    @given(damaged(checkpoint))
    def damaged_checkpoints(data: bytes) -> None:
        check_damaged(folder, data, right)

    @bounded
    @given(rebuilt(checkpoint))
    def rebuilt_checkpoints(data: bytes) -> None:
        check_rebuilt(folder, data)

    @bounded
    @given(damaged(tokenizer))
    def damaged_tokenizers(data: bytes) -> None:
        check_tokenizer(data)

    @bounded
    @given(wrong_json(tokenizer, TOKENIZER_KEYS))
    def wrong_tokenizers(data: bytes) -> None:
        check_tokenizer(data)

    for check in (damaged_checkpoints, rebuilt_checkpoints, damaged_tokenizers, wrong_tokenizers):
        start = time.perf_counter()
        check()
        print(
            f"{examples // 4:,} {check.__name__}: {time.perf_counter() - start:.0f} s", flush=True
        )


def main() -> int:
    """Run them under a limit of address space: what asks for terabytes fails here."""
    with open("/proc/self/statm") as file:
        taken = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY, resource.RLIM_INFINITY))
    with tempfile.TemporaryDirectory() as folder:
        run_all(Path(folder), EXAMPLES)
        single_bits(Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
