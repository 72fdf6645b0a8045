"""Models by name: from this machine's folders, else from the Hugging Face hub.

huggingface_hub keeps what it fetched in its cache, shows progress and goes on where a cut
connection left off. What is in the cache is taken from there without asking anybody; the variables
HF_HOME, HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE mean here what they mean there.
"""

from contextlib import suppress
from pathlib import Path

from numpygpt.files.checkpoint import CHECKPOINT
from numpygpt.files.whole import CheckpointError, user_path
from numpygpt.pretrained.files import missing_extra
from numpygpt.pretrained.load import CONFIG, INDEX, WEIGHTS, weight_files

TOKENIZER = "tokenizer.json"  # what transformers 5 writes; before it, the vocabulary's own files:
VOCABULARY = ("vocab.json", "merges.txt", "added_tokens.json", "tokenizer_config.json")
WAIT = 10.0  # seconds for a first answer


def find(source: str | Path, tokenizer: bool = False) -> Path:
    """The folder or file of a model: a path that exists, else what the hub has by that name.

    From the hub come the model's configuration and weights, or (with `tokenizer`) the configuration
    and the tokenizer.

    Raises
    ------
    CheckpointError
        If it is a path, and nothing is there, or the repository has no safetensors file.
    OSError
        If the hub cannot be asked or has no such repository; the message says what was tried.
    """
    name = str(source)
    if name and ((path := user_path(source)).is_dir() or path.is_file()):
        return path
    if isinstance(source, Path) or not _may_be_repository(name):
        raise CheckpointError(f"{source}: expected a folder, a file or a model's name: none is it")
    return fetch_tokenizer(name) if tokenizer else fetch_model(name)


def is_run(path: Path) -> bool:
    """Whether a folder or file is a run of ours (and no model as transformers keeps it)."""
    return (path / CHECKPOINT).exists() if path.is_dir() else path.suffix == ".npz"


def _may_be_repository(name: str) -> bool:
    """Whether this could name a repository: "model" or "owner/model"."""
    parts = name.split("/")
    return len(parts) <= 2 and all(part.strip(".") for part in parts) and "\\" not in name


def fetch_model(name: str) -> Path:
    """The folder in huggingface_hub's cache with the repository's model, fetched where needed."""
    folder = _folder(name)
    commit = folder.name
    if _file(name, WEIGHTS, commit) is None:
        if _file(name, INDEX, commit) is None:
            raise CheckpointError(
                f"{name}: the repository has no {WEIGHTS}; its weights in another format are not "
                "read"
            )
        for shard in weight_files(folder):
            _file(name, shard.name, commit)
    return folder


def fetch_tokenizer(name: str) -> Path:
    """As `fetch_model`, with what the repository has of a tokenizer."""
    folder = _folder(name)
    if _file(name, TOKENIZER, folder.name) is None:
        for filename in VOCABULARY:
            _file(name, filename, folder.name)
    return folder


def _folder(name: str) -> Path:
    """Where the repository's newest commit lies in the cache, at least its configuration."""
    config = _file(name, CONFIG, None)
    if config is None:
        raise CheckpointError(f"{name}: the repository has no {CONFIG}: expected a GPT-2")
    return config.parent


def _file(name: str, filename: str, commit: str | None) -> Path | None:
    """One file of a repository at a commit (None: its newest); None if it has no such file."""
    try:
        import huggingface_hub as hub
        from huggingface_hub import errors
    except ModuleNotFoundError:
        raise missing_extra("huggingface_hub") from None
    try:
        cached = hub.try_to_load_from_cache(name, filename, revision=commit)
        if cached is not None:
            return Path(cached) if isinstance(cached, str) else None  # known not to be there
        # Asked once and with an end: a download asks an unreachable hub again for minutes.
        url = hub.hf_hub_url(name, filename, revision=commit)
        with suppress(errors.RemoteEntryNotFoundError):  # the download says it, and notes it
            hub.get_hf_file_metadata(url, timeout=WAIT)
        return Path(hub.hf_hub_download(name, filename, revision=commit))
    except errors.RemoteEntryNotFoundError:
        return None
    except Exception as error:  # of three HTTP libraries, as versions of huggingface_hub go
        raise OSError(_explain(name, filename, error)) from None


def _explain(name: str, filename: str, error: Exception) -> str:
    """One line: which file, from where, what happened, what to do."""
    from huggingface_hub import constants, errors

    what = f"{name}: its file {filename} could not be had from {constants.ENDPOINT}"
    reason = " ".join(str(error).split()) or "no answer"
    if isinstance(error, errors.GatedRepoError):
        return f"{what}: access has to be granted to you first; then log in (hf auth login)"
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"{what}: no such repository, or a private one (hf auth login), and no such folder"
    return (
        f"{what} ({type(error).__name__}: {reason}); connect and try again, or give the path of a "
        f"folder with {CONFIG} and {WEIGHTS}"
    )
