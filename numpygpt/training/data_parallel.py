"""Data parallelism: a batch in shares, each on a thread of its own, over the same weights.

The loss is a mean over all tokens of a batch, so its gradient is the sum of its shares' gradients,
each weighted by its part of the batch: a thread can run the whole model, forward and backward, on
some of the sequences, with gradients of its own, and the threads meet once a step, to add these up.
The other way, all threads at every single matrix product, meets hundreds of times a step. Where
products are small that costs more than it gains; and where another program takes a core for a
moment, each meeting waits for it.

The price is memory: one more set of gradients a share. So large models stay whole, with all
threads at each product, which there take long enough to be worth a meeting.

How many shares there are depends on the work alone, and they are added in a fixed order: of
several, the result is bit for bit the same whatever the number of threads. (A single one's products
are OpenBLAS's to split, which may change a rounding.)

Of many processes (distributed.py) each does this with its own part of the batch's sequences. Their
dropout is drawn as one process would draw it, from a stream for each share of the whole batch.
"""

import copy
from functools import partial

import numpy as np
import numpy.typing as npt

from numpygpt.gpt import GPT, batch_of_ids
from numpygpt.parallel import run_all
from numpygpt.training.distributed import ALONE, Alone, part
from numpygpt.training.masks import RowsOfShares

LEAST_ROWS = 384  # tokens in a share: fewer, and Python's own time is felt
MOST_NUMBERS = 1 << 25  # in all shares' gradients together: 134 MB of float32


def number_of_shares(model: GPT, B: int, T: int) -> int:
    """The largest power of two for which shares are large enough, and their gradients no burden."""
    most = min(B, B * T // LEAST_ROWS, MOST_NUMBERS // model.num_parameters())
    return 1 << max(0, most.bit_length() - 1)


def replica(model: GPT) -> GPT:
    """The same values, for as long as nobody moves them, and gradients of its own, now none."""
    values = {id(p.data): p.data for _, p in model.named_parameters()}
    other = copy.deepcopy(model, memo=values).train()  # its Parameters are copies, these are not
    other.zero_grad()
    return other


class DataParallel:
    """A model, and replicas of it: one for each share of a batch.

    Parameters
    ----------
    model : GPT
        Its parameters have to stay where they are: an optimizer, which may move them, comes first.
    B, T : int
        A batch's size.
    group : Alone
        The processes that each batch is dealt out to.
    """

    def __init__(self, model: GPT, B: int, T: int, group: Alone = ALONE) -> None:
        self.group, self.streams = group, number_of_shares(model, B, T)
        own = group.own(B)
        shares = number_of_shares(model, own.stop - own.start, T)
        self.models = [model, *(replica(model) for _ in range(shares - 1))]
        every = (dict(m.named_parameters()).values() for m in self.models)
        self.parameters = list(zip(*every, strict=True))  # each with those of its replicas
        self.rng = np.random.default_rng(0)  # seeds the dropout of every batch and share

    def loss_and_gradients(
        self, ids: npt.ArrayLike, targets: npt.ArrayLike, weight: float = 1.0
    ) -> float:
        """The loss of a batch (B, T), times `weight`; its gradients are added to the model's.

        Of a process of many: its own sequences' part of the sum over all that the loss is. With
        dropout, the model draws from a stream of this batch's from now on. After an error the
        model's gradients are undefined.
        """
        ids = batch_of_ids("loss_and_gradients", ids)
        targets = batch_of_ids("loss_and_gradients (targets)", targets)
        n, B = len(self.models), len(ids)
        own = self.group.own(B)
        if not (len(targets) == B >= self.streams and own.stop - own.start >= n):
            raise ValueError(
                f"loss_and_gradients: expected at least {max(n * self.group.size, self.streams)} "
                f"sequences, one a share, and as many of targets, got {B} and {len(targets)}"
            )
        self._begin()
        seeds = self.rng.integers(2**63, size=self.streams)
        losses = np.zeros(n)

        def run(i: int) -> None:
            model, share = self.models[i], part(own.stop - own.start, i, n)
            rows = slice(own.start + share.start, own.start + share.stop)  # of the batch
            if model.config.dropout:
                model.set_dropout_rng(RowsOfShares(seeds, B, rows))
            losses[i] = model.loss(ids[rows], targets[rows], weight * len(ids[rows]) / B)
            model.backward()

        if n == 1:
            run(0)  # with all threads at every product
        else:
            run_all([partial(run, i) for i in range(n)], products=True)
        for p, *replicated in self.parameters:
            for other in replicated:
                p.grad += other.grad
        return float(losses.sum())

    def _begin(self) -> None:
        """Forget the replicas' gradients; an error if their values are not the model's any more."""
        for p, *replicated in self.parameters:
            for other in replicated:
                if other.data is not p.data:
                    raise RuntimeError(
                        "loss_and_gradients: the model's parameters were moved since DataParallel "
                        "was made: make a new one"
                    )
                other.zero_grad()
