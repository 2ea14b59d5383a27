"""What a hand may change about a game while it is watched, and within which limits."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from brian2.units import volt

from mstpn.network.twin.checkpoint import Checkpoint
from mstpn.synapses.memristor import Memristor

__all__ = ["Choices", "Settings", "parse_change"]

_LARGEST_SEED = 2**31 - 1


@dataclass(frozen=True)
class Settings:
    """How the agent plays.

    Parameters
    ----------
    checkpoint, device : str
        Names among the `Choices`.
    seed : int
    sticky, flicker : float
        As for `mstpn.bridge.pong.Pong`.
    delta_f_std, corrupt_devices_prob : float
        As for `mstpn.synapses.nonidealities.Nonidealities`: spread from pulse to pulse, share of
        stuck devices.
    hold : float, volt, or None
        Bias voltage on all synapses, or each synapse's own.
    plastic : bool
        Whether pulses are given; if not, Gamma = 0 everywhere.
    """

    checkpoint: str
    device: str
    seed: int = 1000
    sticky: float = 0.0
    flicker: float = 0.0
    delta_f_std: float = 0.0
    corrupt_devices_prob: float = 0.0
    hold: float | None = None
    plastic: bool = True

    def to_json(self) -> dict[str, Any]:
        """Plain values by name."""
        return asdict(self)


AGENT = ("checkpoint", "device", "delta_f_std", "corrupt_devices_prob")
"""What needs another network."""
GAME = (*AGENT, "seed", "sticky", "flicker")
"""What begins another game; the rest is done to the network in the midst of one."""


@dataclass(frozen=True)
class Choices:
    """What may be chosen among: nothing is ever read from a path that a page names.

    Parameters
    ----------
    checkpoints : mapping of str to Checkpoint
    devices : mapping of str to Memristor
    """

    checkpoints: Mapping[str, Checkpoint]
    devices: Mapping[str, Memristor]

    def changed(self, settings: Settings, changes: Mapping[str, Any]) -> Settings:
        """Settings with some changed.

        Parameters
        ----------
        settings : Settings
        changes : mapping
            By the names of `Settings`.

        Raises
        ------
        ValueError
            If there is no such setting, or a value is of another kind or out of range.
        """
        checks: dict[str, Callable[[str, Any], Any]] = {
            "checkpoint": among(tuple(self.checkpoints)),
            "device": among(tuple(self.devices)),
            "seed": whole(0, _LARGEST_SEED),
            **dict.fromkeys(("sticky", "flicker", "corrupt_devices_prob"), number(0, 1)),
            "delta_f_std": number(0, 2),
            "hold": lambda name, value: None if value is None else number(0, 100)(name, value),
            "plastic": truth,
        }
        for name in changes:
            if name not in checks:
                raise ValueError(f"setting must be one of {', '.join(checks)}, got {name!r:.80}")
        wanted = replace(settings, **{k: checks[k](k, value) for k, value in changes.items()})
        if wanted.hold is not None:
            self.devices[wanted.device].decay(wanted.hold * volt)
        return wanted

    @property
    def names(self) -> dict[str, list[str]]:
        """By setting."""
        return {"checkpoint": list(self.checkpoints), "device": list(self.devices)}


def parse_change(text: str) -> tuple[int, dict[str, Any]]:
    """A change as text, ``DECISION:NAME=VALUE``, as a log shows it.

    Raises
    ------
    ValueError
        If the text is of another form; the value is checked when it is used.
    """
    decision, _, change = text.partition(":")
    name, equals, value = change.partition("=")
    if not decision.isdecimal() or not equals:
        raise ValueError(f"change must be DECISION:NAME=VALUE, got {text!r:.80}")
    try:
        return int(decision), {name: json.loads(value)}
    except (ValueError, RecursionError):
        return int(decision), {name: value}


def among(names: Sequence[str]) -> Callable[[str, Any], str]:
    """Check for one of some names."""

    def check(name: str, value: Any) -> str:
        if not isinstance(value, str) or value not in names:
            raise ValueError(f"{name} must be one of {', '.join(names)}, got {value!r:.80}")
        return value

    return check


def whole(low: int, high: int) -> Callable[[str, Any], int]:
    """Check for an integer within limits."""

    def check(name: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"{name} must be an integer in [{low}, {high}], got {value!r:.80}")
        return value

    return check


def number(low: float, high: float) -> Callable[[str, Any], float]:
    """Check for a number within limits."""

    def check(name: str, value: Any) -> float:
        plain = isinstance(value, int | float) and not isinstance(value, bool)
        if not plain or not math.isfinite(value) or not low <= value <= high:
            raise ValueError(f"{name} must be a number in [{low:g}, {high:g}], got {value!r:.80}")
        return float(value)

    return check


def truth(name: str, value: Any) -> bool:
    """Check for true or false."""
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be true or false, got {value!r:.80}")
    return value
