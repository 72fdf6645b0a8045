"""GPT-2's vocabulary files: found, or fetched in bounded time, or a clear error."""

import hashlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from numpygpt.text import gpt2_files
from numpygpt.text.gpt2_files import cache_folder, download, have_files
from numpygpt.text.tokenizer import gpt2_encoding

BODY = b"vocabulary" * 1000
SHA256 = hashlib.sha256(BODY).hexdigest()
HEADERS = b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY)


@contextmanager
def server(answer: Callable[[socket.socket], object]) -> Iterator[str]:
    """A server on this machine that answers each connection with `answer`."""
    closed = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection:
            connection.recv(65536)
            with suppress(OSError):  # the client may be gone
                answer(connection)

    def listen() -> None:
        while not closed.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=listen, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/vocab.bpe"
        finally:
            closed.set()


def trickle(connection: socket.socket) -> None:
    """Headers, then a byte now and then: each one starts a socket's own timeout anew."""
    connection.sendall(HEADERS)
    for byte in BODY[:60]:
        connection.sendall(bytes([byte]))
        time.sleep(0.05)


def trickle_headers(connection: socket.socket) -> None:
    """As `trickle`, but no header ever ends: `urlopen` itself never returns."""
    connection.sendall(b"HTTP/1.0 200 OK\r\nX: ")
    for _ in range(60):
        connection.sendall(b"x")
        time.sleep(0.05)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path / "cache"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "cache"


def test_a_file_is_fetched_once_and_kept_under_tiktokens_name(folder: Path) -> None:
    calls: list[int] = []

    def send(connection: socket.socket) -> None:
        calls.append(1)
        connection.sendall(HEADERS + BODY)

    with server(send) as url:
        have_files({url: SHA256}, seconds=5)
        have_files({url: SHA256}, seconds=5)
    assert len(calls) == 1
    assert os.listdir(folder) == [hashlib.sha1(url.encode()).hexdigest()]
    assert (folder / os.listdir(folder)[0]).read_bytes() == BODY


def test_a_damaged_file_is_fetched_again(folder: Path) -> None:
    with server(lambda connection: connection.sendall(HEADERS + BODY)) as url:
        folder.mkdir()
        path = folder / hashlib.sha1(url.encode()).hexdigest()
        path.write_bytes(BODY[:500])
        have_files({url: SHA256}, seconds=5)
    assert path.read_bytes() == BODY


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda connection: time.sleep(3), r"no whole answer in 0\.4 s|timed out"),
        (trickle_headers, r"no whole answer in 0\.4 s"),
        (trickle, r"no whole answer in 0\.4 s|wrong SHA-256"),
        (lambda connection: connection.sendall(HEADERS + BODY[::-1]), "wrong SHA-256"),
        (lambda connection: connection.sendall(HEADERS + BODY[:50]), "50 bytes .* wrong SHA-256"),
        (lambda connection: connection.sendall(b"HTTP/1.0 404 Not Found\r\n\r\n"), "404"),
        (lambda connection: connection.sendall(b"\0\0\0garbage\r\n\r\n"), "BadStatusLine"),
        (lambda connection: None, "RemoteDisconnected"),
    ],
    ids=[
        "silent",
        "trickles headers",
        "trickles",
        "wrong",
        "cut",
        "not found",
        "garbage",
        "hangs up",
    ],
)
def test_a_bad_server_is_a_clear_error_in_time(
    answer: Callable[[socket.socket], object], message: str, folder: Path
) -> None:
    start = time.perf_counter()
    with server(answer) as url, pytest.raises(OSError, match=message) as caught:
        have_files({url: SHA256}, seconds=0.4)
    assert time.perf_counter() - start < 10  # of a busy machine
    text = str(caught.value)
    assert url in text and str(folder) in text and "set TIKTOKEN_CACHE_DIR" in text
    assert "\n" not in text
    assert not folder.exists()  # nothing half-written stays behind


def test_an_endless_answer_is_not_read_for_ever(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpt2_files, "MAX_BYTES", 100_000)
    sent = [0]

    def flood(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
        while sent[0] < 10**9:
            sent[0] += connection.send(b"x" * 65536)

    with server(flood) as url, pytest.raises(OSError, match="wrong SHA-256"):
        download(url, SHA256, seconds=5)
    assert sent[0] < 10**8


def test_no_server_is_an_error_at_once(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    start = time.perf_counter()
    with pytest.raises(OSError, match=r"refused.*copy the file there"):
        have_files({f"http://127.0.0.1:{port}/": SHA256}, seconds=5)
    assert time.perf_counter() - start < 10  # of a busy machine


def test_gpt2_without_files_and_without_network(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole way, through a proxy that is not there: never a silent other tokenizer."""
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    with pytest.raises(OSError, match=r"GPT-2's vocabulary file .* copy the file there"):
        gpt2_encoding()


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_GYM_CACHE_DIR", "second")
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "first")
    assert cache_folder() == Path("first")
    monkeypatch.delenv("TIKTOKEN_CACHE_DIR")
    assert cache_folder() == Path("second")
    monkeypatch.delenv("DATA_GYM_CACHE_DIR")
    assert cache_folder().name == "data-gym-cache"
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")
    with pytest.raises(OSError, match="TIKTOKEN_CACHE_DIR is empty"):
        have_files()


def test_a_cache_folder_that_cannot_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path / "file" / "cache"))
    send_all = server(lambda connection: connection.sendall(HEADERS + BODY))
    with send_all as url, pytest.raises(OSError, match=r"Not a directory|File exists"):
        have_files({url: SHA256}, seconds=5)
