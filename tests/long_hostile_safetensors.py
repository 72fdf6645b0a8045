"""Ten thousand damaged safetensors files: each is a model or one CheckpointError, in little memory.

A small model's file is damaged by hypothesis: bytes flipped, cut out, repeated or overwritten, the
length of the header replaced, parts of its JSON exchanged for others of the kind that files lie
with. Exit code 0 if nothing but a model or a CheckpointError that names the file came of any.
"""

import json
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from numpygpt.config import GPTConfig
from numpygpt.files.whole import CheckpointError
from numpygpt.gpt import GPT

FILES = 10_000
MEMORY = 256  # MiB beyond what the first load took; hypothesis itself takes half of it
SLOWEST = 2.0  # seconds of CPU a file

BYTES = st.binary(min_size=1, max_size=8)
SIZES = st.sampled_from([0, 1, 2**31, 2**32, 2**45, 2**53, 2**62, 2**63, 2**64 - 1])
VALUES = st.one_of(
    st.sampled_from(["F16", "BF16", "I64", "F8_E4M3", "F4", "C64", "f32", "", None, True, 1.5, {}]),
    st.sampled_from([[], [0], [-1, 4], [8, 4], [2**63, 2**63], [1] * 100, ["1"], [[]], "[0, 4]"]),
    st.integers(-(2**65), 2**65),
    st.integers(100, 3000).map(lambda n: ("deep", n)),
)


def pieces(data: bytes) -> tuple[int, dict[str, object]]:
    n = int.from_bytes(data[:8], "little")
    return n, json.loads(data[8 : 8 + n])


def assemble(header: str, numbers: bytes) -> bytes:
    text = header.encode("utf-8", "surrogatepass")
    return len(text).to_bytes(8, "little") + text + numbers


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """A lie in the header or none, then up to two damages anywhere."""
    n, header = pieces(whole)
    data = draw(lies(header, whole[8 + n :])) if draw(st.booleans()) else whole
    for _ in range(draw(st.integers(0, 2))):
        # Half of the damage goes to the header, which is where a file can lie.
        end = min(len(data), 8 + n) if draw(st.booleans()) else len(data)
        at = draw(st.integers(0, max(0, end - 1)))
        kind = draw(st.sampled_from(["flip", "cut", "overwrite", "repeat", "insert", "length"]))
        if kind == "flip":
            bit = 1 << draw(st.integers(0, 7))
            data = data[:at] + bytes(b ^ bit for b in data[at : at + 1]) + data[at + 1 :]
        elif kind == "cut":
            data = data[:at] + data[at + draw(st.integers(1, 1 << 16)) :]
        elif kind == "overwrite":
            new = draw(BYTES)
            data = data[:at] + new + data[at + len(new) :]
        elif kind == "repeat":
            data = data[:at] + data[max(0, at - draw(st.integers(1, 200))) :]
        elif kind == "insert":
            data = data[:at] + draw(BYTES) + data[at:]
        else:
            data = draw(SIZES).to_bytes(8, "little") + data[8:]
    return data


@st.composite
def lies(draw: st.DrawFn, header: dict[str, object], numbers: bytes) -> bytes:
    """A well-formed header that says something else."""
    names = sorted(header)
    entries = {name: json.dumps(value) for name, value in header.items()}
    name, other = draw(st.sampled_from(names)), draw(st.sampled_from(names))
    kind = draw(st.sampled_from(["field", "swap", "rename", "twice", "drop", "add"]))
    if kind == "field":
        field = draw(st.sampled_from(["dtype", "shape", "data_offsets", "more"]))
        value = draw(VALUES)
        deep = isinstance(value, tuple)
        text = "[" * value[1] + "]" * value[1] if isinstance(value, tuple) else json.dumps(value)
        entry = dict(json.loads(entries[name])) | {field: "@" if deep else value}
        entries[name] = json.dumps(entry).replace('"@"', text)
    elif kind == "swap":
        entries[name], entries[other] = entries[other], entries[name]
    elif kind == "rename":
        entries[draw(st.sampled_from(["", "h.0.attn.bias", "x" * 9999, "é\ud800"]))] = entries.pop(
            name
        )
    elif kind == "drop":
        del entries[name]
    elif kind == "add":
        entries["new"] = entries[name]
    pairs = [f"{json.dumps(key)}:{value}" for key, value in entries.items()]
    if kind == "twice":
        pairs.insert(draw(st.integers(0, len(pairs))), f"{json.dumps(name)}:{entries[other]}")
    return assemble("{" + ",".join(pairs) + "}", numbers)


def main() -> int:
    """Damage, load, count."""
    seen: Counter[str] = Counter()
    slowest = 0.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "model.safetensors"
        GPT(GPTConfig(11, 5, 6, 2, 1), 0).save_pretrained(folder)
        GPT.from_pretrained(folder)
        whole = path.read_bytes()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

        @settings(
            max_examples=FILES,
            database=None,
            deadline=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(damaged(whole))
        def check(data: bytes) -> None:
            nonlocal slowest
            path.write_bytes(data)
            start = time.process_time()
            try:
                GPT.from_pretrained(folder)
                seen["whole after all"] += 1
            except CheckpointError as error:
                message = str(error)
                assert str(folder) in message and "\n" not in message, message
                seen[message.replace(name, "").split(": ")[1][:40]] += 1
            slowest = max(slowest, time.process_time() - start)

        check()
        memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    for reason, count in seen.most_common(12):
        print(f"{count:>7,}  {reason}")
    total = sum(seen.values())
    print(
        f"{total:,} files: each a model or a CheckpointError; the slowest {slowest:.2f} s, "
        f"{memory:.0f} MiB more memory"
    )
    return 0 if total >= FILES and memory < MEMORY and slowest < SLOWEST else 1


if __name__ == "__main__":
    sys.exit(main())
