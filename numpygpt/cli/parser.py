"""The `numpygpt` command: `numpygpt --help` lists what it does.

The commands themselves are in commands.py. What a user got wrong ends in one line and exit code 2,
without a traceback.
"""

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from numpygpt import __version__
from numpygpt.cli import commands
from numpygpt.cli.options import HelpFormatter, add_fields, add_model
from numpygpt.config import PRESETS, GPTConfig
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
Commands = Any  # what argparse's add_subparsers returns; its type has no public name


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="numpygpt", description="GPT-2 in plain NumPy.")
    parser.add_argument("-V", "--version", action="version", version=f"numpygpt {__version__}")
    all_commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (add_train, add_generate, add_evaluate, add_gradcheck, add_reproduce, add_info):
        add(all_commands)
    return parser


def add_command(
    all_commands: Commands, run: Callable[[argparse.Namespace], int], help: str, **more: str
) -> argparse.ArgumentParser:
    """A command of the name of the function that it runs."""
    p: argparse.ArgumentParser = all_commands.add_parser(
        run.__name__, help=help, formatter_class=HelpFormatter, **more
    )
    p.set_defaults(run=run)
    return p


def add_train(all_commands: Commands) -> None:
    """`numpygpt train`."""
    p = add_command(
        all_commands, commands.train, "train a model, from gibberish to intelligible text"
    )
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
    small = GPTConfig(**commands.SMALL)  # type: ignore[arg-type]
    add_fields(model, small, but=["vocab_size"])
    add_fields(p.add_argument_group("the training (TrainConfig)"), TrainConfig())


def add_generate(all_commands: Commands) -> None:
    """`numpygpt generate`."""
    p = add_command(all_commands, commands.generate, "continue a prompt")
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


def add_evaluate(all_commands: Commands) -> None:
    """`numpygpt evaluate`."""
    p = add_command(all_commands, commands.evaluate, "perplexity and bits per byte of a text")
    add_model(p)
    p.add_argument("--data", metavar="FILE", required=True, help="UTF-8 text to score")
    p.add_argument("--stride", type=int, help="how far the window moves (half the context)")


def add_gradcheck(all_commands: Commands) -> None:
    """`numpygpt gradcheck`."""
    p = add_command(all_commands, commands.gradcheck, "check every gradient against differences")
    p.add_argument("--sweep", action="store_true", help="show the error against the step size")
    p.add_argument("--preset", help=f"check a whole model in float64: {', '.join(PRESETS)}")


def add_reproduce(all_commands: Commands) -> None:
    """`numpygpt reproduce`."""
    p = add_command(
        all_commands,
        commands.reproduce,
        "a book's printed numbers, and ours",
        description="Build a Large Language Model (From Scratch), chapters 3 to 5, without PyTorch",
    )
    chapters = ("ch03", "ch04", "ch05")
    p.add_argument("chapter", nargs="?", choices=chapters, help="one chapter; without, all three")
    p.add_argument("--data", metavar="FILE", help="the-verdict.txt for ch05; without, fetched")
    p.add_argument("--train", action="store_true", help="train as ch05 does, three to five minutes")


def add_info(all_commands: Commands) -> None:
    """`numpygpt info`."""
    p = add_command(all_commands, commands.info, "what a model costs: parameters, memory, flops")
    p.add_argument("preset", nargs="?", default="gpt2", help=", ".join(PRESETS))
    p.add_argument(
        "--batch-size", type=int, default=4, help="sequences a training step reads at once"
    )
    p.add_argument("--tokens", type=int, help="tokens in each of them; without, at most 256")
    shape = p.add_argument_group("changes to the preset (defaults: gpt2's)")
    add_fields(shape, GPTConfig(), but=["dropout"])


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit code is 0, 1: a check failed, 2: wrong input, 130: Ctrl-C."""
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
