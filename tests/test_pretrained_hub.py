"""Models by name, from a small server that speaks the hub's protocol, and from the cache."""

import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numpygpt.cli import main
from numpygpt.config import GPTConfig
from numpygpt.files.whole import CheckpointError
from numpygpt.gpt import GPT

hub = pytest.importorskip("huggingface_hub", reason="needs the extra [hf]")
pytest.importorskip("safetensors", reason="needs the extra [hf]")

COMMIT = "0123456789abcdef0123456789abcdef01234567"
WEIGHTS = "model.safetensors"


class Server(ThreadingHTTPServer):
    """The hub, as far as downloads ask for it, and what goes wrong there."""

    daemon_threads = True

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.requests: list[str] = []
        self.status = 0  # answer everything with this
        self.cut_after = 0  # end a connection, once, after so many bytes of the weights
        self.claim_more = 0  # bytes of the weights that are announced and never come
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """/owner/model/resolve/revision/file, for HEAD and GET, whole or from a byte on."""

    server: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        range_ = self.headers.get("Range", "")
        if "/resolve/" in self.path:  # huggingface_hub may ask for settings of its own, too
            self.server.requests.append(f"{self.command} {self.path} {range_}".strip())
        name, _, rest = self.path.lstrip("/").partition("/resolve/")
        revision, _, file = rest.partition("/")
        files = self.server.repositories.get(name)
        if self.server.status:
            return self.fail(self.server.status, {401: "", 403: "GatedRepo"})
        if files is None or revision not in ("main", COMMIT):
            return self.fail(404, {404: "RepoNotFound"})
        if file not in files:
            return self.fail(404, {404: "EntryNotFound"})
        start = int(range_.removeprefix("bytes=").split("-")[0] or 0) if range_ else 0
        data, size = files[file][start:], len(files[file])
        if file == WEIGHTS and not body:
            size += self.server.claim_more
        self.send_response(206 if range_ else 200)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha256(files[file]).hexdigest()}"')
        if range_:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        self.send_header("Content-Length", str(len(data) if body else size))
        self.end_headers()
        if body and file == WEIGHTS and self.server.cut_after:
            data, self.server.cut_after = data[: self.server.cut_after], 0
            self.close_connection = True
        if body:
            self.wfile.write(data)

    def fail(self, status: int, codes: dict[int, str]) -> None:
        self.send_response(status)
        self.send_header("X-Repo-Commit", COMMIT)
        if codes.get(status):
            self.send_header("X-Error-Code", codes[status])
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture
def model() -> GPT:
    return GPT(GPTConfig(61, 16, 24, 3, 2), 3).eval()


@pytest.fixture
def server(model: GPT, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server with the repositories owner/tiny and gpt2, and huggingface_hub pointed at it."""
    model.save_pretrained(tmp_path / "source")
    files = {path.name: path.read_bytes() for path in (tmp_path / "source").iterdir()}
    server = Server()
    server.repositories = {"owner/tiny": files, "gpt2": dict(files)}
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    point_at(server.url, tmp_path, monkeypatch)
    yield server
    server.shutdown()
    thread.join()
    server.server_close()
    hub.close_session()


def point_at(url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """huggingface_hub reads its variables once, when it is imported."""
    from huggingface_hub import constants, file_download

    for module in (constants, file_download):
        for name, value in {
            "ENDPOINT": url,
            "HUGGINGFACE_CO_URL_TEMPLATE": url + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_CACHE": str(folder / "cache"),
            "HF_HUB_OFFLINE": False,
            "HF_HUB_DISABLE_PROGRESS_BARS": True,
            "HF_HUB_DOWNLOAD_TIMEOUT": 1,
            "DOWNLOAD_CHUNK_SIZE": 1000,  # what came before a cut is kept by whole chunks
        }.items():
            monkeypatch.setattr(module, name, value, raising=False)
    monkeypatch.chdir(folder)  # no folder of a model's name here


def assert_equal(a: GPT, b: GPT) -> None:
    np.testing.assert_array_equal(a.flat.data, b.flat.data)


@pytest.mark.parametrize("name", ["owner/tiny", "gpt2"])
def test_a_model_comes_whole_and_then_from_the_cache(server: Server, model: GPT, name: str) -> None:
    assert_equal(model, GPT.from_pretrained(name))
    got = [request for request in server.requests if request.startswith("GET")]
    assert [request.split("/")[-1] for request in got] == ["config.json", WEIGHTS]
    server.requests.clear()
    assert_equal(model, GPT.from_pretrained(name))
    assert server.requests == []


def test_a_folder_of_that_name_goes_first(server: Server, tmp_path: Path) -> None:
    other = GPT(GPTConfig(5, 4, 6, 2, 1), 0)
    other.save_pretrained(tmp_path / "gpt2")
    assert_equal(other, GPT.from_pretrained("gpt2"))
    assert server.requests == []


def test_a_cut_connection_is_resumed_where_it_was_cut(server: Server, model: GPT) -> None:
    server.cut_after = 10_000
    assert_equal(model, GPT.from_pretrained("gpt2"))
    ranges = [r for r in server.requests if r.startswith("GET") and "bytes=" in r]
    assert ranges == [f"GET /gpt2/resolve/{COMMIT}/{WEIGHTS} bytes=10000-"]


def refused(name: str, *parts: str) -> None:
    """One line that names the model and each of the parts; and nothing half in the cache."""
    with pytest.raises(OSError) as info:
        GPT.from_pretrained(name)
    text = str(info.value)
    assert text.startswith(f"{name}: its file ")
    assert "\n" not in text
    for part in parts:
        assert part in text
    assert not list(Path("cache").rglob("*.incomplete"))


def test_a_file_of_another_size_than_announced_is_refused(server: Server, model: GPT) -> None:
    server.claim_more = 7
    refused("gpt2", WEIGHTS, "should be of size")
    server.claim_more = 0
    assert_equal(model, GPT.from_pretrained("gpt2"))


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (404, "no such repository, or a private one"),
        (401, "401"),
        (403, "access has to be granted to you first"),
        (500, "500"),
    ],
)
def test_refusals_of_the_hub_are_one_line(server: Server, status: int, reason: str) -> None:
    if status == 404:
        server.repositories.clear()
    else:
        server.status = status
    refused("owner/tiny", "config.json", server.url, reason)
    assert len(server.requests) == 1


def test_a_repository_without_safetensors_is_refused(server: Server) -> None:
    del server.repositories["gpt2"][WEIGHTS]
    with pytest.raises(CheckpointError, match=r"gpt2: the repository has no model\.safetensors"):
        GPT.from_pretrained("gpt2")
    del server.repositories["owner/tiny"]["config.json"]
    with pytest.raises(CheckpointError, match=r"tiny: the repository has no config\.json"):
        GPT.from_pretrained("owner/tiny")


def test_shards_are_fetched_by_the_index(server: Server, model: GPT) -> None:
    files = server.repositories["gpt2"]
    names = [name for name in hub_names(files[WEIGHTS]) if name != "__metadata__"]
    shard = "model-00001-of-00001.safetensors"
    files[shard] = files.pop(WEIGHTS)
    index = {"weight_map": dict.fromkeys(names, shard)}
    files["model.safetensors.index.json"] = json.dumps(index).encode()
    assert_equal(model, GPT.from_pretrained("gpt2"))


def hub_names(data: bytes) -> list[str]:
    return list(json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")]))


def test_a_damaged_download_is_refused(server: Server) -> None:
    server.repositories["gpt2"][WEIGHTS] = b"\xff" * 1000
    with pytest.raises(CheckpointError, match=r"model\.safetensors: no safetensors file: "):
        GPT.from_pretrained("gpt2")


def test_the_command_fetches_the_tokenizer_too_and_refuses_without(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", "--model", "gpt2"]) == 2
    assert "no tokenizer: the model's vocabulary has 61 tokens" in capsys.readouterr().err
    asked = {request.split("/")[-1] for request in server.requests}
    assert {"vocab.json", "merges.txt"} <= asked
    server.requests.clear()
    assert main(["generate", "--model", "gpt2"]) == 2
    assert server.requests == []


def test_a_machine_without_a_network_gets_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    point_at(f"http://127.0.0.1:{port}", tmp_path, monkeypatch)
    assert main(["generate", "--model", "gpt2"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("numpygpt: gpt2: its file config.json could not be had from http")
    assert error.count("\n") == 1
    assert "give the path of a folder" in error


def test_a_server_that_never_answers_is_not_waited_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("numpygpt.pretrained.hub.WAIT", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        point_at(f"http://127.0.0.1:{silent.getsockname()[1]}", tmp_path, monkeypatch)
        refused("gpt2", "config.json", "Timeout")


def test_the_hubs_own_variables_count(server: Server, tmp_path: Path) -> None:
    """In a process of its own, as users set them."""
    environment = os.environ | {"HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path / "home")}
    code = "from numpygpt import GPT; print(GPT.from_pretrained('gpt2').num_parameters())"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == f"{GPT(GPTConfig(61, 16, 24, 3, 2)).num_parameters()}\n", done.stderr
    assert len(list((tmp_path / "home").rglob(WEIGHTS))) == 1
