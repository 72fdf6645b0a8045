"""The book's own numbers, without PyTorch.

*Build a Large Language Model (From Scratch)* by Sebastian Raschka (Manning, 2024) seeds every
example, so what it prints can be checked digit by digit. This folder does so with NumPy alone:

- ``torch_random`` and ``torch_init``: the random numbers PyTorch would have drawn.
- ``model``: the book's GPT, a ``GPTConfig`` and the weights that PyTorch would have given it.
- ``chapter3``: the attention variants, from no weights at all to several causal heads.
- ``chapter4``: how shortcuts keep gradients alive through five layers; the untrained GPT.
- ``chapter5``: its loss, and with it ``verdict`` (the text), ``training`` (ten epochs, step for
  step), ``sampling`` (temperature and top-k).
- ``appendix_d``: warm-up, cosine and clipping, and where numpygpt has them.
- ``printed`` and ``figures``: how a printed number is compared, and the numbers themselves;
  ``training_log``: the same for a training's losses.
- ``reproduce`` and ``report``: the command that shows it all.

Each chapter has a ``computed()`` that yields ``(name, numbers)`` for the figures of those names.
Nothing in ``numpygpt`` outside this folder depends on it, but for the command.
"""
