"""The ST-Hebb synapse between spiking neurons, on the same device with the same energies.

The synapse of `mstpn.synapses.st_hebb` takes graded inputs step by step. Between neurons that spike
nothing happens but at spikes, and F is moved where a presynaptic and a postsynaptic spike are
close. Two rules say how the pulse comes about:

*traces*: the periphery keeps a trace of each side, ``x += 1`` at presynaptic and ``y += 1`` at
postsynaptic spikes, which decay exponentially, and issues one pulse per coincidence::

    at a presynaptic spike     dF = Gamma y        at a postsynaptic spike     dF = Gamma x

*overlap*: the device does it alone. Each spike puts half of the reference pulse's voltage on its
own terminal for a pulse width w. With a(V) the update by a pulse of V and w, spikes that are Delta
apart give both halves, and the whole for the time they share::

    dF = 2 a(V_0/2) + (a(V_0) - 2 a(V_0/2)) clip(1 - Delta/w, 0, 1)

and so the energy. A half alone moves F a little, and is paid for, on every synapse of its line.
Against the same device under that V(t), `mstpn.synapses.bench.voltage_driven`, a pulse is
w/(2 tau) too large, since here it does not decay while it lasts.

A presynaptic spike then reads the device for one read duration. The periphery takes the offset
conductance's part away, which leaves the charge ``V_read kappa (W + F) t_read``.

Source: the device of Weilenmann et al., Nature Communications 15 (2024); the rules are this
package's choice, the first as Rodriguez, Guo and Moraitis, ICML 2022, without their rates.
"""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from brian2 import Equations
from brian2.groups.group import Group
from brian2.units import Quantity, ms

from mstpn.synapses import law
from mstpn.synapses.equations import G_READ, SETTLE, SPIKE_DRIVEN, SPREAD_SPIKES, code
from mstpn.synapses.group import guards_of, initial_of, namespace_of, put_on
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.nonidealities import Deviations
from mstpn.synapses.settling import Guard, SettlingSynapses
from mstpn.synapses.write_limits import WriteLimits

__all__ = [
    "OVERLAP",
    "OVERLAP_POST",
    "OVERLAP_PRE",
    "READ_SPIKE",
    "SETTLE_TRACES",
    "TRACES",
    "TRACES_POST",
    "TRACES_PRE",
    "TRACE_DURATION",
    "get_spiking_synapses",
]

TRACE_DURATION: Quantity = 20 * ms
"""Time constant of the traces, unless it is given."""

TRACES = Equations("""
    dx/dt = -x/tau_trace : 1 (event-driven)             # of presynaptic spikes
    dy/dt = -y/tau_trace : 1 (event-driven)             # of postsynaptic spikes
""")
"""Beside those of `SPIKE_DRIVEN`."""
SETTLE_TRACES = (
    ("x", "x*exp(-(t - lastupdate)/tau_trace)"),
    ("y", "y*exp(-(t - lastupdate)/tau_trace)"),
    *SETTLE,
)
"""As `SETTLE`, with traces, which are as of lastupdate too."""

OVERLAP = Equations("""
    pre_time : second                                   # last presynaptic spike
    post_time : second                                  # last postsynaptic spike
""")
"""Beside those of `SPIKE_DRIVEN`."""

_MOVE = code(law.WINDOW, "F_in += F_new - F", "F = F_new")
_ISSUED = "issued*clip(wanted, -dF_max, dF_max)"
_COINCIDENCE = code(law.ISSUE, _MOVE, f"E_pulse += {law.put(law.ENERGY_OF_UPDATE, dF=_ISSUED)}")

TRACES_PRE = code("x += 1", "wanted = Gamma*y") + _COINCIDENCE
"""At a presynaptic spike."""
TRACES_POST = code("y += 1", "wanted = Gamma*x") + _COINCIDENCE
"""At a postsynaptic spike; of two in one time step the postsynaptic comes after."""


def _overlap(own: str, other: str) -> str:
    return code(
        f"share = clip(1 - (t - {other})/w_0, 0, 1)",
        "pulse = pulse_gain*(dF_half + (dF_0 - 2*dF_half)*share)",
        _MOVE,
        "E_pulse += E_half + (E_0 - 2*E_half)*share",
        f"{own} = t",
    )


OVERLAP_PRE = _overlap("pre_time", "post_time")
"""At a presynaptic spike."""
OVERLAP_POST = _overlap("post_time", "pre_time")
"""At a postsynaptic spike; of two in one time step the postsynaptic comes after."""

READ_SPIKE = code(
    G_READ,
    "charge = V_read*(G_read - G_offset)*t_read",
    "E_read += V_read**2*G_read*t_read",
)
"""The read at a presynaptic spike, after its pulse."""


def get_spiking_synapses(
    presynaptic: Group,
    postsynaptic: Group,
    device: Memristor,
    *,
    rule: Literal["traces", "overlap"] = "traces",
    effect: str = "",
    trace_duration: Quantity = TRACE_DURATION,
    connect: bool | str | Mapping[str, Any] = True,
    delay: Quantity | None = None,
    limits: WriteLimits | None = None,
    deviations: Deviations | None = None,
    delta_f_std: float = 0.0,
    namespace: Mapping[str, Any] | None = None,
    name: str = "synapses*",
) -> SettlingSynapses:
    """ST-Hebb synapses between groups that spike, with W = Gamma = F = 0.

    W, Gamma, V_bias and F may be assigned at any time, as those of
    `mstpn.synapses.st_hebb.get_synapses`.

    Parameters
    ----------
    presynaptic, postsynaptic : Group
        Whatever spikes: `NeuronGroup`, `PoissonGroup`, `SpikeGeneratorGroup`, or subgroups.
    device : Memristor
    rule : {"traces", "overlap"}
        With *overlap* all pulses are the device's own: Gamma is refused.
    effect : str
        What a presynaptic spike does to the postsynaptic side, from its `charge`, such as
        ``"v_post += charge/C_m"``; nothing if empty.
    trace_duration : Quantity, second
        Time constant of both traces.
    connect, delay
        As for `mstpn.synapses.st_hebb.get_synapses`; the delay is the presynaptic one.
    limits : WriteLimits, optional
        Of the device; none if absent. With *overlap* they are the device's window, and no others
        are taken.
    deviations : Deviations, optional
        Of each device, in the order of the synapses.
    delta_f_std : float
        Spread of dF from pulse to pulse, with `deviations`: the noise of a synapse in a time step.
    namespace : mapping, optional
        What `effect` needs.
    name : str

    Raises
    ------
    ValueError
        If there is no such rule, the trace's duration is not positive, the sides have clocks of
        different steps, *overlap* is given limits, or the deviations a slow part or no synapses
        to be of.
    """
    if rule not in _RULES:
        raise ValueError(f"rule must be one of {', '.join(_RULES)}, got {rule!r}")
    if not float(trace_duration) > 0:
        raise ValueError(f"trace_duration must be positive, got {trace_duration}")
    if float(presynaptic.clock.dt) != float(postsynaptic.clock.dt):
        raise ValueError(
            f"both sides must spike in steps of one length, got {presynaptic.clock.dt} and "
            f"{postsynaptic.clock.dt}"
        )
    if deviations is not None and (connect is False or deviations.slow_fraction > 0):
        raise ValueError("deviations must be without slow_fraction, and connect not False")
    equations, settle, on_pre, on_post = _RULES[rule]
    guards = guards_of(device, "spike-driven", deviations is not None, False)
    if rule == "overlap":
        if limits is not None:
            raise ValueError("limits must be absent with overlap, whose pulses are the device's")
        limits = device.write_limits(smallest=False, largest=False)
        guards["Gamma"] = Guard(_no_gamma)
    half = device.pulse_voltage / 2
    synapses = SettlingSynapses(
        presynaptic,
        postsynaptic,
        SPIKE_DRIVEN + equations + (SPREAD_SPIKES if deviations is not None else Equations("")),
        settle=settle,
        start=("lastupdate", "t_settled"),
        guards=guards,
        initial=initial_of(device, deviations)
        | {name: -1e6 * device.pulse_width for name in equations.names if name in OVERLAP},
        on_pre=on_pre + READ_SPIKE + code(*effect.strip().splitlines()),
        on_post=on_post,
        delay=delay,
        method="exact",
        clock=presynaptic.clock,
        namespace=namespace_of(device, limits, deviations, delta_f_std)
        | {
            "tau_trace": trace_duration,
            "w_0": device.pulse_width,
            "dF_half": float(device.pulse_delta(half, device.pulse_width)),
            "E_half": device.pulse_energy_at(half, device.pulse_width),
        }
        | dict(namespace or {}),
        name=name,
    )
    synapses.memristor = device
    synapses.connect_as(connect)
    if deviations is not None:
        put_on(synapses, deviations, device)
    return synapses


def _no_gamma(values: Any) -> None:
    if np.any(np.asarray(values)):
        raise ValueError("Gamma must be 0 with overlap: the pulses are the device's own")


_RULES = {
    "traces": (TRACES, SETTLE_TRACES, TRACES_PRE, TRACES_POST),
    "overlap": (OVERLAP, SETTLE, OVERLAP_PRE, OVERLAP_POST),
}
