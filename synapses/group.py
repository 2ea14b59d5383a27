"""What every group of a device's synapses has: constants, first values, guarded variables."""

from collections.abc import Callable
from typing import Any

import numpy as np
from brian2.units import volt

from mstpn.synapses import law
from mstpn.synapses.equations import DECAY_OF_STEP, E_UNIT, TAU, constants
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.nonidealities import CYCLE_NOISE, Deviations
from mstpn.synapses.periphery import Periphery
from mstpn.synapses.settling import Guard, SettlingSynapses
from mstpn.synapses.write_limits import WriteLimits

__all__ = ["check_finite", "check_weight", "guards_of", "initial_of", "namespace_of", "put_on"]


def namespace_of(
    device: Memristor,
    limits: WriteLimits | None,
    deviations: Deviations | None,
    delta_f_std: float,
    periphery: Periphery | None = None,
) -> dict[str, Any]:
    """Constants that the equations and event code need, deviations' own among them."""
    namespace = constants(device, limits)
    if deviations is None:
        return namespace
    if periphery is not None and periphery.disturb > 0:
        namespace |= {name: getattr(periphery, name) for name in ("disturb", "disturb_energy")}
    del namespace["V_half"], namespace["pulse_gain"]
    namespace |= {"dF_std": delta_f_std, "cycle_noise": CYCLE_NOISE}
    if deviations.slow_fraction > 0:
        namespace["slow_fraction"] = deviations.slow_fraction
        namespace["slow_tau_ratio"] = deviations.slow_tau_ratio
    return namespace


def initial_of(device: Memristor, deviations: Deviations | None) -> dict[str, Any]:
    """What is assigned first; W, Gamma and F are 0."""
    half = {} if deviations is None else {"V_half": device.decay_half_voltage}
    return {"V_bias": device.bias_voltage_min} | half


def guards_of(
    device: Memristor, form: str, spread: bool, slow: bool, wired: bool = False
) -> dict[str, Guard]:
    """What an assignment of each variable must be, and what is computed anew after it."""
    closed = form != "clock-driven"
    tau: tuple[tuple[str, str], ...] = (("tau", TAU),) if closed else ()
    if form == "event-driven":
        tau += (("decay", DECAY_OF_STEP),)
    if slow:
        tau += (("decay_slow", law.put(DECAY_OF_STEP, tau="tau_slow")),)
    guards = {
        "W": Guard(lambda weight: check_weight(weight, device)),
        "Gamma": Guard(check_finite("gamma"), (("E_unit", E_UNIT),)),
        "V_bias": Guard(device.decay, tau),
        "F": Guard(check_finite("F"), (("F_in", "F"),) if closed else ()),
    }
    if spread:
        guards["V_half"] = Guard(check_finite("V_half"), tau)
    if wired:
        guards["V_line"] = Guard(check_finite("V_line"))
    if slow:
        guards["F_slow"] = Guard(check_finite("F_slow"), (("F_slow_in", "F_slow"),))
    return guards


def check_finite(name: str) -> Callable[[Any], None]:
    """A check that refuses NaN and infinity by that name."""

    def check(values: Any) -> None:
        if not np.isfinite(np.asarray(values)).all():
            raise ValueError(f"{name} must be finite")

    return check


def put_on(synapses: SettlingSynapses, deviations: Deviations, device: Memristor) -> None:
    """Assign how devices differ."""
    synapses.V_half = device.decay_half_voltage + deviations.half_voltage_shift * volt
    synapses.device_gain = deviations.update_gain
    if deviations.read_gain is not None:
        synapses.read_gain = deviations.read_gain


def check_weight(weight: Any, device: Memristor) -> None:
    """Raise ValueError if a long-term weight is outside the device's conductance window."""
    values = np.asarray(weight, dtype=float)
    low, high = device.weight_min, device.weight_max
    if not ((values >= low) & (values <= high)).all():
        raise ValueError(
            f"weight must lie in [{low:.4g}, {high:.4g}], the device's conductance window, "
            f"got values from {values.min():.4g} to {values.max():.4g}"
        )
