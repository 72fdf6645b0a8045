"""The text of chapter 5: *The Verdict*, a short story by Edith Wharton (1908).

It is in the public domain, and not a part of numpygpt: a copy is given by its path, or fetched from
the book's repository at the commit whose output ``figures`` holds. Either way its SHA-256 is
checked, since with another text no number would be the book's.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tiktoken

from numpygpt.text.gpt2_files import download
from numpygpt.text.tokenizer import encode_text, gpt2_encoding
from numpygpt.training.data import split_text

URL = (
    "https://raw.githubusercontent.com/rasbt/LLMs-from-scratch/"
    "28c65cdfbc3338e2e040016eea4b7fdf556e4d57/ch02/01_main-chapter-code/the-verdict.txt"
)
SHA256 = "b41e41a68f0398a3154ae69e2e4c0e2694e17fe0d66730536837f1b01935b31f"
SECONDS = 30.0  # for 20 KB


@dataclass(frozen=True)
class Verdict:
    """The text and its tokens, in the GPT-2 encoding.

    The parts for training and for validation are cut by characters, nine to one, and encoded
    apart; so together they have a token more than the whole, where the cut goes through a word.
    """

    text: str
    tokens: npt.NDArray[np.unsignedinteger]
    training_tokens: npt.NDArray[np.unsignedinteger]
    validation_tokens: npt.NDArray[np.unsignedinteger]
    encoding: tiktoken.Encoding

    @classmethod
    def load(cls, path: str | Path | None = None) -> "Verdict":
        """Read the file, or fetch it, and encode it.

        Raises
        ------
        OSError
            If the text, or GPT-2's vocabulary, can be neither read nor fetched.
        ValueError
            If the file is not the book's.
        """
        text = read(path) if path is not None else fetch()
        encoding = gpt2_encoding()
        training, validation = (encode_text(encoding, part) for part in split_text(text))
        return cls(text, encode_text(encoding, text), training, validation, encoding)


def read(path: str | Path) -> str:
    """Return the file's text; line ends may be Windows'."""
    data = Path(path).read_bytes().replace(b"\r\n", b"\n")
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise ValueError(
            f"{path}: expected the-verdict.txt of the book's repository (20,479 bytes, SHA-256 "
            f"{SHA256[:8]}...), got another file of {len(data):,} bytes"
        )
    return data.decode()


def fetch() -> str:
    """Return the text from the book's repository."""
    try:
        return download(URL, SHA256, SECONDS).decode()
    except OSError as error:
        raise OSError(
            f"the-verdict.txt could not be had from {URL} ({error}); get it on another machine, "
            "and give it with --data the-verdict.txt"
        ) from None
