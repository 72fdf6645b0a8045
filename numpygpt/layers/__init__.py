"""The math: one layer a file, forward and backward side by side.

Read in this order: parameter, base, ../parallel (over_rows), linear, embedding, layernorm, gelu,
dropout, ../config, attention, feedforward, block, head. The shape letters are those of
`numpygpt/__init__.py`.
"""

from numpygpt.layers.attention import CausalSelfAttention as CausalSelfAttention
from numpygpt.layers.attention import KeyValueCache as KeyValueCache
from numpygpt.layers.base import Layer as Layer
from numpygpt.layers.block import Block as Block
from numpygpt.layers.dropout import Dropout as Dropout
from numpygpt.layers.embedding import Embedding as Embedding
from numpygpt.layers.feedforward import FeedForward as FeedForward
from numpygpt.layers.gelu import GELU as GELU
from numpygpt.layers.head import Head as Head
from numpygpt.layers.layernorm import LayerNorm as LayerNorm
from numpygpt.layers.linear import Linear as Linear
from numpygpt.layers.parameter import Parameter as Parameter
