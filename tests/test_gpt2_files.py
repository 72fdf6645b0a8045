"""GPT-2's vocabulary files: found, or fetched in bounded time, or a clear error."""

import errno
import hashlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import tiktoken

from numpygpt.text import gpt2_files
from numpygpt.text.gpt2_files import FILES, cache_folder, download, have_files
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
    assert str(cache_folder()).endswith("data-gym-cache")
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")
    assert cache_folder() is None


def send(connection: socket.socket) -> None:
    """The file, as it should be."""
    connection.sendall(HEADERS + BODY)


def test_without_a_cache_the_files_come_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty variable means that nothing is to be kept, as in tiktoken."""
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")
    with server(send) as url:
        assert have_files({url: SHA256}, seconds=5) == [BODY]


@pytest.mark.parametrize("answer", ["in the way", errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_a_cache_folder_that_cannot_be_written_does_not_matter(
    tmp_path: Path, answer: str | int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    folder = tmp_path / ("file/cache" if answer == "in the way" else "cache")
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(folder))

    def refuse(path: Path, data: bytes) -> None:
        raise OSError(answer, "not written")

    if isinstance(answer, int):
        monkeypatch.setattr(gpt2_files, "write_whole", refuse)
    warned = pytest.warns(UserWarning, match=r"cannot be kept in .*cache \(\w.* fetched anew")
    with server(send) as url, warned:
        assert have_files({url: SHA256}, seconds=5) == [BODY]


def test_a_cached_file_that_cannot_be_read_is_fetched_and_else_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = "http://127.0.0.1:9/"
    with server(send) as url:
        for address in (url, nobody):  # a folder where the file should lie
            (folder / hashlib.sha1(address.encode()).hexdigest()).mkdir(parents=True)
        with pytest.warns(UserWarning, match="cannot be kept"):
            assert have_files({url: SHA256}, seconds=5) == [BODY]
    with pytest.raises(OSError, match=r"cannot be read \(Is a directory\) and http"):
        have_files({nobody: SHA256}, seconds=5)


def test_gpt2s_encoding_is_tiktokens() -> None:
    """It is made here from the same two files, for tiktoken would want a folder to write in."""
    if not all(path and path.is_file() for path in cached()):
        pytest.skip("GPT-2's vocabulary is not here; set TIKTOKEN_CACHE_DIR")
    ours, theirs = gpt2_encoding(), tiktoken.get_encoding("gpt2")
    assert ours._mergeable_ranks == theirs._mergeable_ranks
    assert (ours._special_tokens, ours._pat_str) == (theirs._special_tokens, theirs._pat_str)
    assert (ours.name, ours.n_vocab) == (theirs.name, theirs.n_vocab)


def cached() -> list[Path | None]:
    """Where GPT-2's files lie, if they do."""
    folder = cache_folder()
    return [folder and folder / hashlib.sha1(url.encode()).hexdigest() for url in FILES]
