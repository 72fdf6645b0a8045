"""What the book prints in chapters 3 to 5, as printed on a CPU.

Names begin with the chapter. For each there is a ``computed()`` that yields numbers under the
same name, and `compare_all` puts the two side by side. Where the book prints text, the
figure holds its token ids in the GPT-2 encoding.

Source: Sebastian Raschka, *Build a Large Language Model (From Scratch)*, Manning 2024, and the
notebooks of its repository (rasbt/LLMs-from-scratch, commit 28c65cd).
"""

from collections.abc import Iterable, Iterator

import numpy.typing as npt

from numpygpt.book.printed import Comparison, Printed, compare

# fmt: off
# By hand, so that each figure is one line of name, section and meaning, and then its numbers.

CHAPTER3 = (
    Printed(
        "ch03.weights", "3.3.1", "attention weights of token 2, without learned weights",
        ".1385 .2379 .2333 .1240 .1082 .1581",
    ),
    Printed(
        "ch03.scores", "3.3.2", "dot products of token 1 with all tokens",
        ".9995 .9544 .9422 .4753 .4576 .6310",
    ),
    Printed(
        "ch03.contexts", "3.3.2", "context vectors, without learned weights",
        ".4421 .5931 .5790 / .4419 .6515 .5683 / .4431 .6496 .5671 /"
        " .4304 .6298 .5510 / .4671 .5910 .5266 / .4177 .6503 .5645",
    ),
    Printed(
        "ch03.v1", "3.4.2", "context vectors, weights drawn by torch.rand, seed 123",
        ".2996 .8053 / .3061 .8210 / .3058 .8203 / .2948 .7939 / .2927 .7891 / .2990 .8040",
    ),
    Printed(
        "ch03.v2", "3.4.2", "context vectors, Linear layers, seed 789",
        "-.0739 .0713 / -.0748 .0703 / -.0749 .0702 /"
        " -.0760 .0685 / -.0763 .0679 / -.0754 .0693",
    ),
    Printed(
        "ch03.v2-weights", "3.5.1", "attention weights of token 1, Linear layers, seed 789",
        ".1921 .1646 .1652 .1550 .1721 .1510",
    ),
    Printed(
        "ch03.dropout", "3.5.2", "dropout of one half of ones, seed 123",
        "2. 2. 0. 2. 2. 0. / 0. 0. 0. 2. 0. 2. / 2. 2. 2. 2. 0. 2. /"
        " 0. 2. 2. 0. 0. 2. / 0. 2. 0. 2. 0. 2. / 0. 2. 2. 2. 2. 0.",
    ),
    Printed(
        "ch03.causal", "3.5.3", "context vectors of causal attention, seed 123",
        "-.4519 .2216 / -.5874 .0058 / -.6300 -.0632 /"
        " -.5675 -.0843 / -.5526 -.0981 / -.5299 -.1081",
    ),
    Printed(
        "ch03.side-by-side", "3.6.1", "context vectors of two causal heads, seed 123",
        "-.4519 .2216 .4772 .1063 / -.5874 .0058 .5891 .3257 / -.6300 -.0632 .6202 .3860 /"
        " -.5675 -.0843 .5478 .3589 / -.5526 -.0981 .5321 .3428 / -.5299 -.1081 .5077 .3493",
    ),
    Printed(
        "ch03.multi-head", "3.6.2", "context vectors of two heads of size 1, seed 123",
        ".3190 .4858 / .2943 .3897 / .2856 .3593 / .2693 .3873 / .2639 .3928 / .2575 .4028",
    ),
)

CHAPTER4 = (
    Printed(
        "ch04.gradients-plain", "4.4", "mean |gradient| of five weights, without shortcuts",
        ".00020173587836325169 .00012011159560643137 .0007152039906941354"
        " .0013988736318424344 .005049645435065031",
    ),
    Printed(
        "ch04.gradients-shortcuts", "4.4", "mean |gradient| of five weights, with shortcuts",
        ".22169792652130127 .20694106817245483 .32896995544433594"
        " .2665732204914093 1.3258540630340576",
    ),
    Printed(
        "ch04.logits", "4.6", "first and last three logits of the first and the last position",
        ".3613 .4222 -.0711 .3483 .4661 -.2838 / -.1565 .3926 .3288 1.2630 -.1858 .0388",
    ),
    Printed(
        "ch04.parameters", "4.6", "parameters of the small model, with and without the head",
        "163009536 124412160",
    ),
    Printed("ch04.mebibytes", "4.6", "MiB of float32 in the small model", "621.83"),
    Printed(
        "ch04.parameters-block", "exercise 4.1", "parameters of feed-forward and of attention",
        "4722432 2360064",
    ),
    Printed(
        "ch04.parameters-larger", "exercise 4.2", "parameters of gpt2-medium, -large and -xl",
        "406212608 838220800 1637792000",
    ),
    Printed(
        "ch04.mebibytes-larger", "exercise 4.2", "MiB of float32 in the three",
        "1549.58 3197.56 6247.68",
    ),
    Printed(
        "ch04.greedy", "4.7", "six tokens after 'Hello, I am', untrained, seed 123",
        "27018 24086 47843 30961 42348 7267",
    ),
)

CHAPTER5 = (
    Printed(
        "ch05.greedy", "5.1.1", "ten tokens after 'Every effort moves you', untrained, seed 123",
        "34245 5139 2492 25405 17434 17853 5308 3398 13174 43071",
    ),
    Printed(
        "ch05.argmax", "5.1.2", "most probable next tokens of two texts",
        "16657 339 42826 / 49906 29669 41751",
    ),
    Printed(
        "ch05.target-probabilities", "5.1.2", "probabilities of the true next tokens",
        "7.4541e-05 3.1061e-05 1.1563e-05 / 1.0337e-05 5.6776e-05 4.7559e-06",
    ),
    Printed("ch05.loss", "5.1.2", "mean cross-entropy of these", "10.7940"),
    Printed("ch05.perplexity", "5.1.2", "exp of that", "48725.82"),
    Printed("ch05.text", "5.1.3", "characters and tokens of The Verdict", "20479 5145"),
    Printed("ch05.parts", "5.1.3", "tokens to train on, and tokens held out", "4612 534"),
    Printed("ch05.batches", "5.1.3", "batches of 2 x 256 tokens of each", "9 1"),
    Printed(
        "ch05.losses-before", "5.1.3", "training and validation loss before training",
        "10.98758 10.98111",
    ),
    Printed(
        "ch05.losses", "5.2", "training and validation loss every five steps",
        "9.781 9.933 / 8.111 8.339 / 6.661 7.048 / 5.961 6.616 / 5.726 6.600 / 5.201 6.348 /"
        " 4.417 6.278 / 4.069 6.226 / 3.732 6.160 / 2.850 6.179 / 2.427 6.141 / 2.104 6.134 /"
        " 1.882 6.233 / 1.320 6.238 / 0.985 6.242 / 0.717 6.293 / 0.541 6.393 / 0.391 6.452",
    ),
    Printed(
        "ch05.counts-temperature-1", "5.3.1", "tokens in 1,000 draws at temperature 1",
        "73 0 0 582 2 0 0 343 0",
    ),
    Printed(
        "ch05.counts-temperature-0.1", "5.3.1", "tokens in 1,000 draws at temperature 0.1",
        "0 0 0 985 0 0 0 15 0",
    ),
    Printed(
        "ch05.counts-temperature-5", "5.3.1", "tokens in 1,000 draws at temperature 5",
        "165 75 42 239 71 46 32 227 103",
    ),
    Printed(
        "ch05.top-3", "5.3.2", "probabilities with all but three tokens ruled out",
        ".0615 .0000 .0000 .5775 .0000 .0000 .0000 .3610 .0000",
    ),
)

# fmt: on

CHAPTERS = {"ch03": CHAPTER3, "ch04": CHAPTER4, "ch05": CHAPTER5}


def compare_all(computed: Iterable[tuple[str, npt.ArrayLike]]) -> Iterator[Comparison]:
    """Put (name, numbers) pairs beside the figures of those names, one by one as they come.

    Raises
    ------
    ValueError
        If a name is no figure's, or a figure has another number of numbers.
    """
    figures = {figure.name: figure for chapter in CHAPTERS.values() for figure in chapter}
    for name, numbers in computed:
        if name not in figures:
            raise ValueError(f"expected the name of a printed figure, got {name!r}")
        yield compare(figures[name], numbers)
