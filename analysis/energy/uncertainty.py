"""How the joules of a game move with the device constants that are assumed.

Constants marked `assumed` in the device file are drawn from the ranges stated in
`uncertainty.toml`, independently of each other; all others stay. The game, h and z, does
not depend on them.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from brian2.units import Quantity, joule
from numpy.polynomial.chebyshev import Chebyshev
from numpy.typing import NDArray

from mstpn.analysis.energy.energies import conductance_integral, pulse_energy, read_energy
from mstpn.analysis.energy.integration import Integration, Sums
from mstpn.analysis.energy.policies import POLICIES
from mstpn.analysis.energy.recording import Recording
from mstpn.synapses import law
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.support.sourced import DataError, read_table

__all__ = ["RANGES", "Samples", "draw", "monte_carlo", "varied"]

RANGES = Path(__file__).with_name("uncertainty.toml")
_SIGMOID = ("bias_voltage_min", "decay_half_voltage", "decay_slope_voltage")
_N_NODES = 10

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Samples:
    """Joules of one game for devices drawn at random, with the device as it is in front.

    Parameters
    ----------
    pulse, read : Quantity, joule, (S + 1,)
    bias_power : dict of str to Quantity, joule per second, (S + 1,)
        Mean over the game by bias policy; how long the game took is left open.
    n_frames : int
    """

    pulse: Quantity
    read: Quantity
    bias_power: Mapping[str, Quantity]
    n_frames: int

    def energy(self, policy: str, step_duration: Quantity, *, read: bool = False) -> Quantity:
        """Joules of the game under a policy and a step, (S + 1,); reads if asked for."""
        bias = self.bias_power[policy] * (self.n_frames * step_duration)
        return self.pulse + bias + (self.read if read else 0 * joule)


def varied(device: Memristor) -> dict[str, dict[str, Any]]:
    """Ranges of the constants that are assumed in this device.

    Raises
    ------
    DataError
        If a range names no constant or is none.
    """
    ranges = read_table(RANGES)
    for name, entry in ranges.items():
        if not hasattr(device, name):
            raise DataError(f"{RANGES.name}: the device has no constant {name!r}")
        if not ("factor" in entry or {"low", "high"} <= entry.keys()):
            raise DataError(f"{RANGES.name}: {name} needs factor, or low and high")
    return {
        name: entry
        for name, entry in ranges.items()
        if all(
            other in device.constants and device.constants[other].provenance == "assumed"
            for other in (_SIGMOID if name in _SIGMOID else (name,))
        )
    }


def draw(
    device: Memristor, ranges: Mapping[str, Mapping[str, Any]], rng: np.random.Generator
) -> Memristor:
    """A device with every constant of `ranges` drawn anew."""
    changes: dict[str, Any] = {}
    for name, entry in ranges.items():
        value = getattr(device, name)
        if "factor" in entry:
            spread = math.log(entry["factor"])
            changes[name] = value * math.exp(rng.uniform(-spread, spread))
        else:
            number = rng.uniform(entry["low"], entry["high"])
            changes[name] = Quantity(number, dim=getattr(value, "dim", None))
    for name in ("pulse_conductance_exponent", "pulse_energy_exponent"):
        if name in changes:
            changes[name] = float(changes[name])
    if "bias_voltage_min" in changes:
        low, high = (float(_voltage(d, 0, 1)) for d in (device.decay_min, device.decay_max))
        slope = (device.bias_voltage_max - changes["bias_voltage_min"]) / (high - low)
        changes["decay_slope_voltage"] = slope
        changes["decay_half_voltage"] = device.bias_voltage_max - slope * high
    return replace(device, **changes)


_voltage = law.function(law.BIAS_VOLTAGE, "Lambda, V_half, V_slope")


def monte_carlo(
    recording: Recording,
    device: Memristor,
    n_samples: int,
    seed: int,
    progress: Callable[[], Any] | None = None,
    sums: Sums | None = None,
) -> Samples:
    """Energies of a game for the device and for `n_samples` drawn ones.

    Parameters
    ----------
    recording : Recording
    device : Memristor
    n_samples : int
    seed : int
    progress : callable, optional
        Called after every sample.
    sums : Sums, optional
        Of the same game on this device, if they are known.
    """
    rng = np.random.default_rng(seed)
    ranges = varied(device)
    devices = [device, *(draw(device, ranges, rng) for _ in range(n_samples))]
    sums = sums or Integration(recording, device.energy_exponent).advance()
    exponents = [d.energy_exponent for d in devices]
    pulses_of = _pulse_total(recording, sums, min(exponents), max(exponents))
    pulse, read = np.zeros((2, len(devices)))
    bias = {policy: np.zeros(len(devices)) for policy in POLICIES}
    for k, d in enumerate(devices):
        pulse[k] = float(d.pulse_energy_for(1.0) / joule) * pulses_of(d.energy_exponent)
        read[k] = float(np.sum(read_energy(sums, recording, d)) / joule)
        integral = conductance_integral(sums, recording, d)
        for policy, hold in POLICIES.items():
            energy = np.sum(hold(recording, d).bias_voltage ** 2 * integral)
            bias[policy][k] = float(energy / joule)
        if progress is not None:
            progress()
    pulse[0] = float(np.sum(pulse_energy(sums, device)) / joule)
    duration = recording.duration
    return Samples(
        pulse * joule,
        read * joule,
        {policy: energy * joule / duration for policy, energy in bias.items()},
        recording.n_frames,
    )


def _pulse_total(
    recording: Recording, sums: Sums, low: float, high: float
) -> Callable[[float], float]:
    """Sum of (|Gamma| |h| |z|)^p over all pulses, as a function of p in [low, high].

    Its logarithm is smooth in p (that of a sum of exponentials), so a polynomial through
    a few Chebyshev nodes stands for it.
    """

    def total(exponent: float) -> float:
        integration = Integration(recording, exponent)
        integration.advance()
        return float(integration.frame_sums()[2].sum())

    if high == low or not sums.pulses.any():
        known = float(sums.pulses.sum())
        return lambda _exponent: known
    curve = Chebyshev.interpolate(
        np.vectorize(lambda p: math.log(total(p)), otypes=[float]), _N_NODES - 1, [low, high]
    )
    return lambda exponent: math.exp(float(curve(exponent)))
