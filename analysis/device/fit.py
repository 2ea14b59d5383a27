"""Constants of a memristor from its measurements, by least squares.

With V_0 the largest amplitude and w_0 a width that were measured, T the time that Lambda refers
to, and G_k and A_k of their own for every trace k::

    dG = sign(V) dG_0 (|V| / V_0)^m (w / w_0),     dF = dG / kappa
    E  = E_0 (|V| / V_0)^n (w / w_0)
    G  = G_k + A_k Lambda(V_bias)^(t / T),         Lambda as in `mstpn.synapses.law`
    P  = V_bias^2 (G_offset + kappa S),            P_bias = V_bias,max^2 G_offset
    G  = G_end - (G_end - G_k) (1 - r)^(n s(V) w / w_r),   s = sinh(|V|/V_step)/sinh(V_r/V_step)

as in `mstpn.synapses.memristor`, the last for n pulses of SET and of RESET, whose ends are those of
the conductance window. Intervals are those of `mstpn.analysis.device.least_squares`.
"""

import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from brian2.units import Quantity, second
from brian2.units.fundamentalunits import fail_for_dimension_mismatch
from numpy.typing import NDArray

from mstpn.analysis.device.constants import (
    Found,
    checked,
    quantity_of,
    rescaled,
    scale_doubts,
    with_constants,
)
from mstpn.analysis.device.decay_fit import decay_at, fit_decay
from mstpn.analysis.device.forms import AS_THE_DEVICE, Forms
from mstpn.analysis.device.least_squares import CONFIDENCE, Estimate, Fit
from mstpn.analysis.device.long_term_fit import fit_long_term
from mstpn.analysis.device.measurements import Measurements, shown
from mstpn.analysis.device.outliers import outliers
from mstpn.analysis.device.power_fit import fit_power
from mstpn.analysis.device.pulse_fit import fit_pulses
from mstpn.analysis.device.verdict import Verdict, judge
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.support.sourced import Constant, DataError

__all__ = ["DeviceFit", "fit_device"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class DeviceFit:
    """A device as measured.

    Parameters
    ----------
    base : Path
        Device file that the other constants are from.
    device : Memristor
    found : mapping of str to Found
        Constants that the measurements determine, or that had to be restated.
    fits : tuple of Fit
    decays : tuple of (float, Estimate)
        Bias voltage in volt and Lambda of every decay trace by itself.
    """

    base: Path
    device: Memristor
    found: Mapping[str, Found]
    fits: tuple[Fit, ...]
    decays: tuple[tuple[float, Estimate], ...]

    @cached_property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Whether each of the fits can be trusted."""
        return tuple(map(judge, self.fits))

    @cached_property
    def doubts(self) -> tuple[str, ...]:
        """Why the device should not be trusted; empty if it can be."""
        of_fits = (
            f"{fit.data.path.name}, {fit.data.headers[fit.quantity]!r}: {doubt}"
            for fit, verdict in zip(self.fits, self.verdicts, strict=True)
            for doubt in verdict.doubts
        )
        return (*of_fits, *scale_doubts(self.device, self.fits))

    @property
    def kept(self) -> tuple[str, ...]:
        """Constants that are the base device's."""
        return tuple(name for name in self.device.constants if name not in self.found)


def fit_device(
    base: Path,
    *,
    pulses: Measurements | None = None,
    decay: Measurements | None = None,
    power: Measurements | None = None,
    long_term: Measurements | None = None,
    decay_duration: Quantity | None = None,
    forms: Forms = AS_THE_DEVICE,
    rescale: bool = False,
) -> DeviceFit:
    """Fit what was measured; the base device says the rest.

    A constant of the base that refers to a voltage or width which the measurements replace is
    restated there by the base's own law: its offset conductance and its pulses stay as they are.

    Parameters
    ----------
    base : Path
        Device file.
    pulses, decay, power, long_term : Measurements, optional
        At least one of them.
    decay_duration : Quantity, second, optional
        That Lambda shall refer to, and at which it shall be a sigmoid of the voltage; the base's if
        absent.
    forms : Forms, optional
        Laws that hold the device's own, and a loss that outliers do not pull.
    rescale : bool
        Take the base's conductances in proportion to the pulses that were measured.

    Raises
    ------
    DataError
        If the measurements do not determine a constant.
    DeviceError
        If the base file is refused, or no device can have the constants together.
    """
    if pulses is decay is power is long_term is None:
        raise DataError("measurements of pulses, decay, power or long-term pulses are needed")
    device = Memristor.from_file(base)
    if decay_duration is not None:
        _check_duration(decay_duration, decay)
    duration = device.decay_duration if decay_duration is None else decay_duration
    replaced: dict[str, Found] = {}
    fits: list[Fit] = []
    decays: list[tuple[float, Estimate]] = []
    if rescale:
        replaced = rescaled(device, pulses, forms)
        device = with_constants(device, replaced)
    if pulses is not None:
        replaced |= _pulse_range(pulses, device)
    if decay is not None:
        fit, decays = fit_decay(decay, float(duration), forms)
        fits.append(_robust(fit, forms))
        replaced |= _decay_constants(fits[-1], device, float(duration))
    replaced |= _restated(device, replaced)
    if power is not None:
        fits.append(_robust(fit_power(power), forms))
        replaced |= _power_constants(fits[-1], with_constants(device, replaced))
    for quantity in ("dG", "dF", "energy"):
        if pulses is not None and quantity in pulses:
            reference = _reference(device, replaced)
            fits.append(_robust(fit_pulses(pulses, quantity, *reference, forms), forms))
            replaced |= _pulse_constants(fits[-1], device, replaced)
    for kind, sign in _LONG_TERM.items():
        if long_term is not None and (rows := sign * long_term.si("voltage") > 0).any():
            part = long_term.where(rows)
            pulse = _long_term_reference(kind, part, device)
            fits.append(_robust(fit_long_term(part, pulse), forms))
            replaced |= _long_term_constants(kind, fits[-1], pulse, device)
    device = checked(with_constants(device, replaced), pulses)
    replaced = {name: replaced[name] for name in device.constants if name in replaced}
    fits.sort(key=lambda fit: _ORDER.index(fit.names[0]))
    return DeviceFit(base, device, replaced, tuple(fits), tuple(decays))


_ORDER = ("voltage", "time", "weight S", "conductance", "pulses")
"""Of the fits, by what they are drawn over."""


def _check_duration(duration: Quantity, decay: Measurements | None) -> None:
    fail_for_dimension_mismatch(duration, second, "decay_duration must be in second")
    if not 0 < float(duration) < math.inf:
        raise DataError(f"decay_duration must be positive, got {duration}")
    if decay is None:
        raise DataError("decay_duration is chosen with measurements of the decay: none are given")


def _robust(fit: Fit, forms: Forms) -> Fit:
    return fit.without(outliers(fit)) if forms.robust else fit


def _pulse_range(data: Measurements, device: Memristor) -> dict[str, Found]:
    """The smallest and largest amplitude, and a reference width that was measured."""
    amplitude, width = np.abs(data.si("voltage")), data.si("width")
    if not amplitude.min() < amplitude.max():
        raise DataError(
            f"{data.at('voltage')}: amplitudes must differ to determine the exponents, "
            f"got {quantity_of('pulse_voltage', amplitude.max())} only"
        )
    pulse_range = {
        **_set("pulse_voltage_min", amplitude.min(), data, "smallest amplitude measured"),
        **_set("pulse_voltage", amplitude.max(), data, "largest amplitude; reference V0"),
    }
    kept = float(device.pulse_width)
    if not width.min() <= kept <= width.max():
        nearest = width[np.abs(width - kept).argmin()]
        pulse_range |= _set("pulse_width", nearest, data, "a width measured; reference w0")
    return pulse_range


def _restated(device: Memristor, replaced: Mapping[str, Found]) -> dict[str, Found]:
    """The base device's own laws at references that are no longer the base's."""
    new = with_constants(device, replaced)
    v = float(new.pulse_voltage / device.pulse_voltage)
    w = float(new.pulse_width / device.pulse_width)
    factors = {
        "bias_power": float(new.bias_voltage_max / device.bias_voltage_max) ** 2,
        "pulse_conductance": v**device.pulse_conductance_exponent * w,
        "pulse_energy": v**device.pulse_energy_exponent * w,
    }
    restated = {}
    for name, factor in factors.items():
        if factor != 1:
            old = device.constants[name]
            source = f"{old.source}; restated, times {factor:.6g}, at the new {_REFERENCES[name]}"
            value = getattr(device, name) * factor
            restated[name] = Found(value, None, Constant(old.provenance, source))
    return restated


_REFERENCES = {
    "bias_power": "bias_voltage_max",
    "pulse_conductance": "reference pulse",
    "pulse_energy": "reference pulse",
}


def _reference(device: Memristor, replaced: Mapping[str, Found]) -> tuple[float, float]:
    """Voltage and width of the reference pulse."""
    new = with_constants(device, replaced)
    return float(new.pulse_voltage), float(new.pulse_width)


def _pulse_constants(
    fit: Fit, device: Memristor, replaced: Mapping[str, Found]
) -> dict[str, Found]:
    size = fit.estimate(lambda p: fit.scale * p[0], positive=True)
    exponent = fit.estimate(operator.itemgetter(1), positive=True)
    what, provenance = "reference pulse", "measured"
    if fit.quantity == "dF":
        kappa, provenance, origin = _kappa(device, replaced)
        size, what = size.times(kappa), f"dF of the reference pulse times kappa ({origin})"
    name = "pulse_energy" if fit.quantity == "energy" else "pulse_conductance"
    return {
        **_estimated(name, size, fit, what, provenance=provenance),
        **_estimated(
            f"{name}_exponent", exponent, fit, "power of the amplitude", provenance=_form(fit)
        ),
    }


def _kappa(device: Memristor, replaced: Mapping[str, Found]) -> tuple[Estimate, str, str]:
    """Conductance of a unit of W + F, what a product with it is, and where it is from."""
    if "weight_conductance" in replaced and (interval := replaced["weight_conductance"].interval):
        value = replaced["weight_conductance"].value
        return Estimate(*map(float, (value, *interval))), "measured", "measured"
    value = float(device.weight_conductance)
    provenance = device.constants["weight_conductance"].provenance
    return Estimate(value, value, value), "derived", f"the base's, {provenance}"


def _decay_constants(fit: Fit, device: Memristor, duration: float) -> dict[str, Found]:
    data = fit.data
    low, high = float(fit.variables[1].min()), float(fit.variables[1].max())
    slope = fit.estimate(lambda p: (high - low) / (p[1] - p[0]), positive=True)
    half = fit.estimate(lambda p: (low * p[1] - high * p[0]) / (p[1] - p[0]))
    asked = duration != float(device.decay_duration)
    lowest, highest = (fit.estimate(operator.itemgetter(k)).map(decay_at) for k in (0, 1))
    what = f"Lambda over {duration:.6g} s"
    return {
        **_set("bias_voltage_min", low, data, "smallest bias voltage measured"),
        **_set("bias_voltage_max", high, data, "largest bias voltage measured"),
        **_estimated("decay_min", lowest, fit, f"{what} at bias_voltage_min"),
        **_estimated("decay_max", highest, fit, f"{what} at bias_voltage_max"),
        **(
            _set("decay_duration", duration, data, "chosen: what Lambda refers to") if asked else {}
        ),
        **_estimated("decay_half_voltage", half, fit, what, provenance=_form(fit), positive=False),
        **_estimated("decay_slope_voltage", slope, fit, what, provenance=_form(fit)),
    }


def _power_constants(fit: Fit, device: Memristor) -> dict[str, Found]:
    """Power at S = 0 and its slope.

    Where conductances stand for weights they do not say which of them is S = 0. It is the
    base's offset conductance then, and the power there is all they determine.
    """
    top = float(device.bias_voltage_max)
    if fit.names[0] == "conductance":
        there = np.array([[float(device.offset_conductance)], [top]])
        power = fit.estimate(lambda p: fit.scale * fit.model(there, *p)[0], positive=True)
        offset = f"{shown(device.offset_conductance)}, the base's at S = 0"
        what = f"at bias_voltage_max and {offset} ({device.constants['bias_power'].provenance})"
        return _estimated("bias_power", power, fit, what, provenance="derived")
    zero, one = (np.array([[s], [top]]) for s in (0.0, 1.0))
    power = fit.estimate(lambda p: fit.scale * fit.model(zero, *p)[0], positive=True)
    kappa = fit.estimate(
        lambda p: fit.scale * (fit.model(one, *p) - fit.model(zero, *p))[0] / top**2, positive=True
    )
    what = "slope of power in S, over V_bias^2"
    return {
        **_estimated("bias_power", power, fit, "at S = 0 and bias_voltage_max"),
        **_estimated("weight_conductance", kappa, fit, what, provenance=_form(fit)),
    }


_LONG_TERM = {"set": 1, "reset": -1}
"""Polarity of the pulses."""


def _long_term_reference(
    kind: str, data: Measurements, device: Memristor
) -> tuple[float, float, float]:
    """The base's voltage and width if they were measured, or the nearest, and its slope voltage."""
    pulse = []
    for name in ("voltage", "width"):
        kept, measured = float(getattr(device, f"{kind}_{name}")), np.abs(data.si(name))
        within = measured.min() <= kept <= measured.max()
        pulse.append(kept if within else float(measured[np.abs(measured - kept).argmin()]))
    return pulse[0], pulse[1], float(getattr(device, f"{kind}_slope_voltage"))


def _long_term_constants(
    kind: str, fit: Fit, reference: tuple[float, float, float], device: Memristor
) -> dict[str, Found]:
    data = fit.data
    end = fit.estimate(lambda p: fit.scale * p[0])
    share = fit.estimate(operator.itemgetter(1), positive=True).map(lambda x: -math.expm1(-x))
    replaced: dict[str, Found] = {}
    for name, value in zip(("voltage", "width"), reference[:2], strict=True):
        if value != float(getattr(device, f"{kind}_{name}")):
            replaced |= _set(f"{kind}_{name}", value, data, "one measured; reference of the rate")
    pulse = f"{shown(quantity_of(f'{kind}_voltage', reference[0]))}, "
    pulse += shown(quantity_of(f"{kind}_width", reference[1]))
    window, sign = ("conductance_max", "") if kind == "set" else ("conductance_min", "minus ")
    replaced |= _estimated(window, end, fit, f"what {kind.upper()} pulses near", positive=False)
    what = f"share of the way by a pulse of {sign}{pulse}"
    replaced |= _estimated(f"{kind}_fraction", share, fit, what)
    if len(np.unique(data.si("voltage"))) > 1:
        slope = fit.estimate(operator.itemgetter(2), positive=True)
        what = "slope of the rate in the amplitude"
        replaced |= _estimated(f"{kind}_slope_voltage", slope, fit, what, provenance=_form(fit))
    return replaced


def _form(fit: Fit) -> str:
    """What a constant is that rests on the form of the law."""
    return "measured" if fit.tests_its_form else "derived"


def _set(name: str, value: float, data: Measurements, what: str) -> dict[str, Found]:
    """A constant that the experimenter set."""
    constant = Constant("measured", f"{data.path.name}: {what}")
    return {name: Found(quantity_of(name, value), None, constant)}


def _estimated(
    name: str,
    estimate: Estimate,
    fit: Fit,
    what: str,
    *,
    provenance: str = "measured",
    positive: bool = True,
) -> dict[str, Found]:
    """A constant that was fitted; one that must be positive is known only if 0 is excluded."""
    value, low, high = (quantity_of(name, end) for end in estimate)
    interval = f"{100 * CONFIDENCE:g} % confidence interval {shown(low, high)}"
    if positive and not estimate.low > 0:
        raise DataError(f"{fit.data.path}: {name} must be above 0, got a {interval}")
    rows = f"{fit.used.sum()} rows" + (f" of {len(fit.devices)} devices" if fit.devices else "")
    source = f"{interval}; {fit.data.path.name}, {rows}: {what}"
    return {name: Found(value, (low, high), Constant(provenance, source))}
