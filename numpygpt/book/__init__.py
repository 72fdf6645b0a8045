"""The book's own numbers, without PyTorch.

*Build a Large Language Model (From Scratch)* by Sebastian Raschka (Manning, 2024) seeds every
example, so what it prints can be checked digit by digit. This folder does so with NumPy alone:

- ``torch_random`` and ``torch_init``: the random numbers PyTorch would have drawn.
- ``printed`` and ``figures``: how a printed number is compared, and the numbers themselves.
- ``chapter3``: the attention variants, from no weights at all to several causal heads.
- ``chapter4``: how shortcuts keep gradients alive through five layers.
- ``sampling``: temperature and top-k, from chapter 5.

The last three each have a ``computed()`` that yields ``(name, array)`` for the figures of those
names. Nothing in ``numpygpt`` outside this folder depends on it.
"""
