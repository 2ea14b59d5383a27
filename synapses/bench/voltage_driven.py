"""The memristor under an arbitrary voltage V(t), as Brian2 equations in physical units.

The pulses, the decay and the SET law of `mstpn.synapses.memristor` as rates::

    dF/dt = growth(V) - F/tau(V)        growth = sign(V) dF_0/w_0 (|V|/V_0)^m,  |V| > V_hold
    dW/dt = k_SET (W_max - W)           k_SET  = -ln(1 - r)/w_SET,               V >= V_SET
    dE/dt = V I,  I = G V               G      = G_offset + kappa (W + F)

No constant is needed that the device file does not have:

- A pulse of V and w from F = 0 gives ``growth tau (1 - exp(-w/tau))``, which is the Memristor's
  `pulse_delta` times ``1 - w/(2 tau(V)) + O((w/tau)^2)``: the fresh F decays during the pulse.
- V_hold is the larger of `bias_voltage_max` and `read_voltage`: what is held between pulses
  sets the decay and what reads must not write, so the power law begins above both.
- tau(V) continues the sigmoid of Lambda below 0 V, where it falls as 1/|V|: a negative voltage
  speeds recombination up. Above `bias_voltage_max` it stays, since Lambda does not exceed
  `decay_max`. The powers of V are carried on above `pulse_voltage`.
- SET is known at one voltage, so W moves at `set_voltage` and above at the rate known there,
  and not at all below; n pulses of w_SET then are `set_weight` exactly.
- W + F stays in the conductance window, as under `WRITE_LIMITED`.

Source: Weilenmann et al., Nature Communications 15 (2024), Figs. 2 and 3 (SET, pulses, decay).
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from brian2 import Clock, Equations, Network, NeuronGroup, StateMonitor, TimedArray, ms
from brian2.units import Quantity, joule, second, siemens
from numpy.typing import NDArray

from mstpn.synapses import law, st_hebb
from mstpn.synapses.bench.waveforms import Waveform
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.nonidealities import CYCLE_NOISE

__all__ = ["VOLTAGE_DRIVEN", "WINDOW", "Trace", "constants", "exact_over_levels", "simulate"]

VOLTAGE_DRIVEN = (
    Equations(f"""
    dF/dt = growth - F/tau : 1                          # short-term weight
    dW/dt = set_rate*(S_max - W) : 1                    # long-term weight
    dE/dt = V*I : joule
    I = G*V : amp
    G = {law.put(law.CONDUCTANCE, S="(W + F)")} : siemens
    growth = pulse_gain*({law.UPDATE_RATE})
             *int(abs(V) > V_hold) : Hz (constant over dt)
    set_rate = k_SET*int(V >= V_SET) : Hz (constant over dt)
    V_bias = clip(V, -inf*volt, V_bias_max) : volt      # as far as the sigmoid goes
""")
    + st_hebb.DECAY
)
"""Add a line for V, such as ``V = waveform(t) : volt (constant over dt)``, and the namespace of
`constants`, and run `WINDOW` after every step. The rates are those at the step's beginning."""

WINDOW = f"F = {law.WITHIN}"
"""W + F as far as it moves; any method but `exact_over_levels` needs it after a step."""

_WITHIN = law.put(law.WITHIN, W="W_new")
_LEVEL = f"""
    W_new = W - (S_max - W)*expm1(-set_rate*duration)
    F_in = {_WITHIN}
    F_rest = growth*tau
    F_free = F_in*exp(-duration/tau) - F_rest*expm1(-duration/tau)
    F_new = {law.put(_WITHIN, F="F_free")}
    hit = int(F_new != F_free)
    t_hit = hit*(duration - tau*log1p(hit*(F_in - F_new)/(hit*(F_new - F_rest) + 1 - hit)))
    F_integral = tau*(growth*(duration - t_hit) + F_in - F_new) + F_new*t_hit
    W_integral = S_max*duration - (S_max - W)*duration*exprel(-set_rate*duration)
    E += V**2*(G_offset*duration + kappa*(W_integral + F_integral))
    F = F_new
    W = W_new
"""
"""One level in closed form; t_hit is the time that F spends at the window's edge."""

_LEVELS = Equations("""
    V = voltage_of(t, i) : volt (constant over dt)
    duration = duration_of(t, i) : second
    pulse_gain = clip(1 + dF_std*cycle_noise(noise_key, t_in_timesteps, i), 0, inf) : 1
""")

Array = NDArray[np.float64]


def exact_over_levels(_equations: Equations, _variables: Any, _options: Any = None) -> str:
    """Integration method of `VOLTAGE_DRIVEN` for levels of any length, one a Brian2 step.

    The group needs `duration`, in second. F and W are exact, and so is E, but for levels of
    SET in which W + F reaches its window: there F is bounded by the window at the level's
    end, which W has narrowed by at most the share `set_fraction` per pulse.
    """
    return _LEVEL


@dataclass(frozen=True)
class Trace:
    """Devices at the end of every level, (L, N) each.

    Parameters
    ----------
    time : Quantity, second
    voltage : Quantity, volt
    trace, weight : ndarray
        F and W.
    conductance : Quantity, siemens
    energy : Quantity, joule
        Taken from the source since the start.
    is_read : ndarray of bool, (L,)
    """

    time: Quantity
    voltage: Quantity
    trace: Array
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

    Raises
    ------
    ValueError
        If a single SET pulse completes W, which no rate does.
    """
    if device.set_fraction == 1:
        raise ValueError("set_fraction must be below 1 to give a rate, got 1")
    return st_hebb.constants(device, device.write_limits()) | {
        "V_bias_max": device.bias_voltage_max,
        "V_hold": max(device.bias_voltage_max, device.read_voltage),
        "V_0": device.pulse_voltage,
        "w_0": device.pulse_width,
        "m": device.pulse_conductance_exponent,
        "V_SET": device.set_voltage,
        "k_SET": -np.log1p(-device.set_fraction) / device.set_width,
    }


def simulate(
    waveform: Waveform,
    device: Memristor,
    *,
    weight: float | Array | None = None,
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
        W at the start; 0 if absent, or what the device's window has nearest to it.
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
    device.set_weight(weight, 0)  # refuses one outside the window
    namespace = constants(device)
    del namespace["pulse_gain"]
    clock = Clock(1 * ms)
    n_levels = len(waveform.is_read)
    group = NeuronGroup(
        waveform.n_devices,
        VOLTAGE_DRIVEN + _LEVELS,
        method=exact_over_levels,
        clock=clock,
        namespace=namespace
        | {
            "voltage_of": TimedArray(waveform.voltage, dt=clock.dt),
            "duration_of": TimedArray(waveform.duration, dt=clock.dt),
            "dF_std": delta_f_std,
            "noise_key": seed,
            "cycle_noise": CYCLE_NOISE,
        },
        name="devices*",
    )
    group.W = weight
    monitor = StateMonitor(
        group, ("F", "W", "G", "E"), record=True, when="end", clock=clock, name="bench*"
    )
    Network(group, monitor).run(n_levels * clock.dt, namespace={})
    return Trace(
        time=np.cumsum(waveform.duration / second, axis=0) * second,
        voltage=waveform.voltage,
        trace=monitor.F.T,
        weight=monitor.W.T,
        conductance=np.asarray(monitor.G.T) * siemens,
        energy=np.asarray(monitor.E.T) * joule,
        is_read=waveform.is_read,
    )
