"""The equations of the ST-Hebb synapse, its code at events and its constants.

`mstpn.synapses.st_hebb` makes synapses of them, and says what they mean.
"""

from typing import Any

from brian2 import Equations, NeuronGroup
from brian2.groups.group import Group

from mstpn.synapses import law
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.write_limits import WriteLimits

__all__ = [
    "CLOCK_DRIVEN",
    "DECAY",
    "DECAY_OF_STEP",
    "DISTURB",
    "EVENT_DRIVEN",
    "E_UNIT",
    "G_READ",
    "NOISE_OF_READS",
    "NOISY",
    "POSTSYNAPTIC",
    "PRESYNAPTIC",
    "READ",
    "READ_SIGNAL",
    "READ_SLOW",
    "READ_WIRED",
    "SELECT",
    "SELECTED",
    "SETTLE",
    "SETTLE_SLOW",
    "SLOW",
    "SPIKE_DRIVEN",
    "SPREAD",
    "SPREAD_SPIKES",
    "SWEEPABLE",
    "TAU",
    "WIRED",
    "WRITE",
    "WRITE_LIMITED",
    "WRITE_SLOW",
    "constants",
    "get_shared_constants",
    "share_constants",
]

PRESYNAPTIC = Equations("""
    z : 1                                               # input of this step
    z_last : 1                                          # input of the last step
    z_power = abs(z_last)**energy_exponent : 1 (constant over dt)
""")
"""Presynaptic units."""

POSTSYNAPTIC = Equations("""
    h : 1                                               # output of the last step
    h_power = abs(h)**energy_exponent : 1 (constant over dt)
    I : amp                                             # read current of this step
""")
"""What the synapses need of the postsynaptic side."""


def _g(weight: str) -> str:
    return law.put(law.CONDUCTANCE, S=f"({weight})")


def code(*lines: str) -> str:
    """Event code of some lines, as it is printed."""
    each = [line for text in lines for line in text.strip().splitlines()]
    return "".join(f"\n    {line}" for line in each) + "\n"


TAU = f"T_decay/({law.DECAY_RATE})"
"""Time constant of F under V_bias: Lambda = exp(-T_decay/tau) is the sigmoid of Fig. 3e."""
DECAY_OF_STEP = "exp(-dt/tau)"
"""Share of F that is left after one time step: Lambda, where that is the network step."""
DECAY = Equations(f"tau = {TAU} : second (constant over dt)")
"""`TAU` where V_bias may change at every step."""

_COMMON = Equations("""
    W : 1                                               # long-term weight
    Gamma : 1                                           # short-term learning rate
    V_bias : volt                                       # held between pulses
    E_unit : joule                                      # pulse energy at |h z| = 1
    E_pulse : joule
    E_read : joule
""")


def _held(f: str) -> Equations:
    return _COMMON + Equations(f"""
    tau : second                                        # `TAU`, as of V_bias
    {f.strip()}
    F_in : 1                                            # F at t_settled + all updates since
    F_now = F*exp(-(t - lastupdate)/tau) : 1
    G = {_g("W + F_now")} : siemens
    t_settled : second                                  # last change of V_bias or W
    E_settled : joule                                   # E_bias at t_settled
    G_settled : siemens*second                          # G_integral at t_settled
    G_integral = G_settled + (G_offset + kappa*W)*(t - t_settled)
                 + kappa*tau*(F_in - F_now) : siemens*second
    E_bias = E_settled + V_bias**2*(G_integral - G_settled) : joule
    """)


EVENT_DRIVEN = _held("""
    decay : 1                                           # `DECAY_OF_STEP`, as of tau
    F : 1                                               # short-term weight, as of lastupdate
    lastupdate : second                                 # last visit of the synapse
""")
"""F is computed at events only; F_now, G, G_integral and E_bias are exact whenever read."""
SPIKE_DRIVEN = _held("dF/dt = -F/tau : 1 (event-driven)                   # short-term weight")
"""The same synapse between neurons that spike, where few events are one time step apart."""

CLOCK_DRIVEN = (
    _COMMON
    + DECAY
    + Equations(f"""
    dF/dt = -F/tau : 1 (clock-driven)
    G = {_g("W + F")} : siemens
    dE_bias/dt = V_bias**2*G : joule (clock-driven)
""")
)
"""The same synapse integrated step by step: the check of the event-driven form."""

_WANTED = "wanted = Gamma*h_post*z_last_pre"
_ENERGY = "E_unit*h_power_post*z_power_pre"
_CHARGED = law.put(law.CHARGE, energy=_ENERGY)

_DECAYED = "F *= decay**timestep(t - lastupdate, dt)"
_VISITED = "lastupdate = t"

WRITE = code(
    _DECAYED,
    _VISITED,
    _WANTED,
    "dF = pulse_gain*wanted",
    "F += dF",
    "F_in += dF",
    f"E_pulse += {_ENERGY}",
)
"""F as it is by now, then the Hebbian pulse of the last step; pulse_gain is 1 for an ideal device.
Its energy is a power law of |Gamma| |h| |z|, so it is the product of three powers, none of which
has to be taken per synapse and event."""

WRITE_LIMITED = code(
    _DECAYED,
    _VISITED,
    _WANTED,
    law.ISSUE,
    law.WINDOW,
    "F_in += F_new - F",
    "F = F_new",
    _CHARGED,
    "E_pulse += charged",
)
"""The same pulse within a device's limits: none that is too small, none above dF_max, and
W + F within its window. What is issued is paid for, also where F cannot move any more."""

_SPREAD = """
    V_half : volt                                       # of this device
    device_gain : 1                                     # of its updates
    pulse_gain = device_gain*clip(1 + dF_std*cycle_noise(noise_key, {step},
                                                         i*N_post + j), 0, inf) : 1
    noise_key : integer (shared)                        # seed of the noise of this game
"""
SPREAD = Equations(_SPREAD.format(step="t_in_timesteps - 1"))
"""What a synapse has beside the ideal ones if devices differ, see `nonidealities`: the pulse is
that of the step before."""
SPREAD_SPIKES = Equations(_SPREAD.format(step="t_in_timesteps"))
"""The same where pulses are of spikes."""

SLOW = Equations(f"""
    tau_slow = slow_tau_ratio*tau : second
    decay_slow : 1                                      # exp(-dt/tau_slow), as of tau
    F_slow : 1                                          # slow part, as of lastupdate
    F_slow_in : 1                                       # as F_in
    F_slow_now = F_slow*exp(-(t - lastupdate)/tau_slow) : 1
    G = {_g("W + F_now + F_slow_now")} : siemens
    G_integral = G_settled + (G_offset + kappa*W)*(t - t_settled)
                 + kappa*tau*(F_in - F_now)
                 + kappa*tau_slow*(F_slow_in - F_slow_now) : siemens*second
""")
"""Decay with two exponentials: beside those of `EVENT_DRIVEN`, with G and G_integral in place
of its own. F is then the fast part alone."""

G_READ = f"G_read = {_g('W + F')}"
"""What is read."""
_PAID = "E_read += V_read**2*G_read*t_read*abs(z_pre)"
READ = code(G_READ, "I_post += V_read*G_read*z_pre", _PAID)
"""The read current; an input is read for |z| read durations, with the polarity of z."""
READ_SIGNAL = code(G_READ, "I_post += V_read*(G_read - G_offset)*z_pre", _PAID)
"""The same where the periphery takes the offset conductance's current away."""

WRITE_SLOW = code(
    _DECAYED,
    law.put(_DECAYED, F="F_slow", decay="decay_slow"),
    _VISITED,
    _WANTED,
    law.ISSUE,
    law.put(law.WINDOW, F_new="F_slow_new", F="F_slow", pulse="slow_fraction*pulse"),
    law.put(law.WINDOW, W="(W + F_slow_new)", pulse="(1 - slow_fraction)*pulse"),
    "F_in += F_new - F",
    "F_slow_in += F_slow_new - F_slow",
    "F_slow = F_slow_new",
    "F = F_new",
    _CHARGED,
    "E_pulse += charged",
)
"""The pulse of `WRITE_LIMITED` shared between F_slow and F. Where W + F_slow and W + F_slow + F
are within the window after a pulse, the total stays there until the next: whatever is left of
both parts, W + F_slow(t) + F(t) is a weighted mean of W and these two."""

READ_SLOW = """
    G_slow = kappa*F_slow
    I_post += V_read*G_slow*z_pre
    E_read += V_read**2*G_slow*t_read*abs(z_pre)
"""
"""What `READ` leaves out of a synapse with `SLOW`."""

READ_WIRED = code(f"G_read = read_gain*({_g('W + F')})", "I_post += V_read*G_read*z_pre", _PAID)
"""`READ` where lines have a resistance: G_read is what the ends of row and column see."""
WIRED = Equations("""
    read_gain : 1                                       # of the current, by the lines' resistance
    V_line : volt                                       # V_bias before the line's resistance
    E_bias = E_settled + V_line*V_bias*(G_integral - G_settled) : joule
""")
"""Lines with a resistance: E_bias, in place of its own, is what the lines' drivers deliver."""

NOISY = Equations("I_square : amp**2                                  # of every device, summed")
"""What noisy reads need of the postsynaptic side, beside `POSTSYNAPTIC`."""
NOISE_OF_READS = code("I_square_post += (V_read*G_read*z_pre)**2")
"""Currents of devices whose conductances fluctuate by themselves add up by their squares."""

SELECTED = Equations("""
    dF_column : 1                                       # sum of the updates of this step
    E_column : joule                                    # and of their energies
""")
"""What unselected rows need of the postsynaptic side, beside `POSTSYNAPTIC`."""
SELECT = code(
    _WANTED,
    law.put(law.ISSUE, pulse="selected", pulse_gain="1"),
    "dF_column_post += selected",
    _CHARGED,
    "E_column_post += charged",
)
"""Pulses of the last step, by column, before any of them is written."""
DISTURB = code(
    "selected = issued*clip(wanted, -dF_max, dF_max)",
    "pulse = disturb*device_gain*(dF_column_post - selected)",
    law.WINDOW,
    "F_in += F_new - F",
    "F = F_new",
    "E_pulse += disturb_energy*(E_column_post - charged)",
)
"""What the pulses of the other rows do to a device after its own, `WRITE_LIMITED`. All rows are to
be visited in every step."""

SWEEPABLE = Equations("""
    G_offset : siemens (shared, constant)
    kappa : siemens (shared, constant)
    V_half : volt (shared, constant)
    V_slope : volt (shared, constant)
    V_read : volt (shared, constant)
    t_read : second (shared, constant)
    E_0 : joule (shared, constant)
    dF_0 : 1 (shared, constant)
    energy_exponent : 1 (shared, constant)
    T_decay : second (shared, constant)
    dF_min : 1 (shared, constant)
    dF_max : 1 (shared, constant)
    S_min : 1 (shared, constant)
    S_max : 1 (shared, constant)
    E_max : joule (shared, constant)
    pulse_gain : 1 (shared, constant)
""")
"""All `constants` as variables of one group, see `get_shared_constants`."""

SETTLE = (
    ("E_settled", "E_bias"),
    ("G_settled", "G_integral"),
    ("F", "F_now"),
    ("F_in", "F"),
    ("lastupdate", "t"),
    ("t_settled", "t"),
)
"""What happens, in this order, before an assignment to W, Gamma, V_bias or F."""
SETTLE_SLOW = (*SETTLE[:4], ("F_slow", "F_slow_now"), ("F_slow_in", "F_slow"), *SETTLE[4:])
"""The same for synapses with `SLOW`."""
E_UNIT = law.put(law.ENERGY_OF_UPDATE, dF="Gamma")
"""E_unit, as of Gamma."""


def constants(device: Memristor, limits: WriteLimits | None = None) -> dict[str, Any]:
    """Namespace of the equations.

    Parameters
    ----------
    device : Memristor
    limits : WriteLimits, optional
        Those of `WRITE_LIMITED`.
    """
    limits = limits or WriteLimits()
    return {
        "G_offset": device.offset_conductance,
        "kappa": device.weight_conductance,
        "V_half": device.decay_half_voltage,
        "V_slope": device.decay_slope_voltage,
        "V_read": device.read_voltage,
        "t_read": device.read_duration,
        "E_0": device.pulse_energy,
        "dF_0": device.delta_f_max,
        "energy_exponent": device.energy_exponent,
        "T_decay": device.decay_duration,
        "dF_min": limits.delta_f_min,
        "dF_max": limits.delta_f_max,
        "S_min": limits.total_min,
        "S_max": limits.total_max,
        "E_max": device.pulse_energy_for(limits.delta_f_max),
        "pulse_gain": 1.0,
    }


def get_shared_constants(device: Memristor, limits: WriteLimits | None = None) -> NeuronGroup:
    """One group that holds `constants` as variables, so that compiled code can run with others.

    As literals, which they are otherwise, they cost nothing to read and are compiled in.

    Parameters
    ----------
    device : Memristor
    limits : WriteLimits, optional
        Those of `constants`.
    """
    group = NeuronGroup(1, SWEEPABLE, method="exact", namespace={}, name="constants*")
    for name, value in constants(device, limits).items():
        setattr(group, name, value)
    return group


def share_constants(group: Group, shared: NeuronGroup) -> None:
    """Let a group, new and not compiled, take its constants from `get_shared_constants`."""
    for name in SWEEPABLE.names & group.namespace.keys():
        del group.namespace[name]
        group.variables.add_reference(name, shared, name, index="0")
