"""The command line: `numpygpt --help` lists the commands, each one's --help its options."""

import argparse
from collections.abc import Callable
from typing import Any

from numpygpt import __version__
from numpygpt.cli import commands
from numpygpt.cli.options import (
    HelpFormatter,
    add_fields,
    add_model,
    add_path,
    layer_and_head,
    number,
    one_of,
    preset,
    whole,
)
from numpygpt.config import PRESETS, SMALL, GPTConfig
from numpygpt.practice.exercises import EXERCISES
from numpygpt.training.loop import TrainConfig
from numpygpt.training.windows import WINDOWS

TOKENIZERS = "bytes, bpe or bpe:SIZE (learned from the text), or gpt2"
TEMPERATURE = (
    "0: always the most probable token; the higher, the more often another one; 1: as often as the "
    "model itself says"
)
INIT = "fine-tune a model: a run's folder, one of pretrained weights, or a name such as gpt2"
RESUME = (
    "go on where this run was left, with its own options; --steps makes it longer, --data says "
    "where its text is now"
)
Commands = Any  # what argparse's add_subparsers returns; its type has no public name


def build_parser() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """The command line, and each command's own part of it by the command's name."""
    parser = argparse.ArgumentParser(
        prog="numpygpt",
        description="GPT-2 in plain NumPy.",
        epilog="numpygpt COMMAND --help lists a command's options.",
    )
    parser.add_argument("-V", "--version", action="version", version=f"numpygpt {__version__}")
    all_commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for add in (
        add_train,
        add_generate,
        add_evaluate,
        add_look,
        add_gradcheck,
        add_practice,
        add_reproduce,
        add_info,
        add_plot,
    ):
        add(all_commands)
    return parser, all_commands.choices


def add_command(
    all_commands: Commands, run: Callable[[argparse.Namespace], int], help: str, **more: str
) -> argparse.ArgumentParser:
    """A command of the name of the function that it runs."""
    p: argparse.ArgumentParser = all_commands.add_parser(
        run.__name__, help=help, formatter_class=HelpFormatter, **more
    )
    p.add_argument(
        "--threads",
        type=whole,
        default=argparse.SUPPRESS,
        help="how many threads to use: all cores, unless NUMPYGPT_NUM_THREADS (for matrix "
        "products: OPENBLAS_NUM_THREADS) or this says otherwise",
    )
    p.set_defaults(run=run)
    return p


def add_train(all_commands: Commands) -> None:
    """`numpygpt train`."""
    p = add_command(
        all_commands, commands.train, "train a model, from gibberish to intelligible text"
    )
    text = p.add_argument_group("the text", argument_default=argparse.SUPPRESS)
    add_path(text, "--data", "FILE", "UTF-8 text to learn; without, the built-in stories")
    text.add_argument("--tokenizer", metavar="KIND", help=f"{TOKENIZERS} (default: bpe)")
    text.add_argument("--prompt", help="what to continue while training, as a sample")
    text.add_argument(
        "--windows",
        metavar="KIND",
        type=one_of("kind of windows", WINDOWS),
        help="what is read at once begins with one of the text's documents, or at random places "
        "(default: documents, if <|endoftext|> separates some, else random)",
    )
    run = p.add_argument_group("the run", argument_default=argparse.SUPPRESS)
    add_path(run, "--out", "DIR", "where to write it; without, a new runs/N")
    add_path(run, "--init", "M", INIT)
    add_path(run, "--resume", "DIR", RESUME)
    model = p.add_argument_group("the model (GPTConfig)")
    small = GPTConfig(**SMALL)
    add_fields(model, small, but=["vocab_size"])
    training = "the training (TrainConfig; --init changes some: see numpygpt/pretrained)"
    add_fields(p.add_argument_group(training), TrainConfig(), but=["windows"])


def add_generate(all_commands: Commands) -> None:
    """`numpygpt generate`."""
    p = add_command(all_commands, commands.generate, "continue a prompt")
    add_model(p)
    p.add_argument(
        "--prompt", help="what to continue; without, the run's own sample prompt, or a new text"
    )
    p.add_argument("--tokens", type=whole, default=200, help="the most tokens to add")
    p.add_argument("--samples", type=whole, default=1, help="how many continuations")
    p.add_argument("--temperature", type=number, default=0.8, help=TEMPERATURE)
    p.add_argument("--top-k", type=whole, help="choose among the N most probable tokens")
    p.add_argument("--top-p", type=number, help="choose among as few as have probability X in all")
    p.add_argument(
        "--seed", type=whole, default=0, help="start of the random numbers: the same, the same text"
    )
    p.add_argument(
        "--explain",
        action="store_true",
        help="print a line for each token drawn: how probable it was, and what else it could have "
        "been; then the text",
    )


def add_evaluate(all_commands: Commands) -> None:
    """`numpygpt evaluate`."""
    p = add_command(all_commands, commands.evaluate, "perplexity and bits per byte of a text")
    add_model(p)
    add_path(p, "--data", "FILE", "UTF-8 text to score", required=True)
    p.add_argument("--stride", type=whole, help="how far the window moves; without, half of it")


def add_look(all_commands: Commands) -> None:
    """`numpygpt look`."""
    p = add_command(
        all_commands, commands.look, "look inside: what a model's numbers came to hold, as a page"
    )
    p_untrained = "a model of this shape that has learned nothing, with GPT-2's vocabulary"
    add_model(p).add_argument(
        "--untrained", metavar="NAME", type=preset, help=f"{p_untrained}: {', '.join(PRESETS)}"
    )
    p.add_argument("--prompt", help="what the model is to read; without, a sample")
    p.add_argument("--word", help="whose neighbours come first; without, robin or the last token")
    p.add_argument(
        "--head",
        type=layer_and_head,
        help="block.head, such as 1.2: shown first; without, one that copies",
    )
    to = "where to write the page; without, look.html in the run's folder, or else here"
    add_path(p, "--out", "FILE", to)
    p.add_argument("--open", action="store_true", help="open the page in the browser")
    add_path(p, "--json", "FILE", "write the page's numbers, too")
    p.add_argument(
        "--check",
        action="store_true",
        help="only check the identities that the pictures rest on, all of them in float64",
    )


def add_gradcheck(all_commands: Commands) -> None:
    """`numpygpt gradcheck`."""
    p = add_command(all_commands, commands.gradcheck, "check every gradient against differences")
    what = p.add_mutually_exclusive_group()
    what.add_argument("--sweep", action="store_true", help="show the error against the step size")
    what.add_argument(
        "--preset",
        metavar="NAME",
        type=preset,
        help=f"check a whole model in float64: {', '.join(PRESETS)}",
    )


def add_practice(all_commands: Commands) -> None:
    """`numpygpt practice`."""
    p = add_command(
        all_commands,
        commands.practice,
        "write the backward passes yourself: exercises, checks, hints, and a model of your layers",
        description="`numpygpt practice start` writes a file a layer, with questions; `numpygpt "
        "practice` checks what you wrote in them, up to the first that is not done.",
    )
    names = list(EXERCISES)
    what = one_of("exercise", ["start", *names, "train"])
    p.add_argument(
        "what",
        nargs="?",
        type=what,
        help="start: write the exercises; the name of one: only that "
        f"({', '.join(names)}); train: when all are done, train once more",
    )
    where = "with start: the folder to write, if not practice; what is in it is kept"
    add_path(p, "where", "folder", where, nargs="?")
    folder = "the folder of the exercises; without, this one, if they are here, or practice"
    add_path(p, "--folder", "DIR", folder)
    how = p.add_mutually_exclusive_group()
    how.add_argument(
        "--hint",
        action="store_true",
        help="a hint, one more each time: shapes, one index, the matrix form; then the answer",
    )
    how.add_argument(
        "--watch", action="store_true", help="check again whenever a file is saved, until Ctrl-C"
    )
    p.add_argument(
        "--steps",
        type=whole,
        help="of the training when all are done; without, as many as take a minute",
    )


def add_reproduce(all_commands: Commands) -> None:
    """`numpygpt reproduce`."""
    p = add_command(
        all_commands,
        commands.reproduce,
        "a book's printed numbers, and ours",
        description="Build a Large Language Model (From Scratch), chapters 3 to 5, without PyTorch",
    )
    chapter = one_of("chapter", ("ch03", "ch04", "ch05"))
    p.add_argument(
        "chapter", nargs="?", type=chapter, help="ch03, ch04 or ch05; without, all three"
    )
    add_path(p, "--data", "FILE", "the-verdict.txt for ch05; without, fetched")
    p.add_argument("--train", action="store_true", help="train as ch05 does, three to five minutes")


def add_info(all_commands: Commands) -> None:
    """`numpygpt info`."""
    p = add_command(all_commands, commands.info, "what a model costs: parameters, memory, flops")
    presets = one_of("preset", list(PRESETS), "; your own model is given with --run or --model")
    p.add_argument("preset", nargs="?", type=presets, help=f"{', '.join(PRESETS)}; without, gpt2")
    add_model(p, without="")
    p.add_argument(
        "--batch-size", type=whole, default=4, help="sequences a training step reads at once"
    )
    p.add_argument("--tokens", type=whole, help="tokens in each of them; without, at most 256")
    many = p.add_argument_group("a step by many processes (MPI)")
    many.add_argument("--processes", type=whole, metavar="P", help="how many share a step")
    many.add_argument(
        "--bandwidth", type=number, default=1.25, help="GB/s that one process sends: 10 Gbit/s"
    )
    many.add_argument("--latency", type=number, default=50.0, help="microseconds of a message")
    many.add_argument(
        "--gflops",
        type=number,
        help="what one process computes a second; without, its matrix products are timed",
    )
    shape = p.add_argument_group("changes to the preset (defaults: gpt2's)")
    add_fields(shape, GPTConfig(), but=["dropout"])


def add_plot(all_commands: Commands) -> None:
    """`numpygpt plot`."""
    p = add_command(
        all_commands,
        commands.plot,
        "draw a run's losses, a head's attention or a map of embeddings",
        description="Without --attention and --embeddings: the training loss, held-out loss and "
        "learning rate of a run. Needs matplotlib, the extra [plot].",
    )
    add_path(
        p,
        "source",
        "DIR",
        "a run's folder; for --attention and --embeddings any model, or a name such as gpt2; "
        "without, the newest of runs/",
        nargs="?",
    )
    what = p.add_mutually_exclusive_group()
    what.add_argument(
        "--attention",
        metavar="BLOCK.HEAD",
        type=layer_and_head,
        help="what this head looks at in --prompt; both are counted from 0",
    )
    what.add_argument(
        "--embeddings",
        metavar="WORDS",
        nargs="?",
        const="",
        help="a map of words (a,b,c); without, those of the built-in stories by their kinds, or "
        "the most common ones of another text",
    )
    p.add_argument("--prompt", help="the text for --attention")
    to = "the picture: .png, .svg or .pdf; without, losses.png, attention.png or embeddings.png, "
    add_path(p, "--out", "FILE", to + "here")
