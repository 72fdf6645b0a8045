"""What each `numpygpt` command does with its options; parser.py reads them from the command line.

Each imports what only it needs when it runs. The exit code is 0, or 1 where a check failed.
"""

import argparse
import sys
from collections.abc import Iterable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import tiktoken

from numpygpt.config import SMALL, GPTConfig
from numpygpt.gpt import GPT
from numpygpt.layers.parameter import Array
from numpygpt.text.bpe import END_OF_TEXT
from numpygpt.training.distributed import Alone
from numpygpt.training.loop import TrainConfig


def source_of(args: argparse.Namespace) -> str | Path:
    """What --model names, perhaps on the hub, or the folder of --run."""
    from numpygpt.files.checkpoint import CHECKPOINT
    from numpygpt.pretrained.hub import is_run
    from numpygpt.pretrained.load import CONFIG
    from numpygpt.training.folder import newest_run

    if args.model is not None:
        return str(args.model)
    folder = Path(args.folder or newest_run())
    if not (is_run(folder) or (folder / CONFIG).is_file()):
        raise ValueError(
            f"{folder}: expected the folder of a run, with a {CHECKPOINT} (a model's name is given "
            "with --model)"
        )
    return folder


def chosen(given: dict[str, Any], config: type) -> dict[str, Any]:
    """The options that are fields of a dataclass."""
    names = {field.name for field in fields(config)}
    return {name: value for name, value in given.items() if name in names}


def option_names(fields: Iterable[str]) -> list[str]:
    """As they are on the command line."""
    return ["--" + field.replace("_", "-") for field in fields]


def train(args: argparse.Namespace) -> int:
    """Train, report, save: alone, or as one of many processes that a launcher started."""
    from numpygpt.launcher import launched
    from numpygpt.training.joining import joined

    if launched().here_rank:  # one on each machine can tell what is wrong
        sys.stdout = sys.stderr = None
    with joined() as group:
        if group.rank:  # and of all, if nothing is, the first
            sys.stdout = sys.stderr = None
        return resume(vars(args), group) if "resume" in args else new_run(vars(args), group)


def new_run(given: dict[str, Any], group: Alone) -> int:
    """Begin a run, and train."""
    from numpygpt.training.data import Text
    from numpygpt.training.folder import new_folder
    from numpygpt.training.run import Run

    shape, options = chosen(given, GPTConfig), chosen(given, TrainConfig)
    if "init" in given:
        from numpygpt.training.fine_tune import FINE_TUNE, starting_point

        options = FINE_TUNE | options
    config = TrainConfig(**options)  # a wrong one is told before a long text is read
    text = Text.load(given.get("data"), given.get("prompt"))
    config = replace(config, windows=text.windows(given.get("windows")))
    if "init" in given:
        model, encoding = starting_point(given["init"], shape, given.get("tokenizer"), config.seed)
    else:
        model, encoding = new_model(given.get("tokenizer", "bpe"), text.train, shape, config.seed)
    with group.first_in(new_folder(given.get("out"))) as folder:
        run = Run.create(folder, text, encoding, model, config, group)
        print(run.describe(), flush=True)
        run.train()
    return 0


def new_model(
    tokenizer: str, text: str, shape: dict[str, Any], seed: int
) -> tuple[GPT, tiktoken.Encoding]:
    """A model that knows nothing yet, and the tokenizer for its text."""
    from numpygpt.cli.info import check_room
    from numpygpt.text.tokenizer import make_tokenizer

    GPTConfig(**SMALL | shape)  # a wrong one is told before a tokenizer is learned
    encoding = make_tokenizer(tokenizer, text)
    config = GPTConfig(encoding.n_vocab, **SMALL | shape)
    check_room(config)
    return GPT(config, rng=seed), encoding


def resume(given: dict[str, Any], group: Alone) -> int:
    """Go on with an interrupted run; all options but --steps and --data are its own."""
    from numpygpt.training.folder import locked
    from numpygpt.training.run import Run

    folder = Path(given["resume"])
    if others := sorted(given.keys() - {"run", "resume", "steps", "data"}):
        raise ValueError(
            "--resume takes every option but --steps and --data from the run: remove "
            + ", ".join(option_names(others))
        )
    with group.first_in(locked(folder)):
        own = {key: given[key] for key in ("steps", "data") if key in given}
        run = Run.resume(folder, **own, group=group)
        done, steps = run.trainer.steps_done, run.trainer.config.steps
        if run.complete:
            print(f"{folder} is complete: all {steps} steps are done; for more, give --steps")
            return 0
        print(f"{run.describe()}\nresume {folder} after step {done} of {steps}", flush=True)
        run.train()
    return 0


def generate(args: argparse.Namespace) -> int:
    """Print continuations, the first of them token by token."""
    from numpygpt.alternatives import explain
    from numpygpt.cli.explain import MOST, describe_p, print_explained
    from numpygpt.generation import stream
    from numpygpt.text.printable import printable
    from numpygpt.text.tokenizer import StreamDecoder
    from numpygpt.training.record import as_trained
    from numpygpt.training.saved import load_with_tokenizer
    from numpygpt.training.windows import prompt_ids

    for name, least in (("samples", 1), ("seed", 0)):
        if getattr(args, name) < least:
            raise ValueError(f"--{name}: expected at least {least}, got {getattr(args, name)}")
    source = source_of(args)
    own, windows, _ = as_trained(source)
    prompt = args.prompt or own
    model, encoding = load_with_tokenizer(source)
    eos = encoding.eot_token
    ids = prompt_ids(encoding, prompt, windows)
    options: dict[str, Any] = {"max_new_tokens": args.tokens, "temperature": args.temperature}
    options |= {"top_k": args.top_k, "top_p": args.top_p, "eos_id": eos, "rng": args.seed}
    options["vocab_size"] = encoding.n_vocab  # the model may score more than that
    prompts = np.repeat(ids[None], args.samples, axis=0)
    steps = stream(model, prompts, **options)  # an error comes before any output
    if not args.prompt:
        print(f"no prompt: this continues {prompt or END_OF_TEXT!r}", file=sys.stderr)
    show = printable if sys.stdout.isatty() else str  # a file gets what the model wrote
    if args.explain:
        what_p_is = describe_p(args.temperature, args.top_k, args.top_p)
        explained = explain(model, prompts, MOST + 1, **options)
        print_explained(explained, args.samples, encoding, prompt, show, what_p_is)
        return 0
    print(show(prompt), end="", flush=True)
    drawn: list[Array] = []
    decoder = StreamDecoder(encoding)
    for step in steps:
        drawn.append(step)
        if step[0] != eos:
            print(show(decoder.feed(step[0])), end="", flush=True)
    print(decoder.flush())
    for row in range(1, args.samples):
        tokens = [int(step[row]) for step in drawn if step[row] != eos]
        print(show(f"---\n{prompt}{encoding.decode(tokens, errors='replace')}"))
    return 0


def evaluate(args: argparse.Namespace) -> int:
    """Print how well a model predicts a text."""
    from numpygpt.training.data import read_text
    from numpygpt.training.evaluation import report
    from numpygpt.training.saved import load_with_tokenizer

    text = read_text(args.data)
    report(*load_with_tokenizer(source_of(args)), text, args.stride)
    return 0


def look(args: argparse.Namespace) -> int:
    """Print what a model's numbers hold, and write it as a page; 1 if an identity fails."""
    from numpygpt.inside.show.command import look_command

    good = look_command(None if args.untrained else source_of(args), args)
    return 0 if good else 1


def gradcheck(args: argparse.Namespace) -> int:
    """Print the checks; 1 if any failed."""
    from numpygpt.gradcheck import gradcheck_command

    return 0 if gradcheck_command(args.sweep, args.preset) else 1


def practice(args: argparse.Namespace) -> int:
    """Write the exercises, or check them; 1 if they are not all done."""
    from numpygpt.files.whole import user_path
    from numpygpt.practice.command import practice as check
    from numpygpt.practice.command import start

    if args.what == "start":
        if args.where and args.folder:
            raise ValueError("practice start: expected one folder, got two: remove --folder")
        start(user_path(args.where or args.folder or "practice"))
        return 0
    if args.where:
        raise ValueError(
            f"practice {args.what}: expected no more words, got {args.where!r}; the folder of the "
            "exercises is given with --folder"
        )
    done = check(args.folder, args.what, args.hint, args.watch, args.steps)
    return 0 if done else 1


def reproduce(args: argparse.Namespace) -> int:
    """Print the book's numbers beside ours; 1 if any disagrees."""
    from numpygpt.book.reproduce import reproduce_command

    return 0 if reproduce_command(args.chapter, args.data, args.train) else 1


def info(args: argparse.Namespace) -> int:
    """Print what a preset, or a model that is there, costs."""
    from numpygpt.cli.info import describe
    from numpygpt.pretrained import open_source

    changes = chosen(vars(args), GPTConfig)
    if args.folder is None and args.model is None:
        config = GPTConfig.preset(args.preset or "gpt2", **changes)
    elif args.preset is not None or changes:
        names = [args.preset] * (args.preset is not None) + option_names(changes)
        raise ValueError(
            "info: expected a preset, perhaps changed, or a model that is there (--run, --model), "
            f"got both: remove {', '.join(names)}"
        )
    else:
        with open_source(source_of(args)) as found:
            config = found.config
    tokens = min(256, config.context_length) if args.tokens is None else args.tokens
    table = describe(config, args.batch_size, tokens)
    if args.processes is not None:
        from numpygpt.cli.scaling import describe_scaling

        network = args.bandwidth, args.latency, args.gflops
        table += "\n" + describe_scaling(config, args.batch_size, tokens, args.processes, *network)
    print(table)
    return 0


def plot(args: argparse.Namespace) -> int:
    """Draw a picture, and say where it is."""
    from numpygpt.cli.plot import draw

    draw(args)
    return 0
