"""What each `numpygpt` command does with its options; parser.py reads them from the command line.

Each imports what only it needs when it runs. The exit code is 0, or 1 where a check failed.
"""

import argparse
from dataclasses import fields
from pathlib import Path
from typing import Any

import tiktoken

from numpygpt.config import GPTConfig
from numpygpt.gpt import GPT
from numpygpt.layers.parameter import Array
from numpygpt.training.loop import TrainConfig

SMALL = {"context_length": 128, "n_embd": 128, "n_head": 4, "n_layer": 3}  # train's defaults


def load_model(args: argparse.Namespace) -> tuple[GPT, tiktoken.Encoding]:
    """The model that --model or --run names, and its tokenizer."""
    from numpygpt.training.saved import load_run, load_with_tokenizer

    if args.model is not None:
        return load_with_tokenizer(args.model)
    model, encoding, *_ = load_run(args.folder or newest_run())
    return model, encoding


def chosen(args: argparse.Namespace, config: type) -> dict[str, Any]:
    """The options that are fields of a dataclass."""
    names = {field.name for field in fields(config)}
    return {name: value for name, value in vars(args).items() if name in names}


def train(args: argparse.Namespace) -> int:
    """Train, report, save: a new run, or one that was interrupted."""
    from numpygpt.text.tokenizer import make_tokenizer
    from numpygpt.training.data import Text
    from numpygpt.training.folder import new_folder
    from numpygpt.training.run import Run

    given = vars(args)
    if "resume" in given:
        return resume(given)
    shape, options = chosen(args, GPTConfig), chosen(args, TrainConfig)
    if "init" in given:
        from numpygpt.training.fine_tune import FINE_TUNE, starting_point

        config = TrainConfig(**FINE_TUNE | options)
        text = Text.load(given.get("data"), given.get("prompt"))
        model, encoding = starting_point(given["init"], shape, given.get("tokenizer"), config.seed)
    else:
        config = TrainConfig(**options)
        text = Text.load(given.get("data"), given.get("prompt"))
        encoding = make_tokenizer(given.get("tokenizer", "bpe"), text.train)
        model = GPT(GPTConfig(encoding.n_vocab, **SMALL | shape), rng=config.seed)
    with new_folder(given.get("out")) as folder:
        run = Run.create(folder, text, encoding, model, config)
        print(run.describe(), flush=True)
        run.train()
    return 0


def resume(given: dict[str, Any]) -> int:
    """Go on with an interrupted run; all options but --steps are its own."""
    from numpygpt.training.folder import locked
    from numpygpt.training.run import Run

    folder = Path(given["resume"])
    if others := sorted(given.keys() - {"command", "run", "resume", "steps"}):
        names = ", ".join("--" + name.replace("_", "-") for name in others)
        raise ValueError(f"--resume takes every option but --steps from the run: remove {names}")
    with locked(folder):
        run = Run.resume(folder, given.get("steps"))
        done, steps = run.trainer.steps_done, run.trainer.config.steps
        if run.complete:
            print(f"{folder} is complete: all {steps} steps are done; for more, give --steps")
            return 0
        print(f"{run.describe()}\nresume {folder} after step {done} of {steps}", flush=True)
        run.train()
    return 0


def generate(args: argparse.Namespace) -> int:
    """Print continuations, the first of them token by token."""
    from numpygpt.generation import stream
    from numpygpt.text.tokenizer import StreamDecoder, encode_text

    for name, least in (("samples", 1), ("seed", 0)):
        if getattr(args, name) < least:
            raise ValueError(f"--{name}: expected at least {least}, got {getattr(args, name)}")
    model, encoding = load_model(args)
    ids = encode_text(encoding, args.prompt)
    eos = encoding.eot_token
    prompt = ids.tolist() or [eos]
    options = (args.tokens, args.temperature, args.top_k, args.top_p, eos, args.seed)
    steps = stream(model, [prompt] * args.samples, *options)  # an error comes before any output
    rest: list[list[int]] = [[] for _ in range(args.samples)]
    decoder = StreamDecoder(encoding)
    print(args.prompt, end="", flush=True)
    step: Array
    for step in steps:
        for tokens, token in zip(rest, step.tolist(), strict=True):
            tokens.append(token)
        if rest[0][-1] != eos:
            print(decoder.feed(rest[0][-1]), end="", flush=True)
    print(decoder.flush())
    for tokens in rest[1:]:
        text = encoding.decode([t for t in tokens if t != eos], errors="replace")
        print(f"---\n{args.prompt}{text}")
    return 0


def evaluate(args: argparse.Namespace) -> int:
    """Print how well a model predicts a text."""
    from numpygpt.training.data import read_text
    from numpygpt.training.evaluation import report

    text = read_text(args.data)
    report(*load_model(args), text, args.stride)
    return 0


def newest_run() -> Path:
    """The folder in runs/ that was written last."""
    runs = sorted(Path("runs").glob("*/checkpoint.npz"), key=lambda path: path.stat().st_mtime)
    if not runs:
        raise ValueError("runs/ holds no run: train one first (numpygpt train), or give --run DIR")
    return runs[-1].parent


def gradcheck(args: argparse.Namespace) -> int:
    """Print the checks; 1 if any failed."""
    from numpygpt.gradcheck import gradcheck_command

    return 0 if gradcheck_command(args.sweep, args.preset) else 1


def reproduce(args: argparse.Namespace) -> int:
    """Print the book's numbers beside ours; 1 if any disagrees."""
    from numpygpt.book.reproduce import reproduce_command

    return 0 if reproduce_command(args.chapter, args.data, args.train) else 1


def info(args: argparse.Namespace) -> int:
    """Print what a preset costs."""
    from numpygpt.cli.info import describe

    options = chosen(args, GPTConfig)
    print(describe(GPTConfig.preset(args.preset, **options), args.batch_size, args.tokens))
    return 0
