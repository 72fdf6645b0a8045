"""Data parallelism: a batch in shares, each on a thread of its own, over the same weights.

The loss is a mean over all tokens of a batch, so its gradient is the mean of its shares' gradients:
each thread can run the whole model, forward and backward, on some of the sequences, with gradients
of its own, and they meet once a step, to add these up. The other way, all threads at every single
matrix product, meets hundreds of times a step. Where products are small that costs more than it
gains; and where another program takes a core for a moment, each meeting waits for it.

The price is memory: one more set of gradients a share. So large models stay whole, with all
threads at each product, which there take long enough to be worth a meeting.

How many shares there are depends on the work alone, and they are added in a fixed order: the
result is bit for bit the same whatever the number of threads.
"""

from functools import partial

import numpy as np
import numpy.typing as npt

from numpygpt.gpt import GPT, batch_of_ids
from numpygpt.layers.parameter import Array
from numpygpt.parallel import run_all

LEAST_ROWS = 384  # tokens in a share: fewer, and Python's own time is felt
MOST_NUMBERS = 1 << 25  # in all shares' gradients together: 134 MB of float32


def number_of_shares(model: GPT, B: int, T: int) -> int:
    """The largest power of two for which shares are large enough, and their gradients no burden."""
    most = min(B, B * T // LEAST_ROWS, MOST_NUMBERS // model.num_parameters())
    return 1 << max(0, most.bit_length() - 1)


class DataParallel:
    """A model, and replicas of it: one for each share of a batch.

    Parameters
    ----------
    model : GPT
        Its parameters have to stay where they are, as for an optimizer.
    B, T : int
        A batch's size.
    """

    def __init__(self, model: GPT, B: int, T: int) -> None:
        shares = number_of_shares(model, B, T)
        self.models = [model, *(model.replica() for _ in range(shares - 1))]
        self.rng = np.random.default_rng(0)  # seeds the dropout of every batch and share

    def loss_and_gradients(
        self, ids: npt.ArrayLike, targets: npt.ArrayLike, share: float = 1.0
    ) -> float:
        """The loss of a batch (B, T), times `share`; its gradients are added to the model's."""
        ids = batch_of_ids("loss_and_gradients", ids)
        targets = batch_of_ids("loss_and_gradients (targets)", targets)
        n, N = len(self.models), len(ids)
        seeds = self.rng.integers(2**63, size=n)
        losses = np.zeros(n)

        def run(i: int, ids: Array, targets: Array) -> None:
            model = self.models[i]
            if i:
                model.zero_grad()
            if model.config.dropout:
                model.set_dropout_rng(np.random.default_rng(seeds[i]))
            losses[i] = model.loss(ids, targets, share * len(ids) / N)
            model.backward()

        if n == 1:
            run(0, ids, targets)  # with all threads at every product
        else:
            parts = zip(np.array_split(ids, n), np.array_split(targets, n), strict=True)
            run_all([partial(run, i, *part) for i, part in enumerate(parts)], products=True)
            self._add_up()
        return float(losses.sum())

    def _add_up(self) -> None:
        total, *others = (dict(model.named_parameters()) for model in self.models)
        for name, p in total.items():
            for parameters in others:
                p.grad += parameters[name].grad
