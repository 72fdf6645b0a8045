"""A training step that many processes share, as arithmetic: time, traffic, memory.

With P processes, n parameters of float32, and a batch of B sequences (training/distributed.py),

    compute    F ceil(B / P) / s            F flops a sequence, there and back; s flops a second
    exchange   2 (P - 1) (l + 4n / P / w)   a sum of gradients and a hand-out of weights: for each,
                                            P - 1 messages of a P-th; l: latency, w: bytes a second
    efficiency of P                         (time of one process) / P / (compute + exchange)

w is what one process has: those that share a machine share its link. Left out: AdamW, a P-th of
which each process does, and that processes of one machine exchange faster than over the network.
"""

import time
from dataclasses import dataclass

import numpy as np

from numpygpt.cli.info import MIB, activation_floats, forward_flops, num_parameters
from numpygpt.config import GPTConfig


@dataclass(frozen=True)
class Scaling:
    """The model of a step.

    Attributes
    ----------
    n : int
        Parameters.
    flops : float
        A sequence's, forward and backward.
    B, P : int
        Sequences in a batch, and processes.
    speed : float
        Flops a second, of one process.
    bandwidth, latency : float
        Between processes: bytes a second, and seconds.
    """

    n: int
    flops: float
    B: int
    P: int
    speed: float
    bandwidth: float
    latency: float

    @property
    def compute(self) -> float:
        """Seconds: those of the process with the most sequences."""
        return self.flops * -(-self.B // self.P) / self.speed

    @property
    def sent(self) -> float:
        """Bytes that each process sends, in both exchanges."""
        return 2 * (self.P - 1) / self.P * 4 * self.n

    @property
    def exchange(self) -> float:
        """Seconds."""
        return 2 * (self.P - 1) * self.latency + self.sent / self.bandwidth

    @property
    def efficiency(self) -> float:
        """The P-th of one process's time, over the time of P."""
        return self.flops * self.B / self.speed / self.P / (self.compute + self.exchange)

    def memory(self, activations: int, sharded: bool = True) -> float:
        """Bytes a process: weights, gradients, m and v, activations."""
        moments = 2 * self.n / self.P if sharded else 2 * self.n
        return 4 * (2 * self.n + moments + activations)


def matrix_speed(seconds: float = 0.3, size: int = 1024) -> float:
    """Flops a second of this process's matrix products now: the best of a few tries."""
    a, best, start = np.ones((size, size), np.float32), 0.0, time.perf_counter()
    out = a @ a
    while (begin := time.perf_counter()) - start < seconds or not best:
        np.matmul(a, a, out=out)
        best = max(best, 2 * size**3 / (time.perf_counter() - begin))
    return best


def scaling_of(
    config: GPTConfig, B: int, T: int, P: int, bandwidth: float, latency: float, gflops: float
) -> Scaling:
    """The model of a preset's step; GB/s, microseconds and Gflop/s as users give them."""
    for name, value, least in (("number of processes", P, 1), ("batch size", B, P)):
        if value < least:
            raise ValueError(f"info: expected a {name} of at least {least}, got {value}")
    if min(bandwidth, gflops) <= 0 or latency < 0:
        raise ValueError(
            "info: expected a bandwidth and gflops above 0 and a latency from 0, got "
            f"{bandwidth:g}, {gflops:g} and {latency:g}"
        )
    flops = 3.0 * T * forward_flops(config, T)
    return Scaling(
        num_parameters(config), flops, B, P, gflops * 1e9, bandwidth * 1e9, latency / 1e6
    )


def describe_scaling(
    config: GPTConfig,
    B: int,
    T: int,
    P: int,
    bandwidth: float,
    latency: float,
    gflops: float | None,
) -> str:
    """The lines that `numpygpt info --processes P` adds."""
    speed = matrix_speed() / 1e9 if gflops is None else gflops
    s = scaling_of(config, B, T, P, bandwidth, latency, speed)
    activations = activation_floats(config, -(-B // P), T)

    def row(what: str, value: float, unit: str) -> str:
        return f"  {what:33} {value:>12,.2f} {unit}"

    whose = "its matrix products here, now" if gflops is None else "as given"
    return "\n".join(
        [
            "",
            f"a step by {P} processes, {s.speed / 1e9:,.0f} Gflop/s each ({whose}), that exchange "
            f"{bandwidth:g} GB/s after {latency:g} us",
            row(f"compute, {-(-B // P)} of {B} sequences", s.compute * 1e3, "ms"),
            row("exchange", s.exchange * 1e3, "ms"),
            row("sent by each process", s.sent / MIB, "MiB"),
            row("efficiency", 100 * s.efficiency, "%"),
            row("faster than one process", P * s.efficiency, "times"),
            row("memory of a process", s.memory(activations) / MIB, "MiB"),
            row("the same, all m and v in each", s.memory(activations, False) / MIB, "MiB"),
        ]
    )
