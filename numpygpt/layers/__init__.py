"""The math: one layer a file, forward and backward side by side.

Read in this order: base, parameter, linear, embedding, layernorm, gelu, dropout, attention,
feedforward, block, head. The shape letters are explained in `numpygpt/__init__.py`.
"""

from numpygpt.layers.attention import CausalSelfAttention, KeyValueCache
from numpygpt.layers.base import Layer
from numpygpt.layers.block import Block
from numpygpt.layers.dropout import Dropout
from numpygpt.layers.embedding import Embedding
from numpygpt.layers.feedforward import FeedForward
from numpygpt.layers.gelu import GELU
from numpygpt.layers.head import Head
from numpygpt.layers.layernorm import LayerNorm
from numpygpt.layers.linear import Linear
from numpygpt.layers.parameter import Parameter

__all__ = [
    "GELU",
    "Block",
    "CausalSelfAttention",
    "Dropout",
    "Embedding",
    "FeedForward",
    "Head",
    "KeyValueCache",
    "Layer",
    "LayerNorm",
    "Linear",
    "Parameter",
]
