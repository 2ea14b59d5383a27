"""Constants that replace those of the base device, and whether they fit the rest of it."""

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from brian2.units import Quantity, allunits, siemens

from mstpn.analysis.device.forms import Forms
from mstpn.analysis.device.least_squares import Fit
from mstpn.analysis.device.measurements import Measurements, shown
from mstpn.analysis.device.pulse_fit import fit_pulses
from mstpn.synapses.memristor import DeviceError, Memristor
from mstpn.synapses.support.sourced import Constant, DataError

__all__ = [
    "UNITS",
    "Found",
    "checked",
    "quantity_of",
    "rescaled",
    "scale_doubts",
    "with_constants",
]

UNITS = {f.name: f.metadata["unit"] for f in fields(Memristor) if "unit" in f.metadata}
"""Brian2's name of each constant's unit, or "1"."""
_OF_SCALE = (
    *("bias_power", "weight_conductance", "conductance_min", "conductance_max"),
    *("pulse_conductance", "pulse_energy"),
    *("saturation_conductance", "depletion_conductance"),
)
"""Constants that go with the size of a device."""
_MOST_PULSES = 10_000
"""Largest pulses that may cross the window of a device whose scale is the base's."""


class Found(NamedTuple):
    """A constant that replaces one of the base device.

    Parameters
    ----------
    value : Quantity or float
    interval : tuple of Quantity or float, optional
        Absent where a value was set by the experimenter or restated.
    constant : Constant
        Provenance and source.
    """

    value: Any
    interval: tuple[Any, Any] | None
    constant: Constant


def quantity_of(name: str, value: float) -> Any:
    """A bare number in SI units with the unit of a constant."""
    unit = UNITS[name]
    return float(value) if unit == "1" else Quantity(value, dim=getattr(allunits, unit).dim)


def with_constants(device: Memristor, found: Mapping[str, Found]) -> Memristor:
    """The base device with constants replaced."""
    sources = dict(device.constants) | {name: new.constant for name, new in found.items()}
    values = {name: new.value for name, new in found.items()}
    try:
        return replace(device, **values, constants=MappingProxyType(sources))
    except DeviceError as error:
        raise DeviceError(f"no device can have the constants together: {error}") from error


def rescaled(device: Memristor, pulses: Measurements | None, forms: Forms) -> dict[str, Found]:
    """The base's conductances in proportion to what a pulse was measured to change.

    Raises
    ------
    DataError
        If no change of conductance was measured.
    """
    if pulses is None or "dG" not in pulses:
        raise DataError("to rescale the base device, pulses with their dG are needed")
    reference = float(device.pulse_voltage), float(device.pulse_width)
    fit = fit_pulses(pulses, "dG", *reference, forms)
    factor = fit.scale * fit.parameters[0] / float(device.pulse_conductance)
    if not factor > 0:
        raise DataError(f"{pulses.at('dG')}: the pulses do not raise the conductance")
    scaled = {}
    for name in _OF_SCALE:
        source = f"{device.constants[name].source}; rescaled, times {factor:.4g}, to the pulses"
        scaled[name] = Found(getattr(device, name) * factor, None, Constant("assumed", source))
    return scaled


def checked(device: Memristor, pulses: Measurements | None) -> Memristor:
    """The device, if it reaches W = 0 and its window holds what its pulses do.

    Raises
    ------
    DeviceError
        If it does not.
    """
    low, offset, high = (
        getattr(device, name)
        for name in ("conductance_min", "offset_conductance", "conductance_max")
    )
    if not low <= offset <= high:
        raise DeviceError(
            "no device can have the constants together: bias_power / bias_voltage_max^2 = "
            f"{shown(offset)}, the conductance at W = 0, lies outside [conductance_min, "
            f"conductance_max], {shown(low, high)}"
        )
    window = device.weight_max - device.weight_min
    if pulses is not None and device.delta_f_max > window:
        raise DeviceError(
            f"{pulses.path}: the largest pulse would change F by {device.delta_f_max:.3g}, and the "
            f"base's window of W is {window:.3g} wide: its conductances are not this device's; "
            "--rescale takes them in proportion to the pulses"
        )
    return device


def scale_doubts(device: Memristor, fits: Iterable[Fit]) -> list[str]:
    """Measurements that lie outside the conductances that were kept from the base."""
    doubts = []
    low, high = device.conductance_min, device.conductance_max
    window = f"{float(low / high.get_best_unit()):.5g} to {shown(high)}"
    for fit in fits:
        if "conductance" in fit.data:
            measured = np.abs(fit.data.si("conductance")) * siemens
            ends = measured.min(), measured.max()
            if np.median(measured) > high or ends[1] < low:
                doubts.append(
                    f"{fit.data.path.name}: conductances of {shown(*ends)} lie outside the window "
                    f"of the device file, {window}"
                )
    n_pulses = (device.weight_max - device.weight_min) / device.delta_f_max
    if n_pulses > _MOST_PULSES:
        doubts.append(
            f"{n_pulses:.2g} of the largest pulses cross the window of the device file, "
            f"{window}: it is another device's (--rescale)"
        )
    return doubts
