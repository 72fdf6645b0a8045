"""The book's GPT: ``numpygpt.GPT`` with the weights that PyTorch would have started it with.

The book builds its model from ``nn.Embedding``, ``nn.Linear`` and its own LayerNorm, and each
draws its first values when it is made. So the order of the lines in its ``__init__`` methods is the
order of the draws:

    token embedding (V, C), position embedding (T, C)           normal, N(0, 1)
    for each block:
        W_query, W_key, W_value; attention's out_proj           uniform, see torch_init
        the feed-forward's first and second Linear
    the head (V, C)

A bias is drawn right after its weight; LayerNorm starts at gain 1, bias 0 and draws nothing. Since
position embeddings are drawn second, another context length changes every weight after them.

The embeddings are fifty times as large as GPT-2's own N(0, 0.02). It does no harm here: the first
LayerNorm rescales what the blocks read, and an untied head has small weights of its own.
"""

from numpygpt.book.torch_init import draw_linear, linear_bias, linear_bound, linear_weight
from numpygpt.book.torch_random import TorchRandom
from numpygpt.config import GPTConfig
from numpygpt.gpt import GPT
from numpygpt.layers.block import Block
from numpygpt.layers.layernorm import LayerNorm
from numpygpt.layers.linear import Linear

BOOK = GPTConfig.preset("gpt2", dropout=0.1, qkv_bias=False, tie_weights=False)
SEED = 123  # the book's, nearly everywhere


def book_model(rng: TorchRandom, config: GPTConfig = BOOK) -> GPT:
    """Build the book's model, in training mode.

    Parameters
    ----------
    rng : TorchRandom
        Draws the weights now, and dropout's masks from then on.
    config : GPTConfig
        The book's small model, unless given; chapter 5 has a context length of 256.
    """
    model = GPT(config, rng=None).allocate()
    model.set_dropout_rng(rng)
    draw_parameters(model, rng)
    return model


def draw_parameters(model: GPT, rng: TorchRandom) -> None:
    """Fill a float32 model as torch would; the values are made in place, block by block."""
    rng.fill_normal(model.token_embedding.W.data)
    rng.fill_normal(model.position_embedding.W.data)
    for block in model.blocks:
        _draw_block(block, rng)
    _start_norm(model.norm)
    if model.head.W is not model.token_embedding.W:
        # A head is a Linear without bias, kept as (out, in) like torch's: no transpose.
        bound = linear_bound(model.config.n_embd)
        rng.fill_uniform(model.head.W.data, -bound, bound)


def _draw_block(block: Block, rng: TorchRandom) -> None:
    _draw_qkv(block.attention.qkv, rng)
    draw_linear(block.attention.proj, rng)
    draw_linear(block.feedforward.fc, rng)
    draw_linear(block.feedforward.proj, rng)
    _start_norm(block.norm1)
    _start_norm(block.norm2)


def _draw_qkv(qkv: Linear, rng: TorchRandom) -> None:
    """Three Linear layers of the book, side by side in one array (C, 3C)."""
    C, width = qkv.W.shape
    for start in range(0, width, C):
        columns = slice(start, start + C)
        qkv.W.data[:, columns] = linear_weight(rng, C, C)
        if qkv.b is not None:
            qkv.b.data[columns] = linear_bias(rng, C, C)


def _start_norm(norm: LayerNorm) -> None:
    norm.gain.data[...] = 1
    norm.bias.data[...] = 0
