"""The power laws of pulses, fitted to measurements; see `mstpn.analysis.device.fit`."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from brian2.units import Quantity
from numpy.typing import NDArray

from mstpn.analysis.device.forms import AS_THE_DEVICE, Forms, of_each_device
from mstpn.analysis.device.least_squares import Fit, Wider, fit_law, scale_of
from mstpn.analysis.device.measurements import Measurements, shown
from mstpn.synapses import law as laws

__all__ = ["fit_pulses"]

_ENERGY = laws.function(laws.ENERGY, "V, w, V_0, w_0, E_0, n")
_UPDATE = laws.function(laws.UPDATE, "V, w, V_0, w_0, dF_0, m")

Array = NDArray[np.float64]
Pulse = tuple[str, float, float, float]
"""Quantity, reference voltage and width, and the scale of what was measured."""


def fit_pulses(
    data: Measurements, quantity: str, v_0: float, w_0: float, forms: Forms = AS_THE_DEVICE
) -> Fit:
    """Power law in amplitude, linear in width; odd in voltage unless it is an energy.

    Parameters
    ----------
    data : Measurements
        Of `PULSES`.
    quantity : str
        "dG", "dF" or "energy".
    v_0, w_0 : float
        Reference pulse, in volt and second; the first two parameters are its size and the
        exponent.
    forms : Forms, optional
        The exponent of the width comes next, size and exponent of negative pulses last.
    """
    data = data.where(np.isfinite(data.si(quantity)))
    pulse = quantity, v_0, w_0, scale_of(data, quantity)
    return of_each_device(data, quantity, lambda one, errors: _fit(one, pulse, forms, errors))


def _fit(data: Measurements, pulse: Pulse, forms: Forms, errors: Array | None) -> Fit:
    quantity, v_0, w_0, scale = pulse
    of_pulse = _ENERGY if quantity == "energy" else _UPDATE

    def law(variables: Array, *p: float) -> Array:
        v, w = variables
        size, exponent = np.full(v.shape, p[0]), np.full(v.shape, p[1])
        if forms.per_polarity:
            size[v < 0], exponent[v < 0] = p[-2:]
        effective = w_0 * (w / w_0) ** p[2] if forms.width_exponent else w
        return np.asarray(of_pulse(v, effective, v_0, w_0, size, exponent))

    variables = np.stack([data.si("voltage"), data.si("width")])
    start = _start(lambda m: of_pulse(*variables, v_0, w_0, 1.0, m), data.si(quantity) / scale)
    if forms.width_exponent:
        start = (*start, 1.0)
    if forms.per_polarity:
        start = (*start, *start[:2])
    names = ("voltage", "width")
    fit = fit_law(data, quantity, names, variables, law, np.array(start), scale, errors=errors)
    return replace(fit, wider=_wider(variables, pulse, forms), note=partial(_note, forms))


def _start(shape_of: Callable[[float], Array], measured: Array) -> tuple[float, ...]:
    """Size and exponent of the best power law of a grid."""

    def best(exponent: float) -> tuple[float, float, float]:
        shape = shape_of(exponent)
        size = float(shape @ measured / (shape @ shape))
        return float(np.sum((measured - size * shape) ** 2)), size, exponent

    return min(best(float(exponent)) for exponent in np.arange(0.5, 12.0, 0.5))[1:]


def _wider(variables: Array, pulse: Pulse, forms: Forms) -> dict[str, Wider]:
    """Laws that the rows can tell from the one that is fitted."""

    def fits(wider: Forms, fit: Fit) -> list[Fit]:
        return [
            _fit(one.data.where(one.used), pulse, wider, one.errors[one.used]) for one in fit.each
        ]

    voltage, width = variables
    by_option = {}
    if not forms.width_exponent and len(np.unique(width)) > 1:
        wider = replace(forms, width_exponent=True)
        by_option["--width-exponent"] = Wider(partial(fits, wider), _width)
    amplitudes = np.unique(voltage[voltage > 0]), np.unique(voltage[voltage < 0])
    if not forms.per_polarity and min(map(len, amplitudes)) > 1:
        wider = replace(forms, per_polarity=True)
        by_option["--per-polarity"] = Wider(partial(fits, wider), _polarities)
    return by_option


def _width(fits: list[Fit]) -> str:
    name = fits[0].data.headers[fits[0].quantity]
    return f"{name!r} goes with the width to the power {_mean(fits, 2):.4g}, not 1"


def _polarities(fits: list[Fit]) -> str:
    sizes = " and ".join(_size(fits, k) for k in (0, -2))
    exponents = " and ".join(f"{_mean(fits, k):.3g}" for k in (1, -1))
    return f"positive and negative pulses differ, with sizes {sizes}, exponents {exponents}"


def _note(forms: Forms, fit: Fit) -> str:
    """What the device file lacks of a wider law."""
    notes = []
    if forms.width_exponent:
        notes.append(f"{_width(list(fit.each))}: the file, which says 1, is right at pulse_width")
    if forms.per_polarity:
        notes.append(f"{_polarities(list(fit.each))}: the file has the positive ones'")
    return "; ".join(notes)


def _mean(fits: list[Fit], k: int) -> float:
    return float(np.mean([fit.parameters[k] for fit in fits]))


def _size(fits: list[Fit], k: int) -> str:
    size, column = fits[0].scale * _mean(fits, k), fits[0].data.columns[fits[0].quantity]
    return shown(Quantity(size, dim=column.dim) if isinstance(column, Quantity) else size)
