"""The memristor under an arbitrary voltage V(t), as Brian2 equations in physical units.

The pulses, the decay and the long-term law of `mstpn.synapses.memristor` as rates, each continuous
in V::

    dF/dt = growth(V) room(F, V) - F/tau(V)       growth = sign(V) dF_0/w_0 (|V|/V_0)^m onset(V)
    dW/dt = rate(V) (W_end - W)                   rate   = k sinh(|V|/V_step)/sinh(V_ref/V_step)
    dE/dt = V I,  I = G V                         G      = G_offset + kappa (W + F)

- onset is 1 from the smallest pulse on and falls below it as a power of V: what is held between
  pulses sets the decay, and writes next to nothing.
- room is 1 up to half of the F that a voltage can hold, F_sat, which goes with |V|, and falls to 0
  there: a sweep of seconds does not drive F on as pulses do.
- A pulse of V and w from F = 0 gives ``growth tau (1 - exp(-w/tau))``, which is the Memristor's
  `pulse_delta` times ``1 - w/(2 tau(V)) + O((w/tau)^2)``: the fresh F decays during the pulse.
- tau(V) continues the sigmoid of Lambda below 0 V, where it falls as 1/|V|: a negative voltage
  speeds recombination up. Above `bias_voltage_max` it stays, since Lambda does not exceed
  `decay_max`. The powers of V are carried on above `pulse_voltage`.
- W moves towards the upper end of its window under positive and the lower one under negative
  voltages, as `Memristor.weight_after` has it exactly.
- W + F stays in the conductance window, as under `WRITE_LIMITED`.

Devices that deviate (`mstpn.synapses.nonidealities`) have V_half and a gain of growth of their own
and W as they hold it; with two exponentials a share of growth and of F_sat is that of F_slow.

Source: Weilenmann et al., Nature Communications 15 (2024), Figs. 2 and 3 (SET, pulses, decay).
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from brian2 import Clock, Equations, Network, NeuronGroup, StateMonitor, TimedArray, ms
from brian2.units import Quantity, joule, second, siemens, volt
from numpy.typing import NDArray

from mstpn.synapses import law, st_hebb
from mstpn.synapses.bench.waveforms import Waveform
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.nonidealities import CYCLE_NOISE, Deviations

__all__ = [
    "SLOW_PART",
    "VOLTAGE_DRIVEN",
    "WINDOW",
    "Trace",
    "constants",
    "exact_over_levels",
    "simulate",
]

_BY_SIGN = "({}*int(V > 0*volt) + {}*int(V <= 0*volt))"


def _long_term(kind: str, sign: str) -> str:
    """The law's rate where V has a sign, and 0 elsewhere."""
    rate = law.put(law.LONG_TERM_RATE, k=f"k_{kind}", V_ref=f"V_{kind}", V_step=f"V_{kind}_step")
    return f"int(V {sign} 0*volt)*{rate}"


VOLTAGE_DRIVEN = (
    Equations(f"""
    dF/dt = growth*({law.ROOM}) - F/tau : 1             # short-term weight
    dW/dt = rate*(W_end - W) : 1                        # long-term weight
    dE/dt = V*I : joule
    I = G*V : amp
    G = {law.put(law.CONDUCTANCE, S="(W + F)")} : siemens
    growth = pulse_gain*({law.UPDATE_RATE})
             *({law.ONSET}) : Hz (constant over dt)
    F_sat = {law.put(law.SATURATION, F_end=_BY_SIGN.format("F_sat_up", "F_sat_down"))} : 1
    rate = mobile*({_long_term("SET", ">")}
                   + {_long_term("RESET", "<=")}) : Hz (constant over dt)
    W_end = {_BY_SIGN.format("S_max", "S_min")} : 1 (constant over dt)
    V_bias = clip(V, -inf*volt, V_bias_max) : volt      # as far as the sigmoid goes
""")
    + st_hebb.DECAY
)
"""Add a line for V, such as ``V = waveform(t) : volt (constant over dt)``, and the namespace of
`constants`, and run `WINDOW` after every step. The rates are those at the step's beginning."""

WINDOW = f"F = {law.WITHIN}"
"""W + F as far as it moves; any method but `exact_over_levels` needs it after a step."""

SLOW_PART = Equations(f"""
    dF_slow/dt = 0*Hz : 1                               # slow part of F
    tau_slow = slow_tau_ratio*tau : second
    G = {law.put(law.CONDUCTANCE, S="(W + F + F_slow)")} : siemens
""")
"""What devices of two exponentials have beside, with G in place of its own; F is the fast part."""

_STAGE = """
    moving = push*clip(2 - y/knee, 0, 1) - y/tau_y
    up = int(moving > 0*Hz)
    high = int(y > 2*knee)
    mid = (1 - high)*(up*int(y >= knee) + (1 - up)*int(y > knee))
    low = 1 - high - mid
    inverse = 1/tau_y + mid*push/knee
    target = (low + 2*mid)*push/inverse
    bound = up*clip((low + 2*mid)*knee, -inf, edge) + (1 - up)*((2*high + mid)*knee + low*target)
    stuck = up*int(y >= edge)
    hit = (1 - stuck)*int((bound - y)*(target - bound) > 0)
    t_hit = log(1 + hit*(y - bound)/(hit*(bound - target) + 1 - hit))/inverse
    reached = hit*int(t_hit <= left)
    spent = reached*t_hit + (1 - reached)*left
    y_free = y*exp(-inverse*spent) - target*expm1(-inverse*spent)
    y_next = reached*bound + (1 - reached)*(stuck*y + (1 - stuck)*y_free)
    total += stuck*y*spent + (1 - stuck)*(target*spent + (y - y_next)/inverse)
    left_next = left - spent
    y = y_next
"""
"""One piece of a level of one part of F, y = F in the direction of V: below half of F_sat (`low`),
between (`mid`), above (`high`), each linear, or at the window's edge (`stuck`)."""

_N_STAGES = 4
"""A level passes three pieces at most, and then stays at an edge."""
_STAGES = "".join(
    law.put(_STAGE, left=f"left_{k}", left_next=f"left_{k + 1}") for k in range(_N_STAGES)
)


def _part(f: str, share: str, tau: str, others: str) -> str:
    """A level of one part of F in closed form, beside the other parts of W + F at its end."""
    return f"""
    edge = positive*(S_max - ({others})) + (1 - positive)*({others} - S_min)
    floor = positive*(S_min - ({others})) + (1 - positive)*({others} - S_max)
    push = abs(growth)*{share}
    knee = F_sat/2*clip({share}, 1e-9, 1)
    tau_y = {tau}
    y = clip(way*{f}, floor, edge)
    left_0 = duration
    total = 0*duration
{_STAGES}
    F_integral += way*total
    {f}_new = way*y
"""


def _level(slow: bool) -> str:
    parts = _part("F", "1", "tau", "W_new")
    if slow:
        parts = _part("F_slow", "slow_fraction", "tau_slow", "W_new") + _part(
            "F", "(1 - slow_fraction)", "tau", "W_new + F_slow_new"
        )
    return f"""
    W_new = {law.put(law.WEIGHT_AFTER, w="duration")}
    W_integral = W_end*duration - (W_end - W)*duration*exprel(-rate*duration)
    positive = int(V > 0*volt)
    way = 2*positive - 1
    F_integral = 0*duration
{parts}
    E += V**2*(G_offset*duration + kappa*(W_integral + F_integral))
    F = F_new
    W = W_new
    {"F_slow = F_slow_new" if slow else ""}
"""


_LEVELS = Equations("""
    V = voltage_of(t, i) : volt (constant over dt)
    duration = duration_of(t, i) : second
    pulse_gain = device_gain*clip(1 + dF_std*cycle_noise(noise_key, t_in_timesteps, i), 0, inf) : 1
    device_gain : 1
    mobile : 1
    V_half : volt
""")

Array = NDArray[np.float64]


def exact_over_levels(equations: Equations, _variables: Any, _options: Any = None) -> str:
    """Integration method of `VOLTAGE_DRIVEN` for levels of any length, one a Brian2 step.

    The group needs `duration`, in second. F and W are exact, and so is E, but for levels in which
    W + F reaches its window while W moves: there F is bounded by the window at the level's end.
    """
    return _level("F_slow" in equations.names)


@dataclass(frozen=True)
class Trace:
    """Devices at the end of every level, (L, N) each.

    Parameters
    ----------
    time : Quantity, second
    voltage : Quantity, volt
    short_term, weight : ndarray
        F and W.
    conductance : Quantity, siemens
    energy : Quantity, joule
        Taken from the source since the start.
    is_read : ndarray of bool, (L,)
    """

    time: Quantity
    voltage: Quantity
    short_term: Array
    weight: Array
    conductance: Quantity
    energy: Quantity
    is_read: NDArray[np.bool_]

    def __getitem__(self, levels: slice | NDArray[np.bool_]) -> "Trace":
        """Some of the levels."""
        return Trace(*(getattr(self, f.name)[levels] for f in fields(self)))

    @property
    def read(self) -> "Trace":
        """The levels at whose end the devices are read."""
        return self[self.is_read]


def constants(device: Memristor) -> dict[str, Any]:
    """Namespace of `VOLTAGE_DRIVEN`, `pulse_gain` being 1.

    Parameters
    ----------
    device : Memristor

    """
    return st_hebb.constants(device, device.write_limits()) | {
        "V_bias_max": device.bias_voltage_max,
        "mobile": 1.0,
        "V_0": device.pulse_voltage,
        "w_0": device.pulse_width,
        "m": device.pulse_conductance_exponent,
        "V_min": device.pulse_voltage_min,
        "onset": device.pulse_onset_exponent,
        "F_sat_up": float(device.saturation_conductance / device.weight_conductance),
        "F_sat_down": float(device.depletion_conductance / device.weight_conductance),
        "k_SET": device.set_rate,
        "V_SET": device.set_voltage,
        "V_SET_step": device.set_slope_voltage,
        "k_RESET": device.reset_rate,
        "V_RESET": device.reset_voltage,
        "V_RESET_step": device.reset_slope_voltage,
    }


def simulate(
    waveform: Waveform,
    device: Memristor,
    *,
    weight: float | Array | None = None,
    deviations: Deviations | None = None,
    delta_f_std: float = 0.0,
    seed: int = 0,
) -> Trace:
    """Apply a waveform to devices with F = 0.

    Brian2's clock counts levels, so a wait of minutes is as long as a pulse; see
    `exact_over_levels`.

    Parameters
    ----------
    waveform : Waveform
    device : Memristor
    weight : float or ndarray, (N,), optional
        W at the start, as it is programmed; 0 if absent, or what the device's window has nearest
        to it.
    deviations : Deviations, optional
        Of the devices, (N,), or of one that all columns are; all are ideal if absent.
    delta_f_std : float
        Spread of growth from level to level and device to device, relative (`cycle_noise`).
    seed : int
        Of that noise, in [0, 2^31).

    Raises
    ------
    ValueError
        If `weight` is outside the device's window.
    """
    if weight is None:
        weight = min(max(0.0, device.weight_min), device.weight_max)
    weight = np.asarray(device.set_weight(weight, 0))  # refuses one outside the window
    slow = deviations is not None and deviations.slow_fraction > 0
    group = _devices(waveform, device, slow=slow)
    group.namespace |= {"dF_std": delta_f_std, "noise_key": seed}
    group.device_gain, group.mobile, group.V_half = 1, 1, device.decay_half_voltage
    if deviations is not None:
        group.device_gain = deviations.update_gain
        group.mobile = deviations.update_gain > 0  # what no pulse moves is stuck
        group.V_half += deviations.half_voltage_shift * volt
        group.namespace["slow_fraction"] = deviations.slow_fraction
        group.namespace["slow_tau_ratio"] = deviations.slow_tau_ratio
        weight = deviations.weight(weight)
    group.W = weight
    parts = ("F", "F_slow") if slow else ("F",)
    monitor = StateMonitor(
        group, (*parts, "W", "G", "E"), record=True, when="end", clock=group.clock, name="bench*"
    )
    Network(group, monitor).run(len(waveform.is_read) * group.clock.dt, namespace={})
    return Trace(
        time=np.cumsum(waveform.duration / second, axis=0) * second,
        voltage=waveform.voltage,
        short_term=np.sum([getattr(monitor, name).T for name in parts], axis=0),
        weight=monitor.W.T,
        conductance=np.asarray(monitor.G.T) * siemens,
        energy=np.asarray(monitor.E.T) * joule,
        is_read=waveform.is_read,
    )


def _devices(waveform: Waveform, device: Memristor, *, slow: bool) -> NeuronGroup:
    """A group of one device for each column, whose clock counts levels."""
    namespace = constants(device)
    for name in ("pulse_gain", "mobile", "V_half"):
        del namespace[name]
    equations = VOLTAGE_DRIVEN
    if slow:
        fast = [e for e in equations.values() if e.varname not in SLOW_PART]
        equations = Equations(fast) + SLOW_PART
    clock = Clock(1 * ms)
    levels = {
        "voltage_of": TimedArray(waveform.voltage, dt=clock.dt),
        "duration_of": TimedArray(waveform.duration, dt=clock.dt),
        "cycle_noise": CYCLE_NOISE,
    }
    return NeuronGroup(
        waveform.n_devices,
        equations + _LEVELS,
        method=exact_over_levels,
        clock=clock,
        namespace=namespace | levels,
        name="devices*",
    )
