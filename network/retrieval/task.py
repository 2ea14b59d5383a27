"""Associative retrieval: tie digits to letters while reading, then say one of them.

A sequence shows K pairs of a letter and a digit, a separator twice, one of the letters
again, and a silent step in which the network says the digit that came with it::

    c 9 k 8 j 3 ? ? k _        ->  8

Pairs are drawn anew for every sequence, so no long-term weight can hold them: they live in
the short-term weights F, or in h. The task is that of Ba et al., "Using Fast Weights to
Attend to the Recent Past" (NeurIPS 2016), which Rodriguez, Guo and Moraitis (ICML 2022)
gave their STPN. The silent step is this package's: F ties h of one step to h of the step
before, so a letter must have become h before it can recall.

Nothing of torch or Brian2 is loaded before sequences are drawn.
"""

from dataclasses import dataclass, field
from string import ascii_lowercase, digits
from typing import TYPE_CHECKING, Any

from mstpn.network.normalisation import check_normalisation
from mstpn.network.twin.config import TwinConfig
from mstpn.synapses.device_file import read_device_file

if TYPE_CHECKING:
    from torch import Generator, Tensor

__all__ = ["RetrievalOptions", "Task", "unbound_accuracy"]


@dataclass(frozen=True)
class Task:
    """Sequences of K pairs.

    Parameters
    ----------
    n_pairs : int
        K; the letters of a sequence are distinct.
    n_keys : int
        Letters there are, 26 at most.
    n_values : int
        Digits there are, 10 at most; chance is ``1 / n_values``.

    Raises
    ------
    ValueError
        If a number is out of range.
    """

    n_pairs: int
    n_keys: int = len(ascii_lowercase)
    n_values: int = len(digits)

    def __post_init__(self) -> None:
        _require("keys", 2 <= self.n_keys <= 26, "in [2, 26]", self.n_keys)
        _require("values", 2 <= self.n_values <= 10, "in [2, 10]", self.n_values)
        allowed = f"in [1, {self.n_keys}] with {self.n_keys} keys"
        _require("pairs", 1 <= self.n_pairs <= self.n_keys, allowed, self.n_pairs)

    @property
    def symbols(self) -> str:
        """All symbols, in the order of their numbers: letters, digits, separator, silence."""
        return ascii_lowercase[: self.n_keys] + digits[: self.n_values] + "?_"

    @property
    def n_steps(self) -> int:
        """Steps of a sequence, 2 K + 4."""
        return 2 * self.n_pairs + 4

    def sequences(self, n: int, generator: "Generator") -> "tuple[Tensor, Tensor]":
        """Draw sequences.

        Parameters
        ----------
        n : int
        generator : torch.Generator

        Returns
        -------
        symbols : Tensor of int64, (T, n)
            Numbers of the symbols.
        answers : Tensor of int64, (n,)
            Digit asked for.
        """
        import torch

        keys = torch.rand(n, self.n_keys, generator=generator).argsort(1)[:, : self.n_pairs]
        values = torch.randint(self.n_values, (n, self.n_pairs), generator=generator)
        asked = torch.randint(self.n_pairs, (n, 1), generator=generator)
        pairs = torch.stack([keys, self.n_keys + values], dim=2).flatten(1)
        separator = torch.full((n, 2), self.n_keys + self.n_values)
        parts = [pairs, separator, keys.gather(1, asked), separator[:, :1] + 1]
        return torch.cat(parts, dim=1).T.contiguous(), values.gather(1, asked)[:, 0]

    def text(self, sequence: "Tensor") -> str:
        """One sequence, (T,), as its symbols."""
        return "".join(self.symbols[int(k)] for k in sequence)


def unbound_accuracy(task: Task, symbols: "Tensor") -> float:
    """Expected accuracy of the best guess from the digits alone, blind to their letters.

    It says the digit that was shown most often.
    """
    from torch.nn import functional

    values = symbols[1 : 2 * task.n_pairs : 2] - task.n_keys
    counts = functional.one_hot(values, task.n_values).sum(0)
    return float(counts.max(1).values.double().mean() / task.n_pairs)


def _option(default: Any, help_text: str) -> Any:
    return field(default=default, metadata={"help": help_text})


_DEVICE = read_device_file()


@dataclass(frozen=True)
class RetrievalOptions:
    """Task, network and hyper-parameters.

    Raises
    ------
    ValueError
        If a value is out of range; the message names it.
    """

    pairs: int = _option(8, "pairs K of a sequence")
    keys: int = _option(26, "letters there are")
    values: int = _option(10, "digits there are")
    hidden: int = _option(64, "units of the m-STPN layer")
    embedding: int = _option(32, "features of a symbol")
    normalisation: str = _option("none", "of the presynaptic vector, none or l2")
    decay_min: float = _option(_DEVICE["decay_min"]["value"], "smallest Lambda")
    decay_max: float = _option(_DEVICE["decay_max"]["value"], "largest Lambda")
    pulse_limits: bool = _option(
        False, "updates and W + F only as the device's pulses and its conductance window allow"
    )
    steps: int = _option(4000, "updates of the parameters")
    batch: int = _option(128, "sequences per update")
    learning_rate: float = _option(2e-3, "of Adam, falling linearly to 0")
    gradient_clip: float = _option(1.0, "largest norm of the gradient")
    gamma_init: float = _option(0.1, "Gamma starts uniform between minus and plus this")
    seed: int = _option(0, "of every random draw")

    def __post_init__(self) -> None:
        for name in ("hidden", "embedding", "steps", "batch"):
            _require(name, getattr(self, name) >= 1, "at least 1", getattr(self, name))
        for name in ("learning_rate", "gradient_clip", "gamma_init"):
            value = getattr(self, name)
            _require(name.replace("_", "-"), 0 < value < float("inf"), "positive", value)
        _require("seed", 0 <= self.seed < 2**31, "in [0, 2^31)", self.seed)
        check_normalisation(self.normalisation)
        _ = self.task, self.config  # they check the rest

    @property
    def task(self) -> Task:
        """The sequences."""
        return Task(self.pairs, self.keys, self.values)

    @property
    def config(self) -> TwinConfig:
        """Sizes and limits of the m-STPN layer; its actions are the digits."""
        limits = None
        if self.pulse_limits:
            from mstpn.synapses.memristor import Memristor

            limits = Memristor.from_file().write_limits()
        sizes = (self.hidden, self.values)
        return TwinConfig(*sizes, self.normalisation, self.decay_min, self.decay_max, limits)


def _require(name: str, holds: bool, allowed: str, value: object) -> None:
    if not holds:
        raise ValueError(f"{name} must be {allowed}, got {value}")
