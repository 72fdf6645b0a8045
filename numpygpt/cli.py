"""The `numpygpt` command: `numpygpt --help` lists what it does.

Each command imports what it needs when it runs. What a user got wrong ends in one line and exit
code 2, without a traceback.
"""

import argparse
import io
import os
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import tiktoken

from numpygpt import __version__
from numpygpt.gpt import GPT, PRESETS, GPTConfig
from numpygpt.layers.base import Array
from numpygpt.options import HelpFormatter, add_fields, add_model
from numpygpt.training.loop import TrainConfig

TOKENIZERS = "bytes, bpe or bpe:SIZE (learned from the text), or gpt2"
TEMPERATURE = "below 1 bolder, above 1 wilder, 0 always the most probable token"
INIT = "fine-tune pretrained weights: a folder, or a name such as gpt2 (other defaults, see README)"
MISTAKES = (
    ValueError,
    TypeError,
    IndexError,
    OSError,
    ImportError,
    FloatingPointError,
    MemoryError,
)
SMALL = {"context_length": 128, "n_embd": 128, "n_head": 4, "n_layer": 3}  # train's defaults


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="numpygpt", description="GPT-2 in plain NumPy.")
    parser.add_argument("-V", "--version", action="version", version=f"numpygpt {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    shape = HelpFormatter

    p = commands.add_parser(
        "train", help="train a model, from gibberish to intelligible text", formatter_class=shape
    )
    p.set_defaults(run=train)
    new = p.add_argument_group("a new training", argument_default=argparse.SUPPRESS)
    new.add_argument(
        "--data", metavar="FILE", help="UTF-8 text to learn; without, the built-in stories"
    )
    new.add_argument("--init", metavar="M", help=INIT)
    new.add_argument("--tokenizer", metavar="KIND", help=f"{TOKENIZERS} (default: bpe)")
    new.add_argument("--out", metavar="DIR", help="where to write the run; without, a new runs/N")
    new.add_argument("--prompt", help="what to continue while training, as a sample")
    old = p.add_argument_group("an interrupted training, or one to be made longer by --steps")
    old.add_argument(
        "--resume", metavar="DIR", default=argparse.SUPPRESS, help="go on where this run was left"
    )
    model = p.add_argument_group("the model (GPTConfig)")
    add_fields(model, GPTConfig(**SMALL), but=["vocab_size"])  # type: ignore[arg-type]
    add_fields(p.add_argument_group("the training (TrainConfig)"), TrainConfig())

    p = commands.add_parser("generate", help="continue a prompt", formatter_class=shape)
    p.set_defaults(run=generate)
    add_model(p)
    p.add_argument("--prompt", default="", help="what to continue; without, a new text")
    p.add_argument("--tokens", type=int, default=200, help="the most tokens to add")
    p.add_argument("--samples", type=int, default=1, help="how many continuations")
    p.add_argument("--temperature", type=float, default=0.8, help=TEMPERATURE)
    p.add_argument("--top-k", type=int, help="choose among the N most probable tokens")
    p.add_argument("--top-p", type=float, help="choose among as few as have probability X in all")
    p.add_argument(
        "--seed", type=int, default=0, help="start of the random numbers: the same, the same text"
    )

    p = commands.add_parser(
        "evaluate", help="perplexity and bits per byte of a text", formatter_class=shape
    )
    p.set_defaults(run=evaluate)
    add_model(p)
    p.add_argument("--data", metavar="FILE", required=True, help="UTF-8 text to score")
    p.add_argument("--stride", type=int, help="how far the window moves (half the context)")

    p = commands.add_parser(
        "gradcheck", help="check every gradient against differences", formatter_class=shape
    )
    p.set_defaults(run=gradcheck)
    p.add_argument("--sweep", action="store_true", help="show the error against the step size")
    p.add_argument("--preset", help=f"check a whole model in float64: {', '.join(PRESETS)}")

    p = commands.add_parser(
        "reproduce",
        help="a book's printed numbers, and ours",
        description="Build a Large Language Model (From Scratch), chapters 3 to 5, without PyTorch",
        formatter_class=shape,
    )
    p.set_defaults(run=reproduce)
    chapters = ("ch03", "ch04", "ch05")
    p.add_argument("chapter", nargs="?", choices=chapters, help="one chapter; without, all three")
    p.add_argument("--data", metavar="FILE", help="the-verdict.txt for ch05; without, fetched")
    p.add_argument("--train", action="store_true", help="train as ch05 does, about five minutes")

    p = commands.add_parser(
        "info", help="what a model costs: parameters, memory, flops", formatter_class=shape
    )
    p.set_defaults(run=info)
    p.add_argument("preset", nargs="?", default="gpt2", help=", ".join(PRESETS))
    p.add_argument(
        "--batch-size", type=int, default=4, help="sequences a training step reads at once"
    )
    p.add_argument("--tokens", type=int, help="tokens in each of them; without, at most 256")
    shape_group = p.add_argument_group("changes to the preset (defaults: gpt2's)")
    add_fields(shape_group, GPTConfig(), but=["dropout"])
    return parser


def load_model(args: argparse.Namespace) -> tuple[GPT, tiktoken.Encoding]:
    """The model that --model or --run names, and its tokenizer."""
    from numpygpt import checkpoint, pretrained

    if args.model is not None:
        return pretrained.load_with_tokenizer(args.model)
    model, encoding, *_ = checkpoint.load_run(args.folder or newest_run())
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
        from numpygpt.pretrained.fine_tune import FINE_TUNE, starting_point

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
    from numpygpt.generate import stream
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
    from numpygpt.evaluate import report
    from numpygpt.training.data import read_text

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
    from numpygpt.info import describe

    options = chosen(args, GPTConfig)
    print(describe(GPTConfig.preset(args.preset, **options), args.batch_size, args.tokens))
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit code is 0, 1 for a failed check, 2 for wrong input."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without é shows ?
    args = build_parser().parse_args(argv)
    try:
        code: int = args.run(args)
        print(end="", flush=True)
        return code
    except BrokenPipeError:  # the reader has enough (`| head`); what is still buffered goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except MISTAKES as error:
        print(f"numpygpt: {str(error) or 'not enough memory'}", file=sys.stderr)
        return 2
