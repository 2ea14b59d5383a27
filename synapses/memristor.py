"""The SrTiO3 memristor as a synapse: conductance, pulses, decay, energies.

With total weight S = W + F and T the device's `decay_duration`::

    G           = G_offset + kappa S,                    G_offset = P_bias / V_bias,max^2
    Lambda      = 1 / (1 + exp(-(V_bias - V_half) / V_slope)),  tau = T / ln(1 / Lambda)
    dF(V, w)    = sign(V) dF_0 (|V| / V_0)^m (w / w_0)
    E_pulse     = E_0 (|V| / V_0)^n (w / w_0)       so E_pulse = E_0 |dF / dF_0|^(n/m) at w_0
    P_bias      = V_bias^2 G
    E_read      = V_read^2 G |z| t_read
    dW/dt       = k sinh(|V| / V_step) / sinh(V_ref / V_step) (W_end - W)

W_end is the upper end of the conductance window under positive and the lower one under negative
voltages, with constants for SET and RESET: a pulse of V_ref and of the width w moves W by the
share r = 1 - exp(-k w) of its way.

Source: Weilenmann et al., Nature Communications 15 (2024). The numbers, each with its
provenance, are in `srtio3.toml`; the shapes that the paper leaves open (powers of V and w,
soft-bounded SET and RESET that grow with the hyperbolic sine of V) are this package's choice.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from brian2.units import Quantity, allunits
from brian2.units.fundamentalunits import fail_for_dimension_mismatch

from mstpn.synapses import law
from mstpn.synapses.device_fields import UNITS, Sources, parse_fields
from mstpn.synapses.device_file import DEFAULT_DEVICE, DeviceError, read_device_file
from mstpn.synapses.ranges import check_duration, check_range, checked_pulse
from mstpn.synapses.support.files import one_line
from mstpn.synapses.support.sourced import Constant
from mstpn.synapses.write_limits import WriteLimits

__all__ = ["DEFAULT_DEVICE", "DeviceError", "Memristor"]

_SMALLEST, _LARGEST = 1e-24, 1e6  # what no device is beyond; products stay finite between
_VOLTAGE_ROUNDING = 1e-9  # volt
DECAY_ROUNDING = 4 * float(np.finfo(np.float32).eps)
"""volt; what float32 rounding of Lambda may put a bias voltage outside its range."""


@dataclass(frozen=True)
class Memristor:
    """Constants of one memristor, named and explained in `srtio3.toml`.

    Parameters are `Quantity` or dimensionless float; `unit` in a field's metadata says
    which. Build one with `Memristor.from_file`.

    Raises
    ------
    DimensionMismatchError
        If a constant has the wrong unit.
    DeviceError
        If a constant is not finite or contradicts another one.
    """

    bias_power: Quantity = field(metadata={"unit": "watt"})
    weight_conductance: Quantity = field(metadata={"unit": "siemens"})
    conductance_min: Quantity = field(metadata={"unit": "siemens"})
    conductance_max: Quantity = field(metadata={"unit": "siemens"})
    read_voltage: Quantity = field(metadata={"unit": "volt"})
    read_duration: Quantity = field(metadata={"unit": "second"})
    bias_voltage_min: Quantity = field(metadata={"unit": "volt"})
    bias_voltage_max: Quantity = field(metadata={"unit": "volt"})
    decay_min: float = field(metadata={"unit": "1"})
    decay_max: float = field(metadata={"unit": "1"})
    decay_duration: Quantity = field(metadata={"unit": "second"})
    decay_half_voltage: Quantity = field(metadata={"unit": "volt"})
    decay_slope_voltage: Quantity = field(metadata={"unit": "volt"})
    pulse_voltage_min: Quantity = field(metadata={"unit": "volt"})
    pulse_voltage: Quantity = field(metadata={"unit": "volt"})
    pulse_width: Quantity = field(metadata={"unit": "second"})
    pulse_conductance: Quantity = field(metadata={"unit": "siemens"})
    pulse_conductance_exponent: float = field(metadata={"unit": "1"})
    pulse_energy: Quantity = field(metadata={"unit": "joule"})
    pulse_energy_exponent: float = field(metadata={"unit": "1"})
    pulse_onset_exponent: float = field(metadata={"unit": "1"})
    saturation_conductance: Quantity = field(metadata={"unit": "siemens"})
    depletion_conductance: Quantity = field(metadata={"unit": "siemens"})
    set_voltage: Quantity = field(metadata={"unit": "volt"})
    set_width: Quantity = field(metadata={"unit": "second"})
    set_fraction: float = field(metadata={"unit": "1"})
    set_slope_voltage: Quantity = field(metadata={"unit": "volt"})
    reset_voltage: Quantity = field(metadata={"unit": "volt"})
    reset_width: Quantity = field(metadata={"unit": "second"})
    reset_fraction: float = field(metadata={"unit": "1"})
    reset_slope_voltage: Quantity = field(metadata={"unit": "volt"})
    name: str = "memristor"
    constants: Mapping[str, Constant] = field(default_factory=lambda: Sources(), compare=False)

    def __post_init__(self) -> None:
        for f in _constant_fields():
            value = getattr(self, f.name)
            fail_for_dimension_mismatch(
                value, UNITS[f.metadata["unit"]], f"{f.name} must be in {f.metadata['unit']}"
            )
            if not np.isfinite(float(value)):
                raise DeviceError(f"{f.name} must be finite, got {value}")
            if value and not _SMALLEST <= abs(float(value)) <= _LARGEST:
                raise DeviceError(
                    f"{f.name} must lie between {_SMALLEST:g} and {_LARGEST:g} in SI units, "
                    f"got {float(value):g}"
                )
            if f.name not in _MAY_BE_ZERO_OR_NEGATIVE and float(value) <= 0:
                raise DeviceError(f"{f.name} must be positive, got {value}")
        self._check_order("bias_voltage_min", "bias_voltage_max")
        self._check_order("conductance_min", "conductance_max")
        self._check_order("decay_min", "decay_max")
        self._check_order("pulse_voltage_min", "pulse_voltage")
        if not self.weight_min < self.weight_max:
            raise DeviceError(
                f"conductance_min to conductance_max must be a window that bias_power's offset of "
                f"{self.offset_conductance} does not round away"
            )
        if self.decay_max >= 1:
            raise DeviceError(f"decay_max must be below 1, got {self.decay_max}")
        for name in ("set_fraction", "reset_fraction"):
            if getattr(self, name) >= 1:
                raise DeviceError(f"{name} must lie in (0, 1), got {getattr(self, name)}")
        for end in ("min", "max"):
            decay = getattr(self, f"decay_{end}")
            with np.errstate(over="ignore"):
                reached = float(self._decay(getattr(self, f"bias_voltage_{end}")))
            if abs(reached - decay) > 0.005:
                raise DeviceError(
                    f"decay_{end} = {decay} contradicts the decay law, which gives {reached:.4f} "
                    f"at bias_voltage_{end}"
                )

    def __hash__(self) -> int:
        return hash((self.name, *(float(getattr(self, f.name)) for f in _constant_fields())))

    def _check_order(self, low: str, high: str) -> None:
        if not getattr(self, low) < getattr(self, high):
            raise DeviceError(
                f"{low} must be below {high}, got {getattr(self, low)} and {getattr(self, high)}"
            )

    @classmethod
    def from_file(cls, path: str | Path = DEFAULT_DEVICE) -> "Memristor":
        """Read a device file (TOML, of the form of `srtio3.toml`).

        A file with ``based_on = "OTHER.toml"``, a path seen from its own folder or the name of
        a file that comes with the package, needs only what differs from that one.

        Raises
        ------
        DeviceError
            If the file cannot be read, or a field is missing, unknown, of a wrong unit or
            out of range; the message names file and field.
        """
        path = Path(path)
        content = read_device_file(path)
        units = {f.name: f.metadata["unit"] for f in _constant_fields()}
        try:
            return cls(**parse_fields(content, units))
        except (ValueError, TypeError, OverflowError) as error:
            raise DeviceError(f"device file {path}: {one_line(error)}") from error

    def varied(self, **changes: Any) -> "Memristor":
        """The same device with other constants; the range of Lambda follows its sigmoid.

        Parameters
        ----------
        **changes : Quantity or float
            By name. `decay_min` and `decay_max` are those at the limits of the bias voltage
            unless they are given.

        Raises
        ------
        DeviceError
            If there is no such constant, or it contradicts another one.
        """
        known = {f.name: getattr(self, f.name) for f in _constant_fields()}
        for name in changes.keys() - known.keys():
            raise DeviceError(f"constant must be one of {', '.join(known)}, got {name!r}")
        wanted = known | changes
        half, slope = wanted["decay_half_voltage"], wanted["decay_slope_voltage"]
        if changes.keys() & {"bias_voltage_min", "bias_voltage_max", *_SIGMOID}:
            for end in ("min", "max"):
                reached = float(_decay(wanted[f"bias_voltage_{end}"], half, slope))
                wanted[f"decay_{end}"] = changes.get(f"decay_{end}", reached)
        return replace(self, **wanted)

    @cached_property
    def offset_conductance(self) -> Quantity:
        """Conductance at W + F = 0."""
        return self.bias_power / self.bias_voltage_max**2

    @property
    def weight_min(self) -> float:
        """Smallest long-term weight, at `conductance_min`."""
        return float((self.conductance_min - self.offset_conductance) / self.weight_conductance)

    @property
    def weight_max(self) -> float:
        """Largest long-term weight, at `conductance_max`."""
        return float((self.conductance_max - self.offset_conductance) / self.weight_conductance)

    @property
    def delta_f_max(self) -> float:
        """Largest short-term update, by the reference pulse."""
        return float(self.pulse_conductance / self.weight_conductance)

    @property
    def energy_exponent(self) -> float:
        """Exponent of the pulse energy as a power of the update (Fig. 4e)."""
        return self.pulse_energy_exponent / self.pulse_conductance_exponent

    def provenance(self, name: str) -> str:
        """Provenance mark of a constant, `unstated` if the device does not say."""
        return self.constants[name].provenance if name in self.constants else "unstated"

    def write_limits(
        self, *, smallest: bool = True, largest: bool = True, window: bool = True
    ) -> WriteLimits:
        """What this device's pulses can do to F.

        Parameters
        ----------
        smallest : bool
            Updates below that of a pulse of `pulse_voltage_min` are not issued.
        largest : bool
            Updates are bounded by that of the reference pulse.
        window : bool
            W + F stays between `conductance_min` and `conductance_max`.
        """
        limits: dict[str, float] = {}
        if smallest:
            limits["delta_f_min"] = float(
                self.pulse_delta(self.pulse_voltage_min, self.pulse_width)
            )
        if largest:
            limits["delta_f_max"] = self.delta_f_max
        if window:
            limits |= {"total_min": self.weight_min, "total_max": self.weight_max}
        return WriteLimits(**limits)

    def conductance(self, weight: Any) -> Quantity:
        """Conductance at total weight W + F."""
        return _conductance(weight, self.offset_conductance, self.weight_conductance)

    def decay(self, bias_voltage: Quantity, duration: Quantity | None = None) -> Any:
        """Lambda, the share of F that is left after a duration under a bias (Fig. 3e).

        Parameters
        ----------
        bias_voltage : Quantity, volt
        duration : Quantity, second, optional
            One network step; `decay_duration` if absent.

        Raises
        ------
        ValueError
            Outside [`bias_voltage_min`, `bias_voltage_max`].
        """
        check_range(
            "bias_voltage",
            bias_voltage,
            self.bias_voltage_min,
            self.bias_voltage_max,
            _VOLTAGE_ROUNDING * allunits.volt,
        )
        return self._over(self._decay(bias_voltage), duration)

    def decay_range(self, duration: Quantity | None = None) -> tuple[float, float]:
        """Smallest and largest Lambda over a duration, as for `decay`."""
        return self._over(self.decay_min, duration), self._over(self.decay_max, duration)

    def _over(self, decay: Any, duration: Quantity | None) -> Any:
        if duration is None:
            return decay
        check_duration(duration)
        return _over(decay, float(duration), float(self.decay_duration))

    def _decay(self, bias_voltage: Quantity) -> Any:
        return _decay(bias_voltage, self.decay_half_voltage, self.decay_slope_voltage)

    def bias_voltage(self, decay: Any, duration: Quantity | None = None) -> Quantity:
        """Voltage to hold between pulses for a given Lambda.

        Parameters
        ----------
        decay : float or ndarray
            Share of F that is left after a duration.
        duration : Quantity, second, optional
            One network step; `decay_duration` if absent.

        Raises
        ------
        ValueError
            If Lambda lies outside `decay_range` by more than float32 rounding.
        """
        check_range("decay", decay, *self.decay_range(duration), DECAY_ROUNDING)
        decay = np.asarray(decay, dtype=float)
        if duration is not None:
            decay = _over(decay, float(self.decay_duration), float(duration))
        with np.errstate(divide="ignore"):  # decay 0 is clipped to the smallest voltage
            voltage = _bias_voltage(decay, self.decay_half_voltage, self.decay_slope_voltage)
        return np.clip(voltage, self.bias_voltage_min, self.bias_voltage_max)

    def time_constant(self, bias_voltage: Quantity) -> Quantity:
        """Decay time constant of F under a bias, tau = `decay_duration` / ln(1 / Lambda).

        Raises
        ------
        ValueError
            As `decay`.
        """
        self.decay(bias_voltage)
        return self.decay_duration / _rate(
            bias_voltage, self.decay_half_voltage, self.decay_slope_voltage
        )

    def bias_energy_power(self, bias_voltage: Quantity, weight: Any) -> Quantity:
        """Power drawn under a bias at total weight W + F (Fig. 4f)."""
        return bias_voltage**2 * self.conductance(weight)

    def pulse_delta(self, voltage: Quantity, width: Quantity) -> Any:
        """Short-term update dF by one pulse (Fig. 3b); negative pulses lower F."""
        v, w = self._pulse(voltage, width)
        return _update(v, w, 1.0, 1.0, self.delta_f_max, self.pulse_conductance_exponent)

    def pulse_voltage_for(self, delta_f: Any) -> Quantity:
        """Amplitude of the pulse of `pulse_width` that changes F by `delta_f`.

        Raises
        ------
        ValueError
            If |delta_f| exceeds `delta_f_max`.
        """
        limit = self.delta_f_max
        check_range("delta_f", delta_f, -limit, limit, 1e-12 * limit)
        size = _size_of_update(np.asarray(delta_f), limit)
        amplitude = size ** (1 / self.pulse_conductance_exponent)
        return np.sign(delta_f) * _voltage(amplitude, self.pulse_voltage)

    def pulse_energy_at(self, voltage: Quantity, width: Quantity) -> Quantity:
        """Energy of one pulse (Fig. 3c)."""
        v, w = self._pulse(voltage, width)
        return _energy(v, w, 1.0, 1.0, self.pulse_energy, self.pulse_energy_exponent)

    def pulse_energy_for(self, delta_f: Any) -> Quantity:
        """Energy of the pulse of `pulse_width` that changes F by `delta_f` (Fig. 4e)."""
        return _energy_of_update(
            np.asarray(delta_f), self.pulse_energy, self.delta_f_max, self.energy_exponent
        )

    def _pulse(self, voltage: Quantity, width: Quantity) -> tuple[Any, Any]:
        checked_pulse(voltage, width)
        check_range("voltage", voltage, -self.pulse_voltage, self.pulse_voltage, 0 * allunits.volt)
        return np.asarray(voltage / self.pulse_voltage), np.asarray(width / self.pulse_width)

    @property
    def set_rate(self) -> Quantity:
        """Of W towards `weight_max` under `set_voltage`."""
        return -math.log1p(-self.set_fraction) / self.set_width

    @property
    def reset_rate(self) -> Quantity:
        """Of W towards `weight_min` under minus `reset_voltage`."""
        return -math.log1p(-self.reset_fraction) / self.reset_width

    def set_weight(self, weight: Any, n_pulses: int) -> Any:
        """Long-term weight after SET pulses of `set_voltage` and `set_width` (Fig. 2c).

        Raises
        ------
        ValueError
            If `weight` lies outside [`weight_min`, `weight_max`] or `n_pulses` is negative.
        """
        self._check_weight("weight", weight)
        if n_pulses < 0:
            raise ValueError(f"n_pulses must not be negative, got {n_pulses}")
        remaining = (self.weight_max - np.asarray(weight)) * (1 - self.set_fraction) ** n_pulses
        return self.weight_max - remaining

    def weight_after(
        self, weight: Any, voltage: Quantity, width: Quantity, n_pulses: Any = 1
    ) -> Any:
        """Long-term weight after pulses: SET if they are positive, RESET if they are negative.

        Any voltage moves W a little, also one that is held or lies on a device that is half
        selected, so this is the disturb of a neighbour, too.

        Parameters
        ----------
        weight : float or ndarray
        voltage, width : Quantity, volt and second, scalar or ndarray
        n_pulses : int or ndarray
            All of the same voltage and width.

        Raises
        ------
        ValueError
            If `weight` lies outside [`weight_min`, `weight_max`], or a width or number is negative
            or not finite.
        DimensionMismatchError
            If one has the wrong unit.
        """
        self._check_weight("weight", weight)
        v, w = checked_pulse(voltage, width)
        n = np.asarray(n_pulses)
        if not (np.all(np.isfinite(n)) and np.all(n >= 0)):
            raise ValueError(f"n_pulses must not be negative, got {n_pulses}")
        end = np.where(v > 0, self.weight_max, self.weight_min)
        rates = [_long_term_rate(v, *self.long_term_constants(up)) for up in (True, False)]
        window = self.weight_min, self.weight_max
        return _weight_after(np.asarray(weight), end, np.where(v > 0, *rates), w * n, *window)

    def programming_voltage(self, weight: Any, target: Any, width: Quantity) -> Quantity:
        """Voltage of the one pulse that takes W to a target: the inverse of `weight_after`.

        Parameters
        ----------
        weight, target : float or ndarray
            The target within the window without its ends, which no pulse reaches.
        width : Quantity, second

        Raises
        ------
        ValueError
            If a weight lies outside [`weight_min`, `weight_max`], the target is an end of it that
            W is not at, or the width not positive.
        DimensionMismatchError
            If the width has the wrong unit.
        """
        for name, value in (("weight", weight), ("target", target)):
            self._check_weight(name, value)
        _, w = checked_pulse(0 * allunits.volt, width)
        if not np.all(w > 0):
            raise ValueError(f"width must be positive, got {width}")
        weight, target = np.asarray(weight, dtype=float), np.asarray(target, dtype=float)
        up = target > weight
        end = np.where(up, self.weight_max, self.weight_min)
        moved = target != weight
        if np.any(moved & (target == end)):
            raise ValueError(
                f"target must lie within ({self.weight_min}, {self.weight_max}), whose ends no "
                f"pulse reaches, got {target}"
            )
        left = np.where(moved, end - weight, 1.0) / np.where(moved, end - target, 1.0)
        rate = np.log(left) / w
        with np.errstate(divide="ignore"):  # where W is to stay
            laws = map(self.long_term_constants, (True, False))
            sizes = [_long_term_voltage(rate, *rate_constants) for rate_constants in laws]
        return np.where(moved, np.where(up, sizes[0], -sizes[1]), 0) * allunits.volt

    def long_term_constants(self, up: bool) -> tuple[float, float, float]:
        """k, V_ref and V_step of `law.LONG_TERM_RATE` for SET (`up`) or RESET, in SI units."""
        if up:
            return float(self.set_rate), float(self.set_voltage), float(self.set_slope_voltage)
        return float(self.reset_rate), float(self.reset_voltage), float(self.reset_slope_voltage)

    def _check_weight(self, name: str, weight: Any) -> None:
        check_range(name, weight, self.weight_min, self.weight_max, 0)


_SIGMOID = ("decay_half_voltage", "decay_slope_voltage")
_MAY_BE_ZERO_OR_NEGATIVE = (
    *("bias_voltage_min", "decay_half_voltage"),
    *("decay_min", "conductance_min"),
)


_conductance = law.function(law.CONDUCTANCE, "S, G_offset, kappa")
_bias_voltage = law.function(law.BIAS_VOLTAGE, "Lambda, V_half, V_slope")
_rate = law.function(law.DECAY_RATE, "V_bias, V_half, V_slope")
_over = law.function(law.OVER, "Lambda, duration, decay_duration")
_update = law.function(law.UPDATE, "V, w, V_0, w_0, dF_0, m")
_energy = law.function(law.ENERGY, "V, w, V_0, w_0, E_0, n")
_voltage = law.function(law.VOLTAGE, "amplitude, V_0")
_size_of_update = law.function(law.SIZE_OF_UPDATE, "dF, dF_0")
_energy_of_update = law.function(law.ENERGY_OF_UPDATE, "dF, E_0, dF_0, energy_exponent")
_weight_after = law.function(law.WEIGHT_AFTER, "W, W_end, rate, w, S_min, S_max")
_long_term_rate = law.function(law.LONG_TERM_RATE, "V, k, V_ref, V_step")
_long_term_voltage = law.function(law.LONG_TERM_VOLTAGE, "rate, k, V_ref, V_step")


def _decay(bias_voltage: Quantity, half: Quantity, slope: Quantity) -> Any:
    with np.errstate(over="ignore"):  # 1 / inf is the right limit
        return np.asarray(
            law.function(law.DECAY, "V_bias, V_half, V_slope")(bias_voltage, half, slope)
        )


def _constant_fields() -> list[Any]:
    return [f for f in fields(Memristor) if "unit" in f.metadata]
