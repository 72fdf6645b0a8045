"""What a model costs: parameters by part, memory, and arithmetic a token."""

from numpygpt.config import GPTConfig
from numpygpt.gpt import GPT
from numpygpt.layers.base import Layer
from numpygpt.layers.head import ROWS

MIB = 2**20


def activation_floats(config: GPTConfig, B: int, T: int) -> int:
    """Numbers alive at the end of a training step's forward pass, as the layers save them."""
    C, H, L, V, N = config.n_embd, config.n_head, config.n_layer, config.vocab_size, B * T
    norm = C + 1  # x_hat and rstd
    attention = 4 * C + H  # q, k, v and o; one log-sum-exp a head
    feedforward = 8 * C  # h, and the gate that GELU found for it
    block = 2 * norm + attention + feedforward
    head = C + min(ROWS, N) * V // N  # dx, and a chunk of logits
    return N * (L * block + norm + head)


def forward_flops(config: GPTConfig, T: int) -> int:
    """Multiplications and additions of a forward pass, a token, averaged over T tokens.

    Two for each weight of a matrix, and 4 C for each earlier token (half of T, on average) in each
    layer's attention.
    """
    C, L, V = config.n_embd, config.n_layer, config.vocab_size
    return 2 * (12 * L * C * C + V * C) + 4 * L * C * T // 2


def describe(config: GPTConfig, B: int = 1, T: int | None = None) -> str:
    """The table that `numpygpt info` prints; training reads batches of B sequences of T tokens."""
    T = min(256, config.context_length) if T is None else T
    if B < 1 or not 1 <= T <= config.context_length:
        raise ValueError(
            f"info: expected a batch size from 1 and tokens from 1 to {config.context_length}, the "
            f"context length, got {B} and {T}"
        )
    model = GPT(config, rng=None)  # memory that is never touched is never taken
    block = model.blocks[0]
    L = config.n_layer

    def row(what: str, layer: Layer, times: int = 1) -> str:
        return f"  {what:34}{layer.num_parameters() * times:>16,}"

    total = model.num_parameters()
    caches = 2 * L * config.context_length * config.n_embd
    head = "the token embedding's" if config.tie_weights else f"{model.head.num_parameters():,}"
    train = 4 * total + activation_floats(config, B, T)
    flops = forward_flops(config, T)
    return "\n".join(
        [
            f"vocabulary {config.vocab_size:,}, context {config.context_length:,}, width "
            f"{config.n_embd:,}, {config.n_head} heads of {config.n_embd // config.n_head}, "
            f"{L} blocks",
            "",
            "parameters",
            row("token embedding", model.token_embedding),
            row("position embedding", model.position_embedding),
            row(f"attention, {L} times {block.attention.num_parameters():,}", block.attention, L),
            row(
                f"feed-forward, {L} times {block.feedforward.num_parameters():,}",
                block.feedforward,
                L,
            ),
            f"  {'layer norms':34}{(2 * L + 1) * model.norm.num_parameters():>16,}",
            f"  {'head':34}{head:>16}",
            f"  {'in all':34}{total:>16,}",
            "",
            "memory, float32",
            f"  {'weights':34}{total * 4 / MIB:>12,.2f} MiB",
            f"  {'keys and values, a full context':34}{caches * 4 / MIB:>12,.2f} MiB",
            f"  {'to generate, batch 1':34}{(total + caches) * 4 / MIB:>12,.2f} MiB",
            f"  {f'to train, batch {B} of {T:,} tokens':34}{train * 4 / MIB:>12,.2f} MiB",
            "",
            f"arithmetic a token, averaged over {T:,} tokens",
            f"  {'forward':34}{flops / 1e6:>12,.1f} Mflop",
            f"  {'forward and backward':34}{3 * flops / 1e6:>12,.1f} Mflop",
        ]
    )
