"""Joules of a recorded game by term: pulse, bias, read; per synapse, per frame, per trace.

With V the voltage held, T the step and F(t) the short-term weight at the start of frame t
(see `mstpn.analysis.energy.integration`)::

    E_pulse = E_0 / dF_0^p sum |dF|^p
    E_bias  = V^2 integral of G,
              integral of G = (G_offset + kappa W) n T + kappa tau (sum dF - F_end)
    E_read  = V_read^2 t_read ((G_offset + kappa W) sum |z| + kappa sum |z| F)

with tau = T / ln(1 / Lambda) and F_end the short-term weight at the end of the last frame.
The formulas of whole frames are `mstpn.synapses.joules`, as the training has them; those of the
synapse are in `mstpn.synapses.st_hebb`. Everything is summed here from h and z alone, so that the
network's own accumulators check it.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from brian2.units import Quantity, joule, second, siemens, volt
from numpy.typing import NDArray

from mstpn.analysis.energy.integration import Integration, Sums
from mstpn.analysis.energy.recording import Recording
from mstpn.synapses.joules import Charges, mean_share
from mstpn.synapses.memristor import Memristor

__all__ = [
    "TERMS",
    "TERM_CONSTANTS",
    "assumed_constants",
    "bias_energy",
    "conductance_integral",
    "energies",
    "frame_energies",
    "marks",
    "provenance",
    "pulse_energy",
    "read_energy",
    "synapse_energies",
    "trace",
]

Array = NDArray[np.float64]

TERMS = ("pulse", "bias", "read")
_CONDUCTANCE = ("bias_power", "bias_voltage_max", "weight_conductance")
_DECAY = ("bias_voltage_min", "decay_half_voltage", "decay_slope_voltage")
TERM_CONSTANTS: Mapping[str, tuple[str, ...]] = {
    "pulse": (
        "pulse_energy",
        "pulse_energy_exponent",
        "pulse_conductance",
        "pulse_conductance_exponent",
        "weight_conductance",
    ),
    "bias": (*_CONDUCTANCE, *_DECAY),
    "worst-case bias": _CONDUCTANCE,
    "read": ("read_voltage", "read_duration", *_CONDUCTANCE),
}
"""Device constants that each term rests on; a worst-case bias needs no decay."""


def provenance(device: Memristor, terms: Sequence[str] = TERMS) -> str:
    """Where the constants behind some terms come from, one clause per mark."""
    names_by_mark = _by_mark(device, terms)
    return "; ".join(f"{mark}: {', '.join(names)}" for mark, names in sorted(names_by_mark.items()))


def marks(device: Memristor, terms: Sequence[str] = TERMS) -> str:
    """The provenance marks behind some terms, without the constants' names."""
    return ", ".join(sorted(_by_mark(device, terms)))


def assumed_constants(device: Memristor, terms: Sequence[str]) -> list[str]:
    """Constants behind some terms that are assumed."""
    return _by_mark(device, terms).get("assumed", [])


def _by_mark(device: Memristor, terms: Sequence[str]) -> dict[str, list[str]]:
    names_by_mark: dict[str, list[str]] = {}
    for name in dict.fromkeys(n for term in terms for n in TERM_CONSTANTS[term]):
        names_by_mark.setdefault(device.provenance(name), []).append(name)
    return names_by_mark


def conductance_integral(sums: Sums, recording: Recording, device: Memristor) -> Quantity:
    """Integral of G over the game, per synapse, (M, N), siemens second."""
    static = device.conductance(recording.weight) * sums.n_frames
    faded = sums.added - recording.decay * sums.short_term
    held = device.weight_conductance * (faded / np.log(1 / recording.decay))
    return (static + held) * recording.step_duration


def bias_energy(
    sums: Sums, recording: Recording, device: Memristor, bias_voltage: Quantity
) -> Quantity:
    """Bias energy per synapse, (M, N), for voltages held, a scalar or (M, N)."""
    return bias_voltage**2 * conductance_integral(sums, recording, device)


def pulse_energy(sums: Sums, device: Memristor) -> Quantity:
    """Energy of the pulses per synapse, (M, N)."""
    # a power law: that of dF = 1 scales them all
    return Charges.of(device, 1 * second).pulse(sums.pulses)


def read_energy(sums: Sums, recording: Recording, device: Memristor) -> Quantity:
    """Energy of the reads per synapse, (M, N)."""
    static = device.conductance(recording.weight) * sums.read_input[:, None]
    charges = Charges.of(device, recording.step_duration)
    return charges.read(static + device.weight_conductance * sums.read)


def energies(
    recording: Recording, device: Memristor, bias_voltage: Quantity, sums: Sums | None = None
) -> dict[str, Quantity]:
    """Joules of a whole game by term, summed over synapses.

    Parameters
    ----------
    recording : Recording
    device : Memristor
    bias_voltage : Quantity, volt
        Charged on the synapses, a scalar or (M, N).
    sums : Sums, optional
        Of the same game at whatever step, which they do not depend on.
    """
    sums = sums or Integration(recording, device.energy_exponent).advance()
    per_synapse = synapse_energies(sums, recording, device, bias_voltage)
    return {term: np.sum(energy) for term, energy in per_synapse.items()}


def synapse_energies(
    sums: Sums, recording: Recording, device: Memristor, bias_voltage: Quantity
) -> dict[str, Quantity]:
    """Energy per synapse by term, each (M, N)."""
    return {
        "pulse": pulse_energy(sums, device),
        "bias": bias_energy(sums, recording, device, bias_voltage),
        "read": read_energy(sums, recording, device),
    }


def frame_energies(
    frame_sums: tuple[Array, Array, Array], recording: Recording, device: Memristor, voltage: Array
) -> Array:
    """Joules of every frame, (T, 3) in the order of `TERMS`.

    Parameters
    ----------
    frame_sums : tuple of ndarray, (T,)
        Of an integration of the game with `bias_weight` = V^2 `mean_share(Lambda)` in volt^2.
    recording : Recording
    device : Memristor
    voltage : ndarray, (M, N), volt
    """
    charges = Charges.of(device, recording.step_duration)
    standing = np.sum(charges.standing(voltage * volt, recording.weight))
    column = np.sum(device.conductance(recording.weight), axis=1)
    frame = np.repeat(np.arange(recording.n_frames), recording.event_count)
    reads = np.bincount(
        frame,
        np.abs(recording.event_z) * np.asarray(column)[recording.event_unit],
        minlength=recording.n_frames,
    )
    held, read, pulses = frame_sums
    by_term = {
        "pulse": charges.pulse(pulses),
        "bias": standing + charges.held(held * volt**2),
        "read": charges.read(reads * siemens + charges.kappa * read),
    }
    return np.stack([np.asarray(by_term[term] / joule) for term in TERMS], axis=-1)


def trace(
    recording: Recording,
    device: Memristor,
    bias_voltage: Quantity,
    presynaptic: int,
    postsynaptic: int,
) -> dict[str, Array]:
    """What one synapse did in every frame.

    Returns
    -------
    dict of str to ndarray
        `W`, `F`, `dF`, (T,), and `energy`, joule, (T, 3) in the order of `TERMS`.

    Raises
    ------
    ValueError
        If there is no such synapse.
    """
    one = recording.synapse(presynaptic, postsynaptic)
    voltage = np.broadcast_to(np.asarray(bias_voltage / volt), recording.weight.shape)
    voltage = voltage[presynaptic, postsynaptic].reshape(1, 1)
    decay = one.decay[0, 0]

    def integrated(bias_weight: Array) -> tuple[Array, Array, Array]:
        integration = Integration(one, device.energy_exponent, bias_weight)
        integration.advance()
        return integration.frame_sums()

    f, *_ = integrated(np.ones((1, 1)))
    weighted = integrated(voltage**2 * mean_share(one.decay))
    return {
        "W": np.full_like(f, one.weight[0, 0]),
        "F": f,
        "dF": f - decay * np.concatenate([[0.0], f[:-1]]),
        "energy": frame_energies(weighted, one, device, voltage),
    }
