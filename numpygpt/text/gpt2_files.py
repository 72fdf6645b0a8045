"""GPT-2's two vocabulary files: found in tiktoken's cache folder, or brought there.

tiktoken ships without them and fetches them when they are first wanted, waiting as long as the
server likes. Here the same files come to the same folder under the same names, but the wait has an
end, the folder need not be writable, and a machine without a network is told what is missing and
where to put it.
"""

import hashlib
import os
import queue
import tempfile
import threading
import time
import warnings
from pathlib import Path
from urllib.error import HTTPError

from numpygpt.files.whole import write_whole

# Each address, with the SHA-256 of what must come from it (from tiktoken_ext/openai_public.py).
FILES = {
    "https://openaipublic.blob.core.windows.net/gpt-2/encodings/main/vocab.bpe": (
        "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5"
    ),
    "https://openaipublic.blob.core.windows.net/gpt-2/encodings/main/encoder.json": (
        "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783"
    ),
}
MAX_BYTES = 16_000_000


def have_files(files: dict[str, str] = FILES, seconds: float = 60.0) -> list[bytes]:
    """The contents of each file, from tiktoken's cache folder; what is not there is fetched.

    Parameters
    ----------
    files : dict of str to str
        Addresses, each with its SHA-256.
    seconds : float
        The longest a single download may take in all.

    Raises
    ------
    OSError
        If a file can be neither found nor fetched.
    """
    folder = cache_folder()
    return [_have_file(folder, url, sha256, seconds) for url, sha256 in files.items()]


def _have_file(folder: Path | None, url: str, sha256: str, seconds: float) -> bytes:
    if folder is None:
        return download(url, sha256, seconds)
    path = folder / hashlib.sha1(url.encode()).hexdigest()  # tiktoken's name for it
    found = "is not there"
    try:
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() == sha256:
            return data
    except FileNotFoundError:
        pass
    except OSError as error:
        found = f"cannot be read ({error.strerror})"
    try:
        data = download(url, sha256, seconds)
    except OSError as error:
        raise OSError(
            f"GPT-2's vocabulary file {path} {found} and {url} could not be had ({error}); copy "
            "the file there, or set TIKTOKEN_CACHE_DIR to a folder that has tiktoken's cached files"
        ) from None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, data)
    except OSError as error:
        warnings.warn(
            f"GPT-2's vocabulary cannot be kept in {folder} ({error.strerror}) and is fetched anew "
            "each time; set TIKTOKEN_CACHE_DIR to a folder that can be written",
            stacklevel=4,
        )
    return data


def cache_folder() -> Path | None:
    """Where tiktoken caches: the first of two variables that is set, else a temporary folder.

    None where that variable is empty, by which tiktoken means that nothing is to be kept.
    """
    usual = os.path.join(tempfile.gettempdir(), "data-gym-cache")
    variables = ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR")
    folder = next((os.environ[name] for name in variables if name in os.environ), usual)
    return Path(folder) if folder else None


def download(url: str, sha256: str, seconds: float) -> bytes:
    """The file at the address, checked; an OSError if it is not here in time or is another file."""
    # A socket's timeout starts again with every byte, so a server that trickles would never end.
    # A thread that nobody waits for bounds everything: names, headers, body.
    answer: queue.Queue[bytes | Exception] = queue.Queue()
    threading.Thread(target=_fetch, args=(url, seconds, answer), daemon=True).start()
    try:
        data = answer.get(timeout=seconds)
    except queue.Empty:
        raise OSError(f"no whole answer in {seconds:g} s") from None
    if isinstance(data, Exception):
        said = " ".join(str(data).split())  # what a server sent may have line breaks
        raise OSError(f"{type(data).__name__}: {said}") from None
    if hashlib.sha256(data).hexdigest() != sha256:
        raise OSError(f"the {len(data):,} bytes that came are not the file: wrong SHA-256")
    return data


def _fetch(url: str, seconds: float, answer: "queue.Queue[bytes | Exception]") -> None:
    """Put what comes from the address, or what went wrong, in the queue."""
    from urllib.request import urlopen  # not above: it would be a tenth of each command's start

    deadline = time.monotonic() + seconds
    try:
        with urlopen(url, timeout=seconds) as response:
            data = b""
            while len(data) <= MAX_BYTES and time.monotonic() < deadline:
                chunk = response.read1(1 << 20)
                if not chunk:
                    break
                data += chunk
        answer.put(data)
    except Exception as error:  # whatever it is, the waiting side must hear of it
        if isinstance(error, HTTPError):
            error.close()
        answer.put(error)
