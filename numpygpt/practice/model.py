"""A GPT of the reader's layers: every gradient of it comes through backwards that the reader wrote.

It is `GPT` with all of its layers replaced. Its parameters have the same names and start with the
same values, so it learns what the package's own learns, and is saved as a run like any other.

Two things remain the package's: the two lines that add the embeddings up (and, backward, hand their
derivative to both), and `twin`, which shares all parameters and is there for generating alone: the
exercises have no key/value cache.
"""

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from numpygpt.config import GPTConfig
from numpygpt.gpt import GPT, batch_of_ids
from numpygpt.layers import KeyValueCache, Parameter
from numpygpt.layers.parameter import Array


class OwnGPT(GPT):
    """The model.

    Parameters
    ----------
    config : GPTConfig
        With biases and a tied head, and without dropout inside attention: so without any.
    modules : dict of str to module
        The exercises' modules, by name.
    rng, dtype
        As for GPT.
    """

    def __init__(
        self,
        config: GPTConfig,
        modules: Mapping[str, ModuleType],
        rng: int | np.random.Generator = 0,
        dtype: npt.DTypeLike = np.float32,
    ) -> None:
        if config.dropout or not (config.qkv_bias and config.tie_weights):
            raise ValueError("OwnGPT: expected a model with biases, tied, and without dropout")
        super().__init__(config, rng=None)
        m: Any = modules
        C = config.n_embd
        self.token_embedding = m["embedding"].Embedding(config.vocab_size, C)
        self.position_embedding = m["embedding"].Embedding(config.context_length, C)
        self.dropout = m["dropout"].Dropout(config.dropout)
        self.blocks = [m["block"].Block(config) for _ in range(config.n_layer)]
        self.norm = m["layernorm"].LayerNorm(C)
        self.head: Any = m["head"].Head(self.token_embedding.W)
        self.weight = 1.0
        own = dict(self.named_parameters())
        self.twin = GPT(config, rng=None)
        shared = {id(p): own[name] for name, p in self.twin.named_parameters()}
        for name, p in self.twin.named_parameters():
            own[name].mean, own[name].std = p.mean, p.std
        for layer in self.twin.layers():
            for name, child in layer.children():
                if isinstance(child, Parameter):
                    setattr(layer, name, shared[id(child)])
        self.initialize(rng, dtype)

    def hidden(self, ids: npt.ArrayLike, caches: list[KeyValueCache] | None = None) -> Array:
        """As GPT's; with caches, by the twin."""
        if caches is not None:
            return self.twin.hidden(ids, caches)
        ids = batch_of_ids("OwnGPT", ids)
        positions = np.arange(ids.shape[1])
        x = self.token_embedding.forward(ids) + self.position_embedding.forward(positions)
        x = self.dropout.forward(x)
        for block in self.blocks:
            x = block.forward(x)
        return self.norm.forward(x)

    def loss(self, ids: npt.ArrayLike, targets: npt.ArrayLike, weight: float = 1.0) -> float:
        """As GPT's."""
        self.weight = weight
        targets = batch_of_ids("OwnGPT.loss (targets)", targets)
        with np.errstate(under="ignore"):
            return float(self.head.loss(self.hidden(ids), targets)) * weight

    def backward(self, dlogits: Array | None = None) -> None:
        """As GPT's, after `loss`."""
        with np.errstate(under="ignore"):
            dx = self.norm.backward(self.head.backward(self.weight))
            for block in reversed(self.blocks):
                dx = block.backward(dx)
            dx = self.dropout.backward(dx)
            self.position_embedding.backward(dx.sum(axis=0))
            self.token_embedding.backward(dx)
