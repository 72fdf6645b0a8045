"""GPT-2 as one would write it in PyTorch, and the same work as numpygpt's.

Fused attention (`scaled_dot_product_attention`), fused AdamW, tied weights, no Python loops but the
one over blocks. Modules have numpygpt's names, so that loading its weights is a walk over them.
"""

import math
import os

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.work import ADAMW, Turn, Work
from numpygpt import GPT, GPTConfig


class Attention(nn.Module):
    """Causal multi-head self-attention."""

    def __init__(self, c: GPTConfig) -> None:
        super().__init__()
        self.n_head = c.n_head
        self.qkv = nn.Linear(c.n_embd, 3 * c.n_embd)
        self.proj = nn.Linear(c.n_embd, c.n_embd)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        B, T, C = x.shape
        q, k, v = self.qkv(x).view(B, T, 3, self.n_head, C // self.n_head).permute(2, 0, 3, 1, 4)
        o = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        y: Tensor = self.proj(o.transpose(1, 2).reshape(B, T, C))
        return y


class FeedForward(nn.Module):
    """Linear, GELU, Linear."""

    def __init__(self, c: GPTConfig) -> None:
        super().__init__()
        self.fc = nn.Linear(c.n_embd, 4 * c.n_embd)
        self.proj = nn.Linear(4 * c.n_embd, c.n_embd)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        y: Tensor = self.proj(F.gelu(self.fc(x), approximate="tanh"))
        return y


class Block(nn.Module):
    """Attention and feed-forward, each behind a LayerNorm, added to the residual stream."""

    def __init__(self, c: GPTConfig) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(c.n_embd), nn.LayerNorm(c.n_embd)
        self.attention, self.feedforward = Attention(c), FeedForward(c)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        x = x + self.attention(self.norm1(x))
        return x + self.feedforward(self.norm2(x))


class TorchGPT(nn.Module):
    """The model; its head is the token embedding."""

    def __init__(self, c: GPTConfig) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(c.vocab_size, c.n_embd)
        self.position_embedding = nn.Embedding(c.context_length, c.n_embd)
        self.blocks = nn.ModuleList(Block(c) for _ in range(c.n_layer))
        self.norm = nn.LayerNorm(c.n_embd)

    def forward(self, ids: Tensor) -> Tensor:
        """Ids (B, T) -> logits (B, T, V)."""
        positions = torch.arange(ids.shape[1])
        x = self.token_embedding(ids) + self.position_embedding(positions)
        for block in self.blocks:
            x = block(x)
        return F.linear(self.norm(x), self.token_embedding.weight)

    @torch.no_grad()
    def load(self, model: GPT) -> None:
        """Take over the weights of a numpygpt model."""
        endings = {"W": "weight", "gain": "weight", "b": "bias", "bias": "bias"}
        ours = dict(self.named_parameters())
        for name, p in model.named_parameters():
            path, _, ending = name.rpartition(".")
            linear = isinstance(self.get_submodule(path), nn.Linear)
            data = p.data.T if linear and ending == "W" else p.data  # torch: (out, in)
            ours.pop(f"{path}.{endings[ending]}").copy_(torch.from_numpy(data))
        assert not ours, f"not loaded: {sorted(ours)}"


def set_threads() -> None:
    """As many as everybody else's."""
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


def prepare(work: Work) -> Turn:
    """PyTorch's turn: training steps."""
    set_threads()
    model = TorchGPT(work.config)
    model.load(work.model())
    decay = [p for p in model.parameters() if p.ndim > 1]
    rest = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": decay}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, **ADAMW, fused=True)
    batches = work.batches()

    def step() -> float:
        ids, targets = (torch.from_numpy(a.copy()) for a in next(batches))
        optimizer.zero_grad(set_to_none=True)
        logits = model(ids)
        loss = F.cross_entropy(logits.view(-1, logits.shape[-1]), targets.view(-1))
        loss.backward()
        optimizer.step()
        return float(loss.item())

    def turn() -> list[float]:
        losses = [step() for _ in range(work.steps)]
        assert all(map(math.isfinite, losses))
        return losses

    return turn
