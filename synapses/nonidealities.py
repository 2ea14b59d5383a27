"""What real devices and their crossbar do beside the ideal ones.

With u, v, w, x, n standard normal, drawn once per device, and xi anew for every pulse::

    W       -> clip(W (1 + t/t_0)^-(nu + dnu u) + dW v)         drift, then programming error
    V_half  -> V_half + dV w                                    so Lambda moves at the same V_bias
    dF      -> dF max(1 + sigma_d x, 0) max(1 + sigma_c xi, 0)  the pulse's energy stays
    stuck:     W at random, dF = 0
    dF      -> (1 - s) dF into F, s dF into F_slow       two exponentials, of tau and r tau

What stands around the devices, converters, noise of reads, resistance of lines and unselected rows,
is in `mstpn.synapses.periphery` and `mstpn.synapses.wires`.

Names follow aihwkit where it has the same thing: `_dtod` is spread from device to device,
`_std` from cycle to cycle, `corrupt_devices_prob` the share of stuck devices, `drift_nu` and
`t_inference` the power law of retention (t_0 = 20 s); `inp_res`, `inp_bound`, `out_res` and
`out_bound` are those of its converters, a resolution above 1 being a number of steps, `w_noise` is
its output-referred noise of weights, here relative to the conductance, and `ir_drop_rs` the
resistance of a line per cell. None of these numbers is in Weilenmann et al.; all are the user's
assumptions, and zero unless given.

The two exponentials are those of the group's follow-up paper on the same device family, which
finds tau of 1-10 s and longer, both tuned by the bias. Hence tau_slow = r tau(V_bias), not a
fixed time: per network step, Lambda_slow = Lambda^(1/r). One r for all voltages is assumed, and
so are s and r, since the paper measured them after pulses of light.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

import numpy as np
from brian2 import Function
from brian2.units import Quantity, ohm, second, volt
from brian2.units.fundamentalunits import fail_for_dimension_mismatch
from numpy.typing import NDArray

from mstpn.synapses import law
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.periphery import Periphery, periphery_of

__all__ = [
    "CYCLE_NOISE",
    "DRIFT_START",
    "NOISE_UNIT",
    "SMALLEST_DECAY",
    "Deviations",
    "Nonidealities",
    "cycle_noise",
    "noise_level",
]

DRIFT_START: Quantity = 20 * second
"""t_0 of the drift, as aihwkit has it for inference."""

SMALLEST_DECAY = 1e-30
"""Where the logarithm of a Lambda of 0, that of an agent without memory, is taken instead."""

Array = NDArray[np.float64]


class Deviations(NamedTuple):
    """How each device differs from the ideal one, arrays of one shape (NumPy or torch).

    Parameters
    ----------
    weight_scale, weight_shift : array
        W of the device is ``weight_scale * W + weight_shift``, within the conductance window.
    weight_min, weight_max : float
        That window.
    half_voltage_shift : array, volt
    reduced_shift : array
        ``half_voltage_shift / V_slope``.
    update_gain : array
        Of every dF, from device to device.
    slow_fraction : float
        Share s of every dF that goes into F_slow.
    slow_tau_ratio : float
        r, by which F_slow decays more slowly.
    step_ratio : float
        Network step over the device's `decay_duration`.
    sag : array, volt, optional
        What the bias voltage at a device is below that at the end of its line.
    read_gain : array, optional
        Current of a read at the end of the column, over that without resistance of the lines.
    reference_gain : array, (M,), optional
        The same of the cells of the reference column.
    """

    weight_scale: Any
    weight_shift: Any
    weight_min: float
    weight_max: float
    half_voltage_shift: Any
    reduced_shift: Any
    update_gain: Any
    slow_fraction: float
    slow_tau_ratio: float
    step_ratio: float
    sag: Any = None
    read_gain: Any = None
    reference_gain: Any = None

    def weight(self, programmed: Any) -> Any:
        """W as the devices hold it."""
        shifted = self.weight_scale * programmed + self.weight_shift
        return shifted.clip(self.weight_min, self.weight_max)

    def decay(self, intended: Any) -> Any:
        """Lambda per step of the devices under the voltages that would give `intended` ideally."""
        library = "numpy" if isinstance(intended, np.ndarray | float) else "torch"
        reduced = law.function(law.BIAS_VOLTAGE, "Lambda, V_half, V_slope", library)
        decay = law.function(law.DECAY, "V_bias, V_half, V_slope", library)
        over = law.function(law.OVER, "Lambda, duration, decay_duration", library)
        ideal = over(intended.clip(SMALLEST_DECAY), 1.0, self.step_ratio)
        return over(decay(reduced(ideal, 0, 1), self.reduced_shift, 1), self.step_ratio, 1.0)

    def slow_decay(self, decay: Any) -> Any:
        """Lambda of F_slow where F decays with `decay`, of the devices."""
        return decay ** (1 / self.slow_tau_ratio)


_UNITS = {"half_voltage_dtod": volt, "t_inference": second, "ir_drop_rs": ohm}
_SHARES = ("corrupt_devices_prob", "slow_fraction", "half_select")


@dataclass(frozen=True)
class Nonidealities:
    """Size of each deviation from the ideal device; all off by default.

    Parameters
    ----------
    delta_f_std : float
        Standard deviation of dF from pulse to pulse, relative.
    delta_f_dtod : float
        Standard deviation of dF from device to device, relative.
    weight_dtod : float
        Standard deviation of the programmed W, in units of W.
    half_voltage_dtod : Quantity, volt
        Standard deviation of the sigmoid's V_half.
    corrupt_devices_prob : float
        Share of devices stuck: no pulse moves them.
    corrupt_devices_range : float
        Their W is uniform within plus and minus this, and within the conductance window.
    drift_nu, drift_nu_dtod : float
        Mean and standard deviation of the exponent of the drift of W towards 0.
    t_inference : Quantity, second
        Time since W was programmed.
    slow_fraction : float
        Share of every dF that decays with a second, longer time constant.
    slow_tau_ratio : float
        That time constant over tau, at any bias; it matters if `slow_fraction` is not 0.
    w_noise : float
        Standard deviation of every device's conductance from read to read, relative.
    inp_res, inp_bound : float
        Step of the inputs z over their range of plus and minus the bound; above 1 the number of
        steps, 2^b - 2 for b bits.
    out_res, out_bound : float
        The same of the outputs: read currents over V_read kappa, in units of a weight times an
        input.
    ir_drop_rs : Quantity, ohm
        Resistance of rows and columns from one cell to the next.
    half_select : float
        Share of a pulse's voltage that the other rows see: 0.5 in the scheme V/2, 1/3 in V/3.
    seed : int
        Of every draw; each deviation has a stream of its own.

    Raises
    ------
    ValueError
        If a value is negative, not finite, a share above 1, the ratio below 1, or a bound 0.
    DimensionMismatchError
        If one has the wrong unit.
    """

    delta_f_std: float = 0.0
    delta_f_dtod: float = 0.0
    weight_dtod: float = 0.0
    half_voltage_dtod: Quantity = field(default_factory=lambda: 0 * volt)
    corrupt_devices_prob: float = 0.0
    corrupt_devices_range: float = 1.0
    drift_nu: float = 0.0
    drift_nu_dtod: float = 0.0
    t_inference: Quantity = field(default_factory=lambda: 0 * second)
    slow_fraction: float = 0.0
    slow_tau_ratio: float = 10.0
    w_noise: float = 0.0
    inp_res: float = 0.0
    inp_bound: float = 1.0
    out_res: float = 0.0
    out_bound: float = 12.0
    ir_drop_rs: Quantity = field(default_factory=lambda: 0 * ohm)
    half_select: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            unit = _UNITS.get(f.name, 1)
            fail_for_dimension_mismatch(value, unit, f"{f.name} must be in {unit}")
            if not 0 <= float(value) < np.inf:
                raise ValueError(f"{f.name} must be at least 0 and finite, got {value}")
        for name in _SHARES:
            if getattr(self, name) > 1:
                raise ValueError(f"{name} must lie in [0, 1], got {getattr(self, name)}")
        if self.slow_tau_ratio < 1:
            raise ValueError(f"slow_tau_ratio must be at least 1, got {self.slow_tau_ratio}")
        for name in ("inp_bound", "out_bound"):
            if not getattr(self, name):
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if self.slow_fraction and self.half_select:
            raise ValueError("half_select must be 0 with slow_fraction, got both")

    @classmethod
    def parse(cls, settings: Iterable[str]) -> "Nonidealities":
        """From texts ``name=value``, as a command line gives them.

        Parameters
        ----------
        settings : iterable of str
            Names as above; `half_voltage_dtod` in volt, `t_inference` in second, `ir_drop_rs` in
            ohm.

        Raises
        ------
        ValueError
            If a text is no such pair, a name unknown or twice there, or a value refused.
        """
        values: dict[str, Any] = {}
        names = [f.name for f in fields(cls)]
        for text in settings:
            name, _, number = text.partition("=")
            if name not in names:
                raise ValueError(
                    f"nonideal must be name=value, name of {', '.join(names)}: {text!r}"
                )
            if name in values:
                raise ValueError(f"nonideal {name} is given twice")
            try:
                value = int(number) if name == "seed" else float(number)
            except ValueError:
                raise ValueError(f"nonideal {name} must be a number, got {number!r}") from None
            values[name] = value * _UNITS[name] if name in _UNITS else value
        return cls(**values)

    def to_json(self) -> dict[str, float]:
        """What differs from the default, in SI units."""
        default = type(self)()
        pairs = ((f.name, float(getattr(self, f.name))) for f in fields(self))
        return {name: value for name, value in pairs if value != float(getattr(default, name))}

    def __bool__(self) -> bool:
        """Whether anything deviates."""
        return any(
            float(value) > 0
            for value in (
                *(self.delta_f_std, self.delta_f_dtod, self.weight_dtod),
                *(self.half_voltage_dtod, self.corrupt_devices_prob),
                *(self.drift_nu * self.t_inference, self.drift_nu_dtod * self.t_inference),
                *(self.slow_fraction, self.w_noise, self.inp_res, self.out_res),
                *(self.ir_drop_rs, self.half_select),
            )
        )

    def periphery(self, device: Memristor) -> Periphery:
        """What stands around the devices."""
        return periphery_of(self, device)

    def draw(
        self, shape: tuple[int, ...], device: Memristor, step_duration: Quantity | None = None
    ) -> Deviations:
        """Devices of these deviations; the same seed gives the same devices.

        Parameters
        ----------
        shape : tuple of int
            Of the array of devices.
        device : Memristor
            The ideal one.
        step_duration : Quantity, second, optional
            Network step that Lambda refers to; the device's `decay_duration` if absent.

        Returns
        -------
        Deviations
            Arrays of `shape`.
        """
        streams = [np.random.default_rng(s) for s in np.random.SeedSequence(self.seed).spawn(6)]
        weight, voltage, gain, drift = (stream.standard_normal(shape) for stream in streams[:4])
        stuck = streams[4].random(shape) < self.corrupt_devices_prob
        stuck_at = self.corrupt_devices_range * streams[5].uniform(-1, 1, shape)
        nu = np.maximum(self.drift_nu + self.drift_nu_dtod * drift, 0)
        retained = (1 + float(self.t_inference / DRIFT_START)) ** -nu
        shift = float(self.half_voltage_dtod / volt) * voltage
        return Deviations(
            weight_scale=np.where(stuck, 0, retained),
            weight_shift=np.where(stuck, stuck_at, self.weight_dtod * weight),
            weight_min=device.weight_min,
            weight_max=device.weight_max,
            half_voltage_shift=shift,
            reduced_shift=shift / float(device.decay_slope_voltage / volt),
            update_gain=np.where(stuck, 0, np.maximum(1 + self.delta_f_dtod * gain, 0)),
            slow_fraction=self.slow_fraction,
            slow_tau_ratio=self.slow_tau_ratio,
            step_ratio=float((step_duration or device.decay_duration) / device.decay_duration),
        )


NOISE_UNIT = (4 * (256**2 - 1) / 12) ** -0.5
"""What turns `noise_level` into noise of variance 1."""


def noise_level(key: Any, step: Any, synapse: Any) -> Any:
    """Noise of one pulse from its place in the game alone, an integer within +-510.

    The sum of the four bytes of a hash, less its mean. No state is kept, so the order in
    which synapses are visited, and whether they are visited at all, changes nothing; Brian2,
    NumPy, torch and Numba agree to the last bit.

    Parameters
    ----------
    key : int in [0, 2^31)
        Seed of a game.
    step, synapse : int array
        Number of the network step, and of the synapse: ``i_pre * N + j_post``. Arrays of
        64-bit integers: every product stays below 2^63.
    """
    x = key
    for following in (step, synapse, 0):  # the mixing is from Wellons' hash prospector
        x = (x ^ (x >> 16)) * 0x21F0AAAD & 0xFFFFFFFF
        x = (x ^ (x >> 15)) * 0x735A2D97 & 0xFFFFFFFF
        x = x ^ (x >> 15) ^ following
    return (x & 255) + (x >> 8 & 255) + (x >> 16 & 255) + (x >> 24) - 510


def cycle_noise(key: Any, step: Any, synapse: Any) -> Any:
    """Noise of one pulse, nearly standard normal: mean 0, variance 1, range +-3.45."""
    return noise_level(key, step, synapse) * NOISE_UNIT


def _vectorised(key: Any, step: Any, synapse: Any) -> Any:
    return cycle_noise(*(np.asarray(x).astype(np.int64) for x in (key, step, synapse)))


CYCLE_NOISE = Function(
    _vectorised, arg_units=[1, 1, 1], arg_types=["integer"] * 3, return_unit=1, return_type="float"
)
"""`cycle_noise` for Brian2's equations."""

CYCLE_NOISE.implementations.add_implementation(
    "cython",
    f"""
    cdef unsigned int _mixed(unsigned int x) noexcept nogil:
        x = (x ^ (x >> 16)) * <unsigned int>0x21F0AAAD
        x = (x ^ (x >> 15)) * <unsigned int>0x735A2D97
        return x ^ (x >> 15)

    cdef double cycle_noise(
        unsigned int key, unsigned int step, unsigned int synapse
    ) noexcept nogil:
        cdef unsigned int x = _mixed(_mixed(_mixed(key) ^ step) ^ synapse)
        cdef int total = (x & 255) + ((x >> 8) & 255) + ((x >> 16) & 255) + (x >> 24)
        return (total - 510) * {NOISE_UNIT!r}
    """,
    name="cycle_noise",
)
