"""The work that is timed: a model's shape, and what to do with it.

Every contestant (numpygpt, PyTorch, transformers, a limit of the machine) is a module with

    prepare(work) -> turn

where `turn()` does the work once and returns numbers: losses, or the generated ids. On the same
weights and the same tokens two contestants have to return the same numbers: equal work.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from numpygpt import GPT, AdamW, GPTConfig, generate
from numpygpt.config import SMALL
from numpygpt.training.data_parallel import DataParallel
from numpygpt.training.distributed import ALONE, Alone

Ids = npt.NDArray[np.int64]
Turn = Callable[[], list[float]]
Tell = Callable[[str], None]  # of what is being measured

ADAMW = {"lr": 3e-4, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.1}  # of every contestant
PROMPT = 32  # tokens that generation starts from


@dataclass(frozen=True)
class Work:
    """One piece of work.

    Attributes
    ----------
    kind : str
        "train" (a whole step: forward, backward, AdamW), "forward" (logits of all tokens) or
        "generate" (greedy).
    config : GPTConfig
        The model's shape.
    batch, tokens : int
        B and T; for "generate", T is the number of new tokens.
    steps : int
        How many in one turn, so that a turn is long enough to time.
    cache : bool
        Whether generation keeps keys and values.
    """

    kind: str
    config: GPTConfig
    batch: int
    tokens: int
    steps: int = 1
    cache: bool = True

    @property
    def name(self) -> str:
        """The sizes, so that no row of a table can have another work's name."""
        c = self.config
        model = MODELS.get(c) or f"{c.n_layer} blocks of width {c.n_embd}"
        if self.kind == "generate":
            what = f"{self.tokens} tokens after {PROMPT}" + ("" if self.cache else ", no cache")
        else:
            forward = "forward, " if self.kind == "forward" else ""
            what = f"{forward}{self.batch}x{self.tokens}"
        return f"{model}, {what}"

    def model(self) -> GPT:
        """The numpygpt model whose weights every contestant starts from."""
        return GPT(self.config, rng=0)

    def num_parameters(self) -> int:
        """Parameters of the model, tied ones once."""
        return GPT(self.config, rng=None).num_parameters()

    def batches(self) -> Iterator[tuple[Ids, Ids]]:
        """Ids and targets, (B, T) each, new ones for every step, the same for everybody."""
        rng = np.random.default_rng(0)
        while True:
            ids = rng.integers(self.config.vocab_size, size=(self.batch, self.tokens + 1))
            yield ids[:, :-1], ids[:, 1:]

    def prompt(self) -> Ids:
        """What generation starts from, (B, PROMPT)."""
        return np.random.default_rng(0).integers(self.config.vocab_size, size=(self.batch, PROMPT))

    def flops(self) -> float:
        """Multiplications and additions of one training step (a third of it: one forward).

        Six for each parameter and token (a tied embedding counts once, for the head), and
        6 L C T a token for causal attention.
        """
        c, N = self.config, self.batch * self.tokens
        L, C = c.n_layer, c.n_embd
        return 6.0 * N * (self.num_parameters() + L * C * self.tokens)


def matrices(config: GPTConfig) -> list[tuple[int, ...]]:
    """(in, out) of every matrix that a token is multiplied with: the blocks', then the head's."""
    model = GPT(config, rng=None)
    blocks = [p for block in model.blocks for _, p in block.named_parameters()]
    return [*(p.shape for p in blocks if len(p.shape) == 2), model.head.W.shape[::-1]]


GPT2, XL = GPTConfig.preset("gpt2"), GPTConfig.preset("gpt2-xl")
DEFAULT = GPTConfig(1161, **SMALL)  # what `numpygpt train` makes of its stories
TINY = GPTConfig(vocab_size=256, context_length=256, n_layer=6, n_head=6, n_embd=384)
NANO = GPTConfig(vocab_size=256, context_length=64, n_layer=4, n_head=4, n_embd=128)
TRIAL = GPTConfig(vocab_size=256, context_length=64, n_layer=2, n_head=2, n_embd=32)
MODELS = {  # default: of `numpygpt train`
    NANO: "nano",
    DEFAULT: "default",
    TINY: "tiny",
    GPT2: "GPT-2 124M",
    XL: "GPT-2 1558M",
}

TRAINING = [
    Work("train", NANO, 12, 64, steps=20),
    Work("train", DEFAULT, 16, 128, steps=10),
    Work("train", TINY, 8, 256, steps=2),
    Work("train", GPT2, 1, 256),
    Work("train", GPT2, 4, 256),
    Work("train", GPT2, 1, 1024),
]
FORWARD = Work("forward", GPT2, 1, 1024)
DECODE = Work("generate", GPT2, 1, 64)
LARGE = Work("generate", XL, 1, 8)


def shrink(work: Work) -> Work:
    """The same kind of work in a few milliseconds, to try the benchmarks themselves."""
    return replace(work, config=TRIAL, batch=1, tokens=min(work.tokens, 16), steps=1)


def chosen(works: Iterable[Work], quick: bool, wanted: str, tell: Tell) -> Iterator[Work]:
    """The works whose name contains `wanted`, each told when its turn comes.

    If `quick`, what they shrink to: where that is the same, once.
    """
    found = [work for work in works if wanted in work.name]
    for work in dict.fromkeys(map(shrink, found)) if quick else found:
        tell(work.name)
        yield work


def prepare(work: Work, group: Alone = ALONE) -> Turn:
    """Numpygpt's turn; training, that of one process of a group."""
    model = work.model()
    if work.kind == "train":
        own = group.own(model.num_parameters())
        optimizer = AdamW(model, **ADAMW, own=own)  # type: ignore[arg-type]
        parallel = DataParallel(model, work.batch, work.tokens, group)
        batches = work.batches()

        def step() -> float:
            ids, targets = next(batches)
            model.zero_grad()
            loss = parallel.loss_and_gradients(ids, targets)
            group.sum_part(model.flat.grad)
            optimizer.step()
            group.share_parts(model.flat.data)
            return loss

        return lambda: [step() for _ in range(work.steps)]

    model.eval()
    if work.kind == "forward":
        ids, targets = next(work.batches())
        return lambda: [mean_loss(model.forward(ids), targets) for _ in range(work.steps)]
    prompt = work.prompt()
    return lambda: generate(
        model, prompt, work.tokens, temperature=0, use_cache=work.cache
    ).ravel().tolist()  # fmt: skip


def mean_loss(logits: npt.NDArray[np.float32], targets: Ids) -> float:
    """The cross-entropy of the last position's logits: enough to tell whether all is the same."""
    z = logits[:, -1].astype(np.float64)
    z -= z.max(-1, keepdims=True)
    chosen = np.take_along_axis(z, targets[:, -1:], axis=1)[:, 0]
    return float(np.mean(np.log(np.exp(z).sum(-1)) - chosen))
