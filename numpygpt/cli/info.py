"""What a model costs: parameters by part, memory, and arithmetic a token."""

from dataclasses import replace

import numpy as np

from numpygpt.config import GPTConfig
from numpygpt.gpt import GPT
from numpygpt.layers.base import Layer
from numpygpt.layers.block import Block
from numpygpt.layers.head import ROWS

MIB = 2**20


def skeleton(config: GPTConfig) -> tuple[GPT, Block]:
    """The model with one block only, for all are alike, and that block; neither has memory."""
    model = GPT(replace(config, n_layer=1), rng=None)
    return model, model.blocks[0]


def num_parameters(config: GPTConfig) -> int:
    """How many numbers such a model learns."""
    model, block = skeleton(config)
    return model.num_parameters() + (config.n_layer - 1) * block.num_parameters()


def check_room(config: GPTConfig) -> None:
    """Raise if no memory could hold such a model in training, before all of it is filled."""
    n = num_parameters(config)
    try:
        np.empty(4 * n, np.float32)  # weights, gradients, AdamW's m and v; never touched
    except (MemoryError, ValueError):
        raise MemoryError(f"a model of {n:,} parameters needs {16 * n / MIB:,.0f} MiB") from None


def activation_floats(config: GPTConfig, B: int, T: int) -> int:
    """Numbers alive at the end of a training step's forward pass, as the layers save them."""
    _, block = skeleton(config)
    C, N = config.n_embd, B * T
    norm = C + 1  # x_hat and rstd
    attention = block.attention.qkv.W.shape[1] + C + config.n_head  # q, k, v; o; log-sum-exp
    feedforward = 2 * block.feedforward.fc.W.shape[1]  # h, and the gate that GELU found for it
    each = 2 * norm + attention + feedforward
    head = C + min(ROWS, N) * config.vocab_size // N  # dx, and a chunk of logits
    return N * (config.n_layer * each + norm + head)


def forward_flops(config: GPTConfig, T: int) -> int:
    """Multiplications and additions of a forward pass, a token, averaged over T tokens.

    Two for each weight of a matrix, and 4 C for each earlier token (half of T, on average) in each
    layer's attention.
    """
    model, block = skeleton(config)
    C, L = config.n_embd, config.n_layer
    matrices = sum(p.size for _, p in block.named_parameters() if len(p.shape) == 2)
    return 2 * (L * matrices + model.head.W.size) + 4 * L * C * T // 2


def describe(config: GPTConfig, B: int, T: int) -> str:
    """The table that `numpygpt info` prints; training reads batches of B sequences of T tokens."""
    if B < 1 or not 1 <= T <= config.context_length:
        raise ValueError(
            f"info: expected a batch size from 1 and tokens from 1 to {config.context_length}, the "
            f"context length, got {B} and {T}"
        )
    model, block = skeleton(config)
    L = config.n_layer

    def row(what: str, layer: Layer, times: int = 1) -> str:
        return f"  {what:33} {layer.num_parameters() * times:>16,}"

    total = num_parameters(config)
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
            f"  {'layer norms':33} {(2 * L + 1) * model.norm.num_parameters():>16,}",
            f"  {'head':33} {head:>16}",
            f"  {'in all':33} {total:>16,}",
            "",
            "memory, float32",
            f"  {'weights':33} {total * 4 / MIB:>12,.2f} MiB",
            f"  {'keys and values, a full context':33} {caches * 4 / MIB:>12,.2f} MiB",
            f"  {'to generate, batch 1':33} {(total + caches) * 4 / MIB:>12,.2f} MiB",
            f"  {f'to train, batch {B} of {T:,} tokens':33} {train * 4 / MIB:>12,.2f} MiB",
            "",
            f"arithmetic a token, averaged over {T:,} tokens",
            f"  {'forward':33} {flops / 1e6:>12,.1f} Mflop",
            f"  {'forward and backward':33} {3 * flops / 1e6:>12,.1f} Mflop",
        ]
    )
