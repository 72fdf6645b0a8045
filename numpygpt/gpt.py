"""GPT: the layers assembled. From token ids to the logits of the next token, and back.

Forward
-------
    x = dropout(token_embedding[ids] + position_embedding[0..T-1])      (B, T, C)
    x = block_l(x)                  for l = 1 .. L                      (B, T, C)
    logits = norm(x) W_head^T                                           (B, T, V)

The logits at t score every token of the vocabulary as the token at t + 1.

Backward: the same list of layers, walked from its end. The position embedding was added to every
sequence of the batch, so its derivative is summed over the batch; a tied head and the token
embedding add to one gradient.

Reference: Radford et al. 2019; the released code, openai/gpt-2 `src/model.py`.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from numpygpt.config import GPTConfig
from numpygpt.layers.attention import KeyValueCache
from numpygpt.layers.base import Layer
from numpygpt.layers.block import Block
from numpygpt.layers.dropout import Dropout
from numpygpt.layers.embedding import Embedding
from numpygpt.layers.head import Head
from numpygpt.layers.layernorm import LayerNorm
from numpygpt.layers.parameter import Array, Parameter
from numpygpt.positions import waves

if TYPE_CHECKING:
    import tiktoken

    from numpygpt.pretrained import Source


class GPT(Layer):
    """The model.

    Parameters
    ----------
    config : GPTConfig
        Its shape.
    rng : int, numpy.random.Generator or None
        Draws the first values (as GPT-2's, if the config says no other: normal, of standard
        deviation init_std; the last matrix of each branch proj_std; biases 0, gains 1) and then
        dropout's masks. With None, no memory is taken: the shapes are there, and a caller who has
        the values calls `allocate` and fills them in.
    dtype : numpy dtype
        float32 to run; float64 and complex128 to check gradients.
    """

    def __init__(
        self,
        config: GPTConfig,
        rng: int | np.random.Generator | None = 0,
        dtype: npt.DTypeLike = np.float32,
    ) -> None:
        if not isinstance(config, GPTConfig):
            raise TypeError(
                f'GPT: expected a GPTConfig, such as GPTConfig.preset("gpt2"), got {config!r}'
            )
        V, C, std = config.vocab_size, config.n_embd, config.init_std
        self.config = config
        self.token_embedding = Embedding(V, C, std)
        self.position_embedding = Embedding(config.context_length, C, std)
        self.dropout = Dropout(config.dropout)
        self.blocks = [Block(config) for _ in range(config.n_layer)]
        self.norm = LayerNorm(C)
        self.head = Head(self.token_embedding.W if config.tie_weights else Parameter(V, C, std=std))
        generator = np.random.default_rng(0 if rng is None else rng)
        if rng is not None:
            self.initialize(generator, dtype)
        self.set_dropout_rng(generator)

    def initialize(
        self, rng: int | np.random.Generator = 0, dtype: npt.DTypeLike = np.float32
    ) -> "GPT":
        """As every layer's; the position embedding as waves, if the config says so."""
        super().initialize(rng, dtype)
        c = self.config
        if c.sinusoidal_positions:
            first = waves(c.context_length, c.n_embd, c.init_std)
            self.position_embedding.W.data[...] = first
        return self

    def set_dropout_rng(self, rng: Any) -> None:
        """Let all dropout layers draw from `rng`, in the order of the forward pass."""
        for layer in self.layers():
            if isinstance(layer, Dropout):
                layer.rng = rng

    def forward(self, ids: npt.ArrayLike, caches: list[KeyValueCache] | None = None) -> Array:
        """Ids (B, T) -> logits (B, T, V); for caches, see `hidden`."""
        with np.errstate(under="ignore"):  # what is too small for a float is 0: nothing is wrong
            return self.head.forward(self.hidden(ids, caches))

    def hidden(self, ids: npt.ArrayLike, caches: list[KeyValueCache] | None = None) -> Array:
        """Ids (B, T) -> what the head reads, (B, T, C).

        With caches (from `new_caches`), ids are the tokens that follow those seen with them so far.
        """
        ids = batch_of_ids("GPT", ids)
        before = self._cached_length(caches, len(ids)) if caches is not None else 0
        if before + ids.shape[1] > self.config.context_length:
            raise ValueError(
                f"GPT: expected at most {self.config.context_length} tokens, the context length, "
                f"got {before + ids.shape[1]}"
            )
        positions = np.arange(before, before + ids.shape[1])
        x = self.token_embedding.forward(ids) + self.position_embedding.forward(positions)
        x = self.dropout.forward(x)
        for i, block in enumerate(self.blocks):
            x = block.forward(x, caches[i] if caches else None)
        return self.norm.forward(x)

    def loss(self, ids: npt.ArrayLike, targets: npt.ArrayLike, weight: float = 1.0) -> float:
        """Mean cross-entropy in nats of ids (B, T) against the ids that follow each, (B, T).

        Times `weight`, for parts of a batch: see Head.loss.
        """
        targets = batch_of_ids("GPT.loss (targets)", targets)
        with np.errstate(under="ignore"):
            return self.head.loss(self.hidden(ids), targets, weight)

    def backward(self, dlogits: Array | None = None) -> None:
        """Add the gradients of all parameters: after `loss`, or after `forward` given dlogits."""
        with np.errstate(under="ignore"):
            dx = self.norm.backward(self.head.backward(dlogits))
            for block in reversed(self.blocks):
                dx = block.backward(dx)
            dx = self.dropout.backward(dx)
            self.position_embedding.backward(dx.sum(axis=0))
            self.token_embedding.backward(dx)

    def new_caches(self, batch: int) -> list[KeyValueCache]:
        """One empty key/value cache a block: 2 L B C context_length numbers, B = `batch`."""
        c = self.config
        shape = (batch, c.n_head, c.context_length, c.n_embd // c.n_head)
        dtype = self.token_embedding.W.data.dtype
        return [KeyValueCache(shape, dtype) for _ in self.blocks]

    def _cached_length(self, caches: list[KeyValueCache], B: int) -> int:
        """How many tokens the caches hold; an error unless they fit the model and the batch."""
        batches = {cache.k.shape[0] for cache in caches}
        if len(caches) != len(self.blocks) or batches != {B}:
            raise ValueError(
                f"GPT: expected one cache a block, {len(self.blocks)}, for B = {B} sequences (see "
                f"new_caches), got {len(caches)} for {', '.join(map(str, batches)) or 'none'}"
            )
        lengths = sorted({cache.length for cache in caches})
        if len(lengths) > 1:
            raise ValueError(
                f"GPT: expected caches of one length, got {lengths}: was a forward pass "
                "interrupted? Begin with new_caches"
            )
        return lengths[0]

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        dtype: npt.DTypeLike = np.float32,
        rng: int | np.random.Generator = 0,
        **changes: Any,
    ) -> "GPT":
        """A model that was trained, in eval mode.

        Parameters
        ----------
        source : str or Path
            A run's folder; a folder with config.json and model.safetensors, as transformers keeps a
            GPT-2, or such a file in its folder; a name on the Hugging Face hub.
        dtype : numpy dtype
            Of the parameters, whatever the file's.
        rng : int or numpy.random.Generator
            Draws dropout's masks, should training go on.
        **changes
            `context_length`, at most the model's own (the first positions stay), and `dropout`.

        Raises
        ------
        CheckpointError
            If it is no GPT-2, or damaged; the message names the file and the reason.
        OSError
            If the hub cannot be asked.
        """
        from numpygpt.pretrained import open_source

        with open_source(source) as found:
            return cls.filled_from(found, dtype, rng, **changes).eval()

    def expect_as_configured(self) -> None:
        """Raise unless the parameters are those of the config, and so can be read from a file."""
        here = {name: p.shape for name, p in self.named_parameters()}
        configured = {name: p.shape for name, p in GPT(self.config, rng=None).named_parameters()}
        for name in sorted(here.keys() | configured.keys()):
            expected, came = configured.get(name, "none"), here.get(name, "none")
            if expected != came:
                raise ValueError(
                    f"this model cannot be saved: expected {name} as its config says, {expected}, "
                    f"got {came}; a new head or block is kept by other means (numpy.savez, say)"
                )

    @classmethod
    def filled_from(
        cls,
        source: "Source",
        dtype: npt.DTypeLike = np.float32,
        rng: int | np.random.Generator = 0,
        **changes: Any,
    ) -> "GPT":
        """As `from_pretrained`, in training mode, from what `open_source` opened."""
        from numpygpt.pretrained import changed

        stored = cls(source.config, rng=None)  # takes no memory before the file is known to fit
        source.expect({name: p.shape for name, p in stored.named_parameters()})
        model = cls(changed(source.config, **changes), rng=None).allocate(dtype)
        source.fill({name: p.data for name, p in model.named_parameters()})
        model.set_dropout_rng(np.random.default_rng(rng))
        return model

    def save_pretrained(
        self,
        folder: str | Path,
        dtype: npt.DTypeLike | None = None,
        encoding: "tiktoken.Encoding | None" = None,
    ) -> None:
        """Write, in a dtype, what `from_pretrained` and transformers' GPT2LMHeadModel load.

        With an encoding, also the tokenizer, for numpygpt and for transformers.
        """
        from numpygpt.pretrained import save_pretrained

        self.expect_as_configured()
        dtype = self.flat.data.dtype if dtype is None else dtype
        arrays = {name: p.data for name, p in self.named_parameters()}
        save_pretrained(self.config, arrays, folder, dtype, encoding)


def batch_of_ids(name: str, ids: npt.ArrayLike) -> Array:
    """The ids as an array (B, T); an error that begins with `name` unless they are such."""
    try:
        array = np.asarray(ids)
    except ValueError:
        raise ValueError(
            f"{name}: expected ids of shape (B, T), got sequences of different lengths"
        ) from None
    if array.ndim != 2 or not array.size:
        raise ValueError(f"{name}: expected ids of shape (B, T), at least one, got {array.shape}")
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name}: expected whole-number ids, got dtype {array.dtype}")
    return array
